"""Effect sizes in units of the reference's spread, and equivalence tests of means.

A p-value says whether a difference was seen, an effect size how large it is, and an equivalence test whether
it is shown to be small. All three are needed: with enough samples any bias is "significant".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


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
    d, e, f, margin = (np.asarray(x, dtype=np.float64) for x in (difference, error, freedom, margin))
    scale, f = np.where(e == 0, 1.0, e), np.where(e == 0, 1.0, f)
    p = np.maximum(stats.t.sf((d + margin) / scale, f), stats.t.cdf((d - margin) / scale, f))
    return np.where(e == 0, np.where(np.abs(d) <= margin, 0.0, 1.0), p)


def mean_equivalence(reference: Floats, candidate: Floats, margin: ArrayLike, *, paired: bool) -> Floats:
    """Test on every row that the candidate's mean lies within a margin of the reference's.

    Args:
        reference: ``[S, B]``.
        candidate: ``[S', B]``, in the same unit; S' = S when paired.
        margin: a number or ``[B]``, in the samples' unit.
        paired: sample s of both sides met the same masks: paired t tests, else Welch's.

    Returns:
        ``[B]`` p-values of :func:`tost`.

    Example:
        >>> x = np.arange(50.0)[:, None]
        >>> mean_equivalence(x, x + 0.5 + 0.1 * (x % 2), 1.0, paired=True) < 0.05
        array([ True])
    """
    if paired:
        change = candidate - reference  # [S, B]
        error = spread(change) / math.sqrt(len(change))
        return tost(change.mean(0), error, len(change) - 1, margin)
    n, m = len(reference), len(candidate)
    a, b = spread(reference) ** 2 / n, spread(candidate) ** 2 / m  # squared standard errors of the two means
    share = in_units(a**2, (a + b) ** 2) / (n - 1) + in_units(b**2, (a + b) ** 2) / (m - 1)
    freedom = 1 / np.where(share == 0, 1.0, share)  # Welch-Satterthwaite
    return tost(candidate.mean(0) - reference.mean(0), np.sqrt(a + b), freedom, margin)


def pooled_equivalence(reference: Floats, candidate: Floats, margin: float, *, paired: bool, by_row: bool) -> float:
    """Test that the standardised mean difference, averaged over rows, lies within a margin.

    By row, it is a one-sample t test of the B standardised mean differences: rows must be independent. Else
    each sample is averaged over rows first and the S averages are tested: right whatever rows share.
    Differences of opposite sign cancel in the average, so this is a test of a common offset.

    Args:
        reference: ``[S, B]``, no row constant.
        candidate: ``[S', B]``, in the same unit.
        margin: in units of the reference's standard deviation.
        paired: as in :func:`mean_equivalence`.
        by_row: rows are independent.

    Returns:
        The p-value; NaN without rows, and by row with a single one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(2, 100, 50))
        >>> pooled_equivalence(a, b, 0.1, paired=False, by_row=True) < 0.05
        True
    """
    rows = reference.shape[1]
    if rows == 0 or (by_row and rows < 2):
        return math.nan
    centre, unit = reference.mean(0), spread(reference)
    first, second = (reference - centre) / unit, (candidate - centre) / unit  # [S, B]
    if not by_row:
        across = first.mean(1, keepdims=True), second.mean(1, keepdims=True)  # [S, 1]
        return float(mean_equivalence(*across, margin, paired=paired)[0])
    offset = second.mean(0)[:, None]  # [B, 1]
    return float(tost(offset.mean(), spread(offset)[0] / math.sqrt(rows), rows - 1, margin))
