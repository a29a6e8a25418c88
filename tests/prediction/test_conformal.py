"""Calibrated intervals and sets: closed forms, other programs' numbers, and coverage by simulation."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.prediction.class_sets import class_scores
from spikebayes.prediction.conformal import Conformal, rank
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task


def values(mean: Tensor, std: Tensor) -> Predictive:
    """A prediction with such means, and no spread but a noise."""
    samples = mean[None].expand(2, *mean.shape)
    return Predictive(samples, Draw(0, "row", torch.arange(len(mean))), noise_std=std)


def classes(probabilities: Tensor) -> Predictive:
    draw = Draw(0, "row", torch.arange(len(probabilities)))
    return Predictive(probabilities[None], draw, Task.CLASSIFICATION)


def drawn(rows: int, seed: int) -> tuple[Predictive, Tensor]:
    """Rows of different noise, of which the prediction knows half the size, and what was observed."""
    rng = torch.Generator().manual_seed(seed)
    mean, std = torch.randn(rows, 1, generator=rng), 0.5 + torch.rand(rows, 1, generator=rng)
    return values(mean, std / 2), mean + std * torch.randn(rows, 1, generator=rng)


# -- intervals -----------------------------------------------------------------------------------------------


def test_an_interval_is_the_ranked_residual_times_the_rows_std() -> None:
    held_out = values(torch.zeros(9, 1), torch.full((9, 1), 2.0))
    known = held_out.calibrate(torch.tensor([2.0, -4, 6, -8, 10, -12, 14, -16, 18]))  # 1 to 9 std
    new = replace(values(torch.ones(2, 1), torch.tensor([[1.0], [10.0]])), conformal=known)
    lower, upper = new.interval(0.8)  # the 8th of 9
    assert lower[:, 0].tolist() == pytest.approx([-7, -79])
    assert upper[:, 0].tolist() == pytest.approx([9, 81])
    assert new.interval(0.9)[1][0].item() == pytest.approx(10)  # the 9th, which is the last
    assert torch.equal(new.lower, new.interval(0.9)[0])
    assert torch.equal(new.upper, new.interval(0.9)[1])
    # signed, in std: -8 -6 -4 -2 1 3 5 7 9
    assert new.quantile([0.1, 0.5, 0.8])[:, 0, 0].tolist() == pytest.approx([1 - 8, 1 + 1, 1 + 7])


@pytest.mark.parametrize(("rows", "coverage", "place"), [(9, 0.9, 9), (10, 0.9, 10), (99, 0.9, 90), (199, 0.95, 190)])
def test_the_rank_is_of_one_row_more(rows: int, coverage: float, place: int) -> None:
    assert rank(rows, coverage) == place


def test_too_few_rows_are_said_and_give_the_widest_interval() -> None:
    known = values(torch.zeros(8, 1), torch.ones(8, 1)).calibrate(torch.linspace(-0.1, 0.2, 8))
    new = replace(values(torch.zeros(1, 1), torch.ones(1, 1)), conformal=known)
    with pytest.warns(UserWarning, match=r"8 calibration rows guarantee a coverage of 0\.889 at most.*on 9 rows or"):
        ends = [end.item() for end in new.interval(0.9)]
    assert ends == pytest.approx(stats.norm.interval(0.9), rel=1e-6)  # wider than 0.2, the largest residual
    with pytest.warns(UserWarning, match="on 19 rows or more"):
        assert new.quantile(0.95).item() == pytest.approx(stats.norm.ppf(0.95), rel=1e-6)
    far = replace(new, conformal=values(torch.zeros(8, 1), torch.ones(8, 1)).calibrate(torch.full((8, 1), 9.0)))
    with pytest.warns(UserWarning, match="8 calibration rows"):
        assert far.interval(0.9)[1].item() == pytest.approx(9)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["scaled", "quantile"])
def test_calibrated_intervals_hold_what_they_say(method: str) -> None:
    """Coverage over calibration and new rows is k / (n + 1) exactly; 400 draws of 100 new rows, error 0.002."""
    covered, plain = [], []
    for seed in range(400):
        held_out, y = drawn(59, seed)
        known = held_out.calibrate(y, method, coverage=0.8)
        new, target = drawn(100, 10_000 + seed)
        for found, p in ((covered, replace(new, conformal=known)), (plain, new)):
            lower, upper = p.interval(0.8)
            found.append(float(((lower <= target) & (target <= upper)).double().mean()))
    # sd of one draw: of k of 60 (0.052) and of 100 rows (0.04); 4 sd of the mean are 0.013
    assert np.mean(covered) == pytest.approx(48 / 60, abs=0.013)
    assert np.mean(plain) < 0.6  # the std was half as large as it should be


@pytest.mark.slow
def test_calibrated_quantiles_hold_what_they_say() -> None:
    below = {0.1: [], 0.5: [], 0.9: []}
    for seed in range(400):
        held_out, y = drawn(59, seed)
        new, target = drawn(100, 10_000 + seed)
        p = replace(new, conformal=held_out.calibrate(y))
        for q, found in below.items():
            found.append(float((target <= p.quantile(q)).double().mean()))
    assert np.mean(below[0.1]) == pytest.approx(6 / 60, abs=0.013)
    assert np.mean(below[0.9]) == pytest.approx(54 / 60, abs=0.013)
    assert np.mean(below[0.5]) == pytest.approx(0.5, abs=0.016)


@pytest.mark.parametrize("method", ["scaled", "quantile"])
def test_rounding_shuts_out_no_observation_that_is_an_end(method: str) -> None:
    # one prediction for all rows, and observations of three values that float32 does not have
    rng = torch.Generator().manual_seed(3)
    for _ in range(20):
        samples = torch.randn(50, 1, 1, generator=rng)
        seen, new = (torch.randint(1, 4, (rows,), generator=rng).double() / 10 for rows in (200, 1000))
        held_out, other = (
            Predictive(samples.expand(50, len(y), 1), Draw(0, "row", torch.arange(len(y)))) for y in (seen, new)
        )
        other = replace(other, conformal=held_out.calibrate(seen, method))  # pyright: ignore[reportArgumentType]
        lower, upper = (end[:, 0].double() for end in other.interval(0.9))
        assert ((lower <= new) & (new <= upper)).all()  # two thirds before
        if method == "scaled":
            low, high = other.quantile([0.1, 0.9])[..., 0].double()
            assert not (new < low).any()
            assert (new <= high).all()


def test_rounding_shuts_out_no_observation_that_is_zero() -> None:
    """An end at 0 is a difference, off by the last places of what it is a difference of, not by its own."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        samples = 3 + torch.rand((), generator=rng) * torch.randn(5, 1, 1, generator=rng)
        p = Predictive(samples.expand(5, 20, 1), Draw(0, "row", torch.arange(20)))
        p = replace(p, conformal=p.calibrate(torch.zeros(20)))
        lower, upper = p.interval(0.9)
        low, high = p.quantile([0.1, 0.9])
        for below, above in ((lower, upper), (low, high)):
            assert (below <= 0).all()
            assert (above >= 0).all()


