"""The simplest rivals: what they predict in closed form, and where classes are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from spikebayes.evaluate.baselines import boosted_trees, linear_model
from spikebayes.prediction.task import Task

MAKE = torch.Generator().manual_seed(0)
X, NEW = torch.randn(200, 3, generator=MAKE), torch.randn(20, 3, generator=MAKE)


def test_the_linear_model_finds_lines_in_inputs_of_any_unit() -> None:
    x, new = X * torch.tensor([1e4, 1.0, 1e-3]) + 7, NEW * torch.tensor([1e4, 1.0, 1e-3]) + 7
    weights = torch.tensor([[1e-4, 0.0], [2.0, 5.0], [0.0, 1e3]])
    found = linear_model(x, x @ weights, new, Task.REGRESSION)
    np.testing.assert_allclose(found, new @ weights, atol=0.01)
    one = linear_model(x, (x @ weights)[:, :1], new, Task.REGRESSION)
    assert one.shape == (20, 1)


def test_rows_of_weight_0_do_not_count() -> None:
    y = X @ torch.ones(3, 1)
    spoiled, weights = torch.cat([y[:100], y[100:] + 50]), torch.cat([torch.ones(100), torch.zeros(100)])
    for rival in (linear_model, boosted_trees):
        found = rival(X, spoiled, NEW, Task.REGRESSION, weights)
        assert abs(float((found - (NEW @ torch.ones(3, 1)).numpy()).mean())) < 1


def test_trees_are_those_of_scikit_learn_output_by_output() -> None:
    y = torch.stack([X[:, 0].square(), X[:, 1]], 1)
    found = boosted_trees(X, y, NEW, Task.REGRESSION)
    for c in range(2):
        by_hand = HistGradientBoostingRegressor(random_state=0).fit(X.double().numpy(), y[:, c].double().numpy())
        np.testing.assert_array_equal(found[:, c], by_hand.predict(NEW.double().numpy()))


def test_a_class_without_training_rows_has_probability_0() -> None:
    y = torch.where(X[:, 0] > 0, 2, 0)
    for rival in (linear_model, boosted_trees):
        found = rival(X, y, NEW, Task.CLASSIFICATION)
        np.testing.assert_allclose(found.sum(1), 1)
        assert (found[:, 1] == 0).all()
        assert ((found.argmax(1) == 2) == (NEW[:, 0] > 0).numpy()).mean() > 0.8


@pytest.mark.parametrize("rows", [9_000, 10_001])
@pytest.mark.parametrize("alone", [2, 0])
def test_a_class_of_one_row_spoils_no_trees(rows: int, alone: int) -> None:
    """It did, and from 10,001 rows on ended in a ValueError of scikit-learn's, which holds out some of each class."""
    low, high = (c for c in range(3) if c != alone)
    x, new = torch.arange(float(rows))[:, None], torch.tensor([[0.1 * rows], [0.9 * rows]])
    y = torch.where(x[:, 0] > rows / 2, high, low)
    y[0] = alone
    found = boosted_trees(x, y, new, Task.CLASSIFICATION, torch.ones(rows))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(1), 1)
    assert found.argmax(1).tolist() == [low, high]
    assert (found[:, alone] == 0).all()
    few = boosted_trees(x, (x[:, 0] == 0).long(), new, Task.CLASSIFICATION)  # nothing else to tell apart
    assert few.shape == (2, 2)
