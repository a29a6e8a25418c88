"""Jasper Ridge: one scene of the airborne spectrometer AVIRIS, whose pixels are classified by their spectra.

The set is one MATLAB 5 file, ``jasper_ridge/jasperRidge2_R198.mat``, 100 x 100 pixels of 198 bands; the 26 bands that
water vapour spoils are left out. It holds ``Y [198, 10000]``, radiances of 0 to ``maxValue`` or somewhat more, and
``A [4, 10000]``, reference abundances of the four end-members that ``cood`` names. Pixels are numbered down the
columns of the picture: (row, column) is number 100 column + row. A missing file is downloaded and kept only if its
SHA-256 is the known one; a file that is there is read as it is.

Neighbouring pixels are similar: if they were split one by one, nearly every test pixel would have a near copy in
training. So whole blocks of pixels go to one part.

Reference: Zhu et al. 2014, arXiv:1403.4682, for the reference abundances; free for research that cites it.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor

from spikebayes.data.columns import one_line
from spikebayes.data.fetching import AGAIN, fetch_missing
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked

NAME = "jasper_ridge"
FILE = "jasperRidge2_R198.mat"
SHA256 = "7dd702f9958510f35c7fee35f7f18ecfca393c9eebd39bddf6c9b7d147754caa"
PUBLISHER = (
    "https://raw.githubusercontent.com/MeiShaohui/Spectral-Variability-Augmented-Sparse-Unmixing/"
    "9e3e2264f0b4547780d6da79f69973f93599bb45/data"
)
SIDE, BANDS = 100, 198
CLASSES = ("tree", "water", "dirt", "road")
SHARE = (0.5, 0.1, 0.4)  # of the blocks: to train, to validate, to test


@dataclass(frozen=True, eq=False)
class HyperspectralPixels:
    """Pixels of one scene in three parts that share no pixel; each part in the order of its rows and columns.

    Args:
        name: the set.
        x_train: ``[N, bands]`` float32, radiance over its nominal maximum: from 0 to 1 or somewhat more.
        y_train: ``[N]`` int64, index of the class.
        where_train: ``[N, 2]`` int64, row and column in the scene, from 0.
        x_validation, y_validation, where_validation: the same.
        x_test, y_test, where_test: the same.
        classes: their names.
        size: rows and columns of the scene.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    where_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    where_validation: Tensor
    x_test: Tensor
    y_test: Tensor
    where_test: Tensor
    classes: tuple[str, ...]
    size: tuple[int, int]

    def paint(self, values: Tensor, where: Tensor, empty: float = -1) -> Tensor:
        """A map of the scene: classes as labels or colours, or an uncertainty.

        Args:
            values: ``[N, *rest]``, one entry for each pixel.
            where: ``[N, 2]``, rows and columns, of one part or of several joined.
            empty: what stands where no pixel is given.

        Returns:
            ``[rows, columns, *rest]``, dtype of the values.

        Raises:
            DataError: as many values as pixels are needed, pixels in the scene, and a dtype that holds ``empty``.

        Example:
            >>> none = torch.empty(0, 2, dtype=torch.int64)
            >>> pixels = HyperspectralPixels("tiny", *[none] * 9, classes=("tree",), size=(2, 3))
            >>> pixels.paint(torch.tensor([7, 8]), torch.tensor([[0, 2], [1, 0]])).tolist()
            [[-1, -1, 7], [8, -1, -1]]
        """
        if where.shape != (len(values), 2):
            raise DataError(f"{len(values)} values need pixels [{len(values)}, 2]; got {list(where.shape)}")
        rows, columns = where.unbind(1)
        if len(where) and (where.min() < 0 or rows.max() >= self.size[0] or columns.max() >= self.size[1]):
            raise DataError(f"a pixel lies outside the scene's {self.size[0]} rows and {self.size[1]} columns")
        wanted = torch.tensor(empty, dtype=torch.float64)
        nothing = wanted.to(values.dtype)
        if not torch.isclose(nothing.double(), wanted, equal_nan=True):
            raise DataError(f"{values.dtype} cannot hold {empty:g} where no pixel is given; choose another `empty`")
        painted = nothing.expand(*self.size, *values.shape[1:]).clone()
        painted[rows, columns] = values
        return painted