def test_quantiles_of_one_coverage_serve_no_other() -> None:
    p, y = drawn(50, 0)
    p = replace(p, conformal=p.calibrate(y, "quantile", coverage=0.8))
    with pytest.raises(ConfigError, match=r"calibrated at coverage 0\.8; 0\.9 was asked"):
        p.interval(0.9)


@pytest.mark.parametrize("method", ["scaled", "quantile"])
def test_a_calibration_serves_predictions_that_know_the_noise_as_its_own_did(method: str) -> None:
    rng = torch.Generator().manual_seed(0)
    samples, y = 0.1 * torch.randn(50, 99, 1, generator=rng), torch.randn(99, generator=rng)
    noisy = Predictive(samples, Draw(0, "row", torch.arange(99)), noise_std=torch.ones(1))
    plain = replace(noisy, noise_std=None)
    of_noisy, of_plain = (Conformal.from_dict(p.calibrate(y, method).to_dict()) for p in (noisy, plain))
    for known, fits, other, cure in (
        (of_noisy, noisy, plain, "too narrow: give noise_std here too"),
        (of_plain, plain, noisy, "or leave it out here too"),
    ):
        lower, upper = (end[:, 0] for end in replace(fits, conformal=known).interval(0.9))
        assert ((lower <= y) & (y <= upper)).sum() == 90
        refused = replace(other, conformal=known)
        for ask in (
            lambda p: p.interval(),
            lambda p: p.quantile(0.9),
            lambda p: p.outlier_pvalue,
            lambda p: p.abstain(0.5, tolerance=1.0),
            lambda p: p.to_pandas(),
        ):
            with pytest.raises(ConfigError, match=cure):
                ask(refused)
        stored = known.to_dict()
        del stored["settings"]["noise"]  # as files of before, which do not say
        replace(other, conformal=Conformal.from_dict(stored)).interval(0.9)


