"""The verdict on two predictions: its three outcomes, what each fault gives, and what stands beside it.

Data are drawn with fixed seeds. How often the judge errs is measured by ``python -m studies.judge``; where a test
rests on chance, the outcome that it asks for has a probability above 0.98.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.evaluate.margins import Margins, Outcome
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task

Floats = NDArray[np.float64]


def made(values: Floats, seed: int, scope: str = "row", task: Task = Task.REGRESSION) -> Predictive:
    """A prediction with these samples, ``[S, B]`` or ``[S, B, C]``."""
    tensor = torch.from_numpy(np.asarray(values, dtype=np.float32))
    tensor = tensor if tensor.ndim == 3 else tensor[..., None]
    return Predictive(tensor, Draw(seed, scope, torch.arange(tensor.shape[1])), task)


def normal(seed: int, samples: int = 100, rows: int = 100, outputs: int = 1) -> Floats:
    """Normal samples about a mean of each row, with a standard deviation of 2."""
    noise = np.random.default_rng(seed).normal(size=(samples, rows, outputs))
    return middle(rows) + 2 * noise


def middle(rows: int) -> Floats:
    """``[B, 1]``: 3, 4, ..., 9 and again."""
    return 3.0 + np.arange(rows)[:, None] % 7


def judged(first: Floats, second: Floats, **options) -> Equivalence:
    """The verdict under independent masks."""
    return compare(made(first, 1), made(second, 2), **options)


def paired(first: Floats, second: Floats, **options) -> Equivalence:
    """The verdict under the same masks."""
    return compare(made(first, 1), made(second, 1), **options)


def off(values: Floats, share: float, std: float) -> Floats:
    """The same, with a share of rows off by so many standard deviations, up and down in turn."""
    rows = values.shape[1]
    signs = np.where(np.arange(rows) % 2, 1.0, -1.0) * (np.arange(rows) < share * rows)
    return values + 2 * std * signs[:, None]


def widened(values: Floats, factor: float, share: float = 1.0) -> Floats:
    """The same, with spreads times a factor on a share of rows."""
    rows = values.shape[1]
    centre = middle(rows)
    chosen = (np.arange(rows) < share * rows)[:, None]
    return centre + np.where(chosen, factor, 1.0) * (values - centre)


# -- three outcomes ----------------------------------------------------------------------------------------


def test_an_outcome_is_its_words() -> None:
    assert [str(each) for each in Outcome] == ["kept", "not kept", "undecided"]
    found = judged(normal(1), normal(2)).outcome
    assert found == "kept"
    assert json.dumps(found) == '"kept"'


SHAPES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: rng.gamma(2.0, size=size),
    "two modes": lambda rng, size: rng.choice([-1.0, 1.0], size=size) + 0.2 * rng.normal(size=size),
    "three values": lambda rng, size: rng.integers(0, 3, size=size).astype(float),
    "five outputs": lambda rng, size: rng.normal(size=(*size, 5)),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_one_distribution_is_kept_with_its_control(shape) -> None:
    rng = np.random.default_rng(5)
    reference, candidate, control = (made(shape(rng, (100, 100)), seed) for seed in (1, 2, 3))
    found = compare(reference, candidate, control=control)
    assert found.outcome == "kept", found.summary()
    assert found.accepted
    assert found.needed is None
    assert found.reasons == ()
    assert found.control is not None
    assert found.control.outcome == "kept"
    assert "Kept: on these 100 rows" in found.summary()


FAULTS = {
    "3 % of rows off by 1.5 std": lambda x: off(x, 0.03, 1.5),
    "45 % of rows half the spread": lambda x: widened(x, 0.5, 0.45),
    "3 % of rows without spread": lambda x: widened(x, 0.0, 0.03),
    "all rows off by 0.3 std": lambda x: x + 0.6,
    "all spreads times 0.85": lambda x: widened(x, 0.85),
    "all spreads times 1.2": lambda x: widened(x, 1.2),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_not_kept(fault) -> None:
    found = judged(normal(1), fault(normal(2)))
    assert found.outcome == "not kept", found.summary()
    assert not found.accepted
    assert found.needed is None
    assert found.reasons[0] in found.summary()


@pytest.mark.parametrize(
    ("share", "std", "factor"), [(0.45, 0.5, 1.0), (0.45, 0.0, 0.5), (0.03, 1.5, 1.0), (1.0, 0.3, 1.0)]
)
def test_a_fault_in_pairs_is_not_kept(share: float, std: float, factor: float) -> None:
    first = normal(1)
    assert paired(first, off(widened(first, factor, share), share, std)).outcome == "not kept"


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_every_output_is_judged(wrong: int) -> None:
    second = normal(2, outputs=5)
    second[:, :, wrong] += 10
    found = judged(normal(1, outputs=5), second)
    assert found.outcome == "not kept"
    assert all(reason.startswith(f"y{wrong}: ") for reason in found.reasons)
    assert found.mean_difference.shape == (100, 5)
    right = (wrong + 1) % 5
    assert judged(normal(1, outputs=5), second, output=right).outcome == "kept"
    assert judged(normal(1, outputs=5), second, output=wrong).outcome == "not kept"


@pytest.mark.parametrize("factor", [0.93, 1.07])
def test_spreads_a_little_off_need_a_larger_budget(factor: float) -> None:
    assert judged(normal(1), widened(normal(2), factor)).outcome == "undecided"
    assert judged(normal(1, 200, 400), widened(normal(2, 200, 400), factor)).outcome == "not kept"


def test_trifles_are_kept_however_well_they_are_seen() -> None:
    second = widened(normal(2, 200, 1000), 1.02) + 2 * 0.05
    found = judged(normal(1, 200, 1000), second)
    assert found.outcome == "kept"
    # what the tests beside the verdict see is an objection in words
    assert found.uniformity_pvalue is not None
    assert found.uniformity_pvalue < 0.01
    assert "An objection, which does not decide: KS tests over rows find more difference" in found.summary()


@pytest.mark.parametrize(("samples", "rows"), [(100, 5), (5, 100), (5, 5), (3, 8), (20, 10)])
def test_a_budget_too_small_is_undecided_and_says_what_would_do(samples: int, rows: int) -> None:
    found = judged(normal(1, samples, rows), normal(2, samples, rows))
    assert found.outcome == "undecided"
    assert found.needed is not None
    more_rows, more_samples = found.needed
    assert more_rows >= rows
    assert more_samples >= samples
    assert more_rows * more_samples > 1.1 * rows * samples
    assert judged(normal(3, more_samples, more_rows), normal(4, more_samples, more_rows)).outcome == "kept"
    assert f"{more_rows} rows with {more_samples} samples each would probably decide" in found.summary()


def test_sides_may_have_different_numbers_of_samples() -> None:
    rng = np.random.default_rng(0)
    found = judged(rng.exponential(size=(60, 200)), rng.exponential(size=(400, 200)))
    assert found.outcome == "kept", found.summary()
    assert found.settings["samples"] == [60, 400]
    # a bias of unequal sizes would show here: 0.03 in the logarithm of the ratio without its correction
    assert abs(math.log(found.pooled_spread_ratio)) < 0.03


def test_rows_that_may_be_off_do_not_decide() -> None:
    first, second = normal(1, 400), normal(2, 400)
    assert judged(first, off(second, 0.02, 5.0)).outcome == "kept"
    assert judged(first, off(second, 0.03, 5.0)).outcome == "not kept"
    assert judged(first, off(second, 0.03, 5.0), margins=Margins(rows=0.95)).outcome == "kept"


def test_margins_are_arguments() -> None:
    first, second = normal(1), normal(2) + 2 * 0.3
    assert judged(first, second).outcome == "not kept"
    assert judged(first, second, margins=Margins(offset=0.5, row_offset=1.5)).outcome == "kept"
    narrow = widened(normal(2), 0.85)
    assert judged(first, narrow, margins=Margins(spread=0.3, row_spread=2)).outcome == "kept"
    noise = 2 * 0.3 * np.random.default_rng(9).normal(size=first.shape)
    assert paired(first, first + noise).outcome == "not kept"
    assert paired(first, first + noise, margins=Margins(paired=0.5)).outcome == "kept"


# -- control -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [0.0, 3.0])
def test_a_failing_control_leaves_it_undecided_with_the_reason(fault: float) -> None:
    found = compare(made(normal(1), 1), made(normal(2) + fault, 2), control=made(normal(3) + 2, 3))
    assert found.outcome == "undecided"
    assert found.needed is None
    assert found.control is not None
    assert found.control.outcome == "not kept"
    assert found.reasons[0].startswith("the control, a second classical prediction, is not kept: the mean offset")
    assert found.reasons[0] in found.summary()


def test_a_control_that_is_undecided_changes_nothing() -> None:
    few = made(normal(3)[:5], 3)
    assert compare(made(normal(1), 1), made(normal(2), 2), control=few).outcome == "kept"
    assert compare(made(normal(1), 1), made(normal(2) + 3, 2), control=few).outcome == "not kept"


def test_pairs_stay_kept_whatever_the_control_says() -> None:
    first, bad = made(normal(1), 1), made(normal(3) + 2, 3)
    assert compare(first, made(normal(1), 1), control=bad).outcome == "kept"
    assert compare(first, made(normal(1) + 3, 1), control=bad).outcome == "undecided"


# -- shared masks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [2, 3, 100])
@pytest.mark.parametrize("rows", [1, 5, 100])
@pytest.mark.parametrize("scope", ["row", "pass"])
@pytest.mark.parametrize("task", [Task.REGRESSION, Task.CLASSIFICATION])
def test_equal_samples_are_always_kept(samples: int, rows: int, scope: str, task: Task) -> None:
    values = np.random.default_rng(0).dirichlet(np.ones(4), size=(samples, rows))
    first, second = (made(values, 1, scope, task) for _ in range(2))
    found = compare(first, second)
    assert found.outcome == "kept"
    assert found.paired_rmse is not None
    assert np.all(found.paired_rmse == 0)


def test_pairs_are_judged_by_their_errors() -> None:
    first = normal(1)
    noise = 2 * np.random.default_rng(9).normal(size=first.shape)
    found = paired(first, first + 0.1 * noise)
    assert found.outcome == "kept"
    assert found.paired_rmse is not None
    by_hand = np.sqrt(((0.1 * noise) ** 2).mean(0)) / np.sqrt(
        (first.var(0, ddof=1) + (first + 0.1 * noise).var(0, ddof=1)) / 2
    )
    np.testing.assert_allclose(found.paired_rmse, by_hand[:, 0], rtol=1e-4)
    assert (found.ks_statistic, found.ks_pvalues, found.ks_pvalues_randomised) == (None, None, None)
    assert (found.uniformity_pvalue, found.rejections, found.tied_rows) == (None, None, None)
    assert "judged in pairs" in found.note
    assert paired(first, first + 0.3 * noise).outcome == "not kept"
    # of independent masks the same errors are too small to be seen
    assert judged(first, normal(2) + 0.3 * noise).outcome != "not kept"


def functions(seed: int, samples: int, rows: int, shared: float = 1.0) -> Floats:
    """One value a sample for all rows, and a share of each row's own."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(samples, 1)), rng.normal(size=(samples, rows))
    return math.sqrt(shared) * common + math.sqrt(1 - shared) * own


