"""Obstacle: one reason why a model cannot become a spiking network, where it stands, and what to write instead."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

WIDTHS = (30, 44, 44)  # of the columns of a printed table


@dataclass(frozen=True)
class Obstacle:
    """What keeps a model from being converted.

    Args:
        where: the module, or the node of the graph, named as in the user's code.
        reason: what is wrong there.
        cure: what to change.
        line: of the user's code, ``file:number: text``, where it is known.
    """

    where: str
    reason: str
    cure: str
    line: str = ""

    def __str__(self) -> str:
        line = f" ({self.line})" if self.line else ""
        return f"{self.where}: {self.reason}" + (f"; {self.cure}" if self.cure else "") + line


@dataclass(frozen=True)
class Obstacles:
    """What :func:`spikebayes.check` found; printed, it is a table.

    Args:
        model: name of its class.
        obstacles: none if the model converts.
    """

    model: str
    obstacles: tuple[Obstacle, ...]

    def __bool__(self) -> bool:
        """Whether anything is in the way."""
        return bool(self.obstacles)

    def __str__(self) -> str:
        if not self.obstacles:
            return f"{self.model} converts: no obstacles"
        lines = [f"{self.model} does not convert; obstacles: {len(self.obstacles)}"]
        rule = "  ".join("-" * width for width in WIDTHS)
        for cells in [("where", "what is wrong", "instead"), *map(_cells, self.obstacles)]:
            lines += [rule, *_row(cells)]
        return "\n".join(lines)


def _cells(obstacle: Obstacle) -> tuple[str, str, str]:
    where = f"{obstacle.where} {obstacle.line}" if obstacle.line else obstacle.where
    return where, obstacle.reason, obstacle.cure


def _row(cells: tuple[str, str, str]) -> list[str]:
    columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, WIDTHS, strict=True)]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    return [
        "  ".join(f"{c:{w}}" for c, w in zip(line, WIDTHS, strict=True)).rstrip()
        for line in zip(*padded, strict=True)
    ]


class Blocked(Exception):
    """Conversion came to an obstacle."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(str(obstacle))
        self.obstacle = obstacle
