"""The study's picture: error against what is wrong with a chip."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from spikebayes.app.report.svg import draw
from studies.chips.page import LIMIT

SIZE = (8.0, 6.0)  # inches
COLOURS = ("#D55E00", "#0072B2", "#56B4E9", "#009E73", "#CC79A7")
STYLES = ("-", "--")  # of the networks
WORST = 5.0  # what lies above is no prediction any more
TITLE = "Error against jitter, lost spikes and bits of weights, a colour for each code"


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""

    def paint(figure: Figure) -> None:
        (jitter, window), (loss, bits) = figure.subplots(2, 2, sharey=True)
        for case, style in zip(found["cases"], STYLES, strict=False):
            for code, colour in zip(case["codes"], COLOURS, strict=True):
                for axes, what, unit in (
                    (jitter, "jitter", 1.0),
                    (window, "jitter", code["ticks"] / 100),
                    (loss, "loss", 0.01),
                    (bits, "bits", 1.0),
                ):
                    points = [(amount / unit, error) for amount, error, _ in code[what]]
                    if points:
                        axes.plot(*zip(*points, strict=True), style, color=colour, lw=1.2, marker="o", ms=2.5)
        _label(jitter, "jitter, ticks")
        _label(window, "jitter, % of the window")
        _label(loss, "lost spikes, %")
        _label(bits, "bits of weights", log=False)
        for axes in (jitter, loss):
            axes.set_ylabel("error (std)")
        for code, colour in zip(found["cases"][0]["codes"], COLOURS, strict=True):
            bits.plot([], [], color=colour, label=code["code"])
        for case, style in zip(found["cases"], STYLES, strict=False):
            bits.plot([], [], style, color="#777777", label=case["name"])
        figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)

    return {"curves": draw("curves", TITLE, paint, SIZE)}


def _label(axes: Axes, text: str, log: bool = True) -> None:
    axes.set_xlabel(text)
    axes.set_yscale("log")
    axes.set_ylim(top=WORST)
    axes.axhline(LIMIT, color="#999999", lw=0.8)
    if log:
        axes.set_xscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