def test_rows_that_share_their_masks_are_no_independent_evidence() -> None:
    # 100 rows hold no more than one; 100 samples of a single row cannot show 0.1 std
    found = compare(made(functions(1, 100, 100), 1, "pass"), made(functions(2, 100, 100), 2, "pass"))
    assert found.outcome == "undecided"
    assert found.needed is not None
    assert found.needed[0] == 100  # more rows would not help
    assert found.needed[1] > 1000
    enough = [made(functions(seed, 4000, 20, 0.9), seed, "pass") for seed in (1, 2)]
    assert compare(*enough).outcome == "kept"


def test_rows_that_share_their_masks_are_not_kept_when_they_differ() -> None:
    first, second = functions(1, 400, 50, 0.9), functions(2, 400, 50, 0.9)
    for other in (second + 0.5, 0.5 * second):
        assert compare(made(first, 1, "pass"), made(other, 2, "pass")).outcome == "not kept"


def test_exchanges_of_whole_samples_stand_in_for_uniformity_there() -> None:
    pvalues = []
    for seed in range(40):
        sides = [made(functions(2 * seed + side, 30, 20, 0.9), side + 1, "pass") for side in (0, 1)]
        found = compare(*sides, seed=seed)
        assert found.uniformity_pvalue is not None
        pvalues.append(found.uniformity_pvalue)
    # uniform: 40 of them lie below 0.1 in at most 11 cases but for one seed in 1000
    assert sum(p <= 0.1 for p in pvalues) <= 11
    assert max(pvalues) > 0.5
    far = compare(made(functions(1, 30, 20, 0.9), 1, "pass"), made(functions(2, 30, 20, 0.9) + 2, 2, "pass"))
    assert far.uniformity_pvalue == 0.005
    assert "whole samples are exchanged" in far.note


