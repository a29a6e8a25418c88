"""Scores: small tables by hand, third parties on random predictions, and what must not matter.

Random predictions have fixed seeds. Hypothesis draws few distinct values, so ties, zeros and ones are common.
"""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scoringrules
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate import class_scores as s
from spikebayes.evaluate import row_scores as by_row
from spikebayes.evaluate.bootstrap import bootstrap
from spikebayes.evaluate.scores import scores
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task

TINY = torch.finfo(torch.float32).tiny

# confidences 0.9, 0.6, 0.8, 1; the second and the fourth row are wrong
TABLE = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [1.0, 0.0]], dtype=torch.float64)
TARGET = torch.tensor([0, 1, 1, 1])

POINTS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6)  # confidence * 4, wrong


def random_classes(rows: int = 500, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Calibrated by nothing: probabilities of normal logits, targets that follow them in part."""
    make = torch.Generator().manual_seed(seed)
    p = torch.softmax(2 * torch.randn(rows, classes, generator=make, dtype=torch.float64), -1)
    return p, torch.multinomial((p + 0.2) / (p + 0.2).sum(-1, keepdim=True), 1, generator=make)[:, 0]


def predictive(samples: Tensor, task: Task = Task.REGRESSION, noise: Tensor | None = None) -> Predictive:
    return Predictive(samples, Draw(0, "row", torch.arange(samples.shape[1])), task, noise)


def arrays(points: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, wrong = zip(*points, strict=True)
    return np.array(confidence) / 4, np.array(wrong, dtype=np.float64)


# -- classes, by hand --------------------------------------------------------------------------------------


def test_class_scores_by_hand() -> None:
    assert s.error_rate(TABLE, TARGET) == 0.5
    # squares: 2 * 0.1^2, 2 * 0.6^2, 2 * 0.2^2, 2 * 1
    assert s.brier(TABLE, TARGET) == pytest.approx((0.02 + 0.72 + 0.08 + 2) / 4)
    by_hand = -(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(TINY)) / 4
    assert s.negative_log_likelihood(TABLE, TARGET) == pytest.approx(by_hand)
    # every row in a bin of its own: 0.1 + 0.6 + 0.2 + 1
    assert s.calibration_error(TABLE, TARGET) == pytest.approx(1.9 / 4)
    # two bins, one of them empty: 3.3 promised, 2 right
    assert s.calibration_error(TABLE, TARGET, bins=2) == pytest.approx(1.3 / 4)
    # by confidence: wrong, right, right, wrong
    assert s.risk_coverage_area(TABLE, TARGET) == pytest.approx((1 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    # at best right, right, wrong, wrong
    assert s.excess_risk_coverage_area(TABLE, TARGET) == pytest.approx((1 + 1 / 2) / 4)


def test_another_confidence_ranks_the_rows() -> None:
    confidence = torch.tensor([5.0, -1.0, 7.0, -2.0])  # right rows first
    assert s.risk_coverage_area(TABLE, TARGET, confidence) == pytest.approx((1 / 3 + 2 / 4) / 4)
    assert s.excess_risk_coverage_area(TABLE, TARGET, confidence) == 0


def test_ties_count_as_the_mean_over_their_orders() -> None:
    confidence, wrong = np.array([1, 1, 1, 0, 0]), np.array([1, 0, 0, 1, 0])
    orders = [
        np.mean(np.cumsum([*first, *second]) / np.arange(1, 6))
        for first in itertools.permutations(wrong[:3])
        for second in itertools.permutations(wrong[3:])
    ]
    assert len({round(area, 9) for area in orders}) > 1
    assert by_row.risk_area(confidence, wrong) == pytest.approx(np.mean(orders))


def test_single_samples_err_more_often_than_their_mean() -> None:
    # targets 0: errors of the samples 0 of 2, 1 of 2, 1 of 2; their mean is right on both
    samples = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.4, 0.6], [0.9, 0.1]], [[0.9, 0.1], [0.4, 0.6]]])
    target = torch.tensor([0, 0])
    assert s.single_sample_error(samples, target) == pytest.approx(1 / 3)
    assert s.error_rate(samples.mean(0), target) == 0


def test_out_of_distribution_by_hand() -> None:
    # pairs (outside above inside): 1 > 0, 1 = 1, 2 > 0, 2 > 1
    assert by_row.out_of_distribution_auroc([0, 1], [1, 2]) == 3.5 / 4
    assert by_row.out_of_distribution_auroc(torch.ones(3), torch.ones(5)) == 0.5


# -- classes, by third parties -----------------------------------------------------------------------------


def test_class_scores_are_those_of_third_parties() -> None:
    p, y = random_classes()
    assert s.error_rate(p, y) == pytest.approx(1 - multiclass_accuracy(p, y, 4, average="micro").item(), abs=1e-6)
    assert s.negative_log_likelihood(p, y) == pytest.approx(metrics.log_loss(y, p))
    one_hot = torch.nn.functional.one_hot(y, 4)
    assert s.brier(p, y) == pytest.approx(4 * metrics.mean_squared_error(one_hot, p))
    for bins in (1, 7, 15):
        theirs = multiclass_calibration_error(p, y, 4, n_bins=bins).item()
        assert s.calibration_error(p, y, bins=bins) == pytest.approx(theirs)


def test_torchmetrics_puts_certain_rows_in_a_bin_of_their_own() -> None:
    """Why the calibration error is ours: in one bin 0.95 + 1 promised and 1 right, in two 0.05 + 1."""
    p, y = torch.tensor([[0.95, 0.05], [1.0, 0.0]], dtype=torch.float64), torch.tensor([0, 1])
    assert s.calibration_error(p, y, bins=10) == pytest.approx(0.95 / 2)
    assert multiclass_calibration_error(p, y, 2, n_bins=10).item() == pytest.approx(1.05 / 2)


def test_risk_coverage_is_the_mean_over_thresholds() -> None:
    p, y = random_classes(60)
    order = np.argsort(-p.max(-1).values.numpy())
    wrong = (p.argmax(-1) != y).numpy()[order]
    risks = [metrics.zero_one_loss(np.zeros(k), wrong[:k]) for k in range(1, 61)]
    assert s.risk_coverage_area(p, y) == pytest.approx(np.mean(risks))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_out_of_distribution_is_the_roc_area(inside: list[int], outside: list[int]) -> None:
    labels = [0] * len(inside) + [1] * len(outside)
    assert by_row.out_of_distribution_auroc(inside, outside) == pytest.approx(
        metrics.roc_auc_score(labels, inside + outside)
    )


def test_losses_are_those_of_predictive() -> None:
    samples = torch.stack([random_classes(50, 3, seed)[0].float() for seed in range(5)])
    samples[:, 0] = torch.tensor([0.0, 1.0, 0.0])  # the target below has probability 0
    side, y = predictive(samples, Task.CLASSIFICATION), torch.zeros(50, dtype=torch.int64)
    np.testing.assert_allclose(s.class_rows(side.mean, y).log_loss, -side.log_likelihood(y).numpy(), rtol=1e-12)


# -- classes, what must not matter -------------------------------------------------------------------------


@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(points: list[tuple[int, bool]], random: Any) -> None:
    shuffled = random.sample(points, len(points))
    for score in (by_row.binned_gap, by_row.risk_area, by_row.excess_risk_area):
        assert score(*arrays(shuffled)) == pytest.approx(score(*arrays(points)), abs=1e-12)


@given(POINTS, st.integers(1, 20))
def test_every_row_counts_in_one_bin(points: list[tuple[int, bool]], bins: int) -> None:
    confidence, wrong = arrays(points)
    last = [
        (confidence >= b / bins) & ((confidence < (b + 1) / bins) | ((b == bins - 1) & (confidence == 1)))
        for b in range(bins)
    ]
    by_hand = sum(abs((1 - wrong[rows]).sum() - confidence[rows].sum()) for rows in last) / len(points)
    assert by_row.binned_gap(confidence, wrong, bins=bins) == pytest.approx(by_hand, abs=1e-12)


@given(POINTS)
def test_risk_area_lies_between_the_best_and_the_worst_order(points: list[tuple[int, bool]]) -> None:
    confidence, wrong = arrays(points)
    area, best, worst = (by_row.risk_area(c, wrong) for c in (confidence, -wrong, wrong))
    assert best - 1e-12 <= area <= worst + 1e-12
    assert by_row.risk_area(np.zeros(len(points)), wrong) == pytest.approx(wrong.mean())
    assert by_row.excess_risk_area(confidence, wrong) == pytest.approx(area - best, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_confidences_of_0_and_1_count(confidence: float) -> None:
    assert by_row.binned_gap([confidence] * 2, [confidence] * 2) == 1  # always right at 0, always wrong at 1
    assert by_row.binned_gap([confidence] * 2, [1 - confidence] * 2) == 0


def test_a_sum_rounded_above_1_is_a_confidence_of_1() -> None:
    p = torch.tensor([[1.0000001, 0.0]])
    assert s.class_rows(p, torch.tensor([0])).confidence == 1
    assert s.calibration_error(p, torch.tensor([0])) == 0


@pytest.mark.parametrize(
    "score", [by_row.binned_gap, by_row.risk_area, by_row.excess_risk_area, by_row.out_of_distribution_auroc]
)
def test_scores_along_an_axis_are_those_of_each_lane(score: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    confidence, wrong = rng.integers(0, 5, (2, 3, 7)) / 4, rng.integers(0, 2, (2, 3, 7))
    lanes = [[score(confidence[i, j], wrong[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(score(confidence, wrong), lanes)
    np.testing.assert_allclose(score(np.moveaxis(confidence, -1, 0), np.moveaxis(wrong, -1, 0), axis=0), lanes)


# -- values ------------------------------------------------------------------------------------------------


def test_value_scores_by_hand() -> None:
    prediction, target = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([[1.0, 3.0], [4.0, 3.0]])
    np.testing.assert_allclose(by_row.rmse(prediction, target), [math.sqrt(2), 3])
    np.testing.assert_allclose(by_row.r_squared(prediction, target), [1 - 4 / 4.5, math.nan])  # constant targets
    np.testing.assert_allclose(by_row.coverage(prediction, prediction + 2, target), [1, 0])  # both ends count
    # distances 1, 1, 3 of samples 1, 3, 5 to 2, pairs 2, 2, 4 apart: 5/3 - (8/3) / 2; with each its own pair 16/9
    samples = torch.tensor([5.0, 1.0, 3.0])[:, None, None]
    assert by_row.crps(samples, torch.tensor([2.0])) == pytest.approx(5 / 3 - 8 / 6)
    assert by_row.crps(samples, torch.tensor([2.0]), fair=False) == pytest.approx(5 / 3 - 16 / 18)


def test_r_squared_is_undefined_where_targets_are_equal_up_to_rounding() -> None:
    assert math.isnan(by_row.r_squared([0.2, 0.1, 0.1], [0.1, 0.1, 0.1]))  # their mean is not 0.1


def test_value_scores_are_those_of_third_parties() -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 50, 3))
    for output in range(3):
        ours = by_row.rmse(prediction, target)[output], by_row.r_squared(prediction, target)[output]
        pair = target[:, output], prediction[:, output]
        assert ours == pytest.approx((metrics.root_mean_squared_error(*pair), metrics.r2_score(*pair)))


@pytest.mark.parametrize(("fair", "estimator"), [(True, "fair"), (True, "pwm"), (False, "nrg"), (False, "qd")])
@pytest.mark.parametrize("samples", [2, 3, 50])
def test_crps_is_that_of_scoringrules(samples: int, fair: bool, estimator: str) -> None:
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(20, 2)), rng.normal(size=(samples, 20, 2)).round(1)  # rounded: some samples tie
    theirs = scoringrules.crps_ensemble(y, x, m_axis=0, estimator=estimator)
    ours = by_row.crps(torch.from_numpy(x), torch.from_numpy(y), fair=fair)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_fair_crps_does_not_reward_more_samples() -> None:
    """Samples and targets are standard normal, whose score is 1/sqrt(pi); the bias is 4 standard errors or more."""
    make = torch.Generator().manual_seed(0)
    y = torch.randn(20_000, 1, generator=make)
    for samples in (2, 5):
        x = torch.randn(samples, 20_000, 1, generator=make)
        fair, biased = (by_row.crps(x, y, fair=fair) for fair in (True, False))
        error = fair.std() / math.sqrt(len(y))
        assert abs(fair.mean() - 1 / math.sqrt(math.pi)) < 4 * error
        assert biased.mean() - 1 / math.sqrt(math.pi) > 4 * error


def test_crps_does_not_depend_on_the_origin() -> None:
    make = torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 9, (n, 20, 1), generator=make).double() for n in (300, 1))
    np.testing.assert_allclose(by_row.crps(x + 2.0**40, y[0] + 2.0**40), by_row.crps(x, y[0]), rtol=1e-12)


def test_one_sample_is_scored_by_its_distance() -> None:
    assert by_row.crps(torch.tensor([[[3.0]]]), torch.tensor([1.0]), fair=False) == 2


# -- the bootstrap -----------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    """At 10,000 resamples a percentile's own error is 2 % of the standard error; 10 % are allowed."""
    x = np.random.default_rng(0).normal(3, 2, 400)
    found = bootstrap(np.mean, x, level=0.9, resamples=10_000)
    assert found.value == x.mean()
    reach = 1.645 * x.std() / 20
    assert found.low == pytest.approx(x.mean() - reach, abs=0.1 * reach)
    assert found.high == pytest.approx(x.mean() + reach, abs=0.1 * reach)


def test_paired_rows_are_drawn_together() -> None:
    x = np.random.default_rng(0).normal(size=50)
    apart = bootstrap(by_row.rmse, x, x, paired=False)
    together = bootstrap(by_row.rmse, x, x)
    assert (together.low, together.high) == (0, 0)
    assert apart.low > 0.5


def test_the_seed_alone_decides_the_interval() -> None:
    x = np.random.default_rng(0).normal(size=50)
    one, again, other = (bootstrap(np.mean, x, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.value == other.value
    assert one.low != other.low


def test_the_level_and_the_resamples_are_those_asked_for() -> None:
    x, sizes = np.arange(10.0), []

    def spy(x: np.ndarray, axis: int) -> np.ndarray:
        sizes.append(x.size)
        return x.mean(axis)

    wide, narrow = (bootstrap(spy, x, level=level, resamples=77) for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert sizes == [770, 10] * 2


def test_ten_thousand_rows_fit_into_memory() -> None:
    rng = np.random.default_rng(0)
    confidence, wrong = rng.random(10_000), rng.integers(0, 2, 10_000)
    tracemalloc.start()
    for score in (by_row.binned_gap, by_row.risk_area, by_row.out_of_distribution_auroc):
        bootstrap(score, confidence, wrong, resamples=200)  # 2 million numbers each: two batches or more
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


# -- in one call -------------------------------------------------------------------------------------------


def test_scores_of_classes() -> None:
    side = predictive(TABLE.float()[None], Task.CLASSIFICATION)
    found = scores(side, TARGET)
    assert list(found.values()) == pytest.approx(
        [
            1 - s.error_rate(TABLE, TARGET),
            -float(side.log_likelihood(TARGET).mean()),
            s.brier(TABLE, TARGET),
            s.calibration_error(TABLE, TARGET),
            s.risk_coverage_area(TABLE, TARGET),
            float(side.sets(0.9).gather(1, TARGET[:, None]).double().mean()),
            float(side.sets(0.9).double().sum(1).mean()),
        ]
    )


def test_scores_of_values() -> None:
    make = torch.Generator().manual_seed(0)
    samples, y = torch.randn(30, 40, 2, generator=make), torch.randn(40, 2, generator=make)
    side = predictive(samples, noise=torch.tensor([0.5, 2.0]))
    found, inside = scores(side, y), by_row.coverage(*side.interval(0.9), y)
    for c in range(2):
        assert found[f"RMSE of y{c}"] == by_row.rmse(side.mean, y)[c]
        assert found[f"R² of y{c}"] == by_row.r_squared(side.mean, y)[c]
        assert found[f"CRPS without observation noise of y{c}"] == pytest.approx(by_row.crps(samples, y)[:, c].mean())
        assert found[f"Mean absolute error of y{c}"] == pytest.approx(float((side.mean - y)[:, c].abs().mean()))
        scale = np.full(30, [0.5, 2.0][c])
        by_library = [
            float(scoringrules.crps_mixnorm(float(y[b, c]), samples[:, b, c].double(), scale)) for b in range(40)
        ]
        assert found[f"CRPS of y{c}"] == pytest.approx(np.mean(by_library), rel=1e-9)
        assert found[f"Targets inside the 90% observation interval of y{c}"] == inside[c]
        lower, upper = side.interval(0.9)
        assert found[f"Mean width of the 90% observation interval of y{c}"] == pytest.approx(
            float((upper - lower)[:, c].mean())
        )
    assert found["Mean log-likelihood (nats)"] == float(side.log_likelihood(y).mean())
    assert len(found) == 15
    assert scores(side, y, 0.5)["Targets inside the 50% observation interval of y0"] == pytest.approx(
        by_row.coverage(*side.interval(0.5), y)[0]
    )


def test_the_crps_of_noise_told_by_each_sample_is_that_of_its_mixture() -> None:
    make = torch.Generator().manual_seed(1)
    samples, y = torch.randn(7, 5, 1, generator=make), torch.randn(5, 1, generator=make)
    noise = torch.rand(7, 5, 1, generator=make) + 0.1
    side = replace(predictive(samples), noise_samples=noise)
    by_library = [
        float(scoringrules.crps_mixnorm(float(y[b, 0]), samples[:, b, 0].double(), noise[:, b, 0].double()))
        for b in range(5)
    ]
    assert scores(side, y)["CRPS"] == pytest.approx(np.mean(by_library), rel=1e-6)


def test_scores_without_noise_or_from_one_sample_leave_out_what_is_unknown() -> None:
    samples, y = torch.arange(6.0).reshape(2, 3, 1), torch.ones(3)
    names = ["RMSE", "R²", "Mean absolute error", "CRPS without observation noise"]
    names += [f"{what} the 90% model interval" for what in ("Targets inside", "Mean width of")]
    assert list(scores(predictive(samples), y)) == names
    assert list(scores(predictive(samples[:1]), y)) == names[:3]  # no spread, so no interval either


# -- what is refused ---------------------------------------------------------------------------------------

NAN, PAIR = math.nan, torch.tensor([[0.5, 0.5]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.error_rate(PAIR[0], TARGET), r"class probabilities must be \[B, C\]; got \[2\]"),
        (lambda: s.single_sample_error(PAIR, TARGET), r"class probabilities must be \[S, B, C\]; got \[1, 2\]"),
        (lambda: s.brier(2 * PAIR, TARGET[:1]), "sum to 1; a sum is off by 1"),
        (lambda: s.brier(torch.tensor([[1.5, -0.5]]), TARGET[:1]), "must be 0 or more"),
        (lambda: s.brier(PAIR * NAN, TARGET[:1]), "class probabilities: 2 of 2 values are NaN or infinite"),
        (lambda: s.brier(PAIR[:0], TARGET[:0]), r"class probabilities must hold 1 row or more; got shape \[0, 2\]"),
        (lambda: s.brier(TABLE, TARGET[:3]), r"target must be \[4\] class indices; got \[3\]"),
        (lambda: s.brier(TABLE, TARGET * 2), r"whole, in 0\.\.1; got 0 to 2"),
        (lambda: s.brier(TABLE, TARGET - 1), r"whole, in 0\.\.1; got -1 to 0"),
        (lambda: s.brier(TABLE, TARGET / 2), r"whole, in 0\.\.1; got 0 to 0\.5"),
        (lambda: s.single_sample_error(TABLE[None], TARGET[:3]), r"target must be \[4\] class indices; got \[3\]"),
        (lambda: s.risk_coverage_area(TABLE, TARGET, torch.ones(3)), r"got confidence \[3\], wrong \[4\]"),
        (lambda: by_row.risk_area([NAN, 1], [0, 1]), "confidence: 1 of 2 values are NaN or infinite"),
        (lambda: by_row.risk_area([1, 1], [0, 0.5]), "wrong must be 1 where a prediction is wrong"),
        (lambda: by_row.binned_gap([1.5, 0], [0, 1]), r"confidence must lie in \[0, 1\]; got 0 to 1\.5"),
        (lambda: by_row.binned_gap([-0.5, 0], [0, 1]), r"confidence must lie in \[0, 1\]; got -0\.5 to 0"),
        (lambda: by_row.out_of_distribution_auroc([], [1]), r"inside must hold 1 row or more; got shape \[0\]"),
        (lambda: by_row.out_of_distribution_auroc([1], [NAN]), "outside: 1 of 1 values are NaN or infinite"),
        (lambda: by_row.out_of_distribution_auroc([[1]], [1]), r"may differ in rows only; got \[1, 1\] and \[1\]"),
        (lambda: by_row.rmse([1, 2], [1]), r"one shape is needed; got prediction \[2\], target \[1\]"),
        (lambda: by_row.crps(PAIR, TARGET), r"samples must be \[S, B, C\]; got \[1, 2\]"),
        (lambda: by_row.crps(torch.ones(2, 3, 1), torch.ones(2)), r"target must be \[3, 1\]; got \[2, 1\]"),
        (lambda: by_row.crps(torch.ones(2, 3, 2), torch.ones(3)), r"target must be \[3, 2\]; got \[3\]"),
        (lambda: scores(predictive(torch.ones(2, 3, 1)), torch.ones(2)), r"prediction \[3, 1\], target \[2, 1\]"),
        (lambda: bootstrap(np.mean), "arrays .* of at least 2 rows are needed; got none"),
        (lambda: bootstrap(np.mean, [1.0]), r"of at least 2 rows are needed; got \[1\]"),
        (
            lambda: bootstrap(np.mean, [[1.0, 2.0]]),
            r"arrays \[B\] of at least 2 rows are needed; got \[1, 2\]",
        ),
        (lambda: bootstrap(np.mean, [1.0, NAN]), "rows: 1 of 2 values are NaN or infinite"),
        (
            lambda: bootstrap(by_row.rmse, [1, 2], [1, 2, 3]),
            r"paired rows must be of one length; got \[2\], \[3\]",
        ),
        (lambda: bootstrap(by_row.r_squared, [1, 2], [1, 2]), "the statistic is NaN on some resamples"),
    ],
)
def test_data_that_do_not_fit_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s.calibration_error(TABLE, TARGET, bins=0), "bins must be a whole number, at least 1; got 0"),
        (lambda: by_row.crps(torch.ones(1, 1, 1), torch.ones(1)), "needs at least 2 samples; got 1: pass fair=False"),
        (lambda: bootstrap(np.mean, [1, 2], level=1), r"level must lie in \(0, 1\); got 1"),
        (lambda: bootstrap(np.mean, [1, 2], resamples=0), "resamples must be a whole number, at least 1; got 0"),
        (lambda: by_row.rmse([1, 2], [1, 2], axis=1), r"axis must lie in -1..0, axes of \[2\]; got 1"),
        (lambda: by_row.out_of_distribution_auroc([1], [2], axis=10**12), "axis must lie in -1..0"),
        (lambda: bootstrap(np.mean, [1, 2], seed=-1), "seed must be 0 or more; got -1"),
    ],
)
def test_settings_out_of_range_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()
