"""What a network asks of neuromorphic hardware, neurons and fan-in, against what hardware has.

Not bits of weights: the grid of a coded network is as fine as exact sums allow, finer than its numbers need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size


@checked
@dataclass(frozen=True)
class Limits:
    """What a piece of hardware has.

    Args:
        name: as reports call it.
        neurons: in all. fan_in: synapses of one neuron, at most.
        source: where the figures are from.
    """

    name: str
    neurons: int
    fan_in: int
    source: str


#: The slides give no figures for the STPU: these are the least that hold its DNN, 784-512-512-10, and its CNN of 3
#: feature maps of 28 x 28, pooled, with their read-outs of 100 to 400 units.
STPU_LIKE = Limits("STPU-like", 4096, 1024, "assumed: what the STPU-bound networks of Sandia 2017 need, rounded up")
LOIHI = Limits("Loihi, one chip", 131_072, 4096, "Davies et al. 2018, IEEE Micro 38:82")
TRUENORTH = Limits(
    "TrueNorth, one chip", 1_048_576, 256, "Merolla et al. 2014, Science 345:668: crossbars of 256 x 256"
)
HARDWARE = (STPU_LIKE, LOIHI, TRUENORTH)


@dataclass(frozen=True)
class Layer:
    """One population's demand: neurons, and the largest number and the sum of their synapses."""

    name: str
    neurons: int
    fan_in: int
    synapses: int


@dataclass(frozen=True)
class Demand:
    """A network's demand, layer by layer; see :func:`demand`."""

    layers: tuple[Layer, ...]

    @property
    def neurons(self) -> int:
        """All of them; inputs and read-out are none."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def fan_in(self) -> int:
        """The largest number of synapses of one neuron."""
        return max(layer.fan_in for layer in self.layers)

    @property
    def synapses(self) -> int:
        """All of them."""
        return sum(layer.synapses for layer in self.layers)

    def excesses(self, limits: Limits) -> list[str]:
        """What goes beyond the limits, in words; empty if the network fits.

        Example:
            >>> Demand((Layer("hidden", 100, 784, 78400),)).excesses(TRUENORTH)
            ['hidden: fan-in 784 > 256']
        """
        found = [f"{self.neurons:,} neurons > {limits.neurons:,}"] if self.neurons > limits.neurons else []
        return found + [
            f"{layer.name}: fan-in {layer.fan_in:,} > {limits.fan_in:,}"
            for layer in self.layers
            if layer.fan_in > limits.fan_in
        ]


@checked
def demand(network: SpikingNetwork) -> Demand:
    """Neurons and synapses of every population of a network; each path from a unit to a neuron is one synapse.

    In max pooling by a race every runner is one.

    Raises:
        ConfigError: a network without populations.
    """
    if not network.populations:
        raise ConfigError("a network without populations asks for no neurons")
    stages, layers = Stages(), []
    for p in network.populations:
        fan_in = torch.zeros(size(p.shape), dtype=torch.float64)
        for c in network.into(p.name):
            source = network.shape(c.source)
            fan_in += Reach(stages.of(c.operator, source), source).fan_in
        layers.append(Layer(p.name, size(p.shape), int(fan_in.max()), int(fan_in.sum())))
    return Demand(tuple(layers))
