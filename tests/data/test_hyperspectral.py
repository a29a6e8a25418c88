"""Jasper Ridge: spectra, classes and places come out as published, split by whole blocks; other files are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import Tensor
from torch.nn import functional as F

from serving import Server
from spikebayes.data import hyperspectral
from spikebayes.data.hyperspectral import CLASSES, FILE, SHA256, HyperspectralPixels, load_jasper_ridge
from spikebayes.errors import ConfigError, DataError

PARTS = ("train", "validation", "test")
COOD = np.array([[f"{i}-{name}"] for i, name in enumerate(CLASSES, start=1)], dtype=object)


def scene() -> dict[str, Any]:
    """Radiance 50 row + column in the first band, more by 1 in each further one; class (row + 2 column) mod 4."""
    number = np.arange(10000)
    row, column = number % 100, number // 100
    radiance = (50 * row + column + np.arange(198)[:, None]).astype(np.uint16)
    abundances = np.full((4, 10000), 0.1)
    abundances[(row + 2 * column) % 4, number] = 0.7
    return {"Y": radiance, "A": abundances, "maxValue": np.array([[5000]], dtype=np.uint16), "cood": COOD}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("scene"))


def made_up(folder: Path, **changed: Any) -> Path:
    """A scene in the published format; ``changed`` replaces fields, None takes one out."""
    (folder / "jasper_ridge").mkdir()
    fields = {name: value for name, value in (scene() | changed).items() if value is not None}
    savemat(folder / "jasper_ridge" / FILE, fields)
    return folder


def part(data: HyperspectralPixels, name: str) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(getattr(data, f"{what}_{name}") for what in ("x", "y", "where"))  # pyright: ignore


def everywhere(data: HyperspectralPixels) -> Tensor:
    """The number of the part at each pixel."""
    where = torch.cat([part(data, name)[2] for name in PARTS])
    number = torch.cat([torch.full((len(part(data, name)[1]),), i) for i, name in enumerate(PARTS)])
    return data.paint(number, where)


def test_every_pixel_is_in_one_part_with_its_spectrum_and_class(folder: Path) -> None:
    data = load_jasper_ridge(folder)
    for name, pixels in zip(PARTS, (5000, 1000, 4000), strict=True):
        x, y, where = part(data, name)
        assert (x.shape, y.shape, where.shape) == ((pixels, 198), (pixels,), (pixels, 2))
        assert (x.dtype, y.dtype, where.dtype) == (torch.float32, torch.int64, torch.int64)
        row, column = where.unbind(1)
        radiance = (50 * row + column)[:, None] + torch.arange(198)
        assert torch.equal(x, (radiance.double() / 5000).float())
        assert torch.equal(y, (row + 2 * column) % 4)
        assert torch.equal(where, where[(row * 100 + column).argsort()])
    assert (everywhere(data) >= 0).all()  # 10000 pixels in all, so each in one part
    assert (data.name, data.classes, data.size) == ("jasper_ridge", CLASSES, (100, 100))


@pytest.mark.parametrize("block", [1, 10, 20, 25, 30])
def test_whole_blocks_go_to_one_part(folder: Path, block: int) -> None:
    parts = everywhere(load_jasper_ridge(folder, block=block))
    for top in range(0, 100, block):
        for left in range(0, 100, block):
            assert len(parts[top : top + block, left : left + block].unique()) == 1
    shares = torch.bincount(parts[::block, ::block].flatten()) / len(parts[::block]) ** 2
    blocks = len(parts[::block]) ** 2
    assert ((shares - torch.tensor([0.5, 0.1, 0.4])).abs() <= 1 / blocks).all()


def test_the_seed_draws_the_blocks_and_the_shares_are_kept(folder: Path) -> None:
    first, again, other = (load_jasper_ridge(folder, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.where_test, again.where_test)
    assert not torch.equal(first.where_test, other.where_test)
    data = load_jasper_ridge(folder, share=(0.2, 0.3, 0.5))
    assert [len(part(data, name)[1]) for name in PARTS] == [2000, 3000, 5000]


def test_maps_are_painted(folder: Path) -> None:
    data = load_jasper_ridge(folder)
    painted = data.paint(data.y_test, data.where_test)
    assert (painted.shape, painted.dtype) == ((100, 100), torch.int64)
    row, column = data.where_test[17].tolist()
    assert painted[row, column] == data.y_test[17]
    assert (painted == -1).sum() == 6000
    colours = data.paint(torch.rand(4000, 3), data.where_test, empty=0.5)
    assert (colours.shape, colours.dtype) == ((100, 100, 3), torch.float32)
    row, column = data.where_train[0].tolist()
    assert colours[row, column].tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        (torch.zeros(3), torch.zeros(2, 2, dtype=torch.int64), r"3 values need pixels \[3, 2\]; got \[2, 2\]"),
        (torch.zeros(1), torch.tensor([[0, 100]]), "outside the scene's 100 rows and 100 columns"),
        (torch.zeros(1), torch.tensor([[-1, 0]]), "outside the scene"),
    ],
)
def test_maps_refuse_other_pixels(folder: Path, values: Tensor, where: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_jasper_ridge(folder).paint(values, where)


def test_what_stands_where_no_pixel_is_given_fits_the_values(folder: Path) -> None:
    data = load_jasper_ridge(folder)
    bright = torch.zeros(4000, 3, dtype=torch.uint8)
    with pytest.raises(DataError, match=r"torch\.uint8 cannot hold -1 where no pixel is given"):
        data.paint(bright, data.where_test)
    assert data.paint(bright, data.where_test, empty=255).double().mean() == pytest.approx(0.6 * 255)
    assert int(data.paint(bright.float(), data.where_test, empty=float("nan")).isnan().sum()) == 3 * 6000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block": 0}, r"side must lie in 1 \.\. 100 pixels; got 0"),
        ({"block": 101}, "got 101"),
        ({"block": 50}, "4 blocks shared .* leave a part without any; use smaller"),
        ({"share": (0.5, 0.5, 0.0)}, "three numbers > 0 that add up to 1"),
        ({"share": (0.5, 0.4, 0.2)}, r"got \(0\.5, 0\.4, 0\.2\)"),
        ({"share": (0.5, float("nan"), 0.2)}, "three numbers > 0"),
        ({"seed": -1}, "the seed must be >= 0; got -1"),
    ],
)
def test_settings_out_of_range_are_refused(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_jasper_ridge(folder, **settings)


def test_a_class_that_is_never_trained_on_is_named(tmp_path: Path) -> None:
    abundances = np.zeros((4, 10000))
    abundances[0] = 1
    with pytest.raises(ConfigError, match="blocks of 10 x 10 drawn with seed 0 leave no water to train on"):
        load_jasper_ridge(made_up(tmp_path, A=abundances))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"A": None}, "has fields Y, A, maxValue, cood; it lacks A; delete it"),
        ({"maxValue": None}, "lacks maxValue"),
        ({"Y": scene()["Y"].T}, r"expected Y to be 198 x 10000 numbers; got 10000 x 198 \(uint16\); delete it"),
        ({"Y": scene()["Y"][:, :100]}, "got 198 x 100 "),
        ({"A": np.zeros((3, 10000))}, "expected A to be 4 x 10000 numbers; got 3 x 10000 "),
        ({"A": np.full((4, 10000), np.nan)}, "A holds NaN, infinite or negative values; delete it"),
        ({"Y": -scene()["Y"].astype(np.float64)}, "Y holds NaN"),
        ({"maxValue": np.array([[0]])}, "maxValue must be positive; got 0"),
        ({"maxValue": "5000"}, "expected maxValue to be 1 x 1 numbers; got 1 "),
        ({"cood": COOD[::-1]}, "expected cood to name 1-tree, .*; got 4-road, 3-dirt, 2-water, 1-tree; delete it"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_jasper_ridge(made_up(tmp_path, **changed))
    assert str(tmp_path / "jasper_ridge" / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_not_called_torn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", locked)
    with pytest.raises(DataError, match=rf"{FILE}: it cannot be read \(Permission denied\)"):
        load_jasper_ridge(folder)


@pytest.mark.parametrize("kept", [0, 50, 130, 1000, 500_000, 1_990_000])
def test_torn_files_are_refused(tmp_path: Path, folder: Path, kept: int) -> None:
    (tmp_path / "jasper_ridge").mkdir()
    content = (folder / "jasper_ridge" / FILE).read_bytes()
    assert kept < len(content)
    (tmp_path / "jasper_ridge" / FILE).write_bytes(content[:kept])
    with pytest.raises(DataError, match=rf"{FILE}: (torn, or no MATLAB 5 file|.* it lacks)") as caught:
        load_jasper_ridge(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_downloaded_and_checked(
    tmp_path: Path, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = server.folder = folder / "jasper_ridge"
    with pytest.raises(DataError, match=f"{FILE} has SHA-256 .*, not {SHA256}; it was not kept: put {FILE} from"):
        load_jasper_ridge(tmp_path, base_url=server.url)
    assert list((tmp_path / "jasper_ridge").iterdir()) == []
    content = (published / FILE).read_bytes()
    monkeypatch.setattr(hyperspectral, "SHA256", hashlib.sha256(content).hexdigest())
    data = load_jasper_ridge(tmp_path, base_url=f"{server.url}/")
    assert (tmp_path / "jasper_ridge" / FILE).read_bytes() == content
    assert torch.equal(data.x_test, load_jasper_ridge(folder).x_test)


def test_a_failed_download_says_what_to_put_where(tmp_path: Path, server: Server) -> None:
    nowhere = f"{server.url}/nowhere"
    with pytest.raises(DataError, match=f"cannot download {nowhere}/{FILE} ") as caught:
        load_jasper_ridge(tmp_path, base_url=nowhere)
    assert f"put {FILE} from {nowhere}/ into {tmp_path / 'jasper_ridge'}" in str(caught.value)


def test_the_real_scene(real: Path, tmp_path: Path, server: Server) -> None:
    """Pixels of each class as published; water is dark in the infrared; few test pixels touch a training pixel."""
    if not (real / "jasper_ridge" / FILE).is_file():
        pytest.skip(f"no {FILE} in {real / 'jasper_ridge'}; set SPIKEBAYES_DATA")
    server.folder = real / "jasper_ridge"
    data = load_jasper_ridge(tmp_path, base_url=server.url)  # passes the check of a download
    y = torch.cat([part(data, name)[1] for name in PARTS])
    x = torch.cat([part(data, name)[0] for name in PARTS])
    assert y.bincount().tolist() == [3493, 3326, 2428, 753]
    assert (float(x.min()), round(float(x.max()), 4)) == (0.0, 1.0874)
    infrared = [float(x[y == k, 80:].mean()) for k in range(4)]
    assert infrared[1] < 0.2 * min(infrared[0], *infrared[2:])
    trained = F.pad(data.paint(torch.ones(5000), data.where_train, empty=0), (1, 1, 1, 1))
    row, column = data.where_test.unbind(1)
    touching = sum(trained[row + i, column + j] for i, j in ((0, 1), (2, 1), (1, 0), (1, 2)))
    assert isinstance(touching, Tensor)
    assert 0.15 < float((touching > 0).float().mean()) < 0.25