# -- ties, atoms, constant rows ----------------------------------------------------------------------------


def test_a_network_that_gives_one_number_in_every_sample_is_kept() -> None:
    flat = np.broadcast_to(np.arange(60.0)[:, None], (50, 60, 1))
    found = judged(flat, flat + 1e-6)
    assert found.outcome == "kept", found.summary()
    assert found.degenerate_rows == 60
    assert "nan" not in found.summary()
    assert "inf" not in found.summary()
    assert judged(flat, flat + 1.0).outcome == "not kept"


def test_a_sharpened_classifier_that_never_doubts_is_kept() -> None:
    sure = np.broadcast_to(np.eye(3)[np.arange(50) % 3], (40, 50, 3))
    sides = [made(sure, seed, task=Task.CLASSIFICATION) for seed in (1, 2, 3)]
    found = compare(sides[0], sides[1], control=sides[2])
    assert found.outcome == "kept"
    assert "nan" not in found.summary()
    other = np.broadcast_to(np.eye(3)[(np.arange(50) + 1) % 3], (40, 50, 3))
    assert compare(sides[0], made(other, 2, task=Task.CLASSIFICATION)).outcome == "not kept"


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("known", [False, True])
def test_differences_below_the_tolerance_are_none(size: float, known: bool) -> None:
    # spreads of 0.0004 and offsets of 0.0008 of the spread over rows (or of the noise), which is 1 here
    rng = np.random.default_rng(3)
    means = np.zeros((101, 1)) if known else np.linspace(-1, 1, 101)[:, None] * math.sqrt(3)
    first, second = (means + 4e-4 * rng.normal(size=(100, 101, 1)) for _ in range(2))
    noise = torch.tensor([size]) if known else None
    sides = [replace(made(size * x, s), noise_std=noise) for x, s in ((first, 1), (second + 8e-4, 2))]
    assert compare(*sides).outcome == "kept", compare(*sides).summary()
    assert compare(*sides, margins=Margins(tolerance=1e-5)).outcome == "not kept"
    assert compare(sides[0], replace(sides[1], samples=sides[1].samples + 0.01 * size)).outcome == "not kept"


