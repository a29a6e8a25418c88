"""The study's picture: log-likelihood against synaptic operations, as the penalty grows."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from spikebayes.app.report.svg import draw
from studies.rates.summary import curves

WIDE = (8.0, 3.6)  # inches
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""
    made = curves(found)
    kinds = list(dict.fromkeys(c["kind"] for c in made))
    colour = dict(zip(dict.fromkeys(c["set"] for c in made), COLOURS, strict=False))

    def paint(figure: Figure) -> None:
        for axes, kind in zip(
            figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0], kinds, strict=True
        ):
            for curve in (c for c in made if c["kind"] == kind):
                lines, first = curve["lines"], curve["lines"][0]
                x = [line["operations"] / first["operations"] for line in lines]
                y = [line["spiking"]["log_likelihood"] - first["spiking"]["log_likelihood"] for line in lines]
                error = [line["spiking"]["standard_error"] for line in lines]
                axes.errorbar(x, y, error, color=colour[curve["set"]], marker="o", ms=3, lw=1.2, elinewidth=0.6)
                best = lines.index(curve["fewest"])
                axes.plot(x[best], y[best], "o", color=colour[curve["set"]], ms=9, mfc="none")
            axes.axhline(0, color="#999999", lw=0.8)
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_title(kind)
            axes.set_xlabel("synaptic operations over those without penalty")
        figure.axes[0].set_ylabel("log-likelihood gained (nats)")
        for name, its in colour.items():
            figure.axes[0].plot([], [], "o-", color=its, ms=3, lw=1.2, label=name)
        figure.legend(loc="outside upper left", ncols=4, fontsize=8)

    label = "Log-likelihood against synaptic operations, a curve for each set; circles mark the fewest that suffice"
    return {"frontier": draw("frontier", label, paint, WIDE)}
