"""Which of the rows that are held out of training calibrate."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 0.5  # of them, unless told
LEAST = 9  # rows: fewer guarantee no coverage of 0.9
MOST = 2000  # then the coverage that they give strays by 0.007
SEED = 0x5EED  # of the order; any number does

Rows = tuple[Tensor, ...]


def set_apart(held: Rows, share: float) -> tuple[Rows, Rows | None]:
    """Validation rows that choose, and those that calibrate: what chose the weights flatters its predictions.

    Args:
        held: tensors of B rows each: inputs, targets and whatever else there is of them.
        share: of the rows, to calibrate.

    Returns:
        The rows that choose, and those that calibrate, or None where they would be too few; always the same ones of
        as many rows.
    """
    count = len(held[0])
    rows = min(MOST, int(share * count))
    if rows < LEAST:
        return held, None
    rows = 10 * round((rows + 1) / 10) - 1  # the rank of 0.9 is whole then; rounded up, intervals are too wide
    rows -= 10 if rows >= count else 0
    order = torch.randperm(count, generator=torch.Generator().manual_seed(SEED))
    apart, chosen = order[:rows].sort().values, order[rows:].sort().values
    return tuple(part[chosen] for part in held), tuple(part[apart] for part in held)
