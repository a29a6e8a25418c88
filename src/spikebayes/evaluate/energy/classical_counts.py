"""What Monte Carlo dropout of the module does that a network was made of: one forward pass per mask, counted.

The module is read back from its spiking network, whose operators are the module's. What nothing drawn comes before is
computed once per row, as ``module_passes.py`` does it. Synapses and units that are drawn anew in every step make
every step a pass. Batch norm is free where ``convert`` could fold it into a layer; the comparisons of max pooling are
not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from spikebayes.evaluate.energy.fan_out import Stages
from spikebayes.evaluate.energy.multiplications import Term, products
from spikebayes.evaluate.energy.random_bits import blanked, drawn_nodes, draws, fresh_steps, kept, masked, stochastic
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.network.whole_ramp import WholeRamp
from spikebayes.noise.keys import Keys


@dataclass(frozen=True)
class ClassicalCounts:
    """What Monte Carlo dropout does for B rows.

    Args:
        passes: per row: S, times the draws that a simulation goes through if it draws anew.
        macs: multiply-accumulates and pooling sums, each operator applied once per pass.
        kept_macs: the same without those from dropped units and into dropped neurons.
        activations: evaluations of the rate curve, or of a unit that fires by chance, one for each neuron.
        kept_activations: the same without dropped neurons.
        mask_bits: Bernoulli draws.
        zero_macs: those of ``kept_macs`` whose input is 0, which a pass that skips zeros leaves out: inputs;
            activations of a coded network (``zeros.py``); units that are off, where every step is a sample. The rates
            of LIF neurons count as not 0.
    """

    passes: int
    macs: int
    kept_macs: int
    activations: int
    kept_activations: int
    mask_bits: int
    zero_macs: int = 0

    @property
    def nonzero_macs(self) -> int:
        """Multiply-accumulates of a pass that skips zeros as well as dropped units."""
        return self.kept_macs - self.zero_macs

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self) | {"nonzero_macs": self.nonzero_macs}


class ClassicalTally:
    """Counts that grow with every block of (sample, row) pairs; a simulation beside them draws in some of T steps."""

    network: SpikingNetwork
    steps: int
    stages: Stages
    random: frozenset[str]
    layers: list[_Layer]
    fresh: list[int]
    unevaluated: set[str]
    macs: int
    nonzero_macs: int
    activations: int

    def __init__(self, network: SpikingNetwork, steps: int) -> None:
        self.network, self.steps = network, steps
        self.stages, self.random = Stages(decoded=network.code is not None), drawn_nodes(network)
        chance = {p.name for p in network.populations if stochastic(p)}
        self.layers = [
            _Layer(names, network.into(names[0]), names[0] in chance) for names in _alike(network, self.stages)
        ]
        self.fresh = fresh_steps(network, steps)
        self.unevaluated = {network.readout.name} | {p.name for p in network.populations if moves_values(p)}
        self.macs = self.nonzero_macs = self.activations = 0  # under masks

    def add(self, keys: Keys, nonzero: Mapping[str, Tensor]) -> None:
        """Count the passes of R pairs.

        Args:
            keys: of the pairs.
            nonzero: ``[R, N]`` bool by node, values that are not 0; all of a node that is not there.
        """
        nodes = [n for n in (*self.network.inputs, *self.network.populations) if masked(n)]
        once = keys.samples == 0  # stands for all samples of a row
        for step in self.fresh:
            keep = {n.name: kept(n, keys, step) for n in nodes}
            heard = keep | {name: there & keep.get(name, there) for name, there in nonzero.items()}
            for layer in self.layers:
                needed = self._needed(layer, keep, len(keys))
                if layer.drawn(self.random):
                    self.macs += products(self._terms(layer, keep), needed).drawn
                    self.nonzero_macs += products(self._terms(layer, heard), needed).drawn
                    self.activations += int(needed.sum()) if self._neurons(layer) else 0
                if step == 0 and layer.shared(self.random) and bool(once.any()):
                    given = {name: units[once] for name, units in heard.items()}
                    self.nonzero_macs += products(self._terms(layer, given), needed[once]).shared

    def counts(self, samples: int, rows: int, masks: int) -> ClassicalCounts:
        """What was counted, for S samples of B rows that drew so many masks."""
        passes = samples * len(self.fresh)
        shared = drawn = once = each = 0
        for layer in self.layers:
            found = products(self._terms(layer, {}), self._needed(layer, {}, 1))
            shared, drawn = shared + found.shared, drawn + found.drawn
            if layer.drawn(self.random):
                each += self._neurons(layer)
            else:
                once += self._neurons(layer)
        return ClassicalCounts(
            passes=passes,
            macs=rows * (shared + passes * drawn),
            kept_macs=rows * shared + self.macs,
            activations=rows * (once + passes * each),
            kept_activations=rows * once + self.activations,
            mask_bits=masks * draws(self.network, self.steps),
            zero_macs=rows * shared + self.macs - self.nonzero_macs,
        )

    def _neurons(self, layer: _Layer) -> int:
        name = layer.names[0]
        return 0 if name in self.unevaluated else size(self.network.shape(name))

    def _needed(self, layer: _Layer, keep: Mapping[str, Tensor], lines: int) -> Tensor:
        """``[R, *shape]`` 1 where some reader of the layer's output is not dropped."""
        shape = self.network.shape(layer.names[0])
        if not all(name in keep for name in layer.names):
            return torch.ones(1, dtype=torch.float64).expand(lines, *shape)
        return torch.stack([keep[name] for name in layer.names]).any(0).double().reshape(lines, *shape)

    def _terms(self, layer: _Layer, heard: Mapping[str, Tensor]) -> Iterator[Term]:
        for c in layer.connections:
            shape = self.network.shape(c.source)
            units = heard[c.source] if c.source in heard else torch.ones(1, size(shape))
            random = c.source in self.random or blanked(c)
            yield Term(self.stages.of(c.operator, shape), units.double().reshape(-1, *shape), random)