@checked
def load_jasper_ridge(
    folder: Path,
    base_url: str | None = None,
    block: int = 10,
    share: tuple[float, float, float] = SHARE,
    seed: int = 0,
) -> HyperspectralPixels:
    """Load the scene, split by whole blocks of pixels; a missing file is downloaded first.

    The scene is cut into squares, which the seed shuffles: the first share of them, rounded, trains, the next
    validates, the rest tests. Pixels of two parts touch only where their blocks do: by default about a fifth of the
    test pixels has a training pixel as one of its four neighbours, with blocks of 20 about a tenth. The class of a
    pixel is the end-member of the largest reference abundance.

    Args:
        folder: holds ``jasper_ridge/``; see :func:`~spikebayes.data.fetching.default_folder`.
        base_url: the file is at ``base_url/jasperRidge2_R198.mat``; a copy on GitHub by default.
        block: side of a block, pixels; those at the right and lower end are smaller if 100 is no multiple.
        share: of the blocks, to train, to validate and to test; positive, adding up to 1.
        seed: draws the blocks, >= 0.

    Raises:
        ConfigError: a setting out of range, a part without a block, a class of which no pixel is left to train on,
            or a folder that cannot be written.
        DataError: a download that failed or has another SHA-256; a file that is torn or holds something else.

    Example:
        >>> from spikebayes.data.fetching import default_folder
        >>> scene = load_jasper_ridge(default_folder())  # doctest: +SKIP
        >>> scene.x_train.shape, scene.x_test.shape  # doctest: +SKIP
        (torch.Size([5000, 198]), torch.Size([4000, 198]))
    """
    part = _parts(block, share, seed)  # [rows, columns]
    home = folder / NAME
    fetch_missing(home, {FILE: SHA256}, (base_url or PUBLISHER).rstrip("/"))
    x, y = _read(home / FILE)
    tensors: list[Tensor] = []
    for i in range(3):
        where = (part == i).nonzero()
        rows, columns = where.unbind(1)
        tensors += [x[rows, columns], y[rows, columns], where]
    unmet = sorted(set(range(len(CLASSES))) - set(tensors[1].tolist()))
    if unmet:
        raise ConfigError(
            f"blocks of {block} x {block} drawn with seed {seed} leave no {CLASSES[unmet[0]]} to train on; "
            "use smaller blocks or another seed"
        )
    return HyperspectralPixels(NAME, *tensors, classes=CLASSES, size=(SIDE, SIDE))


def _parts(block: int, share: tuple[float, float, float], seed: int) -> Tensor:
    """Which part each pixel belongs to, ``[SIDE, SIDE]`` int64 in 0 .. 2."""
    if not 1 <= block <= SIDE:
        raise ConfigError(f"a block's side must lie in 1 .. {SIDE} pixels; got {block}")
    if len(share) != 3 or not all(s > 0 for s in share) or not math.isclose(sum(share), 1, abs_tol=1e-6):
        raise ConfigError(f"the shares must be three numbers > 0 that add up to 1; got {share}")
    if seed < 0:
        raise ConfigError(f"the seed must be >= 0; got {seed}")
    across = math.ceil(SIDE / block)
    blocks = across * across
    first, second = round(share[0] * blocks), round((share[0] + share[1]) * blocks)
    if not 0 < first < second < blocks:
        raise ConfigError(f"{blocks} blocks shared {share} leave a part without any; use smaller blocks")
    of_block = torch.empty(blocks, dtype=torch.int64)
    of_block[torch.randperm(blocks, generator=torch.Generator().manual_seed(seed))] = torch.tensor(
        [0] * first + [1] * (second - first) + [2] * (blocks - second)
    )
    at = torch.arange(SIDE) // block
    return of_block.reshape(across, across)[at[:, None], at]


def _read(path: Path) -> tuple[Tensor, Tensor]:
    """Spectra ``[SIDE, SIDE, BANDS]`` float32 and classes ``[SIDE, SIDE]`` int64, by row and column."""
    fields = ("Y", "A", "maxValue", "cood")
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror})") from error
    try:
        found: dict[str, Any] = loadmat(content, variable_names=fields)
    except Exception as error:  # the reader may raise anything on a torn file
        reason = one_line(error, 200) or type(error).__name__
        raise DataError(f"{path}: torn, or no MATLAB 5 file ({reason}); {AGAIN}") from error
    missing = [field for field in fields if field not in found]
    if missing:
        raise DataError(f"{path}: the scene's file has fields {', '.join(fields)}; it lacks {missing[0]}; {AGAIN}")
    radiance = _numbers(path, "Y", found["Y"], (BANDS, SIDE * SIDE))
    abundances = _numbers(path, "A", found["A"], (len(CLASSES), SIDE * SIDE))
    maximum = float(_numbers(path, "maxValue", found["maxValue"], (1, 1))[0, 0])
    if maximum <= 0:
        raise DataError(f"{path}: maxValue must be positive; got {maximum:g}; {AGAIN}")
    names = [str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in np.ravel(found["cood"])]
    expected = [f"{i}-{name}" for i, name in enumerate(CLASSES, start=1)]
    if names != expected:
        got = one_line(", ".join(names))
        raise DataError(f"{path}: expected cood to name {', '.join(expected)}; got {got}; {AGAIN}")
    x = (radiance / maximum).astype(np.float32).reshape(BANDS, SIDE, SIDE)  # [band, column, row]
    y = abundances.argmax(0).astype(np.int64).reshape(SIDE, SIDE)  # [column, row]
    return torch.from_numpy(x.transpose(2, 1, 0).copy()), torch.from_numpy(y.T.copy())


def _numbers(path: Path, field: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The field in float64, all finite and none negative."""
    if np.shape(values) != shape or np.asarray(values).dtype.kind not in "uif":
        expected, got = (" x ".join(map(str, s)) for s in (shape, np.shape(values)))
        kind = np.asarray(values).dtype
        raise DataError(f"{path}: expected {field} to be {expected} numbers; got {got} ({kind}); {AGAIN}")
    numbers = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise DataError(f"{path}: {field} holds NaN, infinite or negative values; {AGAIN}")
    return numbers
