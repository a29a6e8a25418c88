"""How certain a score is: its bootstrap interval over rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.arrays import Floats, finite
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count

RESAMPLES = 10**6  # at most
BATCH = 1 << 20  # numbers resampled at once, which bounds the bootstrap's memory: 8 MiB an array


@dataclass(frozen=True)
class Interval:
    """A score and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@checked
def bootstrap(
    statistic: Callable[..., Any],
    *rows: ArrayLike,
    paired: bool = True,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a score over rows drawn independently of one another.

    Rows are resampled with replacement, so the interval is about other rows, not about other masks. A score that is
    biased upwards on few rows, such as the calibration error, is biased twice on resamples: its interval may lie
    above its value.

    Args:
        statistic: of all ``rows``, called as ``statistic(*rows, axis=-1)``; ``[..., B]`` each, gives ``[...]``.
        rows: one ``[B]`` array or more.
        paired: place i of all arrays is one row, drawn together; else the arrays are drawn apart and may differ in
            length.
        level: of the interval.
        resamples: how many.
        seed: of the draws.

    Raises:
        DataError: fewer than 2 rows, lengths that differ though paired, values that are not finite, or a statistic
            that is undefined on a resample.
        ConfigError: a setting out of range.

    Reference:
        Efron & Tibshirani 1993, An introduction to the bootstrap, ch. 13.

    Example:
        >>> bootstrap(np.mean, [0.0, 1.0] * 50)
        Interval(value=0.5, low=0.4, high=0.6)
        >>> from spikebayes.evaluate.row_scores import out_of_distribution_auroc
        >>> bootstrap(out_of_distribution_auroc, [1, 2, 3], [4, 5], paired=False)
        Interval(value=1.0, low=1.0, high=1.0)
    """
    arrays = _checked(rows, paired, level, resamples, seed)

    def defined(*drawn: Floats, axis: int) -> Floats:
        found = np.asarray(statistic(*drawn, axis=axis), dtype=np.float64)
        if np.isnan(found).any():
            raise DataError("the statistic is NaN on some resamples: more rows, or another statistic, are needed")
        return found

    # BCa would need the statistic without each row in turn: B^2 numbers, more than the resamples
    found = stats.bootstrap(
        arrays,
        defined,
        paired=paired,
        vectorized=True,
        axis=-1,
        n_resamples=resamples,
        batch=max(1, BATCH // sum(map(len, arrays))),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return Interval(float(defined(*arrays, axis=-1)), float(low), float(high))


def _checked(
    rows: tuple[ArrayLike, ...], paired: bool, level: float, resamples: int, seed: int
) -> tuple[Floats, ...]:
    if not 0 < level < 1:
        raise ConfigError(f"an interval's level must lie in (0, 1); got {level}")
    check_count("resamples", resamples, 1, RESAMPLES, "fewer are enough")
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")
    arrays = tuple(finite("rows", array) for array in rows)
    shapes = [list(array.shape) for array in arrays]
    if not arrays or any(array.ndim != 1 or len(array) < 2 for array in arrays):
        raise DataError(f"arrays [B] of at least 2 rows are needed; got {', '.join(map(str, shapes)) or 'none'}")
    if paired and len({len(array) for array in arrays}) > 1:
        raise DataError(f"paired rows must be of one length; got {', '.join(map(str, shapes))}")
    return arrays
