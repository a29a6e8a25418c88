"""Weights of rows count in the loss as copies of rows do, and in what chooses the network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from problems import network, plane, quick_fit, rings
from spikebayes.errors import DataError
from spikebayes.prediction.task import Task
from spikebayes.training.fit import fit
from spikebayes.training.learner import Learner, Recipe
from spikebayes.training.weighting import check_weights


@pytest.mark.parametrize("task", list(Task))
def test_a_row_of_weight_3_counts_as_three_rows(task: Task) -> None:
    regression = task is Task.REGRESSION
    x, y = plane(8) if regression else rings(8)
    recipe = Recipe(task, "adam", 1e-3, 0, "constant", None, "float32")
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
