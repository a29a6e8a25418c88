"""Exact two-sample Kolmogorov-Smirnov tests, one per row, with p-values that are uniform under the null.

With n and m samples the statistic lives on the lattice k / lcm(n, m), so its exact p-values are discrete, and
p-values of samples from one distribution fail a test of uniformity: at n = m = 20 at once, at 100 with enough
rows. The randomised p-value P(D > d) + V P(D = d), V uniform on (0, 1), is exactly uniform. That needs D
as distributed for continuous data, which ties prevent: equal values are put in a random order first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spikebayes.errors import DataError
from spikebayes.evaluate.arrays import Floats
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count

Ints = NDArray[np.int64]

#: fewer p-values than this say nothing about uniformity
MIN_ROWS = 5
#: of the permutation test
MOST_ROWS = 100
EXCHANGES = 10**6  # at most
#: of one side, whose lattice paths are still followed in minutes
MOST_SAMPLES = 1 << 20


@dataclass(frozen=True, eq=False)
class KsTest:
    """Two-sided two-sample KS tests of B rows.

    Args:
        statistic: ``[B]``, D = sup_y abs(F(y) - G(y)) of the two empirical distribution functions.
        pvalues: ``[B]``, exact P(D >= d): valid but discrete, and conservative where samples tie.
        randomised: ``[B]``, P(D > d) + V P(D = d) after ties are broken at random: uniform under the null.
        tied: ``[B]`` bool, whether some value occurs in both samples.
        wasserstein: ``[B]``, integral of abs(F - G), in the samples' unit.
    """

    statistic: Floats
    pvalues: Floats
    randomised: Floats
    tied: NDArray[np.bool_]
    wasserstein: Floats


@checked
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
        >>> test.wasserstein
        array([4.])
    """
    _check_samples(first, second)
    n, m = len(first), len(second)
    lcm = math.lcm(n, m)
    pooled = np.ascontiguousarray(np.concatenate([first, second]).T)  # [B, n + m], a row in one piece
    step = np.repeat([lcm // n, -(lcm // m)], [n, m])
    order = np.argsort(pooled, axis=1)
    ranked = np.take_along_axis(pooled, order, 1)
    height = np.abs(step[order].cumsum(1))
    gaps = np.diff(ranked, axis=1)
    wasserstein = (height[:, :-1] * gaps).sum(1) / lcm
    # within a run of equal values D is read at its end only
    plain = np.where(np.append(gaps > 0, np.ones((len(gaps), 1), bool), axis=1), height, 0).max(1)
    tied = _tied(gaps == 0, order < n)
    shuffled = plain.copy()
    if tied.any():
        shuffled[tied] = _ties_at_random(pooled[tied], step, rng)
    needed, place = np.unique(np.stack([plain, shuffled, shuffled + 1]), return_inverse=True)
    exact, at_least, above = exceedance(needed, n, m)[place.reshape(3, -1)]
    return KsTest(
        statistic=plain / lcm,
        pvalues=exact,
        randomised=above + rng.random(len(shuffled)) * (at_least - above),
        tied=tied,
        wasserstein=wasserstein,
    )


@checked
def exceedance(k: Ints, n: int, m: int) -> Floats:
    """Exact null probability that the two-sample KS statistic reaches a lattice point, P(D >= k / lcm(n, m)).

    Under the null every ordering of the n + m values is equally likely, so D >= d is the event that a random
    lattice path from (0, 0) to (n, m) touches one of two lines at distance d from its diagonal. For n = m there is
    a sum for it. Else the path is followed step by step, and what touches a line is taken out and summed: all terms
    are positive, so even tiny probabilities keep their relative precision.

    Args:
        k: ``[K]`` lattice points, 0 or more.
        n: size of one sample.
        m: size of the other.

    Returns:
        ``[K]`` probabilities; 1 at k = 0.

    Raises:
        DataError: points that are no whole numbers.
        ConfigError: an empty sample, or a larger one than paths can be followed for.

    Reference:
        For n = m: 2 sum_{j>=1} (-1)^(j-1) C(2n, n - jk) / C(2n, n) (Gnedenko & Korolyuk 1951).

    Example:
        >>> exceedance(np.array([1, 2, 3]), 3, 3)
        array([1. , 0.6, 0.1])
    """
    for name, size in (("n", n), ("m", m)):
        check_count(name, size, 1, MOST_SAMPLES, "fewer samples are enough")
    if k.ndim != 1 or k.dtype.kind not in "iu":
        raise DataError(f"lattice points [K] must be whole numbers; got {k.dtype} {list(k.shape)}")
    if n == m:
        return _equal_sizes(n)[np.clip(k, 0, n + 1)]
    line = np.asarray(k)
    found = np.empty(len(line))
    width = _width(line, n, m)
    for wide in np.unique(width):
        of = width == wide
        found[of] = _walked(line[of], n, m, int(wide))
    return found


def _width(line: Ints, n: int, m: int) -> Ints:
    """How far from the diagonal, in values of the first sample, a path can be that has not touched; powers of 2."""
    most = line / math.lcm(n, m) * n * m / (n + m) + 2
    return np.minimum(2 ** np.ceil(np.log2(most)).astype(np.int64), n + 1)


def _walked(line: Ints, n: int, m: int, width: int) -> Floats:
    """Probability that a random lattice path touches the lines; only places within ``width`` of the diagonal."""
    lcm, line = math.lcm(n, m), line[:, None]  # [K, 1]
    near = np.arange(-width, width + 1)  # values of the first sample so far, less those on the diagonal
    inside = np.zeros((len(line), len(near)))  # probability of being there, untouched so far
    inside[:, width] = line[:, 0] > 0
    touched = (line[:, 0] <= 0).astype(np.float64)
    diagonal = 0
    for step in range(1, n + m + 1):
        left = n + m - step + 1
        taken = diagonal + near
        share = np.clip(taken, 0, n)
        first = inside * ((n - share) / left)  # the next value is the first sample's: one place to the right
        second = inside * (np.clip(m - (step - 1 - share), 0, m) / left)
        moved = step * n // (n + m) - diagonal  # whether the diagonal goes along
        diagonal += moved
        if moved:
            inside = first
            inside[:, :-1] += second[:, 1:]
        else:
            inside = second
            inside[:, 1:] += first[:, :-1]
        taken = diagonal + near
        out = np.abs(taken * (lcm // n) - (step - taken) * (lcm // m)) >= line  # [K, places]
        touched += np.where(out, inside, 0.0).sum(1)
        inside[out] = 0
    return np.minimum(touched, 1.0)


@checked
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
    _check_pvalues(pvalues)
    return float(stats.kstest(pvalues, "uniform")[1]) if len(pvalues) >= MIN_ROWS else math.nan


@checked
def exchange_test(first: Floats, second: Floats, rng: np.random.Generator, exchanges: int = 199) -> float:
    """P-value that whole samples of two predictions are exchangeable, by the mean KS distance over rows.

    Valid however rows depend on one another, since a sample keeps its rows when it changes sides.

    Args:
        first: ``[n, B]``.
        second: ``[m, B]``, in the same unit.
        rng: source of the exchanges.
        exchanges: how many.

    Returns:
        (1 + number of exchanges with at least that distance) / (1 + exchanges).

    Raises:
        DataError: samples that do not fit. ConfigError: no exchanges, or too many.

    Reference:
        Phipson & Smyth 2010, Permutation p-values should never be zero.

    Example:
        >>> x = np.arange(40.0)[:, None] % 7
        >>> exchange_test(x[:20], x[20:], np.random.default_rng(0)) > 0.05
        True
        >>> exchange_test(x[:20], x[20:] + 4, np.random.default_rng(0))
        0.005
    """
    check_count("exchanges", exchanges, 1, EXCHANGES, "10,000 give a p-value of 0.01 to within a tenth of it")
    _check_samples(first, second)
    # the order of values stays, only their sides change; a few hundred rows tell as much as thousands
    places = np.unique(np.linspace(0, first.shape[1] - 1, min(first.shape[1], MOST_ROWS)).round().astype(np.int64))
    pooled = np.ascontiguousarray(np.concatenate([first, second])[:, places].T)  # [B, n + m]
    order = np.argsort(pooled, axis=1)
    ends = np.append(
        np.diff(np.take_along_axis(pooled, order, 1), axis=1) > 0, np.ones((len(pooled), 1), bool), axis=1
    )
    step = np.repeat([1 / len(first), -1 / len(second)], [len(first), len(second)])

    def distance(steps: Floats) -> float:
        return float(np.where(ends, np.abs(steps[order].cumsum(1)), 0.0).max(1).mean())

    observed = distance(step)
    # sums in another order differ in their last bits
    as_far = sum(distance(rng.permutation(step)) >= observed - 1e-12 for _ in range(exchanges))
    return (1 + as_far) / (1 + exchanges)


@checked
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
    _check_pvalues(pvalues)
    order = np.argsort(pvalues)
    stepped = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _check_samples(first: Floats, second: Floats) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise DataError(f"samples [n, B] and [m, B] are needed; got {list(first.shape)} and {list(second.shape)}")


def _check_pvalues(pvalues: Floats) -> None:
    if pvalues.ndim != 1:
        raise DataError(f"p-values [B] are needed; got shape {list(pvalues.shape)}")


@lru_cache(maxsize=16)
def _equal_sizes(n: int) -> Floats:
    """``[n + 2]``: P(D >= k / n) of two samples of n, for k = 0 to n + 1."""
    i = np.arange(1, n + 1)
    ways = np.cumprod((n - i + 1) / (n + i))  # C(2n, n - i) / C(2n, n)
    found = np.zeros(n + 2)
    found[0] = 1
    for k in range(1, n + 1):
        terms = ways[k - 1 :: k]
        found[k] = 2 * (terms[::2].sum() - terms[1::2].sum())
    found = np.minimum(found, 1.0)
    found.setflags(write=False)
    return found


def _tied(equal: NDArray[np.bool_], from_first: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows on which some run of equal values holds values of both samples; ``[B, N - 1]`` and ``[B, N]``, ranked.

    The order within a run is arbitrary: where both occur in it, two neighbours differ.
    """
    return (equal & (from_first[:, 1:] != from_first[:, :-1])).any(1)


def _ties_at_random(pooled: Floats, step: Ints, rng: np.random.Generator) -> Ints:
    """``[B]``, D on the lattice when equal values are put in random order."""
    mixed = np.argsort(rng.random(pooled.shape), axis=1)
    order = np.argsort(np.take_along_axis(pooled, mixed, 1), axis=1, kind="stable")
    return np.abs(step[np.take_along_axis(mixed, order, 1)].cumsum(1)).max(1)