@dataclass(frozen=True, eq=False)
class _Layer:
    """What the module computes at once.

    Args:
        names: the population, or several that are one activation read under several masks, or the read-out.
        connections: into the first of them.
        stochastic: whether its units fire by chance.
    """

    names: tuple[str, ...]
    connections: tuple[Connection, ...]
    stochastic: bool = False

    def drawn(self, random: frozenset[str]) -> bool:
        """Whether it works anew for every sample, given the nodes whose output differs between them."""
        return self.stochastic or any(c.source in random or blanked(c) for c in self.connections)

    def shared(self, random: frozenset[str]) -> bool:
        """Whether some of its work is the same for all samples of a row."""
        return not all(c.source in random or blanked(c) for c in self.connections)


def moves_values(population: Population) -> bool:
    """Whether it stands for no activation of the module: max pooling by a race, or a relay in front of a mask."""
    neuron = population.neuron
    if isinstance(neuron, Coded) and isinstance(neuron.response, Ramp):
        return neuron.response.below is not None and bool((neuron.response.below == 1).all())
    if isinstance(neuron, Coded) and isinstance(neuron.response, WholeRamp):
        below = neuron.response.below
        return below is not None and bool((below == neuron.response.unit).all())
    return isinstance(neuron, Race)


def _alike(network: SpikingNetwork, stages: Stages) -> list[tuple[str, ...]]:
    """Populations with equal input and neurons, together; then the read-out."""
    found: dict[Any, list[str]] = {}
    for node in (*network.populations, network.readout):
        into = tuple(
            (c.source, stages.of(c.operator, network.shape(c.source)), id(c.blank_out) if blanked(c) else 0)
            for c in network.into(node.name)
        )
        neuron = node.neuron if isinstance(node, Population) else None
        told = (neuron, id(node.constant))
        if isinstance(neuron, Coded):  # equal tops and biases are those of one activation
            told = (type(neuron.response), _bytes(neuron.top), _bytes(node.constant))
        found.setdefault((into, told), []).append(node.name)
    return [tuple(names) for names in found.values()]


def _bytes(values: Tensor | None) -> bytes:
    return b"" if values is None else values.numpy().tobytes()
