"""What a verdict is based on, and what a choice costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from spikebayes.data.columns import one_line
from spikebayes.errors import ConfigError
from spikebayes.evaluate.arrays import aligned
from spikebayes.evaluate.equivalence import Equivalence
from spikebayes.evaluate.margins import Margins
from spikebayes.evaluate.rules import Finding
from spikebayes.machine.arguments import checked
from spikebayes.plot.style import CONTROL, DASHED, GUIDE, INK, PLAIN, SHADE, SPIKING, axes_or_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


RULES = ("mean offset", "ratio of spreads", "rows")
FARTHEST = 4.0  # margins: what lies beyond is drawn as an arrow there


@checked
def effects(verdict: Equivalence, *, axes: Axes | None = None) -> Axes:
    """What a verdict is based on: each effect with its bounds, in units of its margin, and the control's below it.

    In the grey band, from -1 to 1, a difference is negligible; for rows beyond their own margins, 1 is the number
    allowed. With several outputs each effect is that of the output where it is largest. For rows the estimate is how
    many seem to lie beyond their margins, and the bounds are how many certainly do and how many may lie beyond twice
    their margins.

    Args:
        verdict: of ``compare``.
        axes: to draw on; pyplot's current ones unless given.
    """
    ax = axes_or_new(axes)
    sides = [(verdict, SPIKING, "o", SPIKING, verdict.settings.get("candidate", "the candidate"))]
    if verdict.control is not None:
        sides.append((verdict.control, CONTROL, "s", "none", "the control"))
    ax.axvspan(-1, 1, color=SHADE, lw=0, zorder=0, label="counts as no difference")
    ax.axvline(0, color=GUIDE, lw=1, zorder=1)
    labels = [""] * len(RULES)
    for beside, (judged, colour, marker, face, name) in enumerate(sides):
        found = [_largest(judged, rule) for rule in RULES]
        places = np.array([_in_margins(finding, verdict.margins, len(verdict.rows)) for finding in found])  # [3, 3]
        y, x = np.arange(len(RULES)) + 0.3 * beside, np.clip(places, -FARTHEST, FARTHEST)
        ax.hlines(y, x.min(1), x.max(1), color=colour, lw=2)
        near = np.abs(places[:, 0]) <= FARTHEST
        ax.scatter(x[near, 0], y[near], s=50, c=face, ec=colour, lw=1.8, marker=marker, label=name, zorder=3)
        for end, arrow in ((FARTHEST, ">"), (-FARTHEST, "<")):
            beyond = (x == end).any(1)
            ax.scatter(np.full(beyond.sum(), end), y[beyond], s=50, color=colour, marker=arrow, zorder=3)
        labels = labels if beside else [_labelled(finding, verdict.margins) for finding in found]
    reach = max(1.5, 1.1 * max(abs(float(end)) for end in ax.dataLim.intervalx))
    ax.set(xlim=(-reach, reach), ylim=(len(RULES) - 0.4, -0.4), xlabel="effect / margin")
    ax.set_yticks(np.arange(len(RULES)) + 0.15 * (len(sides) - 1), labels, **PLAIN)
    ax.tick_params(axis="y", length=0)
    ax.legend(frameon=False)
    return ax


def _largest(judged: Equivalence, rule: str) -> Finding:
    """A rule's finding on the output where it is furthest from no difference."""
    of = [finding for finding in judged.findings if finding.rule == rule]
    return max(of, key=lambda f: abs(_in_margins(f, judged.margins, len(judged.rows))[0]))


def _in_margins(finding: Finding, margins: Margins, rows: int) -> tuple[float, float, float]:
    """Estimate and bounds, in margins: of a ratio its logarithm, of rows the share beyond."""
    values = np.array([finding.estimate, finding.low, finding.high])
    if finding.rule == "mean offset":
        placed = values / margins.offset
    elif finding.rule == "rows":
        placed = (1 - values) / max(1 - margins.rows, 1 / rows)
    else:
        with np.errstate(divide="ignore"):
            change = np.log(values)
        placed = change / np.where(change > 0, np.log1p(margins.spread), -np.log1p(-margins.spread))
    return tuple(np.nan_to_num(placed, nan=FARTHEST + 1, posinf=FARTHEST + 1, neginf=-FARTHEST - 1).tolist())


