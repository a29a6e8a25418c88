"""Units: modules that stand for a population of memoryless neurons, one for each value they are given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.network.neurons import Neuron, Threshold


class Unit(nn.Module, ABC):
    """A module that ``convert`` turns into a population."""

    @property
    def is_random(self) -> bool:
        """Whether it draws: then it takes a site."""
        return False

    @abstractmethod
    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        """The neuron, and the factor and shift that make the module's input the neuron's."""


class Step(Unit):
    """Spikes where the input reaches the threshold: z = 1 where x >= threshold, else 0. It passes no gradient.

    Args:
        threshold: in units of the input.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: a threshold that is no number.

    Reference:
        McCulloch & Pitts 1943, Bull. Math. Biophys. 5:115.

    Example:
        >>> import torch
        >>> Step(0.5)(torch.tensor([0.2, 0.5, 0.7])).tolist()
        [0.0, 1.0, 1.0]
    """

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        if not math.isfinite(threshold):
            raise ConfigError(f"{type(self).__name__}'s threshold must be finite; got {threshold}")
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return (x >= self.threshold).to(x.dtype)

    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        return Threshold(self.threshold), 1.0, 0.0

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}"
