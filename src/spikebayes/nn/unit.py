"""Units: modules that stand for a population of memoryless neurons, one for each value they are given."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from spikebayes.neurons import Neuron


class Unit(nn.Module, ABC):
    """A module that ``convert`` turns into a population."""

    @property
    def is_random(self) -> bool:
        """Whether it draws: then it takes a site."""
        return False

    @abstractmethod
    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        """The neuron, and the factor and shift that make the module's input the neuron's."""