def _labelled(finding: Finding, margins: Margins) -> str:
    """What an axis says of an effect: its rule, its value, and what may be."""
    value = f"{finding.estimate:.2g} std; ±{margins.offset:g} may be"
    if finding.rule == "rows":
        value = f"{100 * (1 - finding.estimate):.3g}%; {100 * (1 - margins.rows):.3g}% may be"
    elif finding.rule == "ratio of spreads":
        value = f"{finding.estimate:.3g}; {1 - margins.spread:g} to {1 + margins.spread:g} may be"
    what = "rows beyond" if finding.rule == "rows" else finding.rule
    return f"{what}{_about(finding)}\n{value}".replace("-", "−")


def _about(finding: Finding) -> str:
    return f"\n{one_line(finding.about, 24)}" if finding.about else ""


@checked
def ks_histogram(verdict: Equivalence, *, control: bool = False, axes: Axes | None = None) -> Axes:
    """Randomised KS p-values over rows: flat if both predictions were one distribution.

    Args:
        verdict: of ``compare`` on independent samples.
        control: draw its control's p-values instead.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: a paired verdict, which has no KS tests, or one without a control.

    Reference:
        Wycoff 2019, figure 2.
    """
    judged = verdict.control if control else verdict
    if judged is None:
        raise ConfigError("the verdict has no control: compare(..., control=another classical prediction)")
    if judged.ks_pvalues_randomised is None:
        raise ConfigError("a paired verdict has no KS tests: compare predictions with different seeds")
    p = judged.ks_pvalues_randomised.ravel()
    bins = 10 if len(p) >= 50 else 5
    low, high = stats.binom.ppf([0.025, 0.975], len(p), 1 / bins)
    ax = axes_or_new(axes)
    ax.axhspan(low, high, color=SHADE, lw=0, zorder=0, label="95 % of bins, were they flat")
    ax.hist(
        p, np.linspace(0, 1, bins + 1).tolist(), color=CONTROL if control else SPIKING, ec="white", lw=0.8, alpha=0.75
    )
    ax.axhline(len(p) / bins, color=INK, lw=1.2, ls=DASHED, label="flat")
    ax.set(xlim=(0, 1), xlabel="KS p-value", ylabel="rows")
    ax.legend(frameon=False)
    return ax


@checked
def frontier(
    cost: ArrayLike,
    error: ArrayLike,
    names: Sequence[str] = (),
    *,
    xlabel: str = "energy / classical",
    ylabel: str = "error (std)",
    axes: Axes | None = None,
) -> Axes:
    """Choices by cost and error; a line through those that no other choice beats in both (the Pareto front).

    Args:
        cost, error: ``[K]``, positive, of K choices; both axes are logarithmic.
        names: of the choices, written beside their points.
        xlabel, ylabel: what is drawn.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        DataError: shapes that differ, or values that are not finite.
        ConfigError: costs or errors that are not positive, or another number of names.

    Example:
        >>> from matplotlib.figure import Figure
        >>> line = frontier([1, 2, 3], [3, 4, 1], axes=Figure().add_subplot()).lines[0]
        >>> line.get_xydata().tolist()
        [[1.0, 3.0], [3.0, 1.0]]
    """
    x, y = aligned(0, cost=cost, error=error)
    if not ((x > 0).all() and (y > 0).all()):
        raise ConfigError("costs and errors must be positive: both axes are logarithmic")
    if names and len(names) != len(x):
        raise ConfigError(f"{len(x)} choices have as many names; got {len(names)}")
    order = np.lexsort((y, x))
    lowest = np.minimum.accumulate(y[order])
    best = order[np.append(True, lowest[1:] < lowest[:-1])]
    ax = axes_or_new(axes)
    ax.plot(x[best], y[best], color=INK, lw=1.2, ls=DASHED, label="not beaten in both")
    ax.scatter(x, y, s=28, color=SPIKING, zorder=3)
    for name, at_x, at_y in zip(names, x, y, strict=False):
        ax.annotate(name, (at_x, at_y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend(frameon=False)
    return ax
