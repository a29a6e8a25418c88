"""Tables that anyone can have, as they come: with text, dates and holes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spikebayes import ConfigError
from spikebayes.data import load_split

FRIEDMAN_ROWS, FRIEDMAN_FEATURES = 1000, 10


@dataclass(frozen=True)
class Table:
    """Rows to learn from, and the column to predict."""

    rows: pd.DataFrame
    target: str


def load(name: str, data: Path) -> Table:
    """A table by its name; those of the UCI repository from the folder of the data sets.

    Raises:
        ConfigError: the package that holds it is not installed.
    """
    return MADE[name]() if name in MADE else _uci(name, data)


def _uci(name: str, data: Path) -> Table:
    split = load_split(data, name)
    x, y = (np.concatenate(pair) for pair in ((split.x_train, split.x_test), (split.y_train, split.y_test)))
    return _numbers(x, y)


def _numbers(x: Any, y: Any, names: Any = None) -> Table:
    rows = pd.DataFrame(np.asarray(x), columns=names if names is not None else [f"x{i}" for i in range(x.shape[1])])
    return Table(rows.assign(target=np.asarray(y)), "target")


def _friedman() -> Table:
    """Friedman's first function (1991) with noise that varies by row: its std goes from 0.2 to 3 along one input."""
    made = np.random.default_rng(0)
    x = made.random((FRIEDMAN_ROWS, FRIEDMAN_FEATURES))
    mean = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return _numbers(x, mean + (0.2 + 2.8 * x[:, 5]) * made.standard_normal(FRIEDMAN_ROWS))


def _bundled(name: str) -> Table:
    """One of scikit-learn's; classes by their names, so that they are levels as in any raw table."""
    found: Any = getattr(import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    target = found.target
    if hasattr(found, "target_names"):
        target = pd.Series(np.asarray(found.target_names).astype(str)[target.to_numpy()], index=target.index)
    return Table(found.data.assign(target=target), "target")


def _penguins() -> Table:
    rows = _package("palmerpenguins").load_penguins()
    return Table(rows.dropna(subset=["species"]).reset_index(drop=True), "species")


def _vega(name: str, target: str) -> Table:
    rows = _package("vega_datasets").data(name)
    return Table(rows.dropna(subset=[target]).reset_index(drop=True), target)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"the study needs {name}: pip install 'spikebayes[studies]'") from error


MADE: dict[str, Callable[[], Table]] = {
    "Friedman": _friedman,
    "cars": lambda: _vega("cars", "Miles_per_Gallon"),
    "weather": lambda: _vega("seattle-weather", "weather"),
    "penguins": _penguins,
    "diabetes": lambda: _bundled("diabetes"),
    "cancer": lambda: _bundled("breast_cancer"),
    "digits": lambda: _bundled("digits"),
    "iris": lambda: _bundled("iris"),
    "wine": lambda: _bundled("wine"),
}
