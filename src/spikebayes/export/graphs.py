"""A spiking network as one graph of NIR, or everything that is in the way of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.errors import ConversionError
from spikebayes.export.flattening import dtype_of
from spikebayes.export.folding import folded
from spikebayes.export.layers import held, node_of, said
from spikebayes.export.neurons import PROFILES, Cell
from spikebayes.export.neurons import node_of as neuron_node
from spikebayes.export.packages import nir_package
from spikebayes.network.discrete import Discrete
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import Chain, Operator, target_shape
from spikebayes.network.synapses import Lowpass, Synapse
from spikebayes.network.timing import Timing

OUTPUT = "output"  # the node of a read-out that has no name of its own


@dataclass(frozen=True, eq=False)
class Graph:
    """What :func:`graph_of` makes.

    Args:
        graph: a ``nir.NIRGraph``.
        names: by the names of the network's inputs and populations, those of their nodes.
        dt: the step that it is written for, s; 1 where a sample is a single step.
        differs: what it says otherwise than the network does, in words.
    """

    graph: Any
    names: dict[str, str]
    dt: float
    differs: tuple[str, ...]


def graph_of(
    network: SpikingNetwork, profile: str, timing: Timing, dt: float | None, factors: Mapping[str, Tensor]
) -> Graph:
    """The network in a profile of NIR.

    Args:
        network: any.
        profile: of ``PROFILES``.
        timing: how long it is to run, which the graph states.
        dt: the step that importers will take, s; by default the network's. Graphs of one step have no time.
        factors: by name of an input or population, ``[*shape]`` by what its output is multiplied: masks.

    Raises:
        ConversionError: what NIR, or the profile, cannot say; all of it, by name.
        ConfigError: nir is not installed.
    """
    stated = 1.0 if network.is_memoryless else network.dt if dt is None else dt
    unit = 1.0 if network.is_memoryless else stated / network.dt
    writer = _Writer(network, profile, nir_package("to_nir"), factors, unit)
    writer.write()
    if writer.obstacles:
        said = "; ".join(f"{k}. {obstacle}" for k, obstacle in enumerate(writer.obstacles, 1))
        raise ConversionError(f"the network cannot be expressed in NIR's profile {profile!r}: {said}")
    metadata = {"profile": profile, "dt": stated, "one_step": network.is_memoryless}
    metadata |= {"steps": timing.steps, "burn_in": timing.burn_in, "window": type(timing.window).__name__}
    metadata["arguments"] = ",".join(writer.names[i.name] for i in sorted(network.inputs, key=lambda i: i.argument))
    graph = writer.nir.NIRGraph(writer.nodes, writer.edges, metadata=metadata)
    return Graph(graph, writer.names, stated, tuple(dict.fromkeys(writer.differs)))


@dataclass
class _Writer:
    """Nodes and edges, one population after another; what cannot be said is noted and passed over.

    Args:
        unit: what a second is in the file.
    """

    network: SpikingNetwork
    profile: str
    nir: Any
    factors: Mapping[str, Tensor]
    unit: float
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    obstacles: list[Obstacle] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)

    def write(self) -> None:
        net, dtype = self.network, dtype_of(Chain(tuple(c.operator for c in self.network.connections)))
        self._check_noise()
        if len({i.argument for i in net.inputs}) < len(net.inputs):
            self._refuse("inputs", "several read one argument, each under a mask of its own", "mask it once")
        for node in net.inputs:
            self._add(node, node.name, self.nir.Input(input_type={"input": np.array(node.shape)}))
        for p in net.populations:
            synapse = self._filter(p)
            try:
                cell = self._cell(p, synapse)
            except Blocked as blocked:
                self._refuse(f"population {p.name!r}", blocked.obstacle.reason, blocked.obstacle.cure)
                cell = Cell()
            self.differs += cell.differs
            kept = None if isinstance(p.neuron, Discrete) and dtype == torch.float32 else dtype
            node = cell.neuron and neuron_node(self.nir, cell.neuron, p.shape, kept, self.unit)
            self._connect(p, cell, self._add(p, p.name, node))
        if any(c.synapse for c in net.into(net.readout.name)):
            self._filter(net.readout)
            self.differs.append("the read-out is not filtered: its average over steps is the same")
        output = self.nir.Output(output_type={"output": np.array(net.readout.shape)})
        name = OUTPUT if net.readout.name == Readout.name else net.readout.name
        self._connect(net.readout, Cell(), self._add(net.readout, name, output))

    # -- parts ---------------------------------------------------------------------------------------------

    def _cell(self, p: Population, synapse: Synapse | None) -> Cell:
        known = PROFILES[self.profile]
        if type(p.neuron) in known:
            return known[type(p.neuron)](p.neuron, synapse, self.network.dt)
        cure = "NIR has no such neuron: use LIF or threshold units"
        for name, kinds in PROFILES.items():
            if type(p.neuron) in kinds:
                kinds[type(p.neuron)](p.neuron, synapse, self.network.dt)  # or what is in the way there
                cure = f"use profile={name!r}"
        raise Blocked(Obstacle("", f"its neurons are {p.neuron.words} ({type(p.neuron).__name__})", cure))

    def _filter(self, node: Population | Readout) -> Synapse | None:
        """The filter that all connections into a node have in common."""
        into = self.network.into(node.name)
        for c in into:
            if c.synapse is not None and type(c.synapse) is not Lowpass:
                self._refuse(_where(c), f"NIR has no {type(c.synapse).__name__} filter", "convert with sb.Lowpass")
                return None
        synapses = {c.synapse for c in into}
        if len(synapses) > 1 and isinstance(node, Population):
            what = "its connections have different filters, and a neuron of NIR has one current"
            self._refuse(f"population {node.name!r}", what, "give all connections into it one Lowpass, or none")
        return next(iter(synapses), None) if len(synapses) == 1 else None

    def _connect(self, target: Population | Readout, cell: Cell, end: str) -> None:
        """The operators of the connections into a target, its constant with them."""
        constant = None if target.constant is None else cell.gain * target.constant.double()
        if cell.bias:
            constant = (torch.zeros(target.shape).double() if constant is None else constant) + cell.bias
        into = self.network.into(target.name)
        if not into:
            self._refuse(repr(target.name), "no connection leads to it", "leave it out")
        for c in into:
            source = self.network.shape(c.source)
            parts = self._parts(c, cell.gain)
            if parts is None:
                continue
            dtype, last = dtype_of(c.operator), self.names[c.source]
            at, bias = None, None
            if constant is not None and (found := held(parts, source, constant)):
                at, bias = found[0], found[1].to(dtype if target.constant is None else target.constant.dtype)
                constant = None
            for k, part in enumerate(parts):
                node = node_of(self.nir, part, source, bias if k == at else None, dtype)
                name = self._unused(f"{end}_{type(node).__name__.lower()}")
                self.nodes[name] = node
                self.edges.append((last, name))
                last, source = name, target_shape(part, source)
            self.edges.append((last, end))
        if constant is not None and bool(constant.any()):
            what = "its biases differ within a feature map, or no layer before it has weights that could hold them"
            self._refuse(repr(target.name), what, "give flat=True, or leave the biases out")

    def _parts(self, c: Connection, gain: float) -> tuple[Operator, ...] | None:
        """The operators of a connection with all factors in them; None if NIR has no such nodes."""
        source = next(n for n in self.network.nodes() if n.name == c.source)
        parts = said(c.operator, source.shape, self.network.shape(c.target))
        if parts is None:
            kinds = " and ".join(dict.fromkeys(type(part).__name__ for part in c.operator.parts))
            self._refuse(
                _where(c),
                f"NIR has no nodes for {kinds} here",
                "use Linear, Conv, AvgPool2d and Flatten, or give flat=True",
            )
            return None
        value = source.neuron.on(self.network.dt) if isinstance(source, Population) else 1.0
        factor = torch.full(source.shape, value * gain, dtype=torch.float64)
        return folded(parts, source.shape, factor * self.factors.get(c.source, 1.0))

    def _check_noise(self) -> None:
        for node in (*self.network.inputs, *self.network.populations):
            if node.dropout and node.dropout.acts and node.dropout.hold is not None:
                cure = "export a network whose masks are held (hold=None), one graph for each"
                self._refuse(repr(node.name), "its mask is redrawn during a run, and a graph is one mask", cure)
            spikes = node.spike_noise if isinstance(node, Population) else None
            if spikes and spikes.acts:
                self._refuse(repr(node.name), "its spikes are displaced or lost at random", "leave spike_noise out")
        for c in self.network.connections:
            if c.blank_out and c.blank_out.acts:
                cure = "only masks on units can be exported: use dropout instead of blank-out"
                self._refuse(_where(c), "its synapses blank out anew in every step, which NIR cannot express", cure)

    # -- names ---------------------------------------------------------------------------------------------

    def _add(self, node: Input | Population | Readout, name: str, made: Any) -> str:
        name = self._unused("".join(letter if letter.isalnum() else "_" for letter in name))
        self.nodes[name] = made
        self.names[node.name] = name
        return name

    def _unused(self, name: str) -> str:
        numbered = (f"{name}_{k}" for k in range(1, len(self.nodes) + 1))
        return next(free for free in (name, *numbered) if free not in self.nodes)

    def _refuse(self, where: str, reason: str, cure: str) -> None:
        self.obstacles.append(Obstacle(where, reason, cure))


def _where(c: Connection) -> str:
    return f"connection {c.source} -> {c.target}"
