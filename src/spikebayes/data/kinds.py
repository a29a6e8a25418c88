"""What a column of a table can be to a model: which inputs it becomes, and which of its values training never met.

All that was learned from rows (medians, levels, means of the target) is in these values, and they are JSON.
Reference: the encoders of scikit-learn and skrub (TableVectorizer), whose choices these follow but where they say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from spikebayes.data.columns import level_indices, listed, to_labels, to_numbers
from spikebayes.data.row_numbers import Numbering, as_first
from spikebayes.data.signs import check_currencies, check_percents, currencies, percents

BEYOND = 0.05  # of the span from the least to the largest number of training: so far beyond either is not outside yet
CENTRED = 1000  # times its spread a column's mean may be: float32 then rounds by 6e-5 of the spread
SMOOTHING = 5.0  # rows of the mean over all, which the mean of each level is mixed with
FOLDS = 5  # of the training rows: what a level means for one is learned on the others
DECIMALS: tuple[Literal["."], Literal[","]] = (".", ",")
GONE = ""  # the level of a missing value
Encoded = tuple[np.ndarray, np.ndarray]  # [B, K] float64 inputs; [B] bool, where a value is outside


@dataclass(frozen=True)
class Column(ABC):
    """A kind of column: a frozen dataclass of JSON values."""

    kind: ClassVar[str]

    @abstractmethod
    def inputs(self, name: str) -> list[str]:
        """One name for each of the K inputs that the column ``name`` becomes."""

    @abstractmethod
    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        """The inputs of its rows, and which of these hold what training never met.

        Args:
            values: ``[B]`` float64, NaN where missing, or labels, ``""`` where missing.
            typed: whether labels stand for numbers or truth values.
        """

    def fault(self) -> str | None:
        """What contradicts something else in it; None when it holds together."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"kind": self.kind} | asdict(self)


@dataclass(frozen=True)
class Dropped(Column):
    """A column that becomes no input, and why."""

    kind: ClassVar[str] = "drop"
    why: str

    def inputs(self, name: str) -> list[str]:
        return []

    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        return np.empty((len(values), 0)), np.zeros(len(values), bool)

    def __str__(self) -> str:
        return f"dropped, {self.why}"