@pytest.mark.parametrize("drop", [0.0005, 0.005, 0.02, 0.1])
def test_atoms_are_never_called_not_kept(drop: float) -> None:
    # a layer of 50 in which mostly nothing is dropped: most samples are one and the same number
    weights = np.random.default_rng(0).normal(size=(100, 50))

    def prediction(seed: int) -> Predictive:
        dropped = np.random.default_rng(seed).random((100, 100, 50)) < drop
        return made(np.where(dropped, 0.0, weights).sum(-1), seed)

    outcomes = {compare(prediction(2 * i), prediction(2 * i + 1)).outcome for i in range(10)}
    assert Outcome.NOT_KEPT not in outcomes


@pytest.mark.parametrize("samples", [3, 5, 20])
@pytest.mark.parametrize("shape", ["three values", "normal"])
def test_few_samples_never_call_one_distribution_not_kept(samples: int, shape: str) -> None:
    rng = np.random.default_rng(8)
    outcomes = {
        judged(*(SHAPES[shape](rng, (samples, rows)) for _ in range(2))).outcome
        for rows in (5, 20, 100, 500)
        for _ in range(5)
    }
    assert outcomes <= {Outcome.UNDECIDED, Outcome.KEPT}


# -- classes -----------------------------------------------------------------------------------------------


