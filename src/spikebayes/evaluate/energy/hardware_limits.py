"""What a network needs of neuromorphic hardware, such as neurons and fan-in, against the hardware's limits.

Not bits of weights: the grid of a coded network is as fine as exact sums allow, finer than its numbers need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.prediction.sampling import timing_of


@checked
@dataclass(frozen=True)
class Limits:
    """Limits of a piece of hardware; None where there is none, or its makers do not state it.

    Args:
        name: as reports call it.
        neurons: in total. fan_in: largest number of synapses of one neuron.
        source: where the figures are from.
        synapses: in total.
        memory: bytes for weights. weight_bits: bits of one weight. shared: a convolution's kernel is stored once.
        step: shortest time step, s.
    """

    name: str
    neurons: int | None
    fan_in: int | None
    source: str
    synapses: int | None = None
    memory: int | None = None
    weight_bits: int = 8
    shared: bool = False
    step: float | None = None


#: The slides give no figures for the STPU: these are the least that hold its DNN, 784-512-512-10, and its CNN of 3
#: feature maps of 28 x 28, pooled, with their read-outs of 100 to 400 units.
STPU_LIKE = Limits("STPU-like", 4096, 1024, "assumed: what the STPU-bound networks of Sandia 2017 need, rounded up")
LOIHI = Limits("Loihi, one chip", 131_072, 4096, "Davies et al. 2018, IEEE Micro 38:82")
TRUENORTH = Limits(
    "TrueNorth, one chip",
    1_048_576,
    256,
    "Merolla et al. 2014, Science 345:668: crossbars of 256 x 256",
    synapses=268_435_456,
    step=1e-3,
)
LOIHI_2 = Limits(
    "Loihi 2, one chip",
    1_000_000,
    None,
    "Intel 2021, Taking neuromorphic computing to the next level with Loihi 2 (technology brief)",
    synapses=120_000_000,
    memory=128 * 192 * 1024,
    shared=True,
    step=200e-9,
)
SPINNAKER_2 = Limits(
    "SpiNNaker 2, one chip",
    None,
    None,
    "Hoeppner et al. 2021, arXiv:2103.08392: 152 processors with 128 KiB each, steps in real time",
    memory=152 * 128 * 1024,
    shared=True,
    step=1e-3,
)
SPECK = Limits(
    "Speck 2",
    327_680,
    None,
    "Yao et al. 2024, Nature Communications 15:4464; kernel memories of its nine layers, 272 Ki words: SynSense's "
    "documentation",
    memory=272 * 1024,
    shared=True,
)
AKIDA = Limits(
    "Akida AKD1000",
    None,
    None,
    "BrainChip's documentation: 80 processors, 8 MiB, weights of at most 4 bits",
    memory=8 * 1024 * 1024,
    weight_bits=4,
    shared=True,
)
#: what the published networks were built for
HARDWARE = (STPU_LIKE, LOIHI, TRUENORTH)
#: chips of today, and what they are measured against
CHIPS = (LOIHI_2, SPINNAKER_2, SPECK, AKIDA, TRUENORTH, LOIHI)


@dataclass(frozen=True)
class Layer:
    """One population's demand: neurons, and the largest number and the sum of their synapses."""

    name: str
    neurons: int
    fan_in: int
    synapses: int


@dataclass(frozen=True)
class Demand:
    """A network's demand, layer by layer, and how many numbers its operators store; see :func:`demand`."""

    layers: tuple[Layer, ...]
    weights: int = 0

    @property
    def neurons(self) -> int:
        """Number of neurons; inputs and read-out do not count."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def fan_in(self) -> int:
        """The largest number of synapses of one neuron."""
        return max(layer.fan_in for layer in self.layers)

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return sum(layer.synapses for layer in self.layers)

    def memory(self, limits: Limits) -> int:
        """Bytes for the weights, as the hardware stores them: one for each synapse, or kernels once."""
        return -(-(self.weights if limits.shared else self.synapses) * limits.weight_bits // 8)

    def excesses(self, limits: Limits) -> list[str]:
        """What exceeds the limits, in words; empty if the network fits.

        Example:
            >>> Demand((Layer("hidden", 100, 784, 78400),)).excesses(TRUENORTH)
            ['hidden: fan-in 784 > 256']
        """
        asked = (
            (self.neurons, limits.neurons, "neurons"),
            (self.synapses, limits.synapses, "synapses"),
            (self.memory(limits), limits.memory, f"bytes of {limits.weight_bits}-bit weights"),
        )
        found = [f"{mine:,} {what} > {most:,}" for mine, most, what in asked if most is not None and mine > most]
        return found + [
            f"{layer.name}: fan-in {layer.fan_in:,} > {limits.fan_in:,}"
            for layer in self.layers
            if limits.fan_in is not None and layer.fan_in > limits.fan_in
        ]


@checked
def demand(network: SpikingNetwork) -> Demand:
    """Neurons and synapses of every population of a network; each path from a unit to a neuron is one synapse.

    In max pooling by a race every input of a neuron is one.

    Raises:
        ConfigError: a network without populations.
    """
    if not network.populations:
        raise ConfigError("a network without populations needs no neurons")
    stages, layers = Stages(), []
    for p in network.populations:
        fan_in = torch.zeros(size(p.shape), dtype=torch.float64)
        for c in network.into(p.name):
            source = network.shape(c.source)
            fan_in += Reach(stages.of(c.operator, source), source).fan_in
        layers.append(Layer(p.name, size(p.shape), int(fan_in.max()), int(fan_in.sum())))
    return Demand(tuple(layers), weights_of(network))


def weights_of(network: SpikingNetwork) -> int:
    """Stored numbers of the operators, those that connections share once; none of where units move to."""
    parts = (part for c in network.connections for part in c.operator.parts if not part.rearranges)
    stored = {id(buffer): buffer for part in parts for buffer in part.buffers()}
    return sum(size(tuple(buffer.shape)) for buffer in stored.values())


@dataclass(frozen=True)
class Latency:
    """How long a network takes, in its steps (ticks, where it is coded).

    Args:
        sample: steps until the first sample. prediction: steps until all samples, one after another.
    """

    sample: int
    prediction: int


@checked
def latency(
    network: SpikingNetwork, samples: int = 100, steps: int | None = None, burn_in: int | None = None
) -> Latency:
    """Steps of a sample and of a prediction.

    Free-running neurons simulate each sample from rest; a coded network gives a sample in each window, once the first
    has passed through its depth; a network without memory likewise in each step, or in so many as a sample is given.

    Raises:
        ConfigError: no sample, or steps out of range.

    Example:
        >>> import torch
        >>> from spikebayes import Digits, convert
        >>> from spikebayes.nn import zoo
        >>> x = torch.randn(100, 4)
        >>> coded = convert(zoo.mlp(4, 1, [8, 8], activation=torch.nn.ReLU), x, code=Digits(4, 4), calibrate=x)
        >>> latency(coded, samples=100)
        Latency(sample=36, prediction=1224)
    """
    check_count("samples", samples, 1)
    one = timing_of(network, steps, burn_in).steps
    if network.code is None and not network.is_memoryless:
        return Latency(one, samples * one)
    depth = max(network.depths.values()) * (1 if network.code is None else one)
    return Latency(one + depth, samples * one + depth)
