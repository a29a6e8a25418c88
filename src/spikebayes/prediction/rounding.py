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


class Extremes:
    """Features that come batch by batch: what has to be seen of them to refuse those that rounding merges.

    That is their least value, their largest, and one that rounding changes, if there is one.

    Example:
        >>> clock, extremes = 1.7e9 + np.arange(6.0)[:, None], Extremes()
        >>> for batch in (clock[:3], clock[3:]):
        ...     extremes.add(iter([("", batch)]), torch.float32, "the input")
        >>> extremes.refuse(torch.float32)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: the input, feature 0: its rows differ by 5 at most, and float32 has steps of ...
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], np.ndarray] = {}

    def add(self, columns: Iterator[tuple[str, np.ndarray]], dtype: torch.dtype, name: str) -> None:
        """Take a batch's features, as :func:`refuse_merged` does."""
        for feature, exact in columns:
            if _may_merge(exact.dtype, dtype):
                before = self._seen.get((name, feature), exact[:0])
                self._seen[name, feature] = _telling(np.concatenate([before, _telling(exact, dtype)]), dtype)

    def refuse(self, dtype: torch.dtype) -> None:
        """Refuse the first feature that is lost, now that all batches are there (DataError)."""
        for (name, feature), exact in self._seen.items():
            refuse_merged(iter([(feature, exact)]), dtype, name)


def _may_merge(exact: np.dtype, dtype: torch.dtype) -> bool:
    """Whether numbers of a type can lose by becoming another: float32 holds any number of 2 bytes."""
    return exact.kind in "iuf" and exact.itemsize >= dtype.itemsize + (exact.kind == "f")


def _telling(exact: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """``[3, *shape]`` of ``[B, *shape]``: the least, the largest, and one that ``dtype`` does not hold."""
    lost = (_kept(exact, dtype).argmin(0))[None]
    return np.concatenate([exact.min(0)[None], exact.max(0)[None], np.take_along_axis(exact, lost, 0)])


def _kept(exact: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Which values are the same in ``dtype``."""
    with np.errstate(invalid="ignore", over="ignore"):  # the largest whole numbers are rounded to one too many
        return exact.astype(_numpy(dtype)).astype(exact.dtype) == exact


def _merged(exact: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """``[*shape]`` bool: features of ``[B, *shape]`` whose range is real, but few steps of ``dtype``."""
    whole = exact.dtype.kind in "iu"
    if not _may_merge(exact.dtype, dtype):
        return np.zeros(exact.shape[1:], bool)
    low, high = exact.min(0), exact.max(0)
    first, last = low.astype(np.float64), high.astype(np.float64)
    size, extent = np.maximum(np.abs(first), np.abs(last)), last - first
    noise = 0.0 if whole else STEPS * np.spacing(size)
    merged = np.asarray((high > low) & (extent >= noise) & (extent < STEPS * _step(size, dtype)))
    merged[merged] = ~_kept(exact[:, merged], dtype).all(0)
    return merged


def _step(size: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """From numbers of a size to their next one."""
    return np.spacing(size.astype(_numpy(dtype))).astype(np.float64)


def _numpy(dtype: torch.dtype) -> np.dtype:
    return np.dtype(str(dtype).removeprefix("torch."))
