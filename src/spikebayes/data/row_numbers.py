"""Numbers of rows: those of the whole table, whatever part of it is read and whichever rows were left out.

In messages they are counted from 1: the first data row of a file, whatever its header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

FIRST_ROW = "first row"  # in the attrs of a part of a table: how many rows of the whole come before it
TAKEN = "taken rows"  # in the attrs of rows that were taken out of a table: which, see Taken

Numbering = Callable[[int], int]  # from a row's place here to its number in its file, from 1


class Taken:
    """Places ``[B]`` int64, from 0, that rows had in the table which they were taken out of.

    pandas copies attrs with whatever it makes of a table; this stays one.
    """

    def __init__(self, places: np.ndarray) -> None:
        self.places: np.ndarray = places

    def __deepcopy__(self, memo: dict[int, Any]) -> Taken:
        return self


def taken(frame: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
    """Some rows of a table ``[B]``, which keep the numbers that they have in it.

    Example:
        >>> row_places(taken(pd.DataFrame({"a": [1, 2, 3]}), np.array([0, 2]))).tolist()
        [0, 2]
    """
    found = frame.iloc[places].reset_index(drop=True)
    found.attrs[TAKEN] = Taken(row_places(frame)[places])
    return found


def row_places(frame: pd.DataFrame) -> np.ndarray:
    """``[B]`` int64, where in its whole table each row stands, from 0."""
    known = frame.attrs.get(TAKEN)
    if isinstance(known, Taken) and len(known.places) == len(frame):
        return known.places
    return np.arange(len(frame)) + frame.attrs.get(FIRST_ROW, 0)


def as_first(place: int) -> int:
    """The number of a row whose table is whole: from 1."""
    return place + 1


def numbering(frame: pd.DataFrame) -> Numbering:
    """What number each row has in its whole table, from 1.

    Example:
        >>> numbering(taken(pd.DataFrame({"a": [1, 2, 3]}), np.array([0, 2])))(1)
        3
    """
    places = row_places(frame)
    return lambda place: int(places[place]) + 1
