"""Dropout as torch and this library call it: every module and function, and how many axes share a draw."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torch.nn import functional as F

from spikebayes.nn import Permadrop

PER_UNIT, PER_MAP, PER_LINE = 1, 2, 3  # a draw for each value, or each feature map [C] of [B, C, *space], [B, C, L]

MODULES: dict[type[nn.Module], int] = {
    nn.Dropout: PER_UNIT,
    Permadrop: PER_UNIT,
    nn.Dropout1d: PER_LINE,
    nn.Dropout2d: PER_MAP,
}
FUNCTIONS: dict[Any, int] = {F.dropout: PER_UNIT, F.dropout1d: PER_LINE, F.dropout2d: PER_MAP}


def called(arguments: Any, keywords: Any) -> tuple[Any, float]:
    """What a call of one of the functions drops, and with which probability."""
    bound = inspect.signature(F.dropout).bind(*arguments, **keywords)
    return bound.arguments["input"], float(bound.arguments.get("p", 0.5))