def test_every_output_has_its_own_residuals() -> None:
    held_out = values(torch.zeros(19, 2), torch.ones(19, 2))
    y = torch.linspace(-1, 1, 19)
    p = replace(held_out, conformal=held_out.calibrate(torch.stack([y, 10 * y], 1)))
    lower, upper = p.interval(0.9)
    torch.testing.assert_close(10 * (upper - lower)[:, 0], (upper - lower)[:, 1])


# -- sets ----------------------------------------------------------------------------------------------------


def test_a_set_grows_by_probability_until_the_ranked_score() -> None:
    held_out = classes(torch.tensor([[0.5, 0.3, 0.2]]).repeat(9, 1))
    known = held_out.calibrate(torch.tensor([0] * 5 + [1] * 3 + [2]))  # scores 0 (5), 0.5 (3), 0.8
    rows = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.9, 0.06, 0.04]])
    p = replace(classes(rows), conformal=known)
    assert p.sets(0.5).tolist() == [[True, False, False], [False, True, False], [True, False, False]]
    assert p.sets(0.8).tolist() == [[True, True, False], [False, True, False], [True, False, False]]
    assert p.sets(0.9).tolist() == [[True, True, True], [False, True, True], [True, False, False]]
    with pytest.warns(UserWarning, match="9 calibration rows"):
        assert p.sets(0.95).all()


def test_sets_of_favourites_that_are_right_often_enough_are_the_favourites() -> None:
    p = classes(torch.tensor([[0.6, 0.3, 0.1]]).repeat(99, 1))
    known = p.calibrate(torch.tensor([0] * 95 + [1] * 4))
    assert replace(p, conformal=known).sets(0.9).sum(1).tolist() == [1] * 99


def test_sets_of_runs_from_before_count_the_class_itself() -> None:
    p = classes(torch.tensor([[0.5, 0.3, 0.2]]).repeat(9, 1))
    known = p.calibrate(torch.tensor([0] * 5 + [1] * 3 + [2]))
    before = replace(
        known, scores=torch.tensor([[0.5]] * 5 + [[0.8]] * 3 + [[1.0]]), settings={"penalty": 0.0, "free": 1.0}
    )
    for coverage in (0.5, 0.8):
        assert torch.equal(*(replace(p, conformal=each).sets(coverage) for each in (known, before)))


def test_ranks_are_penalised() -> None:
    scores = class_scores(torch.tensor([[0.5, 0.3, 0.2]]), penalty=0.1, free=1)
    np.testing.assert_allclose(scores, [[0, 0.6, 1.0]])


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 0.05])
def test_sets_hold_the_true_class_as_often_as_they_say(penalty: float) -> None:
    """At least 0.9 on average over 300 draws, whose mean has a standard error below 0.003."""
    covered, size = [], []
    for seed in range(300):
        rng = torch.Generator().manual_seed(seed)
        truth = (2 * torch.randn(199, 5, generator=rng)).softmax(-1)
        y = torch.multinomial(truth, 1, generator=rng)[:, 0]
        told = (truth**2 / (truth**2).sum(-1, keepdim=True)).float()  # too sure
        known = classes(told[:99]).calibrate(y[:99], penalty=penalty, free=2)
        sets = replace(classes(told[99:]), conformal=known).sets(0.9)
        covered.append(float(sets.gather(1, y[99:, None]).double().mean()))
        size.append(float(sets.sum(1).double().mean()))
    assert 0.89 < np.mean(covered) < 0.95
    assert 1 < np.mean(size) < 4.5
    told = classes(told[99:])
    assert told.sets(0.9).gather(1, y[99:, None]).double().mean() < 0.89  # taken at its word