@dataclass(frozen=True)
class Number(Column):
    """Numbers, or true and false.

    Args:
        offset: what is taken from them before they become float32, which could not tell them apart.
        low, high: the least and the largest of the training rows; None does not say.
        fill: what stands for a missing one: the median of the training rows; None refuses those.
        flag: whether an input says where one is missing, as training met that.
        decimal: the mark before a fraction, in text.
        marks: words that stand for a missing one in this column.
        truth: whether they are true and false.
        grouped: whether commas group thousands in text that could be meant otherwise, such as 1,234.
        percent: whether they had a sign of percent; None, of earlier versions, does not say.
        currency: the code of that which they named, ``""`` for none; None, of earlier versions, does not say.
    """

    kind: ClassVar[str] = "number"
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    fill: float | None = None
    flag: bool = False
    decimal: Literal[".", ","] = "."
    marks: tuple[str, ...] = ()
    truth: bool = False
    grouped: bool = False
    percent: bool | None = None
    currency: str | None = None

    @classmethod
    def found(
        cls,
        column: pd.Series,
        written: bool = False,
        share: float = 0.0,
        decimals: tuple[Literal[".", ","], ...] = DECIMALS,
    ) -> tuple[Number, np.ndarray] | None:
        """A column as numbers, and these; None if more than a share of its cells are none, and not missing either.

        Of the marks before a fraction that it may have, the one that leaves fewer such cells is taken, or the first.
        """
        found = [cls(decimal=decimal) for decimal in decimals]
        read = [each.read(column, written) for each in found]
        best = min(range(len(read)), key=lambda each: read[each][1].sum())
        values, wrong = read[best]
        if wrong.sum() > share * (wrong | ~np.isnan(values)).sum():
            return None
        words = sorted({str(label).strip() for label in to_labels(pd.Series(column[wrong]), written)})
        there = ~np.isnan(values)
        learned = replace(
            found[best],
            marks=tuple(words),
            grouped=_ambiguous(column, read),
            percent=bool(percents(column)[there].any()),
            currency=next(filter(None, currencies(column)[there]), ""),
        )
        return learned, values

    def inputs(self, name: str) -> list[str]:
        return [name, f"{name} is missing"][: 1 + self.flag]

    def read(
        self, column: pd.Series, written: bool = False, numbered: Numbering = as_first
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers, and where there is something else; see :func:`~spikebayes.data.columns.to_numbers`.

        Args:
            column: of a table.
            written: whether numbers stand for text.
            numbered: what numbers its rows have, for messages.

        Raises:
            DataError: signs of percent on some numbers alone, several currencies, or other signs than in training.
        """
        values, wrong = to_numbers(column, self.decimal, self.marks, written)
        if self.percent is not None:
            check_percents(column, ~np.isnan(values), self.percent, numbered)
        if self.currency is not None:
            check_currencies(column, ~np.isnan(values), self.currency, numbered)
        return values, wrong

    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        gone = np.isnan(values)
        x = np.where(gone, self.fill or 0.0, values) - self.offset
        out = gone if not self.flag else np.zeros_like(gone)
        return np.stack([x, gone], 1)[:, : 1 + self.flag], out | beyond(values, self.low, self.high)

    def fault(self) -> str | None:
        return "flag without fill" if self.flag and self.fill is None else faulty_range(self.low, self.high)

    def __str__(self) -> str:
        more = ["decimal commas"] if self.decimal == "," else ["commas group thousands"][: self.grouped]
        more += [f"{listed(map(repr, self.marks))} as missing"] if self.marks else []
        more += ["missing ones flagged"] if self.flag else []
        return ("boolean" if self.truth else "number") + (f" ({', '.join(more)})" if more else "")


@dataclass(frozen=True)
class Levels(Column):
    """Labels of few levels: a 0/1 input for each; a level that training never met is that of a missing value.

    Args:
        levels: those of the training rows, ``""`` for a missing value.
        values: whether labels stand for numbers or truth values, so that 1 and 1.0 are one.
    """

    kind: ClassVar[str] = "levels"
    levels: tuple[str, ...]
    values: bool = False

    def inputs(self, name: str) -> list[str]:
        return [f"{name}={level}" if level != GONE else f"{name} is missing" for level in self.levels]

    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        index, out = _met(values, self.levels, self.values or typed)
        return (index[:, None] == np.arange(len(self.levels))).astype(np.float64), out

    def fault(self) -> str | None:
        return _faulty_levels(self.levels)

    def __str__(self) -> str:
        return counted(len(self.levels), "level")


@dataclass(frozen=True)
class TargetEncoded(Column):
    """Labels of many levels: the mean of the target over the training rows of each, mixed with that over all.

    mean_l = (sum over the rows of level l of y + m ybar) / (n_l + m), with m = 5 rows. A level that training never
    met has ybar.

    Args:
        levels: those of the training rows, ``""`` for a missing value.
        means: of each level, K numbers: one per target, or per class beside the first of two.
        middle: K numbers, the means over all.
        outcomes: what the K are of.
        values: as for :class:`Levels`.

    Reference:
        Micci-Barreca 2001, eq. 4; scikit-learn's TargetEncoder(smooth=5.0).
    """

    kind: ClassVar[str] = "target-encoded"
    levels: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    middle: tuple[float, ...]
    outcomes: tuple[str, ...]
    values: bool = False

    @classmethod
    def learn(
        cls, labels: np.ndarray, levels: tuple[str, ...], y: np.ndarray, outcomes: tuple[str, ...], values: bool
    ) -> TargetEncoded:
        """From training rows: ``[B]`` labels and ``[B, K]`` outcomes."""
        middle = y.mean(0)
        means = _level_means(level_indices(labels, levels), len(levels), y, middle)
        return cls(levels, tuple(map(tuple, means.tolist())), tuple(middle.tolist()), outcomes, values)

    def inputs(self, name: str) -> list[str]:
        return [f"{name} ~ {outcome}" for outcome in self.outcomes]

    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        index, out = _met(values, self.levels, self.values or typed)
        return np.array([*self.means, self.middle])[index], out  # the last, -1, for what was never met

    def cross_fitted(self, labels: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
        """``[B, K]`` inputs of the training rows: each learned on the other folds, so that no row tells its own
        target.

        Args:
            labels: ``[B]``, of the training rows.
            y: ``[B, K]``, their outcomes.
            seed: of the folds.
        """
        index, found = level_indices(labels, self.levels), np.empty_like(y)
        folds = np.random.default_rng(seed).permutation(len(y)) % FOLDS
        for fold in set(folds.tolist()):
            here, others = folds == fold, folds != fold
            middle = y[others].mean(0) if others.any() else y.mean(0)
            found[here] = _level_means(index[others], len(self.levels), y[others], middle)[index[here]]
        return found

    def fault(self) -> str | None:
        if len(self.means) != len(self.levels) or {len(self.middle), *map(len, self.means)} != {len(self.outcomes)}:
            return "means of other levels or outcomes"
        return _faulty_levels(self.levels) or _faulty_levels(self.outcomes)

    def __str__(self) -> str:
        return f"{counted(len(self.levels), 'level')}, target-encoded"


def offset_of(values: np.ndarray) -> float:
    """What has to be taken from values for float32 to tell them apart."""
    return float(values.mean()) if abs(values.mean()) > CENTRED * values.std() else 0.0


def counted(number: int, what: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "level"), counted(3, "level")
        ('1 level', '3 levels')
    """
    return f"{number} {what}{'s' * (number != 1)}"


def beyond(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """``[B]`` bool, where numbers lie more than :data:`BEYOND` of the span outside it; nowhere if it is unknown.

    Example:
        >>> beyond(np.array([-0.6, -0.4, 10.4, 10.6, np.nan]), 0.0, 10.0).tolist()
        [True, False, False, True, False]
    """
    if low is None or high is None:
        return np.zeros(len(values), bool)
    margin = BEYOND * (high - low)
    return (values < low - margin) | (values > high + margin)


def faulty_range(low: float | None, high: float | None) -> str | None:
    """What is wrong with a span, if anything is."""
    if low is None or high is None:
        return None if low is high else "one end of a span"
    return None if low <= high else "low above high"


def _ambiguous(column: pd.Series, read: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether a column's commas can be read in two ways, and nothing in it tells which is meant."""
    if len({int(wrong.sum()) for _, wrong in read}) > 1:
        return False
    (first, _), (last, _) = read[0], read[-1]
    apart = (first != last) & ~np.isnan(first) & ~np.isnan(last)
    return any("," in cell for cell in column[apart] if isinstance(cell, str))


def _met(labels: np.ndarray, levels: tuple[str, ...], values: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each label's position among the levels, and where it is none of them: then it is that of a missing value."""
    index = level_indices(labels, levels, values)
    out = index < 0
    return np.where(out, levels.index(GONE), index) if GONE in levels else index, out


def _level_means(index: np.ndarray, levels: int, y: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """``[levels, K]`` means of outcomes ``[B, K]``, see :class:`TargetEncoded`."""
    sums = np.stack([np.bincount(index, column, levels) for column in y.T], 1)
    return (sums + SMOOTHING * middle) / (np.bincount(index, minlength=levels)[:, None] + SMOOTHING)


def _faulty_levels(levels: tuple[str, ...]) -> str | None:
    return None if 0 < len(levels) == len(set(levels)) else "names that repeat, or none"
