"""Numbers far from 0 in float32: what is taken from each column first, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikebayes.data.kinds import offset_of
from spikebayes.errors import DataError

MOST = np.finfo(np.float32).max


def column_offsets(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[K]``, what each column of training rows ``[B, K]`` loses, see :func:`~spikebayes.data.kinds.offset_of`.

    Example:
        >>> column_offsets(np.array([[1.7e9, 1.0], [1.7e9 + 2, 3.0]])).tolist()
        [1700000001.0, 0.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that as_float32 refuses
        return np.array([offset_of(column) for column in values.T])


def as_float32(
    values: NDArray[np.float64], offsets: NDArray[np.float64], name: str, columns: Any = ()
) -> NDArray[np.float32]:
    """``[B, K]`` less the offsets ``[K]``, taken off in float64.

    Args:
        values: ``[B, K]``, or ``[B]`` of one column.
        offsets: ``[K]``, in the units of the values.
        name: of the argument. columns: K names, if they have any.

    Raises:
        DataError: a number that float32 does not hold; names the first by its place, counted from 0.

    Example:
        >>> as_float32(np.array([[2.0], [1e39]]), np.zeros(1), "X", ["mass"])
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: X[1, 0] (row 1 of column 'mass') is 1e+39, too large for float32, which holds \
numbers up to 3.4e+38: give that column in another unit
    """
    table = values.reshape(len(values), -1)
    with np.errstate(over="ignore"):
        less = table - offsets
    huge = np.abs(less) > MOST
    if huge.any():
        row, k = np.argwhere(huge)[0].tolist()
        place = f"{name}[{row}]" if values.ndim == 1 else f"{name}[{row}, {k}]"
        place += f" (row {row} of column {str(columns[k])!r})" if len(columns) else ""
        far = f", {less[row, k]:.3g} from the mean of the training rows" if offsets[k] else ""
        raise DataError(
            f"{place} is {table[row, k]:.3g}{far}, too large for float32, which holds numbers up to {MOST:.2g}: give "
            f"{'it' if values.ndim == 1 else 'that column'} in another unit"
        )
    return less.astype(np.float32)
