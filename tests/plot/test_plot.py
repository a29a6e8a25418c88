"""Plots: what is drawn is what was given."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

import spikebayes as sb
from spikebayes import plot
from spikebayes.errors import ConfigError, DataError

ROWS = torch.arange(40)


def axes() -> Axes:
    return Figure().add_subplot()


def regression(calibrated: bool = False) -> tuple[sb.Predictive, torch.Tensor]:
    torch.manual_seed(0)
    p = sb.Predictive(torch.randn(200, 40, 2), sb.Draw(0, "row", ROWS), noise_std=torch.ones(2), names=("a", "b"))
    return p, torch.randn(40, 2) * 2**0.5


def classes() -> tuple[sb.Predictive, torch.Tensor]:
    torch.manual_seed(1)
    p = sb.Predictive(torch.randn(50, 40, 3).mul(2).softmax(-1), sb.Draw(0, "row", ROWS), sb.Task.CLASSIFICATION)
    return p, torch.randint(3, (40,))


def marked(ax: Axes, label: str) -> np.ndarray[Any, Any]:
    (found,) = [c for c in ax.collections if c.get_label() == label]
    return np.asarray(found.get_offsets())


def test_intervals_in_the_order_of_their_means() -> None:
    p, y = regression()
    ax = plot.intervals(p, y, output="b", coverage=0.8, axes=axes())
    means = marked(ax, "mean")
    assert (np.diff(means[:, 1]) >= 0).all()
    assert ax.get_ylabel() == "b"
    inside, outside = (len(marked(ax, f"observed, {where}")) for where in ("inside", "outside"))
    lower, upper = p.interval(0.8)
    assert (inside, outside) == (int(((lower <= y) & (y <= upper))[:, 1].sum()), 40 - inside)
    (lines,) = [c for c in ax.collections if c.get_label() == "80% interval"]
    order = p.mean[:, 1].argsort(stable=True)
    drawn = np.array([segment[:, 1] for segment in lines.get_segments()])  # pyright: ignore[reportAttributeAccessIssue]
    assert drawn == pytest.approx(torch.stack([lower[order, 1], upper[order, 1]], 1).numpy())


def test_reliability_of_values_is_their_coverage() -> None:
    p, y = regression()
    ax = plot.reliability(p, y, output=1, axes=axes())
    (line,) = [each for each in ax.lines if each.get_label() == "rows"]
    asked, share = (np.asarray(each) for each in line.get_data())
    at = int(np.argmin(abs(asked - 0.5)))
    lower, upper = p.interval(0.5)
    assert share[at] == pytest.approx(float(((lower <= y) & (y <= upper))[:, 1].double().mean()))
    assert (np.diff(share) >= 0).all()


def test_reliability_of_classes_is_accuracy_by_confidence() -> None:
    p, y = classes()
    dots = marked(plot.reliability(p, y, axes=axes()), "rows")
    confidence, best = p.mean.max(-1)
    for x, share in dots:
        here = (confidence >= np.floor(x * 10) / 10) & (confidence < np.floor(x * 10) / 10 + 0.1)
        assert x == pytest.approx(float(confidence[here].double().mean()), abs=1e-6)
        assert share == pytest.approx(float((best == y)[here].double().mean()))


@pytest.mark.parametrize("made", [regression, classes])
def test_all_rows_answered_have_the_whole_risk(made: Any) -> None:
    p, y = made()
    ax = plot.risk_coverage(p, y, axes=axes())
    step, whole = ax.lines
    share, risk = (np.asarray(each) for each in step.get_data())
    assert share[-1] == 1
    expected = (
        (p.mean[:, 0] - y[:, 0]).square().mean().sqrt() if y.ndim == 2 else (p.mean.argmax(-1) != y).double().mean()
    )
    assert risk[-1] == pytest.approx(float(expected))
    assert np.asarray(whole.get_ydata())[0] == pytest.approx(float(expected))


def test_a_raster_has_a_dot_for_each_spike_and_a_trace_ends_in_the_mean() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 20), sb.nn.SoftLIF(1e-3), sb.nn.Permadrop(0.2), nn.Linear(20, 2))
    x = torch.randn(2, 3)
    network = sb.convert(model, x)
    run = sb.simulate(network, x, samples=2, steps=80, burn_in=30, window=sb.Flat(), probe=["spikes", "trace"])
    (name,) = run.spikes
    ax = plot.raster(run, sample=1, row=1, axes=axes())
    dots = np.asarray(ax.collections[0].get_offsets())
    steps, neurons = np.nonzero(run.spikes[name][1, 1].numpy())
    assert dots == pytest.approx(np.stack([steps + 1.0, neurons], 1))
    ax = plot.trace(run, sample=1, row=0, output=1, burn_in=30, expected=0.5, axes=axes())
    (running,) = [line for line in ax.lines if line.get_label() == "running mean"]
    assert np.asarray(running.get_ydata())[-1] == pytest.approx(float(run.mean[1, 0, 1]), rel=1e-4)
    with pytest.raises(ConfigError, match="population must be one of 'layer1'; got 'layer2'"):
        plot.raster(run, "layer2")
    with pytest.raises(ConfigError, match="sample must be below 2 and row below 2; got 2 and 0"):
        plot.trace(run, sample=2)
    with pytest.raises(ConfigError, match="no spikes to draw: simulate with probe"):
        plot.raster(sb.simulate(network, x, steps=5))


def test_the_axis_of_time_is_the_runs_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 20), sb.nn.SoftLIF(1e-3), nn.Linear(20, 2))
    x = torch.randn(2, 3)
    run = sb.simulate(sb.convert(model, x, dt=5e-4), x, steps=80, probe=["spikes", "trace"])
    steps = np.nonzero(run.spikes["layer1"][0, 0].numpy())[0]
    dots = np.asarray(plot.raster(run, axes=axes()).collections[0].get_offsets())
    assert dots[:, 0] == pytest.approx((steps + 1) / 2)
    assert plot.raster(run, dt=1e-3, axes=axes()).get_xlim() == (0, 81)
    assert plot.trace(run, axes=axes()).get_xlim() == (0, pytest.approx(40))


def test_a_coded_network_has_no_running_mean() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 3)
    network = sb.convert(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)), x, code=sb.Digits(4, 3))
    run = sb.simulate(network, x[:1], probe=["trace"])
    lines = {line.get_label(): line for line in plot.trace(run, axes=axes()).lines}
    assert list(lines) == ["read-out"]
    assert np.asarray(lines["read-out"].get_ydata())[-1] == pytest.approx(run.mean.item())
    with pytest.raises(ConfigError, match="no average, and no burn-in; got 1"):
        plot.trace(run, burn_in=1, axes=axes())


def test_names_and_shares_are_drawn_as_they_are() -> None:
    p, name = regression()[0], "cost $\\frac$"  # no mathematics
    p = sb.Predictive(p.samples, p.draw, noise_std=p.noise_std, names=("a", name))
    drawn = [plot.intervals(p, output=name, coverage=0.995, axes=axes())]
    drawn += [each(p, torch.zeros(40, 2), output=name, axes=axes()) for each in (plot.predicted, plot.risk_coverage)]
    for ax in drawn:
        ax.get_figure().savefig(io.BytesIO(), format="svg")  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        assert name in ax.get_xlabel() + ax.get_ylabel()
    assert drawn[0].collections[0].get_label() == "99.5% interval"


def test_ks_histogram_counts_rows() -> None:
    p, _ = regression()
    torch.manual_seed(5)
    q = sb.Predictive(torch.randn(200, 40, 2), sb.Draw(1, "row", ROWS), names=("a", "b"))
    verdict = sb.compare(sb.Predictive(p.samples, p.draw, names=p.names), q)
    bars = plot.ks_histogram(verdict, axes=axes()).patches
    assert verdict.ks_pvalues_randomised is not None
    heights = [bar.get_height() for bar in bars if type(bar).__name__ == "Rectangle" and bar.get_width() < 0.5]  # pyright: ignore[reportAttributeAccessIssue]
    assert sum(heights) == verdict.ks_pvalues_randomised.size
    with pytest.raises(ConfigError, match="has no control"):
        plot.ks_histogram(verdict, control=True)


def test_a_frontier_is_what_nothing_beats() -> None:
    ax = plot.frontier([1, 2, 2, 4, 5], [3, 2, 5, 2, 1], list("abcde"), axes=axes())
    assert ax.lines[0].get_xydata().tolist() == [[1, 3], [2, 2], [5, 1]]  # pyright: ignore[reportAttributeAccessIssue]
    assert [text.get_text() for text in ax.texts] == list("abcde")
    with pytest.raises(ConfigError, match="must be positive"):
        plot.frontier([0, 1], [1, 1])
    with pytest.raises(DataError):
        plot.frontier([1, 2], [1])


def test_without_axes_pyplots_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "gca", axes)
    p, y = regression()
    assert isinstance(plot.intervals(p, y), Axes)
    with pytest.raises(
        ConfigError, match=r"axes must be matplotlib's Axes, as pyplot.subplots\(\) makes them; got 'ax'"
    ):
        plot.intervals(p, axes="ax")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="output must be one of a, b, or a number below 2; got 'c'"):
        plot.intervals(p, output="c")
