"""The study's picture: error against joules and against ticks."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from spikebayes.app.report.svg import draw

WIDE = (8.0, 4.0)  # inches
MARKERS = {"uci": "o", "softlif": "v", "wide": "s", "images": "D", "combo": "^"}
NAMES = {"uci": "UCI, 100 x 2", "softlif": "SoftLIF", "wide": "500 x 3", "images": "MNIST", "combo": "drug pairs"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""
    lines = [(case["group"], line) for case in found["cases"] for line in case["codes"]]
    codes = list(dict.fromkeys(line["code"] for _, line in lines))
    colour = dict(zip(codes, COLOURS, strict=False))

    def paint(figure: Figure) -> None:
        joules, ticks = figure.subplots(1, 2, sharey=True)
        for axes, x_of in ((joules, lambda c: c["energy"]["awake"]), (ticks, lambda c: c["ticks"])):
            for group, line in lines:
                axes.plot(
                    x_of(line), line["error"], MARKERS[group], color=colour.get(line["code"], "grey"), ms=5, alpha=0.8
                )
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        joules.set_ylabel("error under the same masks (std)")
        joules.set_xlabel("joules over classical ones (Loihi, awake)")
        ticks.set_xlabel("ticks a sample (LIF: steps)")
        joules.axvline(1, color="#999999", lw=0.8)
        for code in codes:
            ticks.plot([], [], "o", color=colour.get(code, "grey"), label=code)
        for group, marker in MARKERS.items():
            joules.plot([], [], marker, color="#777777", label=NAMES[group])
        figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)

    return {
        "frontier": draw("frontier", "Error against joules and against ticks, a colour for each code", paint, WIDE)
    }