def votes(seed: int, classes: int = 4, *, sure: float = 1.0, shift: float = 0.0) -> Floats:
    """Softmax of normal logits about a mean of each row's own."""
    means = 2 * np.random.default_rng(0).normal(size=(100, classes))
    logits = means + np.random.default_rng(seed).normal(size=(100, 100, classes))
    logits[..., 0] += shift
    exp = np.exp(sure * (logits - logits.max(-1, keepdims=True)))
    return exp / exp.sum(-1, keepdims=True)


def classes(first: Floats, second: Floats, **options) -> Equivalence:
    return compare(made(first, 1, task=Task.CLASSIFICATION), made(second, 2, task=Task.CLASSIFICATION), **options)


@pytest.mark.parametrize("count", [2, 4, 10])
def test_one_distribution_of_classes_is_kept(count: int) -> None:
    found = classes(votes(1, count), votes(2, count))
    assert found.outcome == "kept", found.summary()
    assert found.settings["output"] == "class probabilities"
    assert found.mean_difference.shape == (100,)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("sure", [0.75, 1.35])
def test_a_network_too_sure_or_too_doubtful_is_not_kept(count: int, sure: float) -> None:
    found = classes(votes(1, count), votes(2, count, sure=sure))
    assert found.outcome == "not kept"


def test_a_class_favoured_everywhere_is_not_kept_and_named() -> None:
    found = classes(votes(1), votes(2, shift=0.8))
    assert found.outcome == "not kept"
    assert any(reason.startswith("class y0: the mean offset") for reason in found.reasons)


def test_the_classes_that_are_not_the_favourite_count() -> None:
    rng = np.random.default_rng(1)

    def beside(order: slice) -> Floats:
        favourite = 0.5 + 0.05 * rng.normal(size=(100, 100, 1)).clip(-3, 3)
        rest = rng.dirichlet([5.0, 0.5, 0.5], size=(100, 100))[..., order]
        return np.concatenate([favourite, (1 - favourite) * rest], -1)

    first, second = beside(slice(None)), beside(slice(None, None, -1))
    assert classes(first, second).outcome == "not kept"
    assert classes(first, second, output=0).outcome == "kept"
    assert classes(first, second, output=1).outcome == "not kept"


def test_the_choice_among_equal_classes_favours_no_side() -> None:
    # the reference's own favourite among ten equal classes would lie 0.2 standard deviations above
    rng = np.random.default_rng(2)
    found = classes(*(rng.dirichlet(np.full(10, 3.0), size=(50, 1000)) for _ in range(2)))
    assert found.outcome == "kept"
    doubt = next(f for f in found.findings if f.about == "doubt in the favourite class")
    assert doubt.estimate == pytest.approx(0, abs=0.02)  # 4 standard errors


# -- what is reported --------------------------------------------------------------------------------------


def by_hand(columns: list[list[float]], seed: int) -> Predictive:
    return made(np.array(columns).T, seed)


def test_effect_sizes_by_hand() -> None:
    # reference: mean 2, std 1; candidate: mean 4, std 2; sorted distances 1, 2, 3
    found = compare(by_hand([[1, 2, 3]], 0), by_hand([[6, 2, 4]], 1))
    unit = math.sqrt((1 + 4) / 2)
    np.testing.assert_allclose(found.mean_difference, [2 / unit], rtol=1e-5)
    np.testing.assert_allclose(found.std_ratio, [2])
    np.testing.assert_allclose(found.wasserstein, [2 / unit], rtol=1e-5)
    assert found.ks_statistic is not None
    np.testing.assert_allclose(found.ks_statistic, [2 / 3])
    assert found.outcome == "undecided"  # a single row of three samples shows nothing


