"""from_nir(): a network from an NIR graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.obstacles import Obstacle
from spikebayes.errors import ConfigError, ConversionError, StoreError
from spikebayes.export.flattening import dtype_of
from spikebayes.export.layers import operators_of
from spikebayes.export.neurons import neurons_of, one_step
from spikebayes.export.packages import nir_package
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import Chain, Operator, Shape, target_shape
from spikebayes.network.timing import Flat, Hann, Timing, Window

DT = 1e-3  # s, of graphs that do not state it
WINDOWS: dict[str, Window] = {"Flat": Flat(), "Hann": Hann()}


@checked
def from_nir(
    graph: str | Path | Any, *, dropout: Mapping[str, float | Dropout] | None = None, dt: float | None = None
) -> SpikingNetwork:
    """A spiking network from a feed-forward NIR graph: LIF, CubaLIF, IF, Threshold and linear nodes between them.

    Its neurons are those of the graph, in discrete steps (:class:`spikebayes.network.DiscreteLIF`,
    :class:`spikebayes.network.IF`), or threshold units for ``Threshold`` nodes and graphs that :func:`to_nir` wrote
    for one step. Linear nodes are Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d and Flatten, whose axes
    are counted without the batch's; several edges into a node add up.

    Args:
        graph: a ``nir.NIRGraph``, or the path of a file.
        dropout: by name of an input or neuron node, the probability with which its units are dropped, in the whole
            simulation; or the mask itself. Graphs have no dropout of their own.
        dt: step in which the network is run, s. By default what the graph states if :func:`to_nir` wrote it; else
            1 ms, or 1 where nothing in it has a time constant: then a step adds r times the input.

    Raises:
        ConversionError: nodes that a network cannot have, all named, or a graph with cycles.
        ConfigError: nir is not installed; a dropout of what is not there; dt out of range.
        StoreError: the file is missing, damaged, or not an NIR graph.

    Reference:
        Pedersen et al. 2024, Nat. Commun. 15:8122.
    """
    nir = nir_package("from_nir")
    if isinstance(graph, str | Path):
        graph = _read(nir, Path(graph))
    if not isinstance(graph, nir.NIRGraph):
        raise ConfigError(f"from_nir takes a nir.NIRGraph or the path of one; got {type(graph).__name__}")
    return network_of(graph, dropout or {}, dt)


def network_of(graph: Any, dropout: Mapping[str, float | Dropout], dt: float | None = None) -> SpikingNetwork:
    """The network of a ``nir.NIRGraph``, see :func:`from_nir`."""
    nir = nir_package("from_nir")
    stated = _Stated.of(graph.metadata)
    if dt is None:
        timed = any(type(node) in (nir.LIF, nir.CubaLIF) for node in graph.nodes.values())
        dt = stated.dt or (DT if timed else 1.0)
    reader = _Reader(nir, graph, dt, stated)
    network = reader.read(_masks(dropout, reader.noisy))
    return network if network.is_memoryless else replace(network, timing=stated.timing)


@dataclass(frozen=True)
class _Stated:
    """What :func:`to_nir` states in a graph's metadata, as far as it is there.

    Args:
        dt: step, s. timing: how long it is to run. one_step: for one step alone. arguments: the inputs, in order.
    """

    dt: float | None = None
    timing: Timing | None = None
    one_step: bool = False
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> _Stated:
        try:
            dt = float(metadata["dt"]) if "dt" in metadata else None
            timing = None
            if "steps" in metadata:
                window = WINDOWS.get(str(metadata.get("window")), Flat())
                timing = Timing(int(metadata["steps"]), int(metadata.get("burn_in", 0)), window)
            arguments = tuple(str(metadata.get("arguments", "")).split(","))
            return cls(dt, timing, bool(metadata.get("one_step", False)), arguments)
        except (TypeError, ValueError) as error:
            raise ConversionError(
                f"the graph's metadata is inconsistent: {error}; give it a dt in seconds"
            ) from error


@dataclass(frozen=True, eq=False)
class _Value:
    """What a linear node gives: sums of operators on sources, and a constant ``[*shape]``."""

    shape: Shape
    terms: tuple[tuple[str, tuple[Operator, ...]], ...]
    constant: Tensor | None = None

    def then(self, operator: Operator, bias: Tensor | None) -> _Value:
        shape = target_shape(operator, self.shape)
        constant = None if self.constant is None else _passed(operator, self.constant)
        if bias is not None:
            bias = _by_rows(operator, bias, shape)
            constant = bias if constant is None else constant + bias
        return _Value(shape, tuple((source, (*done, operator)) for source, done in self.terms), constant)

    def plus(self, other: _Value) -> _Value:
        if other.shape != self.shape:
            raise ConfigError(f"it is given rows of shape {list(self.shape)} and of shape {list(other.shape)}")
        constants = [c for c in (self.constant, other.constant) if c is not None]
        constant = torch.stack(constants).sum(0) if constants else None
        return _Value(self.shape, (*self.terms, *other.terms), constant)


class _Reader:
    """Goes through the nodes in an order in which every edge points forward.

    Raises:
        ConversionError: edges that go round, or a node that a network cannot have.
    """

    def __init__(self, nir: Any, graph: Any, dt: float, stated: _Stated) -> None:
        self.nir, self.nodes, self.dt, self.once = nir, graph.nodes, dt, stated.one_step
        named = [n for n in graph.nodes if type(graph.nodes[n]) is nir.Input]  # of a file, by the alphabet
        self.argument = {
            name: k for k, name in enumerate(stated.arguments if {*stated.arguments} == {*named} else named)
        }
        self.linear, self.neurons = operators_of(nir), neurons_of(nir)
        self.into: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in dict.fromkeys(map(tuple, graph.edges)):
            if not {source, target} <= self.into.keys():
                raise ConversionError(f"the edge {source} -> {target} joins nodes that are not in the graph")
            self.into[target].append(source)
        try:
            self.order = list(TopologicalSorter(self.into).static_order())
        except CycleError as error:
            ring = " -> ".join(reversed(error.args[1]))
            raise ConversionError(f"the graph is recurrent ({ring}); only feed-forward graphs can be run") from error
        self._check()

    @property
    def noisy(self) -> list[str]:
        """Nodes whose output a mask can be on, in order."""
        return [n for n in self.order if type(self.nodes[n]) in self.neurons or type(self.nodes[n]) is self.nir.Input]

    def read(self, masks: Mapping[str, Dropout]) -> SpikingNetwork:
        inputs: list[Input] = []
        populations: list[Population] = []
        connections: list[Connection] = []
        readout: Readout | None = None
        values: dict[str, _Value] = {}
        for name in self.order:
            node = self.nodes[name]
            try:
                if type(node) is self.nir.Input:
                    shape = _shape(node)
                    inputs.append(Input(name, shape, masks.get(name), self.argument[name]))
                    values[name] = _Value(shape, ((name, ()),))
                    continue
                given = self._sum(values, name)
                if type(node) in self.linear:
                    values[name] = given.then(*self.linear[type(node)](node, given.shape))
                    continue
                connections += [Connection(source, name, _joined(done)) for source, done in given.terms]
                if type(node) is self.nir.Output:
                    readout = Readout(given.shape, given.constant, name)
                    continue
                neuron = self.neurons[type(node)](node, given.shape, self.dt)
                neuron = one_step(neuron) if self.once else neuron
                populations.append(Population(name, given.shape, neuron, masks.get(name), given.constant))
                values[name] = _Value(given.shape, ((name, ()),))
            except ConfigError as error:
                raise ConversionError(f"node {name!r} ({type(node).__name__}): {error}") from error
        assert readout is not None
        return SpikingNetwork(tuple(inputs), tuple(populations), tuple(connections), readout, self.dt)

    def _sum(self, values: dict[str, _Value], name: str) -> _Value:
        first, *others = (values[source] for source in self.into[name])
        for other in others:
            first = first.plus(other)
        return first

    def _check(self) -> None:
        known = {*self.linear, *self.neurons, self.nir.Input, self.nir.Output}
        found = []
        for name, node in self.nodes.items():
            kind = type(node).__name__
            if type(node) not in known:
                found.append(Obstacle(f"node {name!r}", f"a network has no {kind}", CURES.get(kind, CURE)))
            elif not self.into[name] and type(node) is not self.nir.Input:
                found.append(Obstacle(f"node {name!r} ({kind})", "no edge leads to it", "give the graph an Input"))
        outputs = [name for name, node in self.nodes.items() if type(node) is self.nir.Output]
        if len(outputs) != 1:
            found.append(Obstacle("the graph", f"it has {len(outputs)} Output nodes", "give it one"))
        if found:
            raise ConversionError(f"the graph cannot be read: {'; '.join(map(str, found))}")


CURE = "use LIF, CubaLIF, IF, Threshold, Affine, Linear, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten or Scale"
CURES = {
    "NIRGraph": "put its nodes directly into the graph, without cycles",
    "LI": "read the average of what comes before it, or filter in a CubaLIF",
    "CubaLI": "read the average of what comes before it, or filter in a CubaLIF",
}


def _masks(dropout: Mapping[str, float | Dropout], known: list[str]) -> dict[str, Dropout]:
    for name in dropout:
        if name not in known:
            raise ConfigError(f"dropout: there is no input or neuron node {name!r} in the graph{near(name, known)}")
    sites = {name: site for site, name in enumerate(n for n in known if n in dropout)}
    return {n: p if isinstance(p, Dropout) else Dropout(p, site=sites[n]) for n, p in dropout.items()}


def _shape(node: Any) -> Shape:
    """Of an Input's rows (ConfigError where the graph leaves it open)."""
    shape = node.input_type["input"]
    if shape is None:
        raise ConfigError("it has no shape; give its input_type, as {'input': np.array([4])} for rows of 4")
    return tuple(int(n) for n in shape)


