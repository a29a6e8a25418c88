"""CIFAR-10: records come out as published, bad files and changed archives are refused, nothing else is unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import torch

from serving import Server
from spikebayes.data import cifar
from spikebayes.data.cifar import ARCHIVE, CLASSES, TEST, TRAIN, WITHIN
from spikebayes.data.images import ImageSet, load_images
from spikebayes.errors import ConfigError, DataError

FILES = (*TRAIN, *TEST)
PUBLISHED_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
}


def record(label: int, red: int, green: int, blue: int) -> bytes:
    """One image of a single colour, but for its second pixel from the left in the top row, which is white."""
    planes = [bytes([colour, 255, *[colour] * 1022]) for colour in (red, green, blue)]
    return bytes([label]) + b"".join(planes)


MADE_UP = {file: record(i, 51, 102, 10 * i) + record(9 - i, 0, 0, 0) for i, file in enumerate(FILES)}


def made_up(home: Path, **changed: bytes) -> Path:
    """Two images in each file; ``changed`` replaces files by stem."""
    home.mkdir(parents=True)
    for file, content in (MADE_UP | {f"{stem}.bin": content for stem, content in changed.items()}).items():
        (home / file).write_bytes(content)
    return home.parent


def packed(members: dict[str, bytes]) -> bytes:
    """A gzipped tar archive, the same whenever it is made."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0)


WHOLE = {f"{WITHIN}/{file}": content for file, content in MADE_UP.items()}


