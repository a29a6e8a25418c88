"""How far two predictions are apart: effect sizes row by row with their errors, and equivalence tests of means.

A p-value says whether a difference was seen, an effect size how large it is, and an error how well that is known.
With enough samples any bias is "significant", so the judge decides by effects and their errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from spikebayes.errors import DataError
from spikebayes.evaluate.arrays import Floats, check_sides
from spikebayes.machine.arguments import checked

#: samples for each relative variance of the distances: normal samples have relative variance 2, rare values far more
ENOUGH = 20


def spread(samples: Floats) -> Floats:
    """Standard deviation of each row over its samples, S - 1 in the denominator; exactly 0 on constant rows.

    Args:
        samples: ``[S, B]``, S >= 2.

    Returns:
        ``[B]``, in the samples' unit.

    Example:
        >>> spread(np.array([[1.0, 0.1], [3.0, 0.1], [5.0, 0.1]]))
        array([2., 0.])
    """
    # the mean of equal values may be off by a rounding, which would leave a spread of 1e-17
    return np.where(np.ptp(samples, axis=0) == 0, 0.0, samples.std(axis=0, ddof=1))


def in_units(values: Floats, unit: Floats) -> Floats:
    """Values divided by a unit that may be 0: there 0 stays 0 and anything else becomes infinite.

    Args:
        values: ``[B]``.
        unit: ``[B]``, 0 or more.

    Returns:
        ``[B]``, without unit.

    Example:
        >>> in_units(np.array([1.0, 0.0, -2.0]), np.array([2.0, 0.0, 0.0]))
        array([ 0.5,  0. , -inf])
    """
    at_zero = np.where(values == 0, 0.0, np.copysign(np.inf, values))
    return np.where(unit == 0, at_zero, values / np.where(unit == 0, 1.0, unit))


@checked
def tost(difference: ArrayLike, error: ArrayLike, freedom: ArrayLike, margin: ArrayLike) -> Floats:
    """P-values of two one-sided t tests that a difference lies within a margin.

    p = max(P(T > (difference + margin) / error), P(T < (difference - margin) / error)), T Student's t: small
    when the difference is shown to lie in (-margin, margin). Without any error, 0 inside and 1 outside.

    Args:
        difference: estimated difference.
        error: its standard error, 0 or more.
        freedom: degrees of freedom.
        margin: 0 or more; all in one unit, broadcast together.

    Returns:
        P-values in the broadcast shape.

    Reference:
        Schuirmann 1987, A comparison of the two one-sided tests procedure and the power approach.

    Example:
        >>> tost([0.0, 0.5], 0.2, 50, 0.5).round(3)
        array([0.008, 0.5  ])
    """
    given = [np.asarray(x, dtype=np.float64) for x in (difference, error, freedom, margin)]
    try:
        d, e, f, margin = np.broadcast_arrays(*given)
    except ValueError as failure:
        raise DataError(f"shapes that broadcast are needed; got {[list(x.shape) for x in given]}") from failure
    scale, f = np.where(e == 0, 1.0, e), np.where(e == 0, 1.0, f)
    p = np.maximum(stats.t.sf((d + margin) / scale, f), stats.t.cdf((d - margin) / scale, f))
    return np.where(e == 0, np.where(np.abs(d) <= margin, 0.0, 1.0), p)


@checked
def mean_equivalence(reference: Floats, candidate: Floats, margin: ArrayLike, *, paired: bool) -> Floats:
    """Test on every row that the candidate's mean lies within a margin of the reference's.

    Args:
        reference: ``[S, B]``.
        candidate: ``[S', B]``, in the same unit; S' = S when paired.
        margin: a number or ``[B]``, in the samples' unit.
        paired: sample s of both sides had the same masks: paired t tests, else Welch's.

    Returns:
        ``[B]`` p-values of :func:`tost`.

    Example:
        >>> x = np.arange(50.0)[:, None]
        >>> mean_equivalence(x, x + 0.5 + 0.1 * (x % 2), 1.0, paired=True) < 0.05
        array([ True])
    """
    check_sides(reference, candidate, "[S, B]", paired)
    if paired:
        change = candidate - reference  # [S, B]
        error = spread(change) / math.sqrt(len(change))
        return tost(change.mean(0), error, len(change) - 1, margin)
    n, m = len(reference), len(candidate)
    a, b = spread(reference) ** 2 / n, spread(candidate) ** 2 / m  # squared standard errors of the two means
    share = in_units(a**2, (a + b) ** 2) / (n - 1) + in_units(b**2, (a + b) ** 2) / (m - 1)
    freedom = 1 / np.where(share == 0, 1.0, share)  # Welch-Satterthwaite
    return tost(candidate.mean(0) - reference.mean(0), np.sqrt(a + b), freedom, margin)


@dataclass(frozen=True, eq=False)
class RowEffects:
    """Estimated differences between two predictions on each of B rows, with their standard errors.

    A row is judged on K numbers together: one output (K = 1) or a vector of class probabilities. For K > 1 a
    deviation is the Euclidean length of a vector, a variance the sum of K variances.

    Args:
        offset: ``[B, K]``, candidate mean - reference mean, in the samples' unit.
        offset_error: ``[B, K]``, its standard errors.
        unit: ``[B]``, the row's common standard deviation, sqrt((var_reference + var_candidate) / 2).
        order: ``[B]``, 1 or 2: a spread is N_q = mean(r^q)^(1/q), r a sample's distance from its side's mean; of q =
            1 (more robust to long tails) and q = 2 (better for rare values) the one whose relative error is smaller
            on that row. Rescaling changes both alike.
        level: ``[B]``, N_q of both sides together, in the samples' unit.
        change: ``[B]``, (P_candidate - P_reference) / (P_candidate + P_reference) with P = mean(r^q); it is
            tanh(q ln(ratio of spreads) / 2), and bounded where one side is constant.
        change_error: ``[B]``, its standard error at equal spreads.
        influence: ``[S, B]`` and ``[S', B]``, what each sample adds to its side's share of ``change``.
        reference: ``[S, B, K]``, the samples.
        candidate: ``[S', B, K]``.
        freedom: degrees of freedom of the errors.
        paired: sample s of both sides had the same masks.
        paired_square: ``[B]``, mean_s |candidate_s - reference_s|^2; None unless paired.
        paired_error: ``[B]``, relative standard error of that; None unless paired.
    """

    offset: Floats
    offset_error: Floats
    unit: Floats
    order: Floats
    level: Floats
    change: Floats
    change_error: Floats
    influence: tuple[Floats, Floats]
    reference: Floats
    candidate: Floats
    freedom: int
    paired: bool
    paired_square: Floats | None = None
    paired_error: Floats | None = None

    @property
    def distance(self) -> Floats:
        """``[B]``, length of the offset; for vectors without the part that noise adds to a length."""
        square = (self.offset**2).sum(1)
        if self.offset.shape[1] > 1:
            square = np.maximum(square - (self.offset_error**2).sum(1), 0.0)
        return np.sqrt(square)

    @property
    def distance_error(self) -> Floats:
        """``[B]``, standard error of the length; for vectors the error of all parts together, an upper bound."""
        return np.sqrt((self.offset_error**2).sum(1))


@checked
def row_effects(reference: Floats, candidate: Floats, *, paired: bool) -> RowEffects:
    """Estimate how far two predictions are apart on each row.

    Args:
        reference: ``[S, B, K]``, S >= 2.
        candidate: ``[S', B, K]``, in the same unit; S' = S when paired.
        paired: sample s of both sides had the same masks.

    Returns:
        The effects of the B rows.

    Reference:
        Cohen 1988, Statistical power analysis, eq. 2.5.2 (offset in common standard deviations); the errors are by
        influence functions (Hampel 1974, The influence curve and its role in robust estimation).

    Example:
        >>> x = np.array([[1.0], [2.0], [3.0]])[:, :, None]
        >>> found = row_effects(x, 3 * x, paired=False)
        >>> found.offset, found.unit.round(3), found.order, found.change  # tanh(ln 3) = (9 - 1) / (9 + 1)
        (array([[4.]]), array([2.236]), array([2.]), array([0.8]))
    """
    check_sides(reference, candidate, "[S, B, K]", paired)
    n, m = len(reference), len(candidate)
    means = reference.mean(0), candidate.mean(0)
    # the mean of equal values may be off by a rounding, which would leave a spread of 1e-17
    still = _constant(reference), _constant(candidate)
    from_mean = [
        (x - mean) * ~s for x, mean, s in zip((reference, candidate), means, still, strict=True)
    ]  # [S, B, K]
    variances = [np.einsum("sbk,sbk->bk", x, x) / (len(x) - 1) for x in from_mean]  # [B, K]
    if paired:
        difference = candidate - reference
        error = np.sqrt(np.where(_constant(difference), 0.0, difference.var(0, ddof=1)) / n)
    else:
        error = np.sqrt(variances[0] / n + variances[1] / m)
    chosen, alone = (_change(from_mean, q, paired) for q in (2, 1))
    swap = 2 * alone[1] < chosen[1]  # errors of the logarithm of the ratio: 2 / q times those of the change
    change, change_error, level = (np.where(swap, x, y) for x, y in zip(alone[:3], chosen[:3], strict=True))
    influence = tuple(np.where(swap, x, y) for x, y in zip(alone[3], chosen[3], strict=True))
    extra: dict[str, Any] = {}
    if paired:
        square = ((candidate - reference) ** 2).sum(2)  # [S, B]
        mean = square.mean(0)
        # a few squares may be alike by chance: no more is believed than of four times as many normal ones
        relative = np.maximum(in_units(spread(square), mean) / math.sqrt(n), math.sqrt(1 / (2 * n)))
        extra = {"paired_square": mean, "paired_error": relative}
    return RowEffects(
        offset=np.where(still[0] & still[1] & (reference[0] == candidate[0]), 0.0, means[1] - means[0]),
        offset_error=error,
        unit=np.sqrt((variances[0] + variances[1]).sum(1) / 2),
        order=np.where(swap, 1.0, 2.0),
        level=level,
        change=change,
        change_error=change_error,
        influence=(influence[0], influence[1]),
        reference=reference,
        candidate=candidate,
        freedom=n - 1 if paired else n + m - 2,
        paired=paired,
        **extra,
    )


def _constant(samples: Floats) -> NDArray[np.bool_]:
    """Where all samples, along the first axis, are one value."""
    return (samples == samples[:1]).all(0)


def _within(first: Floats, second: Floats, means: list[Floats], scale: Floats) -> Floats:
    """``[B]``, variance of a sample's influence, common to both sides.

    Where both sides have enough samples for it their relative variances are averaged, so that a spread which is
    larger on one side does not count as noise. Rare values leave too few: then both are taken as one sample.
    """
    n, m = len(first), len(second)
    squares = [np.einsum("sb,sb->b", side, side) for side in (first, second)]
    together = (squares[0] + squares[1]) / (n + m - 2)
    # a quarter of the variance relative to the side's own mean, which is what counts when both means are equal
    alone = [
        in_units(square / (size - 1) * scale**2 / 4, mean**2)
        for square, size, mean in zip(squares, (n, m), means, strict=True)
    ]
    enough = (4 * alone[0] <= n / ENOUGH) & (4 * alone[1] <= m / ENOUGH)
    average = (alone[0] * (n - 1) + alone[1] * (m - 1)) / (n + m - 2)
    return np.where(enough, np.where(enough, average, 0.0), together)


def _change(from_mean: list[Floats], q: int, paired: bool) -> tuple[Floats, Floats, Floats, tuple[Floats, Floats]]:
    """``change`` of order q, its error, the common spread, and the samples' influences."""
    means, influences = [], []
    for x in from_mean:
        size = len(x)
        square = np.einsum("sbk,sbk->sb", x, x)
        # short of the true mean on average, since distances are from the samples' own mean
        short = (size / (size - 1)) ** (q / 2)
        if q == 2:
            plain = square.mean(0)
            influence = square - plain
        else:
            r = np.sqrt(square)
            plain = r.mean(0)
            direction = x / np.where(r == 0, 1.0, r)[..., None]
            # the mean itself moves with every sample
            influence = r - plain - np.einsum("sbk,bk->sb", x, direction.mean(0))
        mean = plain * short
        means.append(mean)
        # distances are from a mean that each sample shapes, so few samples look too alike; found by simulation
        influences.append(influence * (size / (size - 1.5)))
    n, m = len(from_mean[0]), len(from_mean[1])
    total = means[0] + means[1]
    scale = np.where(total == 0, 1.0, total)
    change = (means[1] - means[0]) / scale
    first, second = (influence / scale for influence in influences)  # half of each side's relative deviation
    if paired:
        # two samples are as far from their mean as each other: what so few differ by is not known better than itself
        error = np.hypot(np.sqrt(((second - first) ** 2).sum(0) / (n - 1) / n), change * 2 / n)
    else:
        within = _within(first, second, means, scale) + np.where(total == 0, 0.0, 2 / min(n, m) ** 2)
        error = np.sqrt(within * (1 / n + 1 / m))
        change = change + within * (1 / m - 1 / n)  # sizes that differ bias a ratio
    return change, error, (total / 2) ** (1 / q), (first, second)
