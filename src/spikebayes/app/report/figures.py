"""The report's figures: arrays in, ``<svg>`` text out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from spikebayes.app.report.svg import PANEL, draw, short
from spikebayes.evaluate.arrays import Floats
from spikebayes.evaluate.margins import Margins
from spikebayes.plot.style import CLASSICAL, CONTROL, GUIDE, INK, SHADE, SPIKING, thinned

WIDE = 4.6  # inches: text that can be read on a phone
COLOURS = {"classical": CLASSICAL, "spiking": SPIKING, "control": CONTROL}


def output_trace(trace: ArrayLike, dnn_output: float, burn_in: int | None, dt: float, name: str) -> str:
    """The spiking read-out over one simulation, against the classical output under the same mask.

    Args:
        trace: ``[T]``, the read-out at each step.
        dnn_output: the classical network's output, in the trace's unit.
        burn_in: steps left out of the average; None where the last step is the answer, and there is no average.
        dt: step, s.
        name: of the output.

    Reference:
        Wycoff 2019, figure 3.

    Example:
        >>> output_trace([0.0, 0.4, 0.6, 0.5], 0.5, burn_in=2, dt=1e-3, name="growth (%)").count("<svg")
        1
    """
    values = _finite(trace)
    time = 1e3 * dt * np.arange(1, len(values) + 1)  # ms, ends of the steps
    averaged, left_out = burn_in is not None, burn_in or 0
    running = np.cumsum(values[left_out:]) / np.arange(1, len(values) - left_out + 1)
    marker = "o" if len(values) <= 10 else ""
    frame = _frame(values, left_out, dnn_output)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if left_out:
            label = "burn-in, left out" if frame is None else "burn-in, left out (goes beyond the frame)"
            axes.axvspan(0, time[left_out - 1], color=SHADE, lw=0, label=label)
        width, alpha = (0.9, 0.55) if averaged else (2.2, 1.0)
        axes.plot(
            time, values, color=SPIKING, lw=width, alpha=alpha, marker=marker, ms=3, label="spiking", gid="trace"
        )
        if averaged:
            axes.plot(
                time[left_out:], running, color=SPIKING, lw=2.2, marker=marker, ms=4, label="spiking, running mean"
            )
        if math.isfinite(dnn_output):
            axes.axhline(dnn_output, color=CLASSICAL, lw=1.6, ls=(0, (5, 2)), label="classical, same mask")
        axes.set_xlim(0, time[-1])
        if frame is not None:
            axes.set_ylim(*frame)
        axes.set_xlabel("time (ms)")
        axes.set_ylabel(short(name, 30))
        _legend(figure)

    return draw("output trace", f"Spiking read-out of {name} over time, and the classical output", paint)


def _frame(values: Floats, left_out: int, dnn_output: float) -> tuple[float, float] | None:
    """Limits that show the averaged part, where the start swings so far that nothing else could be seen."""
    told = np.append(values[left_out:], dnn_output)
    told, seen = told[np.isfinite(told)], values[np.isfinite(values)]
    if not left_out or len(told) < 2:
        return None
    low, high = float(told.min()), float(told.max())
    room = high - low
    inside = low - room <= seen.min() and seen.max() <= high + room
    return None if room == 0 or inside else (low - room, high + room)


def ks_histograms(raw: ArrayLike, randomised: ArrayLike, control: ArrayLike | None) -> tuple[str, ...]:
    """Histograms of KS p-values over rows with the line they would follow were the distributions equal.

    Args:
        raw: ``[B]``, the spiking network's exact p-values; discrete, as in the paper.
        randomised: ``[B]``, its randomised p-values, which are uniform under the null.
        control: ``[B]``, the control's randomised p-values, or None.

    Returns:
        One figure for each, on a common vertical scale.

    Reference:
        Wycoff 2019, figure 2.

    Example:
        >>> len(ks_histograms([0.2, 0.9], [0.1, 0.7], control=None))
        2
    """
    panels = [("spiking, exact", raw, "spiking"), ("spiking, randomised", randomised, "spiking")]
    if control is not None:
        panels.append(("control, randomised", control, "control"))
    bins = 10 if len(_kept(raw)) >= 50 else 5
    edges = np.linspace(0, 1, bins + 1)
    counts = [np.histogram(_kept(values), edges)[0] for _, values, _ in panels]
    top = 1.08 * max(*(int(c.max()) for c in counts), stats.binom.ppf(0.975, len(_kept(raw)), 1 / bins), 1)

    def panel(title: str, count: NDArray[np.int64], colour: str) -> str:
        rows = int(count.sum())
        low, high = stats.binom.ppf([0.025, 0.975], rows, 1 / bins)

        def paint(figure: Figure) -> None:
            axes = figure.add_subplot()
            axes.axhspan(low, high, color=SHADE, lw=0, zorder=0)
            axes.bar(edges[:-1], count, 1 / bins, align="edge", color=_tint(colour), ec="white", lw=0.8)
            axes.axhline(rows / bins, color=INK, lw=1.2, ls=(0, (5, 2)))
            axes.set(xlim=(0, 1), ylim=(0, top), xlabel="KS p-value", ylabel="rows")
            axes.set_title(title, loc="left")
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))

        counted = ", ".join(str(c) for c in count)
        return draw(title, f"Histogram of KS p-values ({title}); rows per bin from 0 to 1: {counted}", paint, PANEL)

    return tuple(panel(p[0], c, COLOURS[p[2]]) for p, c in zip(panels, counts, strict=True))


def worst_row(reference: ArrayLike, candidate: ArrayLike, row: int, statistic: str, name: str) -> str:
    """Both predictive distributions of one row as histograms over common bins.

    Args:
        reference: ``[S]``, the classical samples.
        candidate: ``[S']``, the spiking samples.
        row: the observation's index in the whole data set.
        statistic: how far apart they are, in words.
        name: of the output.

    Reference:
        Wycoff 2019, figure 4.
    """
    sides = {"classical": _kept(reference), "spiking": _kept(candidate)}
    pooled = np.concatenate(list(sides.values()))
    bins = int(np.clip(math.sqrt(len(pooled)) * 1.5, 8, 40))
    edges = np.histogram_bin_edges(pooled, bins)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for side, values in sides.items():
            share = np.histogram(values, edges)[0] / max(1, len(values))
            axes.stairs(share, edges, fill=True, color=COLOURS[side], alpha=0.3, lw=0)
            axes.stairs(share, edges, color=COLOURS[side], lw=1.5, label=side)
        axes.set(xlabel=short(name, 55), ylabel="share of samples")
        axes.set_ylim(bottom=0)
        _legend(figure, title=f"row {row}: {statistic}")

    return draw("worst row", f"Predictive distributions of row {row}, {statistic}", paint)


def plotted(name: str, label: str, plot: Callable[..., Axes], columns: int = 2, high: float = 3.1) -> str:
    """One of ``spikebayes.plot``'s plots in the report's look: its legend above, and long names cut.

    Args:
        name, label: as for ``draw``.
        plot: draws on its ``axes``.
        columns: of the legend.
        high: height, inches.
    """

    def paint(figure: Figure) -> None:
        axes = plot(axes=figure.add_subplot())
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        axes.set(xlabel=short(axes.get_xlabel(), 55), ylabel=short(axes.get_ylabel(), 30))
        _legend(figure, columns)

    return draw(name, label, paint, (WIDE, high))


def spreads(classical: ArrayLike, spiking: ArrayLike, name: str) -> str:
    """The spiking network's standard deviation on each row against the classical network's.

    Args:
        classical: ``[B]``, standard deviation over samples.
        spiking: ``[B]``, likewise.
        name: of the output.
    """
    x, y = _finite(classical), _finite(spiking)
    shown = thinned(len(x))
    factor = Margins().row_spread
    low, high = 1 / factor, factor

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        end = 1.08 * max(_kept(x).max(initial=0), _kept(y).max(initial=0)) or 1.0
        axes.fill_between(
            [0, end], [0, low * end], [0, high * end], color=SHADE, lw=0, label=f"within a factor of {factor:g}"
        )
        _identity(axes, np.array([0.0, end]), "equal spreads")
        axes.scatter(x[shown], y[shown], s=20, color=SPIKING, lw=0, alpha=0.7, label="one row", zorder=3)
        axes.set(xlim=(0, end), ylim=(0, end), xlabel=f"classical std of {short(name)}", ylabel="spiking std")
        _legend(figure, 3)

    return draw("spreads", f"Spiking against classical standard deviation of {name}, row by row", paint)


def _finite(values: ArrayLike) -> Floats:
    """float64, with NaN, which is not drawn, in the place of infinities."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _kept(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _identity(axes: Axes, x: Floats, label: str) -> None:
    ends = [_kept(x).min(), _kept(x).max()]
    axes.plot(ends, ends, color=GUIDE, lw=1.2, ls=(0, (5, 2)), label=label, zorder=2)


def _tint(colour: str) -> tuple[float, float, float]:
    """A quarter of the way to white, and opaque: what lies behind must not change it."""
    r, g, b = (0.75 * part + 0.25 for part in to_rgb(colour))
    return r, g, b


def _legend(figure: Figure, columns: int = 2, title: str | None = None) -> None:
    figure.legend(
        loc="outside upper left",
        ncols=columns,
        title=title,
        alignment="left",
        handlelength=1.8,
        columnspacing=1.4,
        borderpad=0.1,
    )
