"""Modules that become populations of spiking neurons, and how each describes the neurons that it becomes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.neurons import Neuron, Threshold
from spikebayes.network.noise import BlankOut, Sampling
from spikebayes.network.operators import Operator, Shape

STANDARDISED = "standardised_inputs"  # attribute of a module that was trained on standardised inputs


@dataclass(frozen=True)
class Place:
    """Where a model calls a module that becomes a population.

    Args:
        shape: of one row of its input.
        site: number of the call among those that draw, which keys the draws; if this call draws nothing, the next one
            gets it.
        sampling: how synapses that blank out are to be drawn.
    """

    shape: Shape
    site: int
    sampling: Sampling


class Values(Enum):
    """What values a module may be given."""

    ONE_SOURCE = auto()  # of one population or input, with no constant added to them
    SIGNS = auto()  # +1 and -1, none of them dropped
    CONSTANT = auto()  # the same in all steps, as inputs are
    VARYING = auto()  # others from step to step, as spikes of neurons with a memory are


@dataclass(frozen=True)
class Demand:
    """What a module's input must be, and the message that refuses any other."""

    values: Values
    refusal: str


@dataclass(frozen=True, eq=False)
class Units:
    """The neurons that a module becomes, one for each value of its output, and how its input reaches them.

    With the module's input z, the neurons' input is

        x = factor * operator(z) + shift.

    Args:
        neuron: what they do.
        operator: linear operator between the module's input and the neurons; None for an activation, which has none.
        noise: on the synapses of that operator, which must then have a single source.
        factor: a number, or shaped to broadcast against ``[1, *shape]`` of the neurons.
        shift: a number.
        curve: from the neurons' input x to the values that the module gives, for neurons with a memory, whose rates
            encode these values. ``convert`` compares the module with it.
        demands: on the module's input.
        dt: step for which the curve holds, s; None if it holds for any. ``convert`` refuses other steps.

    The neuron or the noise draws at :attr:`Place.site`, if either does, and then the module's forward pass makes one
    random call (``noise.random_layers.randomly``) too: calls are numbered alike in the module and in the network.
    """

    neuron: Neuron
    operator: Operator | None = None
    noise: BlankOut | None = None
    factor: float | Tensor = 1.0
    shift: float = 0.0
    curve: Callable[[Tensor], Tensor] | None = None
    demands: tuple[Demand, ...] = ()
    dt: float | None = None


class Spiking(nn.Module, ABC):
    """A module that ``convert`` turns into a population, which the module itself describes.

    Its forward pass takes one tensor ``[B, *shape]`` and returns one, which is the neurons' output and nothing else.

    Example:
        >>> class Rectangle(Spiking):
        ...     def forward(self, x: Tensor) -> Tensor:
        ...         return (x >= 1.0).to(x.dtype)
        ...
        ...     def units(self, place: Place) -> Units:
        ...         return Units(Threshold(1.0))
        >>> import torch
        >>> from spikebayes import convert
        >>> print(convert(nn.Sequential(nn.Linear(4, 3), Rectangle(), nn.Linear(3, 1)), torch.zeros(1, 4)))
        SpikingNetwork(dt=0.001 s, 3 neurons)
          input_1 [4] Input
          layer1 [3] Threshold(threshold=1.0) <- input_1
          readout [1] Readout <- layer1
    """

    @abstractmethod
    def units(self, place: Place) -> Units:
        """The neurons that the module becomes at a place in a model.

        Raises:
            ConversionError: in its present state it cannot become one.
        """


@checked
class Step(Spiking):
    """Spikes where the input reaches the threshold: z = 1 where x >= threshold, else 0. It passes no gradient.

    As a network's first module it makes spikes of the input: with the default threshold, of images in [0, 1], the
    binarised input of Sandia 2017, "Steep Deep Spiking Networks". The slides give no threshold: 0.5 is ours.

    Args:
        threshold: in units of the input.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: a threshold that is not a number.

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

    def units(self, place: Place) -> Units:
        return Units(Threshold(self.threshold))

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}"
