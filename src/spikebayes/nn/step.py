"""Step: the threshold neuron as a module."""

from __future__ import annotations

import math

from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.neurons import Neuron, Threshold
from spikebayes.nn.unit import Unit


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
