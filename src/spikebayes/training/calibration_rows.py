"""Which of the rows that are held out of training calibrate."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 9  # rows: fewer guarantee no coverage of 0.9
MOST = 2000  # then the coverage that they give strays by 0.007
SEED = 0x5EED  # of the order; any number does

Rows = tuple[Tensor, Tensor]


def set_apart(x: Tensor, y: Tensor, share: float) -> tuple[Rows, Rows | None]:
    """Validation rows that choose, and those that calibrate: what chose the weights flatters its predictions.

    Args:
        x: ``[B, *shape]``, y: ``[B, C]`` or ``[B]``.
        share: of the rows, to calibrate.

    Returns:
        The rows that choose, and those that calibrate, or None where they would be too few; always the same ones of
        as many rows.
    """
    rows = min(MOST, int(share * len(x)))
    if rows < LEAST:
        return (x, y), None
    rows = 10 * round((rows + 1) / 10) - 1  # the rank of 0.9 is whole then; rounded up, intervals are too wide
    rows -= 10 if rows >= len(x) else 0
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
    apart, chosen = order[:rows].sort().values, order[rows:].sort().values
    return (x[chosen], y[chosen]), (x[apart], y[apart])
