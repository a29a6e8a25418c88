"""What a verdict rests on, and what a choice costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from spikebayes.errors import ConfigError
from spikebayes.evaluate.arrays import aligned
from spikebayes.evaluate.equivalence import Equivalence
from spikebayes.machine.arguments import checked
from spikebayes.plot.style import CONTROL, DASHED, INK, SHADE, SPIKING, axes_or_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


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
    """Choices by what they cost and how far off they are; a line through those that nothing beats in both.

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