def test_pooled_effects_are_those_that_were_put_in() -> None:
    found = judged(normal(1, 400, 400), widened(normal(2, 400, 400), 1.5) + 2 * 0.8)
    assert found.pooled_spread_ratio == pytest.approx(1.5, abs=0.02)
    assert found.pooled_mean_difference == pytest.approx(0.8 / math.sqrt((1 + 1.5**2) / 2), abs=0.02)
    half = judged(normal(1, 400, 400), widened(normal(2, 400, 400), 0.25))
    assert half.pooled_spread_ratio == pytest.approx(0.25, abs=0.01)
    far = judged(normal(1, 400, 400), normal(2, 400, 400) + 2 * 5)
    assert far.pooled_mean_difference == pytest.approx(5, abs=0.1)


def test_the_outcome_does_not_depend_on_the_unit() -> None:
    first, second = normal(1, rows=30), off(normal(2, rows=30), 0.2, 0.6)
    found, scaled = judged(first, second), judged(1024 * first, 1024 * second)
    assert found.outcome == scaled.outcome
    for name in ("mean_difference", "std_ratio", "wasserstein", "ks_pvalues"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(found, name), rtol=1e-9)
    for a, b in zip(found.findings, scaled.findings, strict=True):
        assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), rel=1e-9)


def test_sides_may_change_places() -> None:
    first, second = normal(1), off(widened(normal(2), 1.1), 0.1, 0.7)
    one, other = judged(first, second), judged(second, first)
    assert one.outcome == other.outcome
    assert one.pooled_mean_difference == pytest.approx(-other.pooled_mean_difference)
    assert one.pooled_spread_ratio == pytest.approx(1 / other.pooled_spread_ratio)


def test_the_order_of_rows_and_samples_decides_nothing() -> None:
    rng = np.random.default_rng(4)
    first, second = normal(1, rows=40), off(normal(2, rows=40), 0.1, 0.8)
    rows, samples = rng.permutation(40), rng.permutation(100)
    found, moved = judged(first, second), judged(first[:, rows], second[samples][:, rows])
    assert found.outcome == moved.outcome
    for a, b in zip(found.findings, moved.findings, strict=True):
        assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), rel=1e-9)


def test_the_seed_moves_what_decides_nothing() -> None:
    one, two = (judged(normal(1), normal(2), seed=seed).to_dict() for seed in (0, 1))
    moved = {key for key in one if one[key] != two[key]}
    assert moved == {"ks_pvalues_randomised", "uniformity_pvalue", "settings", "summary"}


def test_rejected_rows_are_an_objection() -> None:
    found = judged(normal(1, 400), off(normal(2, 400), 0.01, 5.0))
    assert found.outcome == "kept"
    assert found.rejections == 1
    assert found.objections == ("KS tests reject 1 rows at 0.05 after Holm's adjustment",)
    assert found.objections[0] in found.summary()


def test_rows_with_ties_are_counted() -> None:
    first, second = normal(1).round(), normal(2).round()
    second[:, 0] += 0.25  # no value of row 0 occurs on both sides
    found = judged(first, second)
    assert found.tied_rows == 99
    assert "On 99 rows a value occurs on both sides" in found.note


def test_uniformity_over_several_outputs_takes_their_number_into_account() -> None:
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(40):
        first, second = rng.normal(size=(2, 30, 30, 4))
        p = judged(first, second, seed=int(rng.integers(1000))).uniformity_pvalue
        assert p is not None
        below += p <= 0.1
    assert below <= 11  # binomial(40, 0.1), but for one seed in 1000


def test_to_dict_is_strict_json_with_every_setting() -> None:
    reference, candidate = normal(1, rows=4), normal(2, rows=4)
    reference[:, 0] = 0
    found = compare(
        made(reference, 1),
        made(candidate, 2),
        control=made(normal(3, rows=4), 3),
        margins=Margins(offset=0.2),
        alpha=0.01,
        seed=5,
    )
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["outcome"] == found.outcome
    assert values["std_ratio"][0] is None  # infinite
    assert values["uniformity_pvalue"] is None  # NaN
    assert values["paired_rmse"] is None  # absent
    assert (values["alpha"], values["rows"]) == (0.01, [0, 1, 2, 3])
    assert values["margins"]["offset"] == 0.2
    assert values["findings"][0]["rule"] == "mean offset"
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


