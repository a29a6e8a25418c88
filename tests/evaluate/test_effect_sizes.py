"""Effects row by row against closed forms, the jackknife and simulation; equivalence tests of means against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikebayes.evaluate.effect_sizes import in_units, mean_equivalence, row_effects, spread, tost

# -- equivalence of means ----------------------------------------------------------------------------------


def test_welch_tests_are_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 5)), rng.normal(0.1, 2, size=(70, 5))
    lower = stats.ttest_ind(b + 0.5, a, equal_var=False, alternative="greater").pvalue
    upper = stats.ttest_ind(b - 0.5, a, equal_var=False, alternative="less").pvalue
    np.testing.assert_allclose(mean_equivalence(a, b, 0.5, paired=False), np.maximum(lower, upper), rtol=1e-9)


def test_paired_tests_are_scipys() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 5))
    b = a + rng.normal(0.05, 0.2, size=(40, 5))
    lower = stats.ttest_rel(b + 0.1, a, alternative="greater").pvalue
    upper = stats.ttest_rel(b - 0.1, a, alternative="less").pvalue
    np.testing.assert_allclose(mean_equivalence(a, b, 0.1, paired=True), np.maximum(lower, upper), rtol=1e-9)


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(-3, 3), st.just(0.0) | st.floats(1e-6, 2), st.integers(1, 100), st.floats(0, 2), st.floats(0, 2))
def test_a_wider_margin_never_speaks_against(
    difference: float, error: float, freedom: int, margin: float, more: float
) -> None:
    narrow, wide = tost(difference, error, freedom, margin), tost(difference, error, freedom, margin + more)
    assert wide <= narrow + 1e-12
    assert tost(-difference, error, freedom, margin) == pytest.approx(narrow, abs=1e-12)


# -- effects by row ----------------------------------------------------------------------------------------


def sides(rng: np.random.Generator, shape: str, n: int, m: int, rows: int, width: int = 1):
    draw = {
        "normal": rng.normal,
        "skewed": lambda size: rng.exponential(size=size),
        "three values": lambda size: rng.integers(0, 3, size=size).astype(float),
    }[shape]
    return draw(size=(n, rows, width)), draw(size=(m, rows, width))


def test_offsets_are_differences_of_means_with_welchs_error() -> None:
    first, second = sides(np.random.default_rng(0), "skewed", 30, 50, 6)
    found = row_effects(first, second, paired=False)
    np.testing.assert_allclose(found.offset, second.mean(0) - first.mean(0))
    variances = first.var(0, ddof=1), second.var(0, ddof=1)
    np.testing.assert_allclose(found.offset_error, np.sqrt(variances[0] / 30 + variances[1] / 50))
    np.testing.assert_allclose(found.unit, np.sqrt((variances[0] + variances[1])[:, 0] / 2))
    assert found.freedom == 78


def test_the_change_is_that_of_the_mean_distance_or_of_the_variance() -> None:
    first, second = sides(np.random.default_rng(1), "skewed", 40, 40, 200)
    found = row_effects(first, 1.5 * second, paired=False)
    assert set(found.order) == {1.0, 2.0}
    distances = [np.abs(x - x.mean(0)).mean(0)[:, 0] for x in (first, 1.5 * second)]
    variances = [x.var(0)[:, 0] for x in (first, 1.5 * second)]
    for order, (a, b) in ((1.0, distances), (2.0, variances)):
        of = found.order == order
        # equal sizes: the bias of both means cancels
        np.testing.assert_allclose(found.change[of], ((b - a) / (a + b))[of], rtol=1e-9)


@pytest.mark.parametrize("q", [1, 2])
def test_influences_are_those_of_the_jackknife(q: int) -> None:
    # leaving a sample out changes a mean of n by its influence / (n - 1)
    rng = np.random.default_rng(2)
    draw = rng.normal if q == 2 else rng.exponential
    first, second = draw(size=(2, 400, 30, 1))
    found = row_effects(first, second, paired=False)
    of = found.order == q
    assert of.sum() >= 5

    def mean(x):
        return (np.abs(x - x.mean(0)) ** q).mean(0)[:, 0]

    scale = mean(first) + mean(second)
    left_out = np.stack([mean(first) - mean(np.delete(first, s, 0)) for s in range(20)]) * 399 / scale
    np.testing.assert_allclose(found.influence[0][:20, of], left_out[:, of], atol=0.02)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (20, 20), (100, 100), (20, 100)])
@pytest.mark.parametrize("shape", ["normal", "skewed", "three values"])
def test_errors_are_the_spread_of_the_estimates(shape: str, n: int, m: int) -> None:
    found = row_effects(*sides(np.random.default_rng(3), shape, n, m, 20_000), paired=False)
    logarithm, error = 2 / found.order * found.change, 2 / found.order * found.change_error
    true = math.sqrt(float((error**2).mean()))
    assert logarithm.std() == pytest.approx(true, rel=0.15)
    # no side is favoured; 4 standard errors of the mean, and a hundredth of a std for what is left of the bias
    assert abs(logarithm.mean()) < 4 * logarithm.std() / math.sqrt(20_000) + 0.1 * logarithm.std()


def test_rare_values_prove_no_more_than_their_number() -> None:
    # none against k of 100: a count of k is known to its square root; a quarter more, since a variance bends with k
    for k in (1, 3, 6, 12):
        first, second = np.zeros((2, 100, 1, 1))
        second[:k] = 1
        found = row_effects(first, second, paired=False)
        assert found.change == 1
        z = float(found.change[0] / found.change_error[0])
        assert 0.9 * math.sqrt(k) < z < 1.25 * math.sqrt(k)


def test_vectors_are_judged_by_lengths() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 50, 8, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found, turned = (row_effects(a, b, paired=False) for a, b in ((first, second), (first @ turn, second @ turn)))
    for name in ("distance", "distance_error", "unit", "change", "change_error"):
        np.testing.assert_allclose(getattr(found, name), getattr(turned, name), rtol=1e-9)


def test_the_length_of_an_offset_is_not_made_of_noise() -> None:
    first, second = np.random.default_rng(5).normal(size=(2, 100, 4000, 10))
    found = row_effects(first, second, paired=False)
    squares = found.distance**2
    # a third is cut off at 0, so that the mean lies above it, but far below the noise of 10 numbers, 0.2
    assert np.median(squares) < 0.01
    assert squares.mean() < 0.05


def test_equal_samples_have_no_effect_and_no_error() -> None:
    first = np.random.default_rng(6).normal(size=(20, 5, 2))
    found = row_effects(first, first.copy(), paired=True)
    for values in (found.offset, found.offset_error, found.change, found.change_error, found.paired_square):
        assert np.all(values == 0)


def test_paired_errors_are_by_hand() -> None:
    rng = np.random.default_rng(7)
    first = rng.normal(size=(60, 4, 2))
    second = first + 0.1 * rng.normal(size=(60, 4, 2))
    found = row_effects(first, second, paired=True)
    squares = ((second - first) ** 2).sum(2)
    np.testing.assert_allclose(found.paired_square, squares.mean(0))
    relative = squares.std(0, ddof=1) / squares.mean(0) / math.sqrt(60)
    np.testing.assert_allclose(found.paired_error, np.maximum(relative, math.sqrt(1 / 120)))
    np.testing.assert_allclose(found.offset_error, (second - first).std(0, ddof=1) / math.sqrt(60))


@pytest.mark.parametrize("paired", [False, True])
def test_constants_have_no_spread_by_rounding(paired: bool) -> None:
    first = np.full((7, 3, 1), 0.1)
    found = row_effects(first, first + np.array([0.0, 0.2, 0.0])[:, None], paired=paired)
    assert found.offset[0, 0] == 0
    assert found.offset[1, 0] == pytest.approx(0.2)
    for values in (found.unit, found.level, found.change, found.change_error, found.offset_error):
        assert np.all(values == 0)


def test_spread_and_units_at_zero() -> None:
    assert spread(np.full((9, 1), 0.1)) == 0
    np.testing.assert_array_equal(
        in_units(np.array([0.0, -1.0, 3.0]), np.array([0.0, 0.0, 2.0])), [0.0, -math.inf, 1.5]
    )
