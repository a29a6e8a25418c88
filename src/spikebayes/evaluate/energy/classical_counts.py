"""What Monte Carlo dropout of the module does that a network was made of: one forward pass per mask, counted.

The module is read back from its spiking network, whose operators are the module's. What nothing drawn comes before is
computed once per row, as ``module_samples.py`` does it. Synapses and units that are drawn anew in every step make
every step a pass. Batch norm is free where ``convert`` could fold it into a layer.
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
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.operators import size
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
    """

    passes: int
    macs: int
    kept_macs: int
    activations: int
    kept_activations: int
    mask_bits: int

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


class ClassicalTally:
    """Counts that grow with every block of (sample, row) pairs; T is the length of the simulation beside them."""

    def __init__(self, network: SpikingNetwork, steps: int) -> None:
        self.network, self.steps = network, steps
        self.stages, self.random = Stages(), drawn_nodes(network)
        chance = {p.name for p in network.populations if stochastic(p)}
        self.layers = [
            _Layer(names, network.into(names[0]), names[0] in chance) for names in _alike(network, self.stages)
        ]
        self.fresh = fresh_steps(network, steps)
        self.macs = self.activations = 0  # under masks

    def add(self, keys: Keys) -> None:
        """Count the passes of some pairs."""
        nodes = [n for n in (*self.network.inputs, *self.network.populations) if masked(n)]
        for step in self.fresh:
            keep = {n.name: kept(n, keys, step) for n in nodes}
            for layer in self.layers:
                if layer.drawn(self.random):
                    needed = self._needed(layer, keep, len(keys))
                    self.macs += products(self._terms(layer, keep), needed).drawn
                    self.activations += int(needed.sum()) if self._neurons(layer) else 0

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
        )

    def _neurons(self, layer: _Layer) -> int:
        name = layer.names[0]
        return 0 if name == self.network.readout.name else size(self.network.shape(name))

    def _needed(self, layer: _Layer, keep: Mapping[str, Tensor], lines: int) -> Tensor:
        """``[R, *shape]`` 1 where some reader of the layer's output is not dropped."""
        shape = self.network.shape(layer.names[0])
        if not all(name in keep for name in layer.names):
            return torch.ones(1, dtype=torch.float64).expand(lines, *shape)
        return torch.stack([keep[name] for name in layer.names]).any(0).double().reshape(lines, *shape)

    def _terms(self, layer: _Layer, keep: Mapping[str, Tensor]) -> Iterator[Term]:
        for c in layer.connections:
            shape = self.network.shape(c.source)
            units = keep[c.source] if c.source in keep else torch.ones(1, size(shape))
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


def _alike(network: SpikingNetwork, stages: Stages) -> list[tuple[str, ...]]:
    """Populations with equal input and neurons, together; then the read-out."""
    found: dict[Any, list[str]] = {}
    for node in (*network.populations, network.readout):
        into = tuple(
            (c.source, stages.of(c.operator, network.shape(c.source)), id(c.blank_out) if blanked(c) else 0)
            for c in network.into(node.name)
        )
        neuron = node.neuron if isinstance(node, Population) else None
        found.setdefault((into, neuron, id(node.constant)), []).append(node.name)
    return [tuple(names) for names in found.values()]