# -- decisions -----------------------------------------------------------------------------------------------


def sure_and_unsure(rows: int, seed: int) -> tuple[Predictive, Tensor]:
    """Two classes; the favourite's probability is what it says."""
    rng = torch.Generator().manual_seed(seed)
    sure = 0.5 + 0.5 * torch.rand(rows, generator=rng) ** 0.25
    y = (torch.rand(rows, generator=rng) > sure).long()
    return classes(torch.stack([sure, 1 - sure], 1)), y


@pytest.mark.slow
def test_answers_are_wrong_no_more_often_than_the_risk() -> None:
    """The risk of answers, which is known here, exceeds 9 % in at most 10 % of 300 draws (4 sd: 17 %)."""
    risks, answered = [], []
    reference, _ = sure_and_unsure(20_000, 999)
    for seed in range(300):
        held_out, y = sure_and_unsure(1000, seed)
        p = replace(reference, conformal=held_out.calibrate(y))
        answers = ~p.abstain(0.09, delta=0.1)
        risks.append(float((1 - reference.mean[:, 0])[answers].double().mean()))
        answered.append(float(answers.double().mean()))
    assert np.mean(np.array(risks) > 0.09) <= 0.17
    order = reference.mean[:, 0].sort(descending=True).values
    best = float(((1 - order).cumsum(0) / torch.arange(1, 20_001) <= 0.09).double().mean())
    assert 0.5 * best < np.mean(answered) < best


def test_values_are_answered_where_they_are_within_the_tolerance() -> None:
    held_out, y = drawn(2000, 1)
    new, target = drawn(5000, 2)
    p = replace(new, conformal=held_out.calibrate(y))
    answers = ~p.abstain(0.1, tolerance=1.5)
    wrong = ((p.mean - target).abs() > 1.5)[answers].double().mean()
    assert 0.3 < answers.double().mean() < 1
    assert 0.03 < wrong < 0.1
    assert new.std[answers].max() < new.std[~answers].min()  # by the rows' own std


def test_no_answer_is_given_where_none_is_safe() -> None:
    held_out, y = sure_and_unsure(50, 0)
    p = replace(held_out, conformal=held_out.calibrate(y))
    with pytest.warns(UserWarning, match="there is no answer at all.*on 104 rows or more"):
        assert p.abstain(0.05, delta=0.1).all()


def test_what_abstaining_needs_is_said() -> None:
    p, y = drawn(50, 0)
    with pytest.raises(ConfigError, match="needs calibration rows"):
        p.abstain(0.05, tolerance=1.0)
    p = replace(p, conformal=p.calibrate(y))
    with pytest.raises(ConfigError, match="say by tolerance"):
        p.abstain(0.05)
    with pytest.raises(ConfigError, match=r"risk and delta must lie in \(0, 1\)"):
        p.abstain(0.0, tolerance=1.0)
    q, labels = sure_and_unsure(50, 0)
    with pytest.raises(ConfigError, match="tolerance is for values"):
        replace(q, conformal=q.calibrate(labels)).abstain(0.05, tolerance=1.0)


def test_what_is_acquired_is_what_samples_disagree_on_most() -> None:
    spread = torch.tensor([1.0, 2.0, 4.0, 3.0])
    samples = torch.stack([-spread, spread])[..., None]  # std spread * sqrt 2
    noise = torch.tensor([[1.0], [1.0], [100.0], [1.0]])
    p = Predictive(samples, Draw(0, "row", torch.tensor([5, 6, 7, 8])), noise_std=noise)
    expected = 0.5 * np.log1p(2 * (spread / noise[:, 0]).double().numpy() ** 2)
    np.testing.assert_allclose(p.mutual_information, expected, rtol=1e-5)
    assert p.acquire(2).tolist() == [8, 6]  # not 7, where an observation says little
    assert replace(p, noise_std=None).acquire(2).tolist() == [7, 8]
    with pytest.raises(ConfigError, match=r"n must lie in 1\.\.4"):
        p.acquire(5)


