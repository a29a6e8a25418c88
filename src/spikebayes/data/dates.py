"""Dates and times as a model's inputs: elapsed time, and where in the year, the week and the day they lie."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from spikebayes.data.cells import is_missing
from spikebayes.data.columns import to_labels
from spikebayes.data.kinds import Column, Encoded, beyond, counted, faulty_range
from spikebayes.data.row_numbers import Numbering, as_first
from spikebayes.data.signs import check_zones

ISO = "ISO8601"
FIRST = 20  # texts that are tried before all are
MICROSECONDS = 86_400e6  # a day
Part = Literal["elapsed", "year", "week", "day"]
OTHERS = tuple(  # which pandas does not guess: two digits of the year, times alone or with AM and PM
    f"{day} {time}".strip()
    for day in ("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y", "%m/%d/%Y", "%d/%m/%Y", "")
    for time in ("", "%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
    if day or time
)
YEAR, WEEK, MONDAY = 365.2425, 7, 3  # days; the epoch was a Thursday


@dataclass(frozen=True)
class Date(Column):
    """Dates and times, in UTC: days since the first of the training rows, and parts as points on a circle.

    A part that does not vary in training is left out. The year is told by the day within it, the day by the time.

    Args:
        parts: which of them become inputs: one for ``elapsed``, sine and cosine for the others.
        low, high: the first and the last of the training rows, in days since 1970.
        fill: what stands for a missing one: the median of the training rows.
        flag: whether an input says where one is missing, as training met that.
        format: of text: ``ISO8601``, which is understood in any case, or as strptime takes it.
        zoned: whether they named a zone; None, of earlier versions, does not say.
    """

    kind: ClassVar[str] = "date"
    parts: tuple[Part, ...]
    low: float
    high: float
    fill: float
    flag: bool = False
    format: str = ISO
    zoned: bool | None = None

    @classmethod
    def learn(cls, days: np.ndarray, format: str, zoned: bool | None = None) -> Date:
        """From training rows ``[B]`` in days, NaN where missing; at least one is not."""
        gone = np.isnan(days)
        known = days[~gone]
        low, high = float(known.min()), float(known.max())
        stamps = pd.to_datetime(np.round(known * MICROSECONDS).astype("int64"), unit="us")
        month = len(set(stamps.month)) > 1
        vary = {
            "elapsed": high > low,
            "year": month,
            "week": len(set(stamps.day)) > 1
            and bool(np.ptp(_share(known, "week")) > 0),  # not the first of each month
            "day": bool(np.ptp(known % 1) > 0),
        }
        return cls(
            tuple(part for part in get_args(Part) if vary[part]),
            low,
            high,
            float(np.median(known)),
            bool(gone.any()),
            format,
            zoned,
        )

    def inputs(self, name: str) -> list[str]:
        circles = {part: [f"{name} {part} {which}" for which in ("sin", "cos")] for part in self.parts}
        told = circles | {"elapsed": [f"{name} elapsed"]}
        return [*(each for part in self.parts for each in told[part]), *[f"{name} is missing"][: self.flag]]

    def read(
        self, column: pd.Series, written: bool = False, numbered: Numbering = as_first
    ) -> tuple[np.ndarray, np.ndarray]:
        """Days since 1970, and where there is something else; see :func:`to_days`.

        Args:
            column, written, numbered: as for :meth:`Number.read <spikebayes.data.kinds.Number.read>`.

        Raises:
            DataError: a time zone on some times alone, or on those of training alone, or the reverse.
        """
        days, wrong = to_days(column, self.format, written)
        if self.zoned is not None and not wrong.any():
            check_zones(column, self.zoned, numbered)
        return days, wrong

    def encode(self, values: np.ndarray, typed: bool = False) -> Encoded:
        gone = np.isnan(values)
        days = np.where(gone, self.fill, values)
        columns = []
        for part in self.parts:
            if part == "elapsed":
                columns.append(days - self.low)
            else:
                angle = 2 * np.pi * _share(days, part)
                columns += [np.sin(angle), np.cos(angle)]
        out = beyond(values, self.low, self.high) | (gone & (not self.flag))
        return np.stack([*columns, *[gone][: self.flag]], 1) if columns or self.flag else np.zeros(
            (len(days), 0)
        ), out

    def fault(self) -> str | None:
        return "parts that repeat" if len(set(self.parts)) < len(self.parts) else faulty_range(self.low, self.high)

    def __str__(self) -> str:
        told = "" if self.format == ISO else f" (read as {self.format})"
        return f"{counted(len(self.inputs('')), 'feature')}{told}"


def _share(days: np.ndarray, part: Part) -> np.ndarray:
    """How much of the year, the week or the day has passed, in [0, 1)."""
    if part == "year":
        return days / YEAR % 1
    return days % 1 if part == "day" else (np.floor(days) + MONDAY) % WEEK / WEEK


def to_days(column: pd.Series, format: str = ISO, written: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A column's dates and times as days since the start of 1970, UTC; those without a zone are taken as UTC.

    Args:
        column: of a table.
        format: of text, see :class:`Date`.
        written: whether numbers stand for text.

    Returns:
        ``[B]`` float64, NaN where one is missing or no date; ``[B]`` bool, where it is no date.

    Example:
        >>> to_days(pd.Series(["1970-01-02", "1969-12-31T12:00", None, "red"]))[0].tolist()
        [1.0, -0.5, nan, nan]
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        parsed, gone = pd.to_datetime(column, utc=True), column.isna().to_numpy()
    else:
        labels = to_labels(column, written)
        gone = np.array([label is None or is_missing(label) for label in labels], bool)
        labels[gone] = None
        texts = pd.Series(labels)
        parsed = pd.to_datetime(texts, format=format, errors="coerce", utc=True)
        if format != ISO:
            parsed = parsed.fillna(pd.to_datetime(texts, format=ISO, errors="coerce", utc=True))
    moments = parsed.to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT"))
    days = np.where(np.isnat(moments), np.nan, moments.astype("int64") / MICROSECONDS)
    return days, np.isnan(days) & ~gone


def date_format(texts: np.ndarray) -> str | None:
    """The format that all texts have; None if there is none.

    Where day and month could be either, the month is first, unless there are points between them.

    Args:
        texts: ``[B]`` str, none of them missing.

    Example:
        >>> date_format(np.array(["1/2/2020", "13/2/2020"], object)), date_format(np.array(["B96", "C85"], object))
        ('%d/%m/%Y', None)
    """
    if not len(texts) or not all(any(c.isdigit() for c in text) for text in texts):
        return None
    for format in _candidates(texts[0]):
        if not any(to_days(pd.Series(some), format)[1].any() for some in (texts[:FIRST], texts)):
            return format
    return None


def _candidates(text: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the day is not first
        for day_first in (True, False) if "." in text else (False, True):
            found = guess_datetime_format(text, dayfirst=day_first)
            if found is not None and not (
                found.startswith("%Y") and day_first
            ):  # no one writes the year, then the day
                yield ISO if found == "%Y" or found.startswith("%Y-%m") else found
    yield from OTHERS
