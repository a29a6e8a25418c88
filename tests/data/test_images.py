"""MNIST and Fashion-MNIST: pixels and labels come out as published, bad files and changed downloads are refused."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import pytest
import torch

from serving import Server
from spikebayes.data import images
from spikebayes.data.images import CHECKSUMS, CLASSES, PUBLISHERS, ImageSet, load_images
from spikebayes.errors import ConfigError, DataError

TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = CHECKSUMS["mnist"]


def idx(magic: int, *sizes: int, content: bytes) -> bytes:
    """An idx file, gzipped."""
    return gzip.compress(struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + content, mtime=0)


def pixels(*rows: int) -> bytes:
    """An idx file of images, all pixels of a row alike but the first (0) and the last of its first line (255)."""
    content = b"".join(bytes([0, *[grey] * 26, 255, *[grey] * 27 * 28]) for grey in rows)
    return idx(0x803, len(rows), 28, 28, content=content)


def labels(*classes: int) -> bytes:
    return idx(0x801, len(classes), content=bytes(classes))


MADE_UP = {
    TRAIN_X: pixels(51, 102, 204),
    TRAIN_Y: labels(9, 0, 4),
    TEST_X: pixels(153, 17),
    TEST_Y: labels(1, 2),
}


def made_up(home: Path, **changed: bytes) -> Path:
    """Three rows to train on and two to test on; ``changed`` replaces files: train_x, train_y, test_x, test_y."""
    home.mkdir(parents=True)
    keys = dict(zip(("train_x", "train_y", "test_x", "test_y"), MADE_UP, strict=True))
    for file, content in (MADE_UP | {keys[key]: content for key, content in changed.items()}).items():
        (home / file).write_bytes(content)
    return home.parent


@pytest.mark.parametrize("name", PUBLISHERS)
def test_pixels_and_labels_are_read_in_order(tmp_path: Path, name: str) -> None:
    data = load_images(made_up(tmp_path / name), name)
    assert data.x_train.shape == (3, 1, 28, 28)
    assert data.x_test.shape == (2, 1, 28, 28)
    assert {data.x_train.dtype, data.x_test.dtype} == {torch.float32}
    assert data.x_train[:, 0, 0, 0].tolist() == [0.0] * 3
    assert data.x_train[:, 0, 0, 27].tolist() == [1.0] * 3
    torch.testing.assert_close(data.x_train[:, 0, 27, 27], torch.tensor([0.2, 0.4, 0.8]), rtol=0, atol=0)
    torch.testing.assert_close(data.x_test[:, 0, 13, 5], torch.tensor([0.6, 17 / 255]), rtol=0, atol=0)
    assert data.y_train.tolist() == [9, 0, 4]
    assert data.y_test.tolist() == [1, 2]
    assert {data.y_train.dtype, data.y_test.dtype} == {torch.int64}
    assert (data.name, data.classes) == (name, CLASSES[name])
    assert len(set(data.classes)) == 10


@pytest.mark.parametrize(
    ("train", "test", "complete"), [(60000, 10000, True), (59999, 10000, False), (60000, 9680, False)]
)
def test_a_set_knows_whether_it_is_whole(train: int, test: int, complete: bool) -> None:
    rows = [torch.zeros(n) for n in (train, train, test, test)]
    assert ImageSet("mnist", *rows, CLASSES["mnist"]).complete is complete


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("train_x", b"", f"{TRAIN_X}: it ends within the idx header, after 0 of 16 bytes; delete it"),
        ("test_y", gzip.compress(b"\0\0\x08\x01", mtime=0), f"{TEST_Y}: it ends .* after 4 of 8 bytes"),
        ("train_x", b"\0\0\x08\x03", rf"{TRAIN_X}: torn, or not gzip \(Not a gzipped file .*\); delete it"),
        ("test_x", pixels(1, 2)[:-9], rf"{TEST_X}: torn, or not gzip \(Compressed file ended"),
        ("test_x", pixels(1, 2)[:10] + b"\xff" * 9, rf"{TEST_X}: torn, or not gzip \(Error -3"),
        ("train_x", labels(*[1] * 20), "expected idx images, magic number 0x00000803; got 0x00000801; delete it"),
        ("train_y", pixels(1), "expected idx labels, magic number 0x00000801; got 0x00000803; delete it"),
        (
            "test_x",
            idx(0x803, 2, 28, 28, content=bytes(1567)),
            f"{TEST_X}: 1567 bytes follow the header, which says 2 x 28 x 28; delete it",
        ),
        ("test_y", idx(0x801, 2, content=bytes(3)), f"{TEST_Y}: 3 bytes follow the header, which says 2; delete it"),
        (
            "train_x",
            idx(0x803, 3, 32, 28, content=bytes(3 * 32 * 28)),
            f"{TRAIN_X}: expected images of 28 x 28; got 32 x 28; delete it",
        ),
        ("train_y", labels(1, 2), f"{TRAIN_X} has 3 images, but {TRAIN_Y} has 2 labels; delete both"),
        ("test_y", labels(3, 10), rf"{TEST_Y}: labels must lie in 0 .. 9; got 10 \(row 2\); delete it"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, key: str, content: bytes, message: str) -> None:
    folder = made_up(tmp_path / "mnist", **{key: content})
    with pytest.raises(DataError, match=message) as caught:
        load_images(folder, "mnist")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "mnist") in str(caught.value)


def test_a_set_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{TEST_X}: it holds no images; delete it"):
        load_images(made_up(tmp_path / "mnist", test_x=pixels(), test_y=labels()), "mnist")


def test_unknown_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no set 'fasion-mnist' \(did you mean 'fashion-mnist'"):
        load_images(tmp_path, "fasion-mnist")


def test_only_missing_files_are_downloaded_and_only_they_are_checked(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = server.folder = made_up(tmp_path / "published" / "mnist") / "mnist"
    known = {file: hashlib.sha256(content).hexdigest() for file, content in MADE_UP.items()}
    monkeypatch.setitem(images.CHECKSUMS, "mnist", known)
    (tmp_path / "kept" / "mnist").mkdir(parents=True)
    (tmp_path / "kept" / "mnist" / TRAIN_Y).write_bytes(labels(5, 6, 7))

    data = load_images(tmp_path / "kept", "mnist", base_url=f"{server.url}/")
    assert data.y_train.tolist() == [5, 6, 7]  # the user's own
    assert data.y_test.tolist() == [1, 2]
    for file in (TRAIN_X, TEST_X, TEST_Y):
        assert (tmp_path / "kept" / "mnist" / file).read_bytes() == MADE_UP[file]
    for file in published.iterdir():
        file.unlink()
    assert torch.equal(load_images(tmp_path / "kept", "mnist").x_test, data.x_test)


@pytest.mark.parametrize(("name", "known"), [("mnist", "440fcabf"), ("fashion-mnist", "3aede38d")])
def test_a_changed_download_is_not_kept(tmp_path: Path, server: Server, name: str, known: str) -> None:
    server.folder = made_up(tmp_path / "published" / name) / name
    with pytest.raises(DataError, match=f"{TRAIN_X} has SHA-256 .*, not {known}.*; it was not kept: put"):
        load_images(tmp_path, name, base_url=server.url)
    assert list((tmp_path / name).iterdir()) == []


def test_a_failed_download_says_what_to_put_where(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / TRAIN_X).write_bytes(MADE_UP[TRAIN_X])
    nowhere = f"{server.url}/nowhere"
    with pytest.raises(DataError, match=f"cannot download {nowhere}/{TRAIN_Y} ") as caught:
        load_images(tmp_path, "mnist", base_url=f"{nowhere}/")
    assert f"put {TRAIN_Y}, {TEST_X}, {TEST_Y} from {nowhere}/ into {tmp_path / 'mnist'}" in str(caught.value)


def real_set(real: Path, name: str) -> Path:
    """The folder of the real files, all of them there."""
    lacking = [file for file in CHECKSUMS[name] if not (real / name / file).is_file()]
    if lacking:
        pytest.skip(f"no {lacking[0]} in {real / name}; set SPIKEBAYES_DATA")
    return real / name


def test_real_digits(real: Path) -> None:
    """Counts by class, mean and standard deviation of the training pixels are those known everywhere."""
    real_set(real, "mnist")
    data = load_images(real, "mnist")
    assert data.complete
    assert data.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.y_train.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.y_test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(data.x_train.mean()), 4) == 0.1307
    assert round(float(data.x_train.std()), 4) == 0.3081


def test_real_digits_pass_the_check_of_a_download(real: Path, tmp_path: Path, server: Server) -> None:
    home = server.folder = real_set(real, "mnist")
    data = load_images(tmp_path, "mnist", base_url=server.url)
    assert data.complete
    for file in CHECKSUMS["mnist"]:
        assert (tmp_path / "mnist" / file).read_bytes() == (home / file).read_bytes()


def test_real_clothes(real: Path) -> None:
    """As many of each class, and the published mean of the training pixels, 0.2860, also in a large subset."""
    real_set(real, "fashion-mnist")
    data = load_images(real, "fashion-mnist")
    assert data.complete == ((len(data.x_train), len(data.x_test)) == (60000, 10000))
    for y in (data.y_train, data.y_test):
        assert y.bincount().tolist() == [len(y) // 10] * 10
    assert abs(float(data.x_train.mean()) - 0.2860) < 5e-4
    by_class = [float(data.x_train[data.y_train == k].mean()) for k in range(10)]
    sandal, pullover, sneaker = (data.classes.index(c) for c in ("Sandal", "Pullover", "Sneaker"))
    assert by_class[pullover] > 2 * max(by_class[sandal], by_class[sneaker])  # a sleeve fills more than a strap