def test_a_thousand_samples_cost_no_square() -> None:
    sides = [made(normal(seed, 1000, 400), seed) for seed in (1, 2)]
    compare(*sides)
    started = time.process_time()
    compare(*sides)
    # 0.15 s of one core; the square of the samples took 3 s
    assert time.process_time() - started < 1


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"alpha": 0.5}, r"alpha must lie in \(0, 0.5\); got 0.5"),
        ({"alpha": 0.0}, "got 0.0"),
        ({"output": 1}, r"output must lie in 0\.\.0, there are 1; got 1"),
        ({"output": -1}, "got -1"),
        ({"seed": -1}, "seed must be 0 or more; got -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        judged(normal(1, rows=5), normal(2, rows=5), **setting)


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        ({"offset": 0.0}, "the margin offset must be a positive number; got 0.0"),
        ({"paired": math.nan}, "the margin paired must be a positive number; got nan"),
        ({"spread": 1.0}, "spread must be below 1 .* got spread 1.0"),
        ({"rows": 1.1}, "rows at most 1; .* rows 1.1"),
        ({"row_spread": 1.0}, "row_spread is a factor and must be above 1; got 1.0"),
    ],
)
def test_a_margin_that_is_none_is_refused(margin: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Margins(**margin)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (made(normal(2, rows=4), 2), "reference has 5 rows, candidate 4"),
        (made(normal(2, samples=1, rows=5), 2), "reference has 100, candidate 1"),
        (
            Predictive(made(normal(2, rows=5), 2).samples, Draw(2, "row", torch.tensor([0, 1, 9, 8, 4]))),
            "2 of 5 row indices",
        ),
        (made(normal(2, rows=5, outputs=3), 2), "reference has 1 outputs, candidate 3"),
        (made(votes(2)[:, :5], 2, task=Task.CLASSIFICATION), "reference is a regression, candidate a classification"),
    ],
)
def test_sides_that_do_not_match_are_refused(candidate: Predictive, message: str) -> None:
    reference = made(normal(1, rows=5), 1)
    with pytest.raises(DataError, match=message):
        compare(reference, candidate)
    with pytest.raises(DataError, match=message.replace("candidate", "control")):
        compare(reference, made(normal(3, rows=5), 3), control=candidate)


def test_a_control_needs_its_own_seed() -> None:
    with pytest.raises(ConfigError, match="share seed 1"):
        compare(made(normal(1), 1), made(normal(2), 2), control=made(normal(1), 1))


def test_outputs_are_compared_by_one_order_of_names() -> None:
    reference, other = (made(normal(seed, outputs=2), seed) for seed in (1, 2))
    named = replace(reference, names=("a", "b"))
    assert compare(named, other).outcome is compare(reference, replace(other, names=("a", "b"))).outcome
    with pytest.raises(DataError, match=r"reference's outputs are a, b, candidate's b, a: give both one order"):
        compare(named, replace(other, names=("b", "a")))


@pytest.mark.parametrize("other", [{"samples": 50}, {"scope": "pass"}])
def test_masks_shared_in_part_are_refused(other: dict) -> None:
    scope = other.pop("scope", "row")
    with pytest.raises(ConfigError, match="share seed 1 and so part of their masks"):
        compare(made(normal(1), 1), made(normal(1, **other), 1, scope))


