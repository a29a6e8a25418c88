"""The layers of a model that nothing is known of, for one whose code cannot be followed."""

from __future__ import annotations

from torch import nn

from spikebayes.conversion import activations, dropout, pooling
from spikebayes.conversion.faults import written_in
from spikebayes.conversion.obstacles import Obstacle
from spikebayes.conversion.refusals import hint
from spikebayes.conversion.rules import Rules
from spikebayes.nn.unit import Spiking

UNKNOWN = "not linear, or unknown"


def unknown_modules(model: nn.Module) -> list[Obstacle]:
    """An obstacle for each."""
    known = (*Rules().modules, *dropout.MODULES, *pooling.MODULES, *activations.MODULES, Spiking)
    layers = [(name, m) for name, m in model.named_modules() if written_in(m).startswith("torch.nn")]
    plain = [(name, m) for name, m in layers if not isinstance(m, (nn.Sequential, nn.ModuleList, nn.ModuleDict))]
    return [
        Obstacle(f"{type(m).__name__}, module {name!r}", UNKNOWN, hint(type(m).__name__, is_told=False))
        for name, m in plain
        if not isinstance(m, known)
    ]
