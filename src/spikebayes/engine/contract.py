"""What an engine is: a function from a list of (sample, row) pairs to time-averaged outputs.

``predict`` and ``simulate`` know engines only by this contract; nothing in it speaks of a device.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import Neuron
from spikebayes.network.noise import BlankOut, Noise
from spikebayes.network.operators import Operator
from spikebayes.network.synapses import Synapse
from spikebayes.network.timing import Timing
from spikebayes.network.vocabulary import VOCABULARY
from spikebayes.noise.keys import Keys

SPIKES, POTENTIALS, TRACE, NUMBERS = "spikes", "potentials", "trace", "numbers"
PROBES = (SPIKES, POTENTIALS, TRACE, NUMBERS)


@dataclass(frozen=True)
class Work:
    """R simulations, one for each (sample, row) pair.

    Args:
        inputs: each argument of the network ``[b, *shape]``, the rows of this block; or ``[b, T, *shape]``.
        position: ``[R]`` int64, which of the b rows each simulation sees.
        keys: R pairs, what keys the draws.
        timing: steps to simulate, and which of them are averaged.
        probes: what to record besides, of ``PROBES``.
        over_time: which of the arguments are ``[b, T, *shape]``: step t sees ``[:, t]``.
    """

    inputs: tuple[Tensor, ...]
    position: Tensor
    keys: Keys
    timing: Timing
    probes: frozenset[str] = frozenset()
    over_time: frozenset[int] = frozenset()

    @property
    def steps(self) -> int:
        """T."""
        return self.timing.steps

    @property
    def fresh(self) -> Keys:
        """Keys of what is drawn anew in every step, as for the next sample: stochastic units, synapses.

        Step t of sample s is drawn as s T + t: a run of one step is a sample, and no two samples share a draw.
        """
        return self.keys.apart(self.steps)

    def keys_of(self, noise: BlankOut) -> Keys:
        """Keys of what a connection's synapses draw."""
        return self.fresh if noise.successive else self.keys

    def __len__(self) -> int:
        return len(self.keys)


@dataclass
class Result:
    """What R simulations gave.

    Args:
        mean: ``[R, *readout shape]``, read-out averaged over steps burn_in .. T - 1 by the window's weights.
        counts: spikes per population over all T steps, ``[R]`` int64 each.
        spikes: ``[R, T, N]`` bool each, when probed; a dropped neuron emits none.
        potentials: ``[R, T, N]`` each, membrane potential of neurons with a memory at the end of the step; 0 for a
            neuron dropped for the whole simulation.
        trace: ``[R, T, *readout shape]``, the read-out at every step.
        numbers: ``[R, N]`` int32 each, when probed: what populations of a coded network told.
        saturated: ``[R]`` int64 each, of coded populations: neurons whose number lay above the highest and was cut.

    Of a coded network a simulation is a window of each population, T its ticks, and what is read is not averaged.
    """

    mean: Tensor
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    trace: Tensor | None = None
    numbers: dict[str, Tensor] = field(default_factory=dict)
    saturated: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Abilities:
    """What an engine has compiled, by exact type: a subclass may do anything else.

    Args:
        neurons, synapses, noises: types of the network's parts.
        beside: what they stand beside, as refusals say it.
    """

    neurons: Collection[type[Neuron]]
    synapses: Collection[type[Synapse]]
    noises: Collection[type[Noise]]
    beside: str = ""

    def refusal(self, network: SpikingNetwork) -> str | None:
        """The first part of a network that is not among them, in words; None if all are."""
        unknown = self._unknown(network)
        return unknown and f"{unknown}, are not compiled{self.beside}"

    def _unknown(self, network: SpikingNetwork) -> str | None:
        for p in network.populations:
            if type(p.neuron) not in self.neurons:
                return f"{type(p.neuron).__name__} neurons, as in population {p.name!r}"
        for c in network.connections:
            where = f"as in the connection {c.source} -> {c.target}"
            if c.synapse is not None and type(c.synapse) not in self.synapses:
                return f"{type(c.synapse).__name__} filters, {where}"
            for part in c.operator.parts if isinstance(c.operator, Operator) else (c.operator,):
                if VOCABULARY.get(type(part).__name__) is not type(part):
                    return f"{type(part).__name__} operators, {where}"
        return unknown_noise(network, self.noises)


def unknown_noise(network: SpikingNetwork, known: Collection[type[Noise]]) -> str | None:
    """The first noise of a network that is none of the known types, in words."""
    for node in (*network.inputs, *network.populations):
        if node.dropout is not None and type(node.dropout) not in known:
            return f"{type(node.dropout).__name__} masks, as on {node.name!r}"
    for p in network.populations:
        if p.spike_noise is not None and type(p.spike_noise) not in known:
            return f"{type(p.spike_noise).__name__} spikes, as of {p.name!r}"
    for c in network.connections:
        if c.blank_out is not None and type(c.blank_out) not in known:
            return f"{type(c.blank_out).__name__} synapses, as in the connection {c.source} -> {c.target}"
    return None


class Engine(Protocol):
    """An implementation. It equals ``reference.py`` in the same dtype, up to the order of summation.

    Attributes:
        name: by which it is asked for.
        over_time: whether it takes inputs that change over time (``Work.over_time``).
    """

    name: str
    over_time: bool

    def refusal(self, network: SpikingNetwork) -> str | None:
        """Why it cannot run this network, or None when it can."""
        ...

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        """Lay the network out once; the function returned runs any number of blocks."""
        ...

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        """How many simulations to hand over at once, so that memory stays bounded."""
        ...