def test_a_constant_output_may_be_missed_by_what_numbers_in_steps_miss() -> None:
    torch.manual_seed(0)
    samples = torch.cat([torch.randn(60, 40, 1), torch.full((60, 40, 1), 0.1047)], 2)
    other = samples + torch.tensor([0.0, 1e-7])
    draw = Draw(0, "row", torch.arange(40))
    assert compare(Predictive(samples, draw), Predictive(other, draw)).outcome is Outcome.KEPT
    wrong = samples + torch.tensor([0.0, 1e-4])
    assert compare(Predictive(samples, draw), Predictive(wrong, draw)).outcome is Outcome.NOT_KEPT
    offset = samples + torch.tensor([1e6, 0.0]).double()  # what varies is held to its own size
    moved = offset + torch.tensor([0.5, 0.0])
    assert compare(Predictive(offset, draw), Predictive(moved, draw)).outcome is Outcome.NOT_KEPT


@pytest.mark.parametrize("size", [1e4, 1e6])
@pytest.mark.parametrize("judge", [judged, paired])
def test_a_row_far_away_does_not_hide_the_others(judge, size: float) -> None:
    far = np.where(np.arange(100) == 7, size, 0.0)[:, None]
    first, second = normal(1), normal(1 if judge is paired else 2)
    assert judge(first + far, second + far).outcome == "kept"
    assert judge(first + far, second + 2 + far).outcome == "not kept"


def test_rows_of_one_index_share_their_masks_and_are_no_independent_evidence() -> None:
    # 100 copies of a row: 100 samples of a single row cannot show 0.1 std
    once = torch.zeros(100, dtype=torch.int64)
    sides = [replace(made(functions(s, 100, 100), s), draw=Draw(s, "row", once)) for s in range(12)]
    found = [compare(*pair) for pair in zip(sides[::2], sides[1::2], strict=True)]
    assert {each.outcome for each in found} == {Outcome.UNDECIDED}
    assert "Rows of a sample share masks" in found[0].note


@pytest.mark.parametrize("many", [100, 1000])
def test_differences_spread_over_many_classes_are_seen(many: int) -> None:
    rng = np.random.default_rng(6)
    base = 0.5 * rng.normal(size=(20, many))

    def votes_of(spread: float) -> Floats:
        exp = np.exp(base + spread * rng.normal(size=(60, 20, many)))
        return exp / exp.sum(-1, keepdims=True)

    first = votes_of(1.0)
    assert classes(first, votes_of(1.0)).outcome != "not kept"
    assert classes(first, votes_of(0.5)).outcome == "not kept"
    elsewhere = np.concatenate([first, 0 * first], 2), np.concatenate([0 * first, first], 2)
    assert classes(*elsewhere).outcome == "not kept"


def test_of_the_side_with_more_samples_as_many_are_judged() -> None:
    found = judged(normal(1, 60), normal(2, 400))
    assert "Of the candidate's 400 samples 60 are judged" in found.note
    assert found.settings["samples"] == [60, 400]
    few = judged(normal(1, 60), normal(2, 400)[np.arange(60) * 400 // 60])
    np.testing.assert_allclose(found.mean_difference, few.mean_difference, rtol=1e-6)


@pytest.mark.parametrize("size", [1e100, 1e160, 1e-100, 1e-200])
def test_samples_whose_powers_are_no_numbers_are_refused(size: float) -> None:
    rows = Draw(1, "row", torch.arange(100)), Draw(2, "row", torch.arange(100))
    sides = [Predictive(size * torch.from_numpy(normal(d.seed)), d) for d in rows]
    with pytest.raises(DataError, match="give them in another unit"):
        compare(*sides)


def test_probabilities_beside_logits_are_named() -> None:
    torch.manual_seed(0)
    logits, draw = 3 * torch.randn(60, 40, 3), Draw(0, "row", torch.arange(40))
    found = compare(Predictive(logits.softmax(2), draw), Predictive(logits, draw))
    assert found.outcome is Outcome.NOT_KEPT
    assert "predict both with task='classification'" in found.reasons[-1]


def test_sides_of_another_noise_are_refused() -> None:
    samples, draw = torch.randn(60, 40, 1), Draw(0, "row", torch.arange(40))
    one, two = (Predictive(samples, draw, noise_std=torch.tensor([std])) for std in (1.0, 2.0))
    with pytest.raises(DataError, match=r"noise of observations differs, 1 and 2 on average"):
        compare(one, two)
    assert compare(one, Predictive(samples, draw)).outcome is Outcome.KEPT
