"""Weights of rows count in the loss as copies of rows do, and in what chooses the network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from problems import network, plane, quick_fit, rings
from spikebayes.errors import DataError
from spikebayes.prediction.task import Task
from spikebayes.training.calibration_rows import SHARE, set_apart
from spikebayes.training.ensemble import fit_ensemble
from spikebayes.training.fit import fit
from spikebayes.training.learner import Learner
from spikebayes.training.recipe import Recipe
from spikebayes.training.weighting import check_weights

TRAINING: dict[str, Any] = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.0, "patience": 1}


@pytest.mark.parametrize("task", list(Task))
def test_a_row_of_weight_3_counts_as_three_rows(task: Task) -> None:
    regression = task is Task.REGRESSION
    x, y = plane(8) if regression else rings(8)
    recipe = Recipe(task=task, **TRAINING)
    learner = Learner(nn.Linear(2, 1 if regression else 3), recipe, 1)
    copies = torch.tensor([3, 1, 0, 1, 2, 1, 0, 0])
    rows = torch.arange(8).repeat_interleave(copies)
    weighed = learner._loss(x, y, check_weights(copies, 8, "training"))
    torch.testing.assert_close(weighed, learner._loss(x[rows], y[rows]))
    torch.testing.assert_close(learner._loss(x, y, torch.ones(8)), learner._loss(x, y))


def test_the_validation_loss_is_weighted() -> None:
    x, y = plane(60)
    counts = torch.arange(12.0)
    fitted = quick_fit(network(), x, y, validation=(x[48:], y[48:], counts), epochs=3, error=None)
    plain = quick_fit(network(), x, y, validation=(x[48:], y[48:]), epochs=3, error=None)
    alike = quick_fit(network(), x, y, validation=(x[48:], y[48:], torch.full((12,), 7.0)), epochs=3, error=None)
    assert alike.history["validation_loss"] == pytest.approx(plain.history["validation_loss"], rel=1e-5)
    assert fitted.history["validation_loss"] != pytest.approx(plain.history["validation_loss"], rel=1e-3)


def test_weights_of_rows_that_calibrate_do_not_change_the_validation_loss() -> None:
    x, y = plane(100)
    _, apart = set_apart((torch.arange(40),), SHARE)
    assert apart is not None
    counts = torch.ones(40)
    counts[apart[0]] = 100
    given: dict[str, Any] = {"epochs": 3, "error": None}
    plain, weighed = (
        fit(network(), x[40:], y[40:], validation=(x[:40], y[:40], *more), **given) for more in ([], [counts])
    )
    assert weighed.history["validation_loss"] == pytest.approx(plain.history["validation_loss"], rel=1e-5)


def test_an_ensemble_is_not_calibrated_by_rows_of_weight_0() -> None:
    x, y = plane(100)
    spoilt, counts = y[:40].clone(), torch.ones(40)
    spoilt[::2], counts[::2] = 1e6, 0
    given: dict[str, Any] = {"members": 2, "samples": 20, "epochs": 3, "error": None}
    left, whole = (
        fit_ensemble(network, x[40:], y[40:], validation=held, **given)
        for held in ((x[1:40:2], y[1:40:2]), (x[:40], spoilt, counts))
    )
    intervals = [torch.stack(e.predict(x[:5], samples=20).interval(0.8)) for e in (left, whole)]
    torch.testing.assert_close(*intervals)


def test_likelihoods_that_choose_the_weights_are_float32_under_bfloat16() -> None:
    """They had 8 bits of precision, so that epochs which differ had the same loss."""
    x, y = rings(100)
    recipe = Recipe(task=Task.CLASSIFICATION, precision="bfloat16", **TRAINING)
    learner = Learner(nn.Linear(2, 3), recipe, 1)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            output = learner.model(x)
        learner.validation_step((x, y), 0)
    total, rows = learner._sums["val_loss"]
    assert float(total / rows) == pytest.approx(float(nn.functional.cross_entropy(output.float(), y)), rel=1e-5)


@pytest.mark.slow
def test_rows_without_weight_teach_nothing() -> None:
    x, y = plane(200)
    spoilt = y.clone()
    spoilt[:80] += 5
    weights = torch.ones(160)
    weights[:80] = 0
    good = quick_fit(network(), x, spoilt, weights=weights, epochs=40, error=None)
    bad = quick_fit(network(), x, spoilt, epochs=40, error=None)
    off = [float((f.predict(x[160:], samples=50).mean - y[160:]).mean()) for f in (good, bad)]
    assert abs(off[0]) < 0.5
    assert off[1] > 1


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (torch.ones(95), r"one finite number per row, \[96\]; got a tensor"),
        (torch.full((96,), float("nan")), "one finite number per row"),
        (torch.ones(96) - 2, "must be 0 or more, and not all 0; the least is -1"),
        (torch.zeros(96), "not all 0"),
        (["a"] * 96, "training weights must be numbers"),
    ],
)
def test_weights_that_are_none(weights: Any, says: str) -> None:
    x, y = plane(120)
    with pytest.raises(DataError, match=says):
        quick_fit(network(), x, y, weights=weights)


def test_rows_of_weight_0_are_as_if_they_were_not_there() -> None:
    x, y = plane(120)
    there = torch.arange(120) % 5 > 0
    spoilt, far = y.clone(), x.clone()
    spoilt[~there], far[~there] = 1e4, 1e3  # which would set scaling, noise and intervals
    train, held = slice(0, 80), slice(80, 120)
    left = fit(
        network(),
        far[train],
        spoilt[train],
        weights=2.0 * there[train],
        validation=(far[held], spoilt[held], there[held]),
        epochs=3,
        error=None,
    )
    removed = fit(
        network(),
        x[train][there[train]],
        y[train][there[train]],
        validation=(x[held][there[held]], y[held][there[held]]),
        epochs=3,
        error=None,
    )
    assert torch.equal(left.scaling.x_std, removed.scaling.x_std)
    assert left.history["training_rows"] == removed.history["training_rows"]
    assert left.noise_std is not None
    assert removed.noise_std is not None
    assert torch.allclose(left.noise_std, removed.noise_std, rtol=1e-3)
