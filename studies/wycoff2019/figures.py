"""The study's figures, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter, NullLocator

from spikebayes.app.report.figures import ks_histograms, output_trace, worst_row
from spikebayes.app.report.svg import draw
from spikebayes.plot.style import CLASSICAL, CONTROL, GUIDE, SPIKING
from studies.wycoff2019.learning import DT
from studies.wycoff2019.page import SHOWN as JUDGED
from studies.wycoff2019.protocols import PAIRED_RMSE, STD_RATIO

WIDE = (7.2, 4.4)  # inches
SHOWN = 7  # candidates in the figure over steps
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name."""
    name = found["data"]["target"]
    made = {
        "figure3": found["trace"],
        "figure3-fitting": found["trace_fitting"],
        "figure3-fewest": found["trace_fewest"],
    }
    drawn = {key: output_trace(t["trace"], t["classical"], t["burn_in"], DT, name) for key, t in made.items()}
    for run in (run for name in JUDGED for run in (f"few_{name}", f"many_{name}") if run in found):
        judged, control = found[run]["spiking"], found[run]["control"]
        pvalues = judged["ks_pvalues"], judged["ks_pvalues_randomised"], control["ks_pvalues_randomised"]
        for part, text in zip(("raw", "randomised", "control"), ks_histograms(*pvalues), strict=True):
            drawn[f"figure2-{run.replace('_', '-')}-{part}"] = text
    large = "large_windows" if "large_windows" in found else "large_fewest"
    for key, run in (("figure4", "few_paper"), ("figure4-large", large)):
        worst = found[run]["worst"]
        statistic = f"KS distance {worst['statistic']:.2f}"
        drawn[key] = worst_row(worst["classical"], worst["spiking"], worst["row"], statistic, name)
    return {
        **drawn,
        "steps": _steps(found["search"]),
        "redraws": _redraws(found["redraws"]),
    }


def _steps(found: dict[str, Any]) -> str:
    ranked = sorted(found["candidates"], key=lambda c: (c["steps"] is None, c["steps"]))
    shown = [*ranked[: SHOWN - 2], *(c for c in found["candidates"][:2] if c not in ranked[: SHOWN - 2])]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for candidate, colour in zip(shown, COLOURS, strict=False):
            lines = candidate["lines"]
            x, y = [line["steps"] for line in lines], [line["paired_rmse"] for line in lines]
            axes.plot(x, y, color=colour, marker="o", ms=3, label=candidate["name"])
        _bound(axes, PAIRED_RMSE)
        axes.set_xscale("log")
        _logarithmic(axes)
        axes.set_xlabel("steps of a sample, burn-in included")
        axes.set_ylabel("error under the same masks (std)")
        axes.set_xticks([20, 50, 100, 200, 300], ["20", "50", "100", "200", "300"])
        axes.xaxis.set_minor_locator(NullLocator())
        figure.legend(loc="outside upper left", ncols=2, fontsize=8.5)

    return draw("steps", "Error of a spiking sample over its number of steps, by method", paint, WIDE)


def _redraws(found: dict[str, Any]) -> str:
    names = list(dict.fromkeys(line["name"] for line in found["lines"]))
    plain, staggered = (
        names[0],
        next((n for n in names if "staggered" in n and n.startswith("Alpha 1 ms")), names[-1]),
    )
    kinds = (
        (plain, "naive", f"{plain}: all steps averaged", SPIKING),
        (plain, "with_gap", f"{plain}: gap after a redraw", CLASSICAL),
        (staggered, "best", f"{staggered}, carry-over taken out", CONTROL),
    )

    def paint(figure: Figure) -> None:
        error, ratio = figure.subplots(1, 2)
        for name, key, label, colour in kinds:
            lines = [line for line in found["lines"] if line["name"] == name]
            hold = [line["hold"] for line in lines]
            error.plot(
                hold, [line[key]["paired_rmse"] for line in lines], color=colour, marker="o", ms=3, label=label
            )
            ratio.plot(hold, [line[key]["std_ratio"] for line in lines], color=colour, marker="o", ms=3)
        _bound(error, PAIRED_RMSE)
        for level in STD_RATIO:
            _bound(ratio, level)
        _logarithmic(error)
        error.set_ylabel("error under the same masks (std)")
        ratio.set_ylabel("std / classical std")
        for axes in (error, ratio):
            axes.set_xlabel("steps between redraws")
        figure.legend(loc="outside upper left", ncols=2, fontsize=8.5)

    return draw("redraws", "Error and spread over the number of steps between redraws", paint, WIDE)


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _bound(axes: Axes, level: float) -> None:
    axes.axhline(level, color=GUIDE, lw=1, ls=(0, (5, 2)))
