"""Predictions beside what was observed: intervals, reliability, and the risk of answering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from spikebayes.evaluate.groups import risk_coverage_curve
from spikebayes.machine.arguments import checked
from spikebayes.plot.style import CLASSICAL, DASHED, GUIDE, INK, PLAIN, SPIKING, axes_or_new, chosen, percent, thinned
from spikebayes.prediction.predictive import COVERAGE, Predictive
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = np.linspace(0.05, 0.95, 19)  # coverages of a reliability plot
BINS = 10  # of confidences


@checked
def intervals(
    prediction: Predictive,
    target: Tensor | np.ndarray | None = None,
    *,
    coverage: float = COVERAGE,
    output: int | str = 0,
    axes: Axes | None = None,
) -> Axes:
    """Means and intervals of a new observation, row by row from the smallest mean to the largest.

    Of more than 1000 rows that many are drawn, evenly spaced.

    Args:
        prediction: of a regression, ``[S, B, C]``.
        target: ``[B, C]``, or ``[B]`` of one output: what was observed is drawn too.
        coverage: of the intervals.
        output: which of the C, by number or name.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: classes, which have no intervals, or no such output. DataError: a target that does not fit.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikebayes import Draw
        >>> p = Predictive(torch.randn(20, 5, 1), Draw(0, "row", torch.arange(5)), noise_std=torch.ones(1))
        >>> intervals(p, torch.zeros(5), axes=Figure().add_subplot()).get_ylabel()
        'y'
    """
    c = chosen(prediction.names, output)
    lower, upper = (end[:, c] for end in prediction.interval(coverage))
    order = prediction.mean[:, c].argsort(stable=True)
    place = torch.as_tensor(thinned(len(order)))
    order = order[place]
    ax = axes_or_new(axes)
    ax.vlines(
        place, lower[order], upper[order], color=SPIKING, lw=1.2, alpha=0.5, label=f"{percent(coverage)} interval"
    )
    ax.scatter(place, prediction.mean[order, c], s=14, color=SPIKING, label="mean", zorder=3)
    if target is not None:
        observed = prediction.observed(target)[order, c]
        inside = (lower[order] <= observed) & (observed <= upper[order])
        for where, marker, label in ((inside, "_", "observed, inside"), (~inside, "x", "observed, outside")):
            ax.scatter(place[where], observed[where], s=28, color=INK, marker=marker, label=label, zorder=4)
    ax.set_xlabel("rows, by their mean")
    ax.set_ylabel(prediction.names[c], **PLAIN)
    ax.legend(frameon=False)
    return ax


@checked
def predicted(
    prediction: Predictive,
    target: Tensor | np.ndarray,
    *,
    coverage: float = COVERAGE,
    output: int | str = 0,
    axes: Axes | None = None,
) -> Axes:
    """Means and intervals of a new observation against observed values: those crossing the line contain them.

    Of more than 1000 rows that many are drawn, evenly spaced; the legend counts all of them.

    Args:
        prediction: of a regression, ``[S, B, C]``.
        target: ``[B, C]``, or ``[B]`` of one output.
        coverage: of the intervals.
        output: which of the C, by number or name.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: classes, which have no intervals, or no such output. DataError: a target that does not fit.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from spikebayes import Draw
        >>> p = Predictive(torch.randn(20, 2, 1), Draw(0, "row", torch.arange(2)), noise_std=torch.ones(1))
        >>> predicted(p, torch.tensor([0.0, 99]), axes=Figure().add_subplot()).collections[1].get_label()
        'in the 90% interval: 1 of 2'
    """
    c = chosen(prediction.names, output)
    lower, upper = (end[:, c].double() for end in prediction.interval(coverage))
    observed, mean = prediction.observed(target)[:, c], prediction.mean[:, c]
    inside = (lower <= observed) & (observed <= upper)
    shown = torch.as_tensor(thinned(len(mean)))
    ax = axes_or_new(axes)
    sides = ((inside, SPIKING, "o", f"in the {percent(coverage)} interval"), (~inside, INK, "X", "outside it"))
    for where, colour, marker, label in sides:
        at = shown[where[shown]]
        ax.vlines(observed[at], lower[at], upper[at], color=colour, lw=1.1, alpha=0.6 if len(shown) <= 200 else 0.25)
        label = f"{label}: {int(where.sum())} of {len(where)}"
        ax.scatter(observed[at], mean[at], s=20, color=colour, marker=marker, lw=0, label=label, zorder=3)
    ends = [observed.min(), observed.max()]
    ax.plot(ends, ends, color=GUIDE, lw=1.2, ls=DASHED, label="observed = predicted", zorder=2)
    ax.set_xlabel(f"observed {prediction.names[c]}", **PLAIN)
    ax.set_ylabel("predicted")
    ax.legend(frameon=False)
    return ax


@checked
def reliability(
    prediction: Predictive, target: Tensor | np.ndarray, *, output: int | str = 0, axes: Axes | None = None
) -> Axes:
    """Whether stated probabilities are met.

    For values: the share of observations inside intervals, by the coverage asked for. For classes: how often the most
    probable class is right, by its probability, in ten bins; a dot's area is its bin's share of the rows.

    Args:
        prediction: ``[S, B, C]``.
        target: ``[B, C]`` values, or ``[B]`` of one output; ``[B]`` class indices.
        output: of values, which of the C, by number or name.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: no such output. DataError: a target that does not fit.
    """
    observed, ax = prediction.observed(target), axes_or_new(axes)
    ax.plot([0, 1], [0, 1], color=GUIDE, lw=1.2, ls=DASHED, label="as often as said")
    if prediction.task is Task.CLASSIFICATION:
        confidence, best = prediction.mean.max(-1)
        right = (best == observed).double().numpy()
        p = confidence.double().numpy()
        place = np.minimum((p * BINS).astype(int), BINS - 1)
        count = np.bincount(place, minlength=BINS)
        at = np.flatnonzero(count)
        x, y = (np.bincount(place, values, BINS)[at] / count[at] for values in (p, right))
        ax.scatter(x, y, s=20 + 150 * count[at] / len(p), color=SPIKING, label="rows", zorder=3, clip_on=False)
        ax.set(xlabel="probability of the predicted class", ylabel="share right")
    else:
        c = chosen(prediction.names, output)
        shares = []
        for level in LEVELS:
            lower, upper = (end[:, c] for end in prediction.interval(float(level)))
            shares.append(float(((lower <= observed[:, c]) & (observed[:, c] <= upper)).double().mean()))
        ax.plot(LEVELS, shares, color=SPIKING, marker="o", ms=4, label="rows")
        ax.set(xlabel="coverage asked", ylabel="share of observations inside")
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(frameon=False)
    return ax


@checked
def risk_coverage(
    prediction: Predictive, target: Tensor | np.ndarray, *, output: int | str = 0, axes: Axes | None = None
) -> Axes:
    """The risk of the answers, if only the most certain share of the rows is answered.

    The risk is the share of wrong classes, or the root mean square error of values; the most certain rows have the
    highest probability, or the smallest std.

    Args:
        prediction: ``[S, B, C]``.
        target: ``[B, C]`` values, or ``[B]`` of one output; ``[B]`` class indices.
        output: of values, which of the C, by number or name.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: no such output. DataError: a target that does not fit.

    Reference:
        El-Yaniv & Wiener 2010, On the foundations of noise-free selective classification.
    """
    observed, ax = prediction.observed(target), axes_or_new(axes)
    if prediction.task is Task.CLASSIFICATION:
        confidence, best = prediction.mean.max(-1)
        curve = risk_coverage_curve(confidence, (best != observed).double())
        risk, label = curve["risk"].to_numpy(), "share wrong"
    else:
        c = chosen(prediction.names, output)
        error = prediction.mean[:, c].double() - observed[:, c]
        curve = risk_coverage_curve(-prediction.std[:, c], error**2)
        risk, label = np.sqrt(curve["risk"].to_numpy()), f"root mean square error of {prediction.names[c]}"
    ax.step(curve["coverage"], risk, where="post", color=SPIKING, label="the most certain first")
    whole = float(risk[-1])
    ax.axhline(whole, color=CLASSICAL, lw=1.2, ls=DASHED, label="all rows")
    ax.set(xlabel="share of rows answered", xlim=(0, 1))
    ax.set_ylabel(label, **PLAIN)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    return ax
