"""Drawing to SVG text: one look for all figures, and the same bytes for the same data."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from spikebayes.plot.style import GUIDE, INK

SIZE = (5.4, 3.5)  # inches; half of the page's width
PANEL = (3.5, 2.7)  # a third of it

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "text.parse_math": False,  # a column may be called "$x$"
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.edgecolor": GUIDE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": GUIDE,
    "ytick.color": GUIDE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.title_fontsize": 9.5,
    "lines.linewidth": 1.5,
}

# the ids that Matplotlib numbers from 1 in every figure; a page may hold each only once
NUMBERED = re.compile(r'(<g) id="[\w.]+_\d+"')
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def draw(name: str, label: str, paint: Callable[[Figure], None], size: tuple[float, float] = SIZE) -> str:
    """Paint a figure and return it as an ``<svg>`` element that may stand in an HTML page.

    Args:
        name: unique among the figures of a page; the ids inside depend on it.
        label: what the figure shows, for a reader who cannot see it.
        paint: draws onto the empty figure.
        size: width and height, inches.

    Example:
        >>> text = draw("line", "A line", lambda figure: figure.add_subplot().plot([1, 2]) and None)
        >>> text.startswith('<svg role="img" aria-label="A line"')
        True
    """
    style: dict[Any, Any] = {**STYLE, "svg.hashsalt": f"spikebayes {name}"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # a name in a script that Matplotlib's font lacks; the reader's browser has it
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        paint(figure)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata=METADATA)
    text = buffer.getvalue()
    element = NUMBERED.sub(r"\1", text[text.index("<svg") :])  # neither XML declaration nor doctype
    head, body = element.split(">", 1)
    head = head.replace("<svg", f'<svg role="img" aria-label={quoteattr(label)}', 1)
    return f"{head}><title>{escape(label)}</title>{body}"


def short(name: str, most: int = 40) -> str:
    """A name on one line of an axis, cut where it is too long.

    Example:
        >>> short("one\\ntwo"), short("x" * 50, 5)
        ('one two', 'xxxx…')
    """
    line = " ".join(name.split())
    return line if len(line) <= most else line[: most - 1] + "…"
