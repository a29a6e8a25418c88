"""Rows that differ where they come from, and hardly once they are rounded to the type that is computed in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from spikebayes.errors import DataError

STEPS = 100  # of a type of numbers, over all rows: in fewer, what tells the rows apart is mostly its rounding


def refuse_merged(columns: Iterator[tuple[str, np.ndarray]], dtype: torch.dtype, name: str) -> None:
    """Refuse a feature whose differences from row to row are lost by rounding, as those of a clock's seconds are.

    Differences that are rounding themselves, of float64 computations, are none.

    Args:
        columns: name and values ``[B, *shape]`` of one feature, or of several under an empty name.
        dtype: of the computation.
        name: of the argument, for the message.

    Raises:
        DataError: names the first such feature.

    Example:
        >>> clock = 1.7e9 + np.arange(3.0)[:, None]
        >>> refuse_merged(iter([("'time'", clock)]), torch.float64, "the input")
        >>> refuse_merged(iter([("'time'", clock)]), torch.float32, "the input")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: the input, feature 'time': its rows differ by 2 at most, and float32 has ...
    """
    for feature, exact in columns:
        merged = _merged(exact, dtype)
        if merged.any():
            at = tuple(np.argwhere(merged)[0].tolist())
            values = exact[(slice(None), *at)]
            size = np.abs(values.astype(np.float64)).max()
            raise DataError(
                f"{name}, feature {feature or ', '.join(map(str, at))}: its rows differ by "
                f"{values.max() - values.min():.3g} at most, and {_numpy(dtype)} has steps of "
                f"{_step(size, dtype):.3g} at {size:.3g}; give (x - mean) / std in float64, by the mean and the "
                "standard deviation of the training rows"
            )


def _merged(exact: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """``[*shape]`` bool: features of ``[B, *shape]`` whose range is real, but few steps of ``dtype``."""
    whole = exact.dtype.kind in "iu"
    if exact.dtype.kind not in "iuf" or exact.dtype.itemsize < dtype.itemsize + (not whole):
        return np.zeros(exact.shape[1:], bool)  # float32 holds any number of 2 bytes
    low, high = exact.min(0), exact.max(0)
    first, last = low.astype(np.float64), high.astype(np.float64)
    size, extent = np.maximum(np.abs(first), np.abs(last)), last - first
    noise = 0.0 if whole else STEPS * np.spacing(size)
    merged = np.asarray((high > low) & (extent >= noise) & (extent < STEPS * _step(size, dtype)))
    given = exact[:, merged]
    with np.errstate(invalid="ignore"):  # the largest whole numbers are rounded to one too many
        kept = given.astype(_numpy(dtype)).astype(exact.dtype) == given
    merged[merged] = ~kept.all(0)
    return merged


def _step(size: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """From numbers of a size to their next one."""
    return np.spacing(size.astype(_numpy(dtype))).astype(np.float64)


def _numpy(dtype: torch.dtype) -> np.dtype:
    return np.dtype(str(dtype).removeprefix("torch."))
