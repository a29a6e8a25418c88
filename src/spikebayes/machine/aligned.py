"""Cells as lines of text that stand under one another."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, the first to the left, the others to the right.

    Example:
        >>> aligned([["", "rows"], ["old", "7"]])
        ['     rows', 'old     7']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    made = []
    for first, *rest in lines:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        made.append("  ".join(cells))
    return made
