"""Exact two-sample Kolmogorov-Smirnov tests, one per row, with p-values that are uniform under the null.

With n and m samples the statistic lives on the lattice k / lcm(n, m), so its exact p-values are discrete, and
p-values of samples from one distribution fail a test of uniformity: at n = m = 20 at once, at 100 with enough
rows. The randomised p-value P(D > d) + V P(D = d), V uniform on (0, 1), is exactly uniform. That needs D
as distributed for continuous data, which ties prevent: equal values are put in a random order first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: fewer p-values than this say nothing about uniformity
MIN_ROWS = 5


@dataclass(frozen=True, eq=False)
class KsTest:
    """Two-sided two-sample KS tests of B rows.

    Args:
        statistic: ``[B]``, D = sup_y abs(F(y) - G(y)) of the two empirical distribution functions.
        pvalues: ``[B]``, exact P(D >= d): valid but discrete, and conservative where samples tie.
        randomised: ``[B]``, P(D > d) + V P(D = d) after ties are broken at random: uniform under the null.
        tied: ``[B]`` bool, whether some value occurs in both samples.
    """

    statistic: Floats
    pvalues: Floats
    randomised: Floats
    tied: NDArray[np.bool_]


def ks_test(first: Floats, second: Floats, rng: np.random.Generator) -> KsTest:
    """Test on every row whether two independent samples come from one distribution.

    Args:
        first: ``[n, B]``, in any unit.
        second: ``[m, B]``, in the same unit.
        rng: source of V and of the order of ties; nothing else here is random.

    Returns:
        The statistics and p-values of the B rows.

    Reference:
        Hodges 1958, The significance probability of the Smirnov two-sample test (lattice paths).

    Example:
        >>> low, high = np.arange(4.0)[:, None], np.arange(4.0, 8.0)[:, None]
        >>> test = ks_test(low, high, np.random.default_rng(0))
        >>> test.statistic, test.pvalues.round(4)  # the two most extreme of 70 orderings
        (array([1.]), array([0.0286]))
    """
    n, m = len(first), len(second)
    plain, tied = _lattice_statistic(first, second)
    shuffled, _ = _lattice_statistic(first, second, rng)
    needed, place = np.unique(np.stack([plain, shuffled, shuffled + 1]), return_inverse=True)
    exact, at_least, above = exceedance(needed, n, m)[place.reshape(3, -1)]
    return KsTest(
        statistic=plain / math.lcm(n, m),
        pvalues=exact,
        randomised=above + rng.random(len(shuffled)) * (at_least - above),
        tied=tied,
    )


def exceedance(k: Ints, n: int, m: int) -> Floats:
    """Exact null probability that the two-sample KS statistic reaches a lattice point, P(D >= k / lcm(n, m)).

    Under the null every ordering of the n + m values is equally likely, so D >= d is the event that a random
    lattice path from (0, 0) to (n, m) touches one of two lines at distance d from its diagonal. The path is
    followed step by step, and what touches a line is taken out and summed: all terms are positive, so even
    tiny probabilities keep their relative precision.

    Args:
        k: ``[K]`` lattice points, 0 or more.
        n: size of one sample.
        m: size of the other.

    Returns:
        ``[K]`` probabilities; 1 at k = 0.

    Reference:
        For n = m they equal 2 sum_{j>=1} (-1)^(j-1) C(2n, n - jk) / C(2n, n) (Gnedenko & Korolyuk 1951).

    Example:
        >>> exceedance(np.array([1, 2, 3]), 3, 3)
        array([1. , 0.6, 0.1])
    """
    n, m = min(n, m), max(n, m)
    lcm = math.lcm(n, m)
    line = np.asarray(k)[:, None]  # [K, 1]
    taken = np.arange(n + 1)  # how many of the first i values belong to the sample of n
    inside = np.zeros((len(line), n + 1))  # probability of being there, untouched so far
    inside[:, 0] = line[:, 0] > 0
    touched = (line[:, 0] <= 0).astype(np.float64)
    for step in range(1, n + m + 1):
        left = n + m - step + 1
        stay = inside * ((m - (step - 1 - taken)) / left)
        stay[:, 1:] += inside[:, :-1] * ((n - taken[:-1]) / left)
        height = np.abs(taken * (lcm // n) - (step - taken) * (lcm // m))
        out = height >= line  # [K, n + 1]
        touched += np.where(out, stay, 0.0).sum(1)
        inside = np.where(out, 0.0, stay)
    return np.minimum(touched, 1.0)


def uniformity(pvalues: Floats) -> float:
    """P-value of the one-sample KS test that p-values of independent rows are uniform on (0, 1).

    Args:
        pvalues: ``[B]``, continuous ones: the randomised p-values of :class:`KsTest`.

    Returns:
        The p-value; NaN with fewer than 5 rows.

    Example:
        >>> uniformity(np.linspace(0.05, 0.95, 10)) > 0.99, uniformity(np.full(10, 0.01)) < 1e-9
        (True, True)
    """
    return float(stats.kstest(pvalues, "uniform")[1]) if len(pvalues) >= MIN_ROWS else math.nan


def holm(pvalues: Floats) -> Floats:
    """Holm's adjusted p-values, max_{j <= i} min(1, (B - j + 1) p_(j)) for the i-th smallest of B.

    Rejecting where they are at most alpha errs on any true null with probability at most alpha,
    whatever the dependence between rows.

    Args:
        pvalues: ``[B]``.

    Returns:
        ``[B]`` adjusted p-values, in the order given.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03]))
        array([0.03, 0.06, 0.06])
    """
    order = np.argsort(pvalues)
    stepped = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _lattice_statistic(
    first: Floats, second: Floats, rng: np.random.Generator | None = None
) -> tuple[Ints, NDArray[np.bool_]]:
    """D times lcm(n, m) as exact integers, and which rows have ties between the samples; both ``[B]``.

    With ``rng`` equal values are put in random order; without, D is read where a run of equal values ends.
    """
    n, m = len(first), len(second)
    lcm = math.lcm(n, m)
    pooled = np.concatenate([first, second])  # [n + m, B]
    steps = np.repeat([lcm // n, -(lcm // m)], [n, m])
    if rng is None:
        order = np.argsort(pooled, axis=0, kind="stable")
    else:
        order = np.lexsort((rng.random(pooled.shape), pooled), axis=0)
    ranked = np.take_along_axis(pooled, order, 0)
    step = steps[order]
    height = np.abs(step.cumsum(0))  # [n + m, B]
    equal = ranked[1:] == ranked[:-1]
    if rng is None:
        height[:-1][equal] = 0
    return height.max(0), (equal & (step[1:] != step[:-1])).any(0)
