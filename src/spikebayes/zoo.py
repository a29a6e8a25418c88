"""Architectures of the papers, as plain modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.nn import Permadrop, SoftLIF


def mlp(
    inputs: int,
    outputs: int,
    hidden: Sequence[int] = (100, 100),
    dropout: float = 0.1,
    *,
    activation: Callable[[], nn.Module] = SoftLIF,
) -> nn.Sequential:
    """Dense layers with an activation and permanent dropout after each, then a linear read-out.

    Args:
        inputs, outputs: F and C.
        hidden: width of each hidden layer.
        dropout: drop probability in [0, 1).
        activation: makes one activation; SoftLIF with its defaults unless given.

    Raises:
        ConfigError: no hidden layer, or a width below 1.

    Example:
        >>> [type(m).__name__ for m in mlp(10, 1, (200,))]
        ['Linear', 'SoftLIF', 'Permadrop', 'Linear']
    """
    check_widths(inputs, outputs, hidden)
    layers: list[nn.Module] = []
    widths = [inputs, *hidden]
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), activation(), Permadrop(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


def check_widths(inputs: int, outputs: int, hidden: Sequence[int]) -> None:
    """Refuse a network without hidden layers, or with an empty one (ConfigError)."""
    if not hidden or min(inputs, outputs, *hidden) < 1:
        raise ConfigError(f"a network needs hidden layers, each at least 1 wide; got {[inputs, *hidden, outputs]}")
