"""Coverage by group and risk by coverage, by hand and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from spikebayes.errors import DataError
from spikebayes.evaluate import coverage_by_group, risk_area, risk_coverage_curve
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task


def ladder() -> tuple[Predictive, torch.Tensor]:
    """Ten rows of noise 1 to 10 about 0, in an odd order, and targets of which the unsure ones lie outside."""
    noise = torch.tensor([3.0, 1, 10, 2, 9, 4, 8, 5, 7, 6])[:, None]
    p = Predictive(torch.zeros(2, 10, 1), Draw(0, "row", torch.arange(10)), noise_std=noise)
    return p, torch.where(noise > 6, 2 * noise, torch.zeros(1))


def test_rows_are_grouped_by_their_std() -> None:
    p, y = ladder()
    table = coverage_by_group(p, y)
    assert table["output"].tolist() == ["y"] * 5
    assert table["rows"].tolist() == [2] * 5
    assert table["coverage"].tolist() == [1, 1, 1, 0, 0]
    z = stats.norm.ppf(0.95)
    np.testing.assert_allclose(table["width"], 2 * z * np.array([1.5, 3.5, 5.5, 7.5, 9.5]), rtol=1e-4)
    exact = stats.binomtest(2, 2).proportion_ci(0.95)
    assert (table["lowest"][0], table["highest"][0]) == pytest.approx((exact.low, exact.high))
    assert table["lowest"][4] == 0


def test_rows_are_grouped_by_a_column() -> None:
    p, y = ladder()
    table = coverage_by_group(p, y, ["b", "a"] * 5)
    assert table["group"].tolist() == ["a", "b"]
    outside = (y[:, 0] > 0).numpy()
    assert table["coverage"].tolist() == pytest.approx([1 - outside[1::2].mean(), 1 - outside[::2].mean()])
    with pytest.raises(DataError, match=r"groups must be \[10\]"):
        coverage_by_group(p, y, ["a"])


def test_sets_of_classes_are_grouped_by_entropy() -> None:
    probabilities = torch.tensor([[0.95, 0.05], [0.5, 0.5], [0.93, 0.07], [0.6, 0.4]])
    p = Predictive(probabilities[None], Draw(0, "row", torch.arange(4)), Task.CLASSIFICATION)
    table = coverage_by_group(p, torch.tensor([1, 0, 0, 1]), bins=2)
    assert table["coverage"].tolist() == [0.5, 1]
    assert table["width"].tolist() == [1, 2]
    assert "output" not in table


def test_each_output_has_its_lines() -> None:
    p = Predictive(torch.zeros(2, 6, 2), Draw(0, "row", torch.arange(6)), noise_std=torch.ones(2), names=("u", "v"))
    y = torch.tensor([[0.0, 9.0]]).repeat(6, 1)
    table = coverage_by_group(p, y, bins=3)
    assert table["output"].tolist() == ["u"] * 3 + ["v"] * 3
    assert table["coverage"].tolist() == [1] * 3 + [0] * 3


def test_the_area_under_the_curve_is_the_risk_area() -> None:
    rng = np.random.default_rng(0)
    confidence, wrong = rng.random(50), rng.integers(0, 2, 50)
    curve = risk_coverage_curve(confidence, wrong)
    assert len(curve) == 50
    assert curve["risk"].mean() == pytest.approx(risk_area(confidence, wrong))
    assert curve["risk"].iloc[-1] == pytest.approx(wrong.mean())
    losses = risk_coverage_curve([2.0, 1.0], [0.5, 1.5])
    assert losses["risk"].tolist() == [0.5, 1.0]