def publish(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive in place of the published one."""
    folder.mkdir(exist_ok=True)
    (folder / ARCHIVE).write_bytes(content)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(content).hexdigest())


def test_pixels_and_labels_are_read_in_order(tmp_path: Path) -> None:
    data = load_images(made_up(tmp_path / "cifar10"), "cifar10")
    assert data.x_train.shape == (10, 3, 32, 32)
    assert data.x_test.shape == (2, 3, 32, 32)
    assert {data.x_train.dtype, data.x_test.dtype} == {torch.float32}
    assert {data.y_train.dtype, data.y_test.dtype} == {torch.int64}
    assert data.y_train.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert data.y_test.tolist() == [5, 4]
    assert data.x_train[:, :, 0, 1].unique().tolist() == [1.0]  # the white pixel is in row 0, column 1
    assert torch.equal(data.x_train[4, :, 1, 0], torch.tensor([51, 102, 20]) / 255)
    assert torch.equal(data.x_test[0, :, 31, 31], torch.tensor([51, 102, 50]) / 255)
    assert torch.equal(data.x_train[1, :, 0, :3], torch.tensor([0.0, 1.0, 0.0]).expand(3, 3))
    assert (data.name, data.classes, data.complete) == ("cifar10", CLASSES, False)
    assert len(set(CLASSES)) == 10


@pytest.mark.parametrize(
    ("name", "train", "test", "complete"),
    [
        ("cifar10", 50000, 10000, True),
        ("cifar10", 50000, 9980, False),
        ("cifar10", 60000, 10000, False),
        ("fashion-mnist", 60000, 10000, True),
        ("fashion-mnist", 50000, 10000, False),
    ],
)
def test_a_set_knows_its_published_rows(name: str, train: int, test: int, complete: bool) -> None:
    rows = [torch.zeros(n) for n in (train, train, test, test)]
    assert ImageSet(name, *rows, classes=CLASSES).complete is complete


@pytest.mark.parametrize(
    ("stem", "content", "message"),
    [
        ("data_batch_3", b"", r"data_batch_3\.bin: it holds no images; delete it"),
        (
            "test_batch",
            record(1, 2, 3, 4) * 2 + b"\0" * 7,
            r"test_batch\.bin: torn, or not CIFAR-10: 7 bytes follow 2 records of 3073 bytes; delete it",
        ),
        ("data_batch_1", record(1, 2, 3, 4)[:-1], "3072 bytes follow 0 records of 3073 bytes"),
        (
            "data_batch_5",
            record(9, 0, 0, 0) + record(10, 0, 0, 0) + record(11, 0, 0, 0),
            r"data_batch_5\.bin: labels must lie in 0 \.\. 9; got 10 \(row 2\); delete it",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, stem: str, content: bytes, message: str) -> None:
    folder = made_up(tmp_path / "cifar10", **{stem: content})
    with pytest.raises(DataError, match=message) as caught:
        load_images(folder, "cifar10")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "cifar10" / stem) in str(caught.value)


def test_misspelt_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no set 'cifar' \(did you mean 'cifar10'\?\); .* fashion-mnist, cifar10"):
        load_images(tmp_path, "cifar")


def test_missing_files_alone_come_out_of_the_archive(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "published", packed({"../escaped": b"x", f"{WITHIN}/readme.html": b"x", **WHOLE}), monkeypatch)
    home = tmp_path / "kept" / "cifar10"
    home.mkdir(parents=True)
    (home / TRAIN[1]).write_bytes(record(7, 1, 2, 3))

    data = load_images(tmp_path / "kept", "cifar10", base_url=f"{server.url}/")
    assert data.y_train.tolist() == [0, 9, 7, 2, 7, 3, 6, 4, 5]  # the user's own second file
    assert sorted(path.name for path in home.iterdir()) == sorted(FILES)
    for file in {*FILES} - {TRAIN[1]}:
        assert (home / file).read_bytes() == MADE_UP[file]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["cifar10"]
    assert not (tmp_path / "escaped").exists()
    load_images(tmp_path / "kept", "cifar10", base_url=server.url)
    assert server.asked == [f"/{ARCHIVE}"]


def test_a_changed_archive_is_not_kept(tmp_path: Path, server: Server) -> None:
    (tmp_path / "published" / ARCHIVE).write_bytes(packed(WHOLE))
    with pytest.raises(
        DataError, match=rf"{ARCHIVE} has SHA-256 \w+, not c4a38c50.*; it was not kept: put data_batch_1"
    ):
        load_images(tmp_path, "cifar10", base_url=server.url)
    assert list((tmp_path / "cifar10").iterdir()) == []


def linked() -> bytes:
    """An archive whose first member is a link out of it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        link = tarfile.TarInfo(f"{WITHIN}/{TRAIN[0]}")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        archive.addfile(link)
    return stream.getvalue()


def foldered() -> bytes:
    """An archive whose first member is a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        folder = tarfile.TarInfo(f"{WITHIN}/{TRAIN[0]}")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            packed({k: v for k, v in WHOLE.items() if not k.endswith(TRAIN[0])}),
            "lacks a file .*data_batch_1.bin.*; put",
        ),
        (packed(WHOLE)[:60], r"cannot be unpacked \(.*\); put data_batch_1\.bin"),
        (gzip.compress(gzip.decompress(packed(WHOLE))[:2000], mtime=0), r"cannot be unpacked \(.*\); put"),
        (b"no archive at all", r"cannot be unpacked \(.*\); put"),
        (linked(), "lacks a file .*; put"),
        (foldered(), "is not a plain file; put"),
    ],
)
def test_archives_without_the_files_are_refused(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "secret").write_text("not to be read")
    publish(tmp_path / "published", content, monkeypatch)
    with pytest.raises(DataError, match=message) as caught:
        load_images(tmp_path, "cifar10", base_url=server.url)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cifar10").iterdir()) == []


def test_a_failed_download_says_what_to_put_where(tmp_path: Path, server: Server) -> None:
    made_up(tmp_path / "cifar10")
    (tmp_path / "cifar10" / TRAIN[4]).unlink()
    (tmp_path / "cifar10" / TEST[0]).unlink()
    url = f"{server.url}/{ARCHIVE}"
    with pytest.raises(DataError, match=f"cannot download {url} .*404") as caught:
        load_images(tmp_path, "cifar10", base_url=server.url)
    assert f"put {TRAIN[4]}, {TEST[0]} out of {url} into {tmp_path / 'cifar10'}" in str(caught.value)


def test_real_photographs(real: Path) -> None:
    """Counts by class, and mean and standard deviation of the training pixels by colour, as known everywhere."""
    home = real / "cifar10"
    lacking = [file for file in FILES if not (home / file).is_file()]
    if lacking:
        pytest.skip(f"no {lacking[0]} in {home}; set SPIKEBAYES_DATA")
    data = load_images(real, "cifar10")
    assert data.complete == ((len(data.x_train), len(data.x_test)) == (50000, 10000))
    assert data.y_train[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    published = all(
        hashlib.md5((home / file).read_bytes()).hexdigest() == known for file, known in PUBLISHED_MD5.items()
    )
    if not published:
        pytest.skip(f"a subset of the training images in {home}")
    assert data.y_train.bincount().tolist() == [5000] * 10
    assert [round(float(m), 4) for m in data.x_train.mean((0, 2, 3))] == [0.4914, 0.4822, 0.4465]
    assert [round(float(s), 4) for s in data.x_train.std((0, 2, 3))] == [0.2470, 0.2435, 0.2616]
    assert data.y_test.bincount().max() <= 1000
