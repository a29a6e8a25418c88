"""Colours and small parts that all plots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikebayes.errors import ConfigError
from spikebayes.machine.extras import needed
from spikebayes.machine.kinds import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colours, told apart with any colour vision
CLASSICAL = "#0072B2"
SPIKING = "#D55E00"
CONTROL = "#009E73"
INK = "#222222"
GUIDE = "#767676"
SHADE = "#EBEBEB"
DASHED = (0, (5, 2))

PLAIN: dict[str, Any] = {"parse_math": False}  # of text with names in it: a column may be called "$x$"
MOST_POINTS = 1000  # of a scatter plot: more only fill the file


def axes_or_new(axes: Axes | None) -> Axes:
    """The axes, or pyplot's current ones (ConfigError for what is none)."""
    if axes is None:
        return needed("matplotlib.pyplot", "a plot").gca()
    from matplotlib.axes import Axes

    if not isinstance(axes, Axes):
        raise ConfigError(f"axes must be matplotlib's Axes, as pyplot.subplots() makes them; got {shown(axes)}")
    return axes


def chosen(names: tuple[str, ...], output: int | str) -> int:
    """The position of an output that is given by name or number (else ConfigError)."""
    if isinstance(output, str) and output in names:
        return names.index(output)
    if not isinstance(output, str) and 0 <= output < len(names):
        return output
    raise ConfigError(f"output must be one of {', '.join(names)}, or a number below {len(names)}; got {output!r}")


def percent(share: float) -> str:
    """A share as a label says it, whole or not.

    Example:
        >>> percent(0.9), percent(0.995)
        ('90%', '99.5%')
    """
    return f"{100 * share:g}%"


def thinned(rows: int) -> NDArray[np.int64]:
    """Positions of at most MOST_POINTS rows, evenly spaced.

    Example:
        >>> thinned(3).tolist(), len(thinned(50_000)), thinned(50_000)[-1].item()
        ([0, 1, 2], 1000, 49999)
    """
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_POINTS)).round().astype(np.int64))
