"""Plots: what is drawn stands where the numbers are, on the axes that were given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import spikebayes as sb
from spikebayes.plot.style import MOST_POINTS


def prediction(seed: int, shift: float = 0.0, rows: int = 100, samples: int = 100, outputs: int = 1) -> sb.Predictive:
    drawn = torch.randn(samples, rows, outputs, generator=torch.Generator().manual_seed(seed)) + shift
    return sb.Predictive(drawn, sb.Draw(seed, "row", torch.arange(rows)), noise_std=torch.ones(outputs))


def axes() -> Axes:
    return Figure().add_subplot()


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def points(ax: Axes, label: str) -> np.ndarray:
    """``[P, 2]``, where the dots of a label stand."""
    return next(np.asarray(c.get_offsets()) for c in ax.collections if c.get_label() == label)


def test_every_plot_is_found_under_its_name() -> None:
    assert {name for name in sb.plot.__all__ if not callable(getattr(sb.plot, name))} == set()


def test_effects_stand_at_their_share_of_the_margin() -> None:
    margins = sb.Margins(offset=0.2, spread=0.1)
    verdict = sb.compare(prediction(0), prediction(1, 0.1), control=prediction(2), margins=margins)
    ax = sb.plot.effects(verdict, axes=axes())
    x, y = points(ax, "the spiking network").T
    spread = np.log(verdict.pooled_spread_ratio)
    expected = [verdict.pooled_mean_difference / 0.2, spread / (np.log(1.1) if spread > 0 else -np.log(0.9))]
    np.testing.assert_allclose(x, [*expected, (1 - verdict.share_within) / 0.02], atol=1e-12)
    assert expected[0] == pytest.approx(0.5, abs=0.1)
    assert y.tolist() == [0, 1, 2]
    assert verdict.control is not None
    beside = points(ax, "the control")
    assert beside[0, 0] == pytest.approx(verdict.control.pooled_mean_difference / 0.2)
    assert labels(ax) == ["counts as no difference", "the spiking network", "the control"]


def test_effects_far_beyond_are_arrows_at_the_edge() -> None:
    verdict = sb.compare(prediction(0), prediction(1, -5.0))
    ax = sb.plot.effects(verdict, axes=axes())
    assert 0.0 not in points(ax, "the spiking network")[:, 1]  # the offset is too far to be a dot
    assert [-4.0, 0.0] in [place for c in ax.collections for place in np.asarray(c.get_offsets()).tolist()]
    assert ax.get_yticklabels()[0].get_text().startswith("mean offset\n−5")


def test_of_several_outputs_the_one_that_is_furthest_off_is_drawn() -> None:
    off = prediction(1, outputs=2)
    off.samples[..., 1] += 0.08
    verdict = sb.compare(prediction(0, outputs=2), off)
    ax = sb.plot.effects(verdict, axes=axes())
    assert points(ax, "the spiking network")[0, 0] == pytest.approx(verdict.pooled_mean_difference / 0.1)
    assert "y1" in ax.get_yticklabels()[0].get_text()


def test_predicted_against_observed_counts_all_rows_and_draws_some() -> None:
    rows = 5000
    p = replace(prediction(0, rows=rows, samples=2), noise_std=torch.full((1,), 1e3))
    target = torch.zeros(rows)
    target[:1250] = 1e6
    ax = sb.plot.predicted(p, target, axes=axes())
    assert labels(ax)[:2] == ["in the 90% interval: 3750 of 5000", "outside it: 1250 of 5000"]
    inside, outside = (points(ax, label) for label in labels(ax)[:2])
    assert len(inside) + len(outside) == MOST_POINTS
    assert set(outside[:, 0]) == {1e6}
    shown = np.unique(np.linspace(0, rows - 1, MOST_POINTS).round().astype(int))
    np.testing.assert_allclose(np.sort(np.concatenate([inside, outside])[:, 1]), np.sort(p.mean[shown, 0]), rtol=1e-6)


def test_intervals_of_many_rows_are_thinned_by_their_order() -> None:
    p = prediction(0, rows=3000, samples=5)
    x, y = points(sb.plot.intervals(p, axes=axes()), "mean").T
    assert len(x) == MOST_POINTS
    np.testing.assert_array_equal(y, p.mean[:, 0].sort().values[x.astype(int)])


def test_what_has_no_intervals_is_refused() -> None:
    p = torch.full((2, 3, 2), 0.5)
    classes = sb.Predictive(p, sb.Draw(0, "row", torch.arange(3)), sb.Task.CLASSIFICATION)
    with pytest.raises(sb.ConfigError, match="for regression"):
        sb.plot.predicted(classes, torch.zeros(3, dtype=torch.long), axes=axes())
    with pytest.raises(sb.DataError, match="target must be"):
        sb.plot.predicted(prediction(0), torch.zeros(3), axes=axes())
