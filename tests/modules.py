"""Small torch modules to convert, shared by the tests of the network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from spikebayes.nn import SoftLIF

GAMMA = 0.02


class Net(nn.Module):
    """A module of named parts with a forward that is given."""

    def __init__(self, function: Callable[..., Any], **named: nn.Module | Tensor) -> None:
        super().__init__()
        self.function = function
        for name, part in named.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


class Net2(Net):
    """The same with two inputs."""

    def forward(self, x: Tensor, y: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.function(self, x, y)


def act() -> SoftLIF:
    return SoftLIF(GAMMA)


def dense(*widths: int) -> nn.Sequential:
    """Linear layers with an activation after each."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), act())]
    return nn.Sequential(*layers)


def conv_stack(*extra: nn.Module) -> nn.Sequential:
    """[3, 8, 8] -> [4, 4, 4] with an activation, then what is given."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), act(), *extra)