def test_outlier_pvalues_are_uniform_for_rows_alike_and_small_for_others() -> None:
    rng = torch.Generator().manual_seed(0)

    def disagreeing(scale: float, rows: int) -> Predictive:
        samples = scale * torch.randn(20, rows, 1, generator=rng)
        return Predictive(samples, Draw(0, "row", torch.arange(rows)), noise_std=torch.ones(1))

    known = disagreeing(1, 999).calibrate(torch.zeros(999))
    alike = replace(disagreeing(1, 5000), conformal=known).outlier_pvalue
    assert stats.kstest(alike.numpy(), "uniform").statistic < 0.06  # of 999 rows: 0.043 in 1 of 20
    assert (replace(disagreeing(3, 500), conformal=known).outlier_pvalue < 0.01).double().mean() > 0.95
    assert alike.min() >= 1 / 1000


# -- storing -------------------------------------------------------------------------------------------------


def test_a_calibration_is_json_and_comes_back() -> None:
    p, y = drawn(30, 0)
    for method in ("scaled", "quantile"):
        known = p.calibrate(y, method)
        again = Conformal.from_dict(json.loads(json.dumps(known.to_dict())))
        assert repr(again) == repr(known) == f"Conformal({method}, 30 rows)"
        one, other = (replace(p, conformal=each) for each in (known, again))
        assert torch.equal(one.lower, other.lower)


@pytest.mark.parametrize(
    "changes",
    [{"scores": [[1.0]]}, {"scores": "x"}, {"information": [math.nan] * 30}, {"method": "other"}, {"settings": 3}],
)
def test_a_damaged_calibration_is_refused(changes: dict[str, object]) -> None:
    p, y = drawn(30, 0)
    with pytest.raises(StoreError, match="the stored calibration is damaged"):
        Conformal.from_dict(p.calibrate(y).to_dict() | changes)
    stored = p.calibrate(y).to_dict()
    del stored["errors"]
    with pytest.raises(StoreError, match="damaged: 'errors'"):
        Conformal.from_dict(stored)


def test_a_calibration_of_something_else_is_refused() -> None:
    p, y = drawn(30, 0)
    known = p.calibrate(y)
    with pytest.raises(DataError, match="does not fit"):
        replace(classes(torch.ones(2, 1)), conformal=known)
    with pytest.raises(DataError, match="does not fit"):
        replace(values(torch.zeros(3, 2), torch.ones(3, 2)), conformal=known)
    constant = Predictive(torch.zeros(2, 3, 1), Draw(0, "row", torch.arange(3)))
    with pytest.raises(DataError, match="standard deviation of 0"):
        constant.calibrate(torch.zeros(3))


# -- other programs ------------------------------------------------------------------------------------------


def test_intervals_are_those_of_crepes() -> None:
    crepes = pytest.importorskip("crepes")
    held_out, y = drawn(57, 3)
    new, _ = drawn(20, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = crepes.ConformalRegressor().fit((y - held_out.mean)[:, 0].numpy(), sigmas=held_out.std[:, 0].numpy())
        ends = theirs.predict_int(new.mean[:, 0].numpy(), sigmas=new.std[:, 0].numpy(), confidence=0.85)
    lower, upper = replace(new, conformal=held_out.calibrate(y)).interval(0.85)
    np.testing.assert_allclose(np.stack([lower[:, 0], upper[:, 0]], 1), ends, rtol=1e-5)


def test_scores_of_classes_are_those_of_mapie() -> None:
    scores = pytest.importorskip("mapie.conformity_scores")
    rng = torch.Generator().manual_seed(5)
    probabilities = torch.randn(40, 4, generator=rng).softmax(-1)
    y = torch.randint(0, 4, (40,), generator=rng)
    aps = scores.APSConformityScore()  # what its random numbers are taken from
    theirs, _ = aps.get_true_label_cumsum_proba(y.numpy(), probabilities.double().numpy(), np.arange(4))
    own = probabilities.gather(1, y[:, None])  # which theirs include
    np.testing.assert_allclose(classes(probabilities).calibrate(y).scores + own, theirs, atol=1e-6)
