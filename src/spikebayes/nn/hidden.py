"""Hidden layers of a dense network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.machine.memory import check_size
from spikebayes.nn.permadrop import Permadrop


def hidden_layers(widths: Sequence[int], dropout: float, activation: Callable[[], nn.Module]) -> list[nn.Module]:
    """A linear layer, an activation and permanent dropout, from each width to the next."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), activation(), Permadrop(dropout)]
    return layers


def check_widths(inputs: int, outputs: int, hidden: Sequence[int]) -> None:
    """Refuse a network without hidden layers, or with an empty one or one too wide (ConfigError)."""
    widths = [inputs, *hidden, outputs]
    if not hidden or min(widths) < 1:
        raise ConfigError(f"a network needs hidden layers, each at least 1 wide; got {widths}")
    for before, after in pairwise(widths):
        check_size("a layer", before, after)
