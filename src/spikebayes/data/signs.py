"""Signs beside numbers and times, which must mean one thing throughout a column, in training and after it.

All cells have a sign of percent or none has; the currencies that cells name are one; all times name a zone or none
does.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from spikebayes.data.cells import currency
from spikebayes.data.columns import one_line
from spikebayes.data.row_numbers import Numbering
from spikebayes.errors import DataError

TIME = re.compile(  # in text; the third group is a zone, by name or by hours from UTC
    r"\d(:\d\d|t\d\d)[\d:.,]*\s*([ap]m\b)?\s*(z\b|utc|gmt|[-+]\d\d(:?\d\d){0,2}(?![\d:]))?", re.IGNORECASE
)


def percents(column: pd.Series) -> np.ndarray:
    """``[B]`` bool, where text ends in a sign of percent.

    Example:
        >>> percents(pd.Series(["12 %", "12", 12, None])).tolist()
        [True, False, False, False]
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.zeros(len(column), bool)
    return np.array([isinstance(cell, str) and cell.rstrip().endswith("%") for cell in column.astype(object)], bool)


def currencies(column: pd.Series) -> np.ndarray:
    """``[B]`` object: the code of the currency that text names, ``""`` for none.

    Example:
        >>> currencies(pd.Series(["$12", "12 EUR", "12", None])).tolist()
        ['USD', 'EUR', '', '']
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.full(len(column), "", object)
    return np.array([currency(cell) for cell in column.astype(object)], object)


def zones(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """``[B]`` bool twice: where a date or time names a zone, and where it is a time of day that names none.

    Dates alone are neither.

    Example:
        >>> times = pd.Series(["2024-01-05T12:00+01:00", "2024-01-05 12:00", "12:00 PM GMT", "2024-01-05", None])
        >>> [rows.tolist() for rows in zones(times)]
        [[True, False, True, False, False], [False, True, False, False, False]]
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.notna().to_numpy(), np.zeros(len(column), bool)
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return np.zeros(len(column), bool), (column.notna() & (column != column.dt.normalize())).to_numpy(bool)
    found = [None if gone else TIME.search(str(cell)) for cell, gone in zip(column, column.isna(), strict=True)]
    zoned = np.array([time is not None and time[3] is not None for time in found], bool)
    return zoned, np.array([time is not None for time in found], bool) & ~zoned


def check_percents(column: pd.Series, there: np.ndarray, percent: bool, numbered: Numbering) -> None:
    """Refuse numbers that have a sign of percent where others, or those of training, have none; and the reverse.

    Args:
        column: of a table.
        there: ``[B]`` bool, where it has a number.
        percent: whether those of training had the sign.
        numbered: what numbers its rows have, for the message.

    Raises:
        DataError: names the column, a row of each, and what to do.
    """
    signed = percents(column) & there
    plain = there & ~signed
    if signed.any() and plain.any():
        raise DataError(
            f"column {column.name!r} has numbers with a percent sign ({_first(column, signed, numbered)}) and "
            f"without ({_first(column, plain, numbered)}); write all of them in one way"
        )
    if signed.any() and not percent:
        raise DataError(
            f"column {column.name!r} has a percent sign ({_first(column, signed, numbered)}), and in training it had "
            "none; write its numbers as they were there, without the sign"
        )
    if plain.any() and percent:
        raise DataError(
            f"column {column.name!r} has no percent sign ({_first(column, plain, numbered)}), and in training it "
            "had; write its numbers as they were there, with the sign"
        )


def check_currencies(column: pd.Series, there: np.ndarray, known: str, numbered: Numbering) -> None:
    """Refuse numbers of several currencies, or of another one than in training; those that name none pass.

    Args:
        column, there, numbered: as for :func:`check_percents`.
        known: the code of that of training, ``""`` for none.

    Raises:
        DataError: names the column, the rows, and what to do.
    """
    named = np.where(there, currencies(column), "")
    if not (rows := named != "").any():
        return
    first = named[rows.argmax()]
    if (others := rows & (named != first)).any():
        raise DataError(
            f"column {column.name!r} mixes currencies ({_first(column, rows, numbered)}; "
            f"{_first(column, others, numbered)}); convert them to one"
        )
    if first != known:
        how = f"were in {known}; convert them" if known else "named no currency; leave it out, or convert them first"
        where = _first(column, rows, numbered)
        raise DataError(f"column {column.name!r} has numbers in {first} ({where}), and those of training {how}")


def check_zones(column: pd.Series, zoned: bool, numbered: Numbering) -> None:
    """Refuse times that name a zone where others, or those of training, name none; and the reverse. Dates alone pass.

    Args:
        column, numbered: as for :func:`check_percents`.
        zoned: whether times of training named a zone.

    Raises:
        DataError: names the column, a row of each, and what to do.
    """
    there, bare = zones(column)
    if there.any() and bare.any():
        raise DataError(
            f"column {column.name!r} has times with a zone ({_first(column, there, numbered)}) and without "
            f"({_first(column, bare, numbered)}); write all of them in one way"
        )
    if there.any() and not zoned:
        raise DataError(
            f"column {column.name!r} names a time zone ({_first(column, there, numbered)}), and in training it named "
            "none; write its times as they were there, in the same place's time and without the zone"
        )
    if bare.any() and zoned:
        raise DataError(
            f"column {column.name!r} names no time zone ({_first(column, bare, numbered)}), and in training it did; "
            "write its times as they were there, with the zone"
        )


def _first(column: pd.Series, rows: np.ndarray, numbered: Numbering) -> str:
    row = int(rows.argmax())
    value = column.iloc[row]
    plain = value.item() if isinstance(value, np.generic) else value  # 12.0, not np.float64(12.0)
    plain = str(plain) if isinstance(plain, pd.Timestamp) else plain
    return f"row {numbered(row)}: {one_line(repr(plain))}"
