"""The judgement of two predictions: effect sizes by hand and by SciPy, tests by their error rates.

Statistical tests use fixed seeds. A null prediction breaks the uniformity rule for one seed in 100, the other
rules far less often; each alternative tested here is detected with probability above 0.999.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.effect_sizes import mean_equivalence, pooled_equivalence, tost
from spikebayes.evaluate.equivalence import compare
from spikebayes.prediction.predictive import Draw, Predictive, Task


def prediction(
    seed: int, samples: int = 100, rows: int = 100, *, scope: str = "row", shift: float = 0, scale: float = 1
) -> Predictive:
    """Normal samples about a mean of 3 + row, with a standard deviation of 2."""
    noise = torch.randn(samples, rows, 1, generator=torch.Generator().manual_seed(seed))
    values = 3 + torch.arange(rows)[:, None] + 2 * (shift + scale * noise)
    return Predictive(values, Draw(seed, scope, torch.arange(rows)))


def by_hand(columns: list[list[float]], seed: int) -> Predictive:
    values = torch.tensor(columns).T[..., None]  # [S, B, 1]
    return Predictive(values, Draw(seed, "row", torch.arange(len(columns))))


# -- the verdict -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "rows"), [(20, 400), (100, 100)])
def test_one_distribution_is_accepted_with_its_control(samples: int, rows: int) -> None:
    reference, candidate, control = (prediction(seed, samples, rows) for seed in (1, 2, 3))
    found = compare(reference, candidate, control=control)
    assert found.accepted
    assert found.control is not None
    assert found.control.accepted
    assert found.rejections == 0
    assert "statistically indistinguishable" in found.summary()


def test_sizes_may_differ_when_samples_are_independent() -> None:
    found = compare(prediction(1, 100), prediction(2, 150))
    assert found.accepted
    assert found.settings["samples"] == [100, 150]
    first, second = (prediction(seed, s).samples[:, 0, 0] for seed, s in ((1, 100), (2, 150)))
    assert found.ks_pvalues is not None
    assert found.ks_pvalues[0] == pytest.approx(stats.ks_2samp(first, second, method="exact").pvalue)


def test_too_few_samples_and_rows_are_no_ground_for_acceptance() -> None:
    # the standard error of the offset is sqrt(2 / 20 / 5) = 0.14
    found = compare(prediction(1, 20, 5), prediction(2, 20, 5))
    assert found.uniformity_pvalue is not None
    assert found.uniformity_pvalue > 0.01
    assert not found.accepted


def test_a_shift_of_half_a_standard_deviation_is_found() -> None:
    found = compare(prediction(1), prediction(2, shift=0.5))
    assert found.uniformity_pvalue is not None
    assert found.uniformity_pvalue < 1e-10
    assert found.pooled_mean_difference == pytest.approx(0.5, abs=0.05)
    assert found.pooled_equivalence_pvalue > 0.99
    assert len(found.objections) == 2
    assert "not shown to equal" in found.summary()


def test_an_inflated_spread_is_found() -> None:
    found = compare(prediction(1), prediction(2, scale=1.6))
    assert np.median(found.std_ratio) == pytest.approx(1.6, abs=0.05)
    assert found.pooled_equivalence_pvalue < 0.05  # the means are equivalent all the same
    assert [o for o in found.objections if "not uniform" in o]
    assert [o for o in found.objections if "ratio of spreads" in o]


def test_the_margin_decides_which_offset_counts_as_none() -> None:
    sides = prediction(1, 400), prediction(2, 400, shift=0.2)
    assert compare(*sides, margin=0.1).pooled_equivalence_pvalue > 0.99
    assert compare(*sides, margin=0.3).pooled_equivalence_pvalue < 1e-6
    # row by row the error of the mean is sqrt(2 / 400) = 0.07 standard deviations
    assert not compare(*sides, margin=0.1).equivalent.any()
    assert compare(*sides, margin=0.6).equivalent.all()


def test_a_failing_control_weakens_the_verdict() -> None:
    found = compare(prediction(1), prediction(2), control=prediction(3, shift=0.5))
    assert found.accepted
    assert "The control fails too" in found.summary()


def test_the_seed_moves_the_randomised_pvalues_only() -> None:
    one, two = (compare(prediction(1), prediction(2), seed=seed).to_dict() for seed in (0, 1))
    moved = {key for key in one if one[key] != two[key]}
    assert moved == {"ks_pvalues_randomised", "uniformity_pvalue", "settings", "summary"}


def test_to_dict_is_strict_json_with_every_setting() -> None:
    reference, candidate = prediction(1, rows=4), prediction(2, rows=4)
    constant = replace(reference, samples=reference.samples.clone())
    constant.samples[:, 0] = 0
    found = compare(constant, candidate, control=prediction(3, rows=4), margin=0.2, alpha=0.01, seed=5)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["mean_difference"][0] is None  # infinite
    assert values["uniformity_pvalue"] is None  # NaN
    assert values["paired_rmse"] is None  # absent
    assert (values["margin"], values["alpha"], values["rows"]) == (0.2, 0.01, [0, 1, 2, 3])
    assert values["settings"] == {
        "candidate": "the spiking network",
        "output": 0,
        "samples": [100, 100],
        "seeds": [1, 2],
        "scopes": ["row", "row"],
        "seed": 5,
    }
    assert values["control"]["settings"]["seeds"] == [1, 3]
    assert values["control"]["control"] is None


# -- effect sizes ------------------------------------------------------------------------------------------


def test_effect_sizes_by_hand() -> None:
    # reference: mean 2, std 1; candidate: mean 4, std 2; sorted distances 1, 2, 3
    found = compare(by_hand([[1, 2, 3]], 0), by_hand([[6, 2, 4]], 1))
    assert found.mean_difference.tolist() == [2]
    assert found.std_ratio.tolist() == [2]
    assert found.wasserstein.tolist() == [2]
    assert found.ks_statistic is not None
    np.testing.assert_allclose(found.ks_statistic, [2 / 3])
    assert math.isnan(found.pooled_equivalence_pvalue)
    assert not found.accepted  # a single row shows too little


def test_effect_sizes_do_not_depend_on_the_unit() -> None:
    first, second = prediction(1, rows=10), prediction(2, rows=10, shift=0.3)
    found = compare(first, second)
    scaled = compare(replace(first, samples=first.samples * 1024), replace(second, samples=second.samples * 1024))
    for name in ("mean_difference", "std_ratio", "wasserstein", "equivalence_pvalues", "ks_pvalues"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(found, name), rtol=1e-9)


def test_a_constant_reference_divides_nothing_by_zero() -> None:
    flat, wide = [2.0, 2.0, 2.0], [1.0, 2.0, 3.0]
    reference = by_hand([flat, flat, flat, wide, wide], 0)
    candidate = by_hand([flat, [1.0, 1.0, 1.0], wide, flat, [2.0, 3.0, 4.0]], 1)
    found = compare(reference, candidate)
    assert found.mean_difference.tolist() == [0, -math.inf, 0, 0, 1]
    assert found.std_ratio.tolist() == [1, 1, math.inf, 0, 1]
    assert found.wasserstein.tolist() == [0, math.inf, math.inf, pytest.approx(2 / 3), 1]
    assert found.equivalent.tolist() == [True, False, False, False, False]
    assert found.degenerate_rows == 3
    assert found.pooled_mean_difference == 0.5  # of the last two rows
    assert "constant on 3 rows" in found.note


def test_a_reference_constant_everywhere_is_no_ground_for_acceptance() -> None:
    flat = by_hand([[2.0, 2.0]] * 6, 0)
    found = compare(flat, replace(flat, draw=Draw(1, "row", flat.draw.rows)))
    assert math.isnan(found.pooled_equivalence_pvalue)
    assert not found.accepted


def test_rows_with_ties_are_counted_and_stay_uniform() -> None:
    first, second = (replace(p, samples=p.samples.round()) for p in (prediction(1), prediction(2)))
    second.samples[:, 0] += 0.25  # no value of row 0 occurs on both sides
    found = compare(first, second)
    assert found.tied_rows == 99
    assert found.accepted
    assert "On 99 rows a value occurs on both sides" in found.note


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


def test_the_pooled_test_by_row_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 30))
    offset = (b.mean(0) - a.mean(0)) / a.std(0, ddof=1)
    lower = stats.ttest_1samp(offset, -0.1, alternative="greater").pvalue
    upper = stats.ttest_1samp(offset, 0.1, alternative="less").pvalue
    found = pooled_equivalence(a, b, 0.1, paired=False, by_row=True)
    assert found == pytest.approx(max(lower, upper), rel=1e-9)


@pytest.mark.parametrize("by_row", [True, False])
def test_the_pooled_test_errs_at_its_level_on_the_edge_of_the_margin(by_row: bool) -> None:
    rng = np.random.default_rng(4)
    accepted = 0
    for _ in range(400):
        a, b = rng.normal(size=(2, 50, 20))
        accepted += pooled_equivalence(a, b + 0.5, 0.5, paired=False, by_row=by_row) < 0.05
    # binomial(400, 0.05) lies in 5..38 but for one seed in 1000
    assert 5 <= accepted <= 38


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(-3, 3), st.just(0.0) | st.floats(1e-6, 2), st.integers(1, 100), st.floats(0, 2), st.floats(0, 2))
def test_a_wider_margin_never_speaks_against(
    difference: float, error: float, freedom: int, margin: float, more: float
) -> None:
    narrow, wide = tost(difference, error, freedom, margin), tost(difference, error, freedom, margin + more)
    assert wide <= narrow + 1e-12
    assert tost(-difference, error, freedom, margin) == pytest.approx(narrow, abs=1e-12)


# -- shared masks ------------------------------------------------------------------------------------------


def same_masks(error: float) -> tuple[Predictive, Predictive]:
    reference = prediction(1)
    noise = torch.randn(reference.samples.shape, generator=torch.Generator().manual_seed(9))
    return reference, replace(reference, samples=reference.samples + 2 * error * noise)


def test_same_masks_are_judged_pair_by_pair() -> None:
    found = compare(*same_masks(0.05), control=prediction(2))
    assert found.paired_rmse is not None
    assert np.median(found.paired_rmse) == pytest.approx(0.05, abs=0.01)
    assert (found.ks_statistic, found.ks_pvalues, found.ks_pvalues_randomised) == (None, None, None)
    assert (found.uniformity_pvalue, found.rejections, found.tied_rows) == (None, None, None)
    assert "independent samples" in found.note
    # the pairing shows on single rows what independent samples cannot
    assert found.equivalent.mean() > 0.95
    assert found.accepted
    assert found.control is not None
    assert found.control.paired_rmse is None
    assert found.control.uniformity_pvalue is not None


def test_an_error_above_the_margin_under_the_same_masks_is_found() -> None:
    found = compare(*same_masks(0.3))
    assert not found.accepted
    assert "under the same masks is 0.3 std" in found.objections[0]
    assert compare(*same_masks(0.3), margin=0.4).accepted


def test_masks_shared_by_all_rows_rule_out_uniformity() -> None:
    found = compare(prediction(1, scope="pass"), prediction(2, scope="pass"))
    assert found.uniformity_pvalue is None
    assert found.ks_pvalues is not None
    assert "rows depend on one another" in found.note


def test_masks_shared_by_all_rows_do_not_fool_the_pooled_test() -> None:
    # every row is one and the same sample: 100 rows hold no more than one, and cannot show 0.1
    def one_draw(seed: int, scope: str) -> Predictive:
        single = prediction(seed, rows=1).samples.expand(100, 100, 1)
        return Predictive(single, Draw(seed, scope, torch.arange(100)))

    found = compare(one_draw(1, "pass"), one_draw(2, "pass"))
    assert found.pooled_equivalence_pvalue == pytest.approx(found.equivalence_pvalues[0], rel=1e-9)
    assert found.pooled_equivalence_pvalue > 0.05


# -- which number ------------------------------------------------------------------------------------------


def test_the_output_asked_for_is_judged() -> None:
    rows = torch.arange(30)
    wrong, right = prediction(2, rows=30, shift=1).samples, prediction(3, rows=30).samples
    reference = Predictive(prediction(1, rows=30).samples.expand(-1, -1, 2), Draw(1, "row", rows))
    candidate = Predictive(torch.cat([wrong, right], -1), Draw(2, "row", rows))
    assert compare(reference, candidate, output=1).accepted
    assert not compare(reference, candidate, output=0).accepted
    assert not compare(reference, candidate).accepted


def likely(seed: int, concentration: list[float], rows: int = 200) -> Predictive:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.dirichlet(concentration, size=(50, rows))).float()
    return Predictive(values, Draw(seed, "row", torch.arange(rows)), Task.CLASSIFICATION)


def test_classes_are_judged_on_the_most_probable_one() -> None:
    first, second = likely(1, [2, 9, 4]), likely(2, [2, 9, 4])
    chosen, asked = compare(first, second), compare(first, second, output=1)
    assert chosen.settings["output"] == "most probable class"
    np.testing.assert_array_equal(chosen.mean_difference, asked.mean_difference)
    assert not np.array_equal(chosen.mean_difference, compare(first, second, output=0).mean_difference)


def test_the_choice_among_equal_classes_favours_no_side() -> None:
    # the reference's own favourite among ten equal classes would lie 0.2 standard deviations above
    found = compare(likely(1, [3.0] * 10, rows=1000), likely(2, [3.0] * 10, rows=1000))
    assert found.pooled_mean_difference == pytest.approx(0, abs=0.025)  # 4 standard errors
    assert found.accepted


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"margin": 0.0}, "margin must be .* got 0.0"),
        ({"margin": math.nan}, "margin must be .* got nan"),
        ({"alpha": 1.0}, r"alpha must lie in \(0, 1\); got 1.0"),
        ({"output": 1}, r"output must lie in 0\.\.0, there are 1; got 1"),
        ({"output": -1}, "got -1"),
        ({"seed": -1}, "seed must be 0 or more; got -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare(prediction(1, rows=5), prediction(2, rows=5), **setting)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (prediction(2, rows=4), "reference has 5 rows, candidate 4"),
        (prediction(2, samples=1, rows=5), "reference has 100, candidate 1"),
        (
            Predictive(prediction(2, rows=5).samples, Draw(2, "row", torch.tensor([0, 1, 9, 8, 4]))),
            "2 of 5 row indices",
        ),
        (
            Predictive(prediction(2, rows=5).samples.expand(-1, -1, 3), Draw(2, "row", torch.arange(5))),
            "reference has 1 outputs, candidate 3",
        ),
        (likely(2, [1, 1], rows=5), "reference is a regression, candidate a classification"),
    ],
)
def test_sides_that_do_not_match_are_refused(candidate: Predictive, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare(prediction(1, rows=5), candidate)
    with pytest.raises(DataError, match=message.replace("candidate", "control")):
        compare(prediction(1, rows=5), prediction(3, rows=5), control=candidate)


def test_a_control_needs_its_own_seed() -> None:
    with pytest.raises(ConfigError, match="share seed 1"):
        compare(prediction(1, rows=5), prediction(2, rows=5), control=prediction(1, rows=5))


@pytest.mark.parametrize("other", [{"samples": 50}, {"scope": "pass"}])
def test_masks_shared_in_part_are_refused(other: dict) -> None:
    with pytest.raises(ConfigError, match="share seed 1 and so part of their masks"):
        compare(prediction(1, rows=5), prediction(1, rows=5, **other))
