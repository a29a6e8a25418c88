"""Signs of percent beside numbers in text: all cells of a column have one, in training and after it, or none has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spikebayes.data.columns import one_line
from spikebayes.errors import DataError


def percents(column: pd.Series) -> np.ndarray:
    """``[B]`` bool, where text ends in a sign of percent.

    Example:
        >>> percents(pd.Series(["12 %", "12", 12, None])).tolist()
        [True, False, False, False]
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.zeros(len(column), bool)
    return np.array([isinstance(cell, str) and cell.rstrip().endswith("%") for cell in column.astype(object)], bool)


def check_percents(column: pd.Series, there: np.ndarray, percent: bool, before: int) -> None:
    """Refuse numbers that have a sign of percent where others, or those of training, have none; and the reverse.

    Args:
        column: of a table.
        there: ``[B]`` bool, where it has a number.
        percent: whether those of training had the sign.
        before: rows of the whole table before these, for the message.

    Raises:
        DataError: names the column, a row of each, and what to do.
    """
    signed = percents(column) & there
    plain = there & ~signed
    if signed.any() and plain.any():
        raise DataError(
            f"column {column.name!r} has numbers with a percent sign ({_first(column, signed, before)}) and without "
            f"({_first(column, plain, before)}); write all of them in one way"
        )
    if signed.any() and not percent:
        raise DataError(
            f"column {column.name!r} has a percent sign ({_first(column, signed, before)}), and in training it had "
            "none; write its numbers as they were there, without the sign"
        )
    if plain.any() and percent:
        raise DataError(
            f"column {column.name!r} has no percent sign ({_first(column, plain, before)}), and in training it had; "
            "write its numbers as they were there, with the sign"
        )


def _first(column: pd.Series, rows: np.ndarray, before: int) -> str:
    row = int(rows.argmax())
    return f"row {before + row + 1}: {one_line(repr(column.iloc[row]))}"