def _joined(operators: tuple[Operator, ...]) -> Operator:
    """One operator, float64 throughout if a part is: files often have biases or weights of both."""
    joined = operators[0] if len(operators) == 1 else Chain(operators)
    return copy.deepcopy(joined).double() if len({b.dtype for b in joined.buffers()}) > 1 else joined


def _passed(operator: Operator, constant: Tensor) -> Tensor:
    """What an operator makes of a constant ``[*shape]``, in float64 if either is."""
    if torch.float64 in (constant.dtype, dtype_of(operator)):
        operator, constant = copy.deepcopy(operator).double(), constant.double()
    return operator(constant[None])[0]


def _by_rows(operator: Operator, bias: Tensor, shape: Shape) -> Tensor:
    """A bias, one number for each row of an operator's weights, as a constant ``[*shape]`` of its target.

    Raises:
        ConfigError: more or fewer of them.
    """
    assert operator.row_axis is not None
    axis = operator.row_axis % len(shape)
    if bias.numel() not in (1, shape[axis]):
        raise ConfigError(f"its bias has the shape {list(bias.shape)}; its weights have {shape[axis]} rows")
    return bias.reshape([-1 if k == axis else 1 for k in range(len(shape))]).expand(shape)


def _read(nir: Any, path: Path) -> Any:
    """The graph in a file; what its reader stumbles over is said in one line."""
    try:
        return nir.read(path, type_check=False)
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except (OSError, KeyError, AssertionError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{path} is damaged, or holds no NIR graph: {reason}") from error
