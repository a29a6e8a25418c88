"""What a notebook shows of a result: a heading, a table of what it is, and perhaps more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def as_html(heading: str, lines: Iterable[Sequence[object]] = (), *, text: str = "", after: str = "") -> str:
    """HTML of which nothing but ``after`` is markup.

    Args:
        heading: one line.
        lines: of a table; the first cell of each is its name.
        text: shown as it is, below.
        after: HTML, as pandas makes it.

    Example:
        >>> as_html("a < b", [("rows", 3)])
        '<div><strong>a &lt; b</strong><table><tr><th>rows</th><td>3</td></tr></table></div>'
    """
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"
        for name, *cells in lines
    )
    table = f"<table>{rows}</table>" if rows else ""
    below = f"<pre>{escape(text)}</pre>" if text else ""
    return f"<div><strong>{escape(heading)}</strong>{table}{below}{after}</div>"
