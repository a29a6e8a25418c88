"""The exact KS test against brute force, closed forms and SciPy; its randomised p-values against uniformity.

Statistical tests use fixed seeds. Where one asks for p > 0.001 it would alarm falsely for one seed in 1000.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikebayes.errors import SpikebayesError
from spikebayes.evaluate.ks import exceedance, exchange_test, holm, ks_test, uniformity


def every_ordering(n: int, m: int) -> Counter[int]:
    """How many of the C(n + m, n) orderings reach each statistic, in units of 1 / lcm(n, m)."""
    lcm = math.lcm(n, m)
    found: Counter[int] = Counter()
    for places in itertools.combinations(range(n + m), n):
        steps = np.full(n + m, -(lcm // m))
        steps[list(places)] = lcm // n
        found[int(np.abs(steps.cumsum()).max())] += 1
    return found


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 2), (5, 5), (7, 7), (1, 4), (3, 5), (6, 4), (8, 2)])
def test_exceedance_counts_every_ordering(n: int, m: int) -> None:
    counts = every_ordering(n, m)
    k = np.arange(math.lcm(n, m) + 2)
    expected = [sum(c for d, c in counts.items() if d >= line) / math.comb(n + m, n) for line in k]
    np.testing.assert_allclose(exceedance(k, n, m), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("n", [3, 20, 100, 250])
def test_exceedance_is_the_closed_form_of_equal_sizes(n: int) -> None:
    k = np.arange(1, n + 1)
    total = math.comb(2 * n, n)
    exact = [
        2 * sum((-1) ** (j - 1) * math.comb(2 * n, n - j * line) for j in range(1, n // line + 1)) / total
        for line in k.tolist()
    ]
    # the relative precision holds down to the last, 2 / C(2n, n), about 1e-149 at n = 250
    np.testing.assert_allclose(exceedance(k, n, n), exact, rtol=1e-11, atol=0)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(1, 12), st.integers(1, 12))
def test_exceedance_is_symmetric_and_falls_from_one(n: int, m: int) -> None:
    k = np.arange(math.lcm(n, m) + 2)
    tail = exceedance(k, n, m)
    np.testing.assert_allclose(tail, exceedance(k, m, n), rtol=1e-12)
    assert tail[:2] == pytest.approx(1, rel=1e-12)
    assert (np.diff(tail) <= 1e-12).all()
    assert tail[-2] == pytest.approx(2 / math.comb(n + m, n))  # one sample wholly below the other
    assert tail[-1] == 0


@pytest.mark.parametrize(("n", "m"), [(20, 20), (100, 100), (30, 45), (17, 50)])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_raw_pvalues_are_scipys(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(n, 30)), rng.normal(shift, 1, size=(m, 30))
    test = ks_test(first, second, rng)
    oracle = [stats.ks_2samp(x, y, method="exact") for x, y in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(test.statistic, [o.statistic for o in oracle], rtol=1e-14)
    np.testing.assert_allclose(test.pvalues, [o.pvalue for o in oracle], rtol=1e-9)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.integers(0, 6), min_size=2, max_size=15), st.lists(st.integers(0, 6), min_size=2, max_size=15))
def test_tied_samples_are_read_as_scipy_reads_them(first: list[int], second: list[int]) -> None:
    x, y = np.array(first, dtype=float)[:, None], np.array(second, dtype=float)[:, None]
    test = ks_test(x, y, np.random.default_rng(0))
    statistic = stats.ks_2samp(first, second, method="asymp").statistic
    k = np.rint(statistic * math.lcm(len(first), len(second))).astype(int)
    assert test.statistic[0] == pytest.approx(statistic, abs=1e-14)
    # not SciPy's exact p-value, which fails with a warning where it is 1
    assert test.pvalues[0] == exceedance(np.array([k]), len(first), len(second))[0]
    assert test.tied[0] == bool(set(first) & set(second))


def test_randomised_pvalues_lie_between_those_of_the_neighbouring_lattice_points() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 10, 500))
    test = ks_test(first, second, np.random.default_rng(1))
    k = np.rint(test.statistic * 10).astype(int)
    assert (test.randomised <= test.pvalues).all()
    assert (test.randomised >= exceedance(k + 1, 10, 10)).all()
    again = ks_test(first, second, np.random.default_rng(1))
    np.testing.assert_array_equal(again.randomised, test.randomised)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (100, 100), (20, 30)])
def test_randomised_pvalues_are_uniform_where_raw_ones_are_not(n: int, m: int) -> None:
    rng = np.random.default_rng(11)
    rows = 3000
    test = ks_test(rng.normal(size=(n, rows)), rng.normal(size=(m, rows)), rng)
    assert uniformity(test.randomised) > 0.001
    assert uniformity(test.pvalues) < 1e-6


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_randomised_pvalues_stay_uniform_on_discrete_data(levels: int) -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, levels, size=(2, 40, 2000)).astype(float)
    test = ks_test(first, second, rng)
    assert test.tied.all()
    assert uniformity(test.randomised) > 0.001
    # conservative: the exact p-values are at most alpha far less often than alpha
    assert (test.pvalues <= 0.05).mean() < 0.02


@pytest.mark.parametrize("change", [lambda x: x + 0.5, lambda x: 2 * x])
def test_another_place_or_spread_is_seen(change) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 100, 100))
    test = ks_test(first, change(second), rng)
    assert uniformity(test.randomised) < 1e-10


def test_uniformity_is_scipys_and_needs_five_rows() -> None:
    p = np.array([0.05, 0.3, 0.35, 0.8, 0.9])
    assert uniformity(p) == stats.kstest(p, "uniform").pvalue
    assert math.isnan(uniformity(p[:4]))


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and the last may not fall below .06
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1, 1])


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_sequential_procedure_rejects(pvalues: list[float], alpha: float) -> None:
    rejected = 0
    for i, p in enumerate(sorted(pvalues)):
        if p * (len(pvalues) - i) > alpha:
            break
        rejected += 1
    assert (holm(np.array(pvalues)) <= alpha).sum() == rejected


def test_large_samples_of_unlike_sizes_are_scipys() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(300, 5)), rng.normal(0.2, 1, size=(210, 5))
    test = ks_test(first, second, rng)
    oracle = [stats.ks_2samp(x, y, method="exact").pvalue for x, y in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(test.pvalues, oracle, rtol=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (20, 31)])
def test_wasserstein_distances_are_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(n, 6)).round(1), rng.normal(0.5, 2, size=(m, 6)).round(1)
    oracle = [stats.wasserstein_distance(x, y) for x, y in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(ks_test(first, second, rng).wasserstein, oracle, rtol=1e-9)


def test_ties_at_random_move_nothing_where_there_are_none() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 30, 50))
    found = ks_test(first, second, np.random.default_rng(0))
    assert not found.tied.any()
    k = np.rint(found.statistic * 30).astype(int)
    assert (found.randomised <= exceedance(k, 30, 30)).all()
    assert (found.randomised >= exceedance(k + 1, 30, 30)).all()


def test_exchanged_samples_keep_their_rows() -> None:
    # rows that are copies of one: their p-value is that of the single row
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(20, 1)), rng.normal(2, 1, size=(25, 1))
    alone = exchange_test(first, second, np.random.default_rng(1))
    many = exchange_test(np.tile(first, 30), np.tile(second, 30), np.random.default_rng(1))
    assert alone == many < 0.05


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: exceedance(np.arange(3), 0, 3), "n must be a whole number, at least 1; got 0"),
        (lambda: exceedance(np.arange(3), 3, -1), "m must be a whole number, at least 1; got -1"),
        (
            lambda: exceedance(np.ones((2, 2), int), 3, 4),
            r"lattice points \[K\] must be whole numbers; got .*\[2, 2\]",
        ),
        (lambda: exceedance(np.array([0.5]), 3, 3), "lattice points .* must be whole numbers; got float64"),  # pyright: ignore
        (lambda: exchange_test(np.ones((2, 1)), np.ones((2, 1)), np.random.default_rng(), 0), "exchanges must be"),
    ],
)
def test_what_has_no_distribution_is_refused(call: Any, says: str) -> None:
    with pytest.raises(SpikebayesError, match=says):
        call()
