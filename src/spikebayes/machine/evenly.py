"""Some of many rows, evenly spread."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly(count: int, most: int) -> Tensor:
    """``[min(count, most)]`` int64: numbers of rows, from the first to the last of ``count`` as far apart.

    Example:
        >>> evenly(9, 3).tolist(), evenly(2, 3).tolist()
        ([0, 4, 8], [0, 1])
        >>> evenly((1 << 24) + 4, 2).tolist()  # the last is no number of float32, which has the next one
        [0, 16777219]
    """
    places = torch.linspace(0, count - 1, min(count, most), dtype=torch.float32)
    return places.round().long().clamp(max=count - 1)
