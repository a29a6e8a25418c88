"""The study's pictures: error against joules and against ticks, and against joules alone for the front page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from spikebayes.app.report.svg import draw

WIDE = (8.0, 4.0)  # inches
NARROW = (4.4, 4.4)  # the front page's, which a phone shows without shrinking its letters much
MARKERS = {"uci": "o", "softlif": "v", "wide": "s", "images": "D", "combo": "^"}
NAMES = {"uci": "UCI, 100 x 2", "softlif": "SoftLIF", "wide": "500 x 3", "images": "MNIST", "combo": "drug pairs"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""
    lines = [(case["group"], line) for case in found["cases"] for line in case["codes"]]
    codes = list(dict.fromkeys(line["code"] for _, line in lines))
    colour = dict(zip(codes, COLOURS, strict=False))

    def scatter(axes: Axes, x_of: Callable[[dict[str, Any]], float]) -> None:
        for group, line in lines:
            axes.plot(
                x_of(line), line["error"], MARKERS[group], color=colour.get(line["code"], "grey"), ms=5, alpha=0.8
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())

    def joules(axes: Axes) -> None:
        scatter(axes, lambda line: line["energy"]["awake"])
        axes.set_ylabel("error under the same masks (std)")
        axes.set_xlabel("joules over classical ones (Loihi, awake)")
        axes.axvline(1, color="#999999", lw=0.8)
        for group, marker in MARKERS.items():
            axes.plot([], [], marker, color="#777777", label=NAMES[group])

    def name_codes(axes: Axes) -> None:
        for code in codes:
            axes.plot([], [], "o", color=colour.get(code, "grey"), label=code)

    def both(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        joules(left)
        scatter(right, lambda line: line["ticks"])
        right.set_xlabel("ticks a sample (LIF: steps)")
        name_codes(right)
        figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)

    def front(figure: Figure) -> None:
        axes = figure.subplots()
        joules(axes)
        name_codes(axes)
        figure.legend(loc="outside upper left", ncols=2, fontsize=7.5)

    what = "Error against joules{}, a colour for each code"
    return {
        "frontier": draw("frontier", what.format(" and against ticks"), both, WIDE),
        "joules": draw("joules", what.format(""), front, NARROW),
    }
