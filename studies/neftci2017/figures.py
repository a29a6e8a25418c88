"""The paper's figures 2 to 4, and the curves over worse weights, from what the study's JSON file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikebayes.app.report.svg import draw
from spikebayes.plot.style import CLASSICAL, GUIDE, SPIKING
from studies.neftci2017.learning import EVERY, PERCENTILES, SPREAD

WIDE = (7.2, 3.4)  # inches
POINTS = 500  # of a line at most, of evenly spaced ones: more weigh, and no screen shows them
NAMES = {"s2m": "S2M", "sigmoid": "sigmoid network"}
COLOURS = {"s2m": SPIKING, "sigmoid": CLASSICAL}
PAPER = {"s2m": 1.36, "sigmoid": 1.47}  # per cent, table I


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""
    training = {kind: found["training"][kind] for kind in NAMES}
    first = {kind: each[0] for kind, each in training.items()}
    return {
        "figure2": _inputs(first, found["settings"]["learning"]),
        "figure3": _errors(training),
        "figure4": _weights(first),
        "robustness": _robustness(found["robustness"]),
    }


def _inputs(training: dict[str, Any], sizes: dict[str, Any]) -> str:
    per_epoch = -(-sizes["images"] // sizes["batch_size"])
    every = -(-max(len(training[kind]["inputs"]) for kind in NAMES) // POINTS)

    def paint(figure: Figure) -> None:
        for axes, (kind, name) in zip(figure.subplots(1, 2), NAMES.items(), strict=True):
            lines = np.array(training[kind]["inputs"]).T
            epochs = np.arange(lines.shape[1]) * EVERY / per_epoch
            _band(axes, epochs[::every], lines[:, ::every], COLOURS[kind])
            axes.set_title(name)
            axes.set_xlabel("epoch")
        figure.axes[0].set_ylabel("input to the last hidden layer")

    levels = ", ".join(f"{p:g}th" for p in PERCENTILES)
    label = f"{levels} percentiles of the last hidden layer's inputs while training"
    return draw("figure2", label + (f", one probe in {every}" if every > 1 else ""), paint, WIDE)


def _errors(training: dict[str, Any]) -> str:
    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for kind, name in NAMES.items():
            for part, style, words in (("test_error", ":", "a sample"), ("average_error", "-", "average of 4")):
                for k, history in enumerate(training[kind]):
                    percent, label = 100 * np.array(history[part]), "" if k else f"{name}, {words}"
                    width = 0.4 if k else 1.0
                    axes.plot(
                        np.arange(1, len(percent) + 1), percent, style, color=COLOURS[kind], lw=width, label=label
                    )
            axes.axhline(PAPER[kind], color=COLOURS[kind], lw=0.8, ls=(0, (5, 2)))
        _percents(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel("test error (%)")
        axes.legend()

    return draw(
        "figure3", "Test error over epochs, the first training bold; dashed lines: the paper's table I", paint, WIDE
    )


def _weights(training: dict[str, Any]) -> str:
    def paint(figure: Figure) -> None:
        for axes, (kind, name) in zip(figure.subplots(1, 2, sharey=True), NAMES.items(), strict=True):
            lines = np.array(training[kind]["weights"]).T
            _band(axes, np.arange(1, lines.shape[1] + 1), lines, COLOURS[kind])
            axes.set_title(name)
            axes.set_xlabel("epoch")
        figure.axes[0].set_ylabel("weights, last hidden layer (first std)")

    levels = ", ".join(f"{p:g}" for p in SPREAD)
    return draw("figure4", f"Percentiles {levels} of the last hidden layer's weights while training", paint, WIDE)


def _robustness(found: dict[str, Any]) -> str:
    panels = (("bits", "bits per weight"), ("gains", "std of a row's log gain"), ("noise", "std of device noise"))

    def paint(figure: Figure) -> None:
        for axes, (change, label) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            for kind, name in NAMES.items():
                first = found[kind][0]
                mean = [100 * float(np.mean([one[k]["average"] for one in found[kind]])) for k in range(len(first))]
                x = [line["value"] for line in first if line["change"] == change]
                y = [m for line, m in zip(first, mean, strict=True) if line["change"] == change]
                intact = next(m for line, m in zip(first, mean, strict=True) if line["change"] == "none")
                if change != "bits":
                    x, y = [0.0, *x], [intact, *y]
                axes.plot(x, y, "-o", ms=3, color=COLOURS[kind], label=name)
                axes.axhline(intact, color=COLOURS[kind], lw=0.8, ls=(0, (5, 2)))
            if change == "bits":
                axes.set_xticks([line["value"] for line in found["s2m"][0] if line["change"] == "bits"])
                axes.invert_xaxis()
            _percents(axes)
            axes.set_xlabel(label)
        figure.axes[0].set_ylabel("test error (%)")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)

    return draw(
        "robustness",
        "Test error with imprecise weights, mean over trainings; dashed: with the trained ones",
        paint,
        WIDE,
    )


def _percents(axes: Axes) -> None:
    """A logarithmic axis of errors, labelled with plain numbers."""
    axes.set_yscale("log")
    ticks = [1, 1.5, 2, 3, 5, 10]
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_yticks([], minor=True)


def _band(axes: Axes, x: np.ndarray, lines: np.ndarray, colour: str) -> None:
    """Percentile lines, the middle one bold, the outer ones shaded between."""
    for k in range(len(lines) // 2):
        axes.fill_between(x, lines[k], lines[-1 - k], color=colour, alpha=0.15, lw=0)
    for k, line in enumerate(lines):
        axes.plot(x, line, color=colour, lw=1.8 if k == len(lines) // 2 else 0.7)
    axes.axhline(0, color=GUIDE, lw=0.6)
