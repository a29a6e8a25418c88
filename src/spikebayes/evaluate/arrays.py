"""Arrays as scores take them: float64, finite, of one shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.numbers import native

Floats = NDArray[np.float64]


def floats(values: ArrayLike | Tensor) -> Floats:
    """As a float64 array."""
    if isinstance(values, Tensor):
        return values.detach().cpu().double().numpy()
    return np.asarray(native(values), dtype=np.float64)


def finite(name: str, values: ArrayLike | Tensor) -> Floats:
    """As a float64 array of one row or more, all finite (DataError)."""
    found = floats(values)
    if found.ndim == 0 or 0 in found.shape:
        raise DataError(f"{name} must hold 1 row or more; got shape {list(found.shape)}")
    if not np.isfinite(found).all():
        raise DataError(f"{name}: {int((~np.isfinite(found)).sum())} of {found.size} values are NaN or infinite")
    return found


def aligned(axis: int, **values: ArrayLike | Tensor) -> list[Floats]:
    """Arrays of one shape, their rows last; errors are 0 or 1."""
    found = {name: finite(name, given) for name, given in values.items()}
    shapes = {name: list(array.shape) for name, array in found.items()}
    if len({array.shape for array in found.values()}) > 1:
        raise DataError(f"one shape is needed; got {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
    if "wrong" in found and not np.isin(found["wrong"], (0, 1)).all():
        raise DataError("wrong must be 1 where a prediction is wrong and 0 where it is right; got other values")
    return [rows_last(array, axis) for array in found.values()]


def check_sides(first: Floats, second: Floats, shape: str, paired: bool) -> None:
    """Refuse samples of two sides that differ in more than their number, or of which there are fewer than 2.

    Args:
        first: samples, then rows and the like.
        second: the other side's.
        shape: of either side, as ``[S, B]``, for the message.
        paired: as many samples on either side.
    """
    if {first.ndim, second.ndim} != {shape.count(",") + 1} or first.shape[1:] != second.shape[1:] or not first.size:
        raise DataError(f"samples {shape} are needed; got {list(first.shape)} and {list(second.shape)}")
    n, m = len(first), len(second)
    if min(n, m) < 2 or (paired and n != m):
        raise DataError(f"at least 2 samples of either side are needed, equally many in pairs; got {n} and {m}")


def rows_last(array: Floats, axis: int) -> Floats:
    """With the axis of the rows moved to the end; ConfigError for one that it has not."""
    if not -array.ndim <= axis < array.ndim:
        raise ConfigError(
            f"axis must lie in {-array.ndim}..{array.ndim - 1}, axes of {list(array.shape)}; got {axis}"
        )
    return np.moveaxis(array, axis, -1)
