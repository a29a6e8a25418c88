"""A spiking network: a DAG of populations joined by linear connections, with noise on either.

Everything between two activations is linear, so these few frozen dataclasses describe every network the library
runs; the engines read nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near
from spikebayes.machine.notebook import as_html
from spikebayes.network.coded import Coded, Race
from spikebayes.network.codes import Code
from spikebayes.network.neurons import Neuron
from spikebayes.network.noise import BlankOut, Dropout, SpikeNoise
from spikebayes.network.operators import Operator, Shape, size, target_shape
from spikebayes.network.synapses import Synapse
from spikebayes.network.timing import Timing
from spikebayes.network.vocabulary import stored


@stored
@checked
@dataclass(frozen=True)
class Input:
    """An argument of the network, constant over a simulation unless it is given over time, ``[B, T, *shape]``.

    Args:
        name: unique in the network.
        shape: shape of one row.
        dropout: noise on its values.
        argument: which positional argument of the model it reads (two inputs may read one argument under
            different masks).
        standardised: whether the model was trained on values of mean 0 and standard deviation 1; any others are
            probably a mistake.
    """

    name: str
    shape: Shape
    dropout: Dropout | None = None
    argument: int = 0
    standardised: bool = False


@stored
@checked
@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind.

    Args:
        name: unique in the network.
        shape: shape of one row; N is its product.
        neuron: their model.
        dropout: noise on their output.
        constant: ``[*shape]``, input that is always there (biases), or None for zero.
        grid: their input is rounded to multiples of it, a power of two; 0 for no rounding.
        spike_noise: what happens to their spikes on the way, in windows of ticks.
    """

    name: str
    shape: Shape
    neuron: Neuron
    dropout: Dropout | None = None
    constant: Tensor | None = None
    grid: float = 0.0
    spike_noise: SpikeNoise | None = None


@stored
@checked
@dataclass(frozen=True, eq=False)
class Connection:
    """A linear operator from a source's output to a target's input.

    Args:
        source, target: names. Several connections into one target add up.
        operator: see ``operators``; one object may serve several connections.
        synapse: filter; None delivers in the same step, a filter delivers in the next.
        blank_out: noise on the synapses; the operator, or the last one of a chain, must be dense or a convolution.
    """

    source: str
    target: str
    operator: Operator
    synapse: Synapse | None = None
    blank_out: BlankOut | None = None


@stored
@checked
@dataclass(frozen=True, eq=False)
class Readout:
    """Where the output is read: a sum of connections plus a constant, no neurons. Averaged over time by engines."""

    shape: Shape
    constant: Tensor | None = None
    name: str = "readout"
    grid: float = 0.0  # as of a population


@stored
@checked
@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    """The whole network. Populations stand in an order in which every connection points forward.

    Args:
        inputs, populations, connections, readout: the parts.
        dt: time step, s.
        timing: how long a sample is simulated unless ``predict`` is told otherwise; ``tune`` finds it. None works it
            out from the filters. It is valid for this network only: with another dt, or other filters, replace it
            too. A network that sends numbers in windows has none.

    Raises:
        ConfigError: dt out of range, an argument left out, a name used twice or missing, a connection that points
            backwards, shapes that do not fit, blank-out on an operator that has no synapses of its own, spike noise
            without windows of ticks, jitter where they have one tick, a race among several sources or inputs, or a
            timing of a code.
    """

    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    readout: Readout
    dt: float = 1e-3
    timing: Timing | None = None
    _shapes: dict[str, Shape] = field(init=False, repr=False, default_factory=dict)
    laid_out: dict[Hashable, Any] = field(init=False, repr=False, default_factory=dict)  # what engines made of it

    def __getstate__(self) -> dict[str, Any]:
        """A copy is laid out anew."""
        return self.__dict__ | {"laid_out": {}}

    def __post_init__(self) -> None:
        if not (self.dt > 0 and math.isfinite(self.dt)):
            raise ConfigError(f"dt must be a positive number of seconds; got {self.dt}")
        arguments = sorted({i.argument for i in self.inputs})
        if arguments != list(range(len(arguments))):
            raise ConfigError(f"inputs must read the arguments 0, 1, ... of the model; they read {arguments}")
        shapes = {i.argument: i.shape for i in self.inputs}
        for i in self.inputs:
            if i.shape != shapes[i.argument]:
                raise ConfigError(
                    f"inputs that read one argument must have one shape; of argument {i.argument} {i.name} takes "
                    f"{list(i.shape)}, and another {list(shapes[i.argument])}"
                )
        order: dict[str, int] = {}
        for node in self.nodes():
            if node.name in order:
                raise ConfigError(f"two parts of the network are named {node.name!r}; give each a name of its own")
            order[node.name] = len(order)
            self._shapes[node.name] = node.shape
            constant = getattr(node, "constant", None)
            if constant is not None and tuple(constant.shape) != node.shape:
                raise ConfigError(
                    f"the constant of {node.name} has shape {list(constant.shape)}; expected {list(node.shape)}"
                )
        for connection in self.connections:
            self._check(connection, order)
        self._check_schedule()

    def nodes(self) -> Iterator[Input | Population | Readout]:
        """Inputs, populations and the read-out, in order."""
        yield from self.inputs
        yield from self.populations
        yield self.readout

    @checked
    def into(self, target: str) -> tuple[Connection, ...]:
        """The connections that end in ``target``."""
        return tuple(c for c in self.connections if c.target == target)

    @checked
    def shape(self, name: str) -> Shape:
        """Shape of one row of a node."""
        if name not in self._shapes:
            raise ConfigError(f"there is no {name!r} in the network{near(name, self._shapes)}")
        return self._shapes[name]

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return sum(size(p.shape) for p in self.populations)

    @property
    def is_random(self) -> bool:
        """Whether anything in it is drawn: only then is there a predictive distribution."""
        units = any(p.neuron.random for p in self.populations)
        dropped = any(n.dropout and n.dropout.acts for n in (*self.inputs, *self.populations))
        spikes = any(p.spike_noise and p.spike_noise.acts for p in self.populations)
        return units or dropped or spikes or any(c.blank_out and c.blank_out.acts for c in self.connections)

    @property
    def free_site(self) -> int:
        """The first site such that neither it nor any later one is in use."""
        noises = [n.dropout for n in (*self.inputs, *self.populations)]
        noises += [p.spike_noise for p in self.populations] + [c.blank_out for c in self.connections]
        taken = [noise.site for noise in noises if noise] + [getattr(p.neuron, "site", -1) for p in self.populations]
        return 1 + max(taken, default=-1)

    @property
    def is_memoryless(self) -> bool:
        """Whether a step depends on nothing before it: units without a state, and no filters."""
        units = all(p.neuron.memoryless for p in self.populations)
        return units and all(c.synapse is None for c in self.connections)

    @property
    def code(self) -> Code | None:
        """The code of all populations; None where they step freely."""
        return next((p.neuron.code for p in self.populations if isinstance(p.neuron, Coded)), None)

    @property
    def depths(self) -> dict[str, int]:
        """In a coded network, the window of a sample in which each node sends its numbers; inputs from 0 on.

        A population sends one window after the last of its sources, a race in the same window as its sources; the
        read-out is complete at the end of its sources' last window.
        """
        found = {i.name: 0 for i in self.inputs}
        for node in (*self.populations, self.readout):
            later = 1 if isinstance(node, Population) and not node.neuron.pools else 0
            found[node.name] = later + max((found[c.source] for c in self.into(node.name)), default=0)
        return found

    @property
    def steady(self) -> frozenset[str]:
        """Inputs and populations that nothing random affects: their values are the same in all samples of a row."""
        found: set[str] = set()
        for node in (*self.inputs, *self.populations):
            random = any(noise and noise.acts for noise in (node.dropout, getattr(node, "spike_noise", None)))
            if not random and all(c.source in found for c in self.into(node.name)):
                found.add(node.name)
        return frozenset(found)

    @property
    def told_once(self) -> frozenset[str]:
        """In a coded network, steady populations that send their numbers in the first window of a run only.

        What they add to a neuron is held there for all samples. A race holds nothing: if its own numbers are masked,
        its sources send in every window.
        """
        found = set(self.steady)
        for p in reversed(self.populations):
            if p.neuron.pools and p.name not in found:
                found -= {c.source for c in self.into(p.name)}
        return frozenset(found & {p.name for p in self.populations})

    def __repr__(self) -> str:
        timing = "" if self.timing is None else f", {self.timing}"
        lines = [f"SpikingNetwork(dt={self.dt:g} s, {self.neurons} neurons{timing})"]
        for node in self.nodes():
            sources = ", ".join(c.source for c in self.into(node.name))
            kind = repr(node.neuron) if isinstance(node, Population) else type(node).__name__
            drop = getattr(node, "dropout", None)
            noise = f", dropout {drop.p:g}" if drop else ""
            spikes = getattr(node, "spike_noise", None)
            noise += f", {spikes.words}" if spikes and spikes.acts else ""
            lines.append(f"  {node.name} {list(node.shape)} {kind}{noise}" + (f" <- {sources}" if sources else ""))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks: as in text."""
        heading, *lines = repr(self).splitlines()
        return as_html(heading, text="\n".join(line.strip() for line in lines))

    def _check(self, connection: Connection, order: dict[str, int]) -> None:
        source, target = connection.source, connection.target
        for name in (source, target):
            if name not in order:
                raise ConfigError(f"connection {source} -> {target}: there is no {name!r} in the network")
        if order[source] >= order[target] or order[target] < len(self.inputs):
            raise ConfigError(
                f"connection {source} -> {target} does not point forward; put populations behind all that they hear"
            )
        reached = target_shape(connection.operator, self.shape(source))
        taken = reached[:-1] if self._pools(target) else reached
        if taken != self.shape(target):
            raise ConfigError(
                f"connection {source} -> {target} delivers rows of shape {list(reached)}, "
                f"but {target} has shape {list(self.shape(target))}"
            )
        if connection.blank_out:
            self._check_blank_out(connection, connection.blank_out)

    def _check_schedule(self) -> None:
        coded = [p for p in self.populations if isinstance(p.neuron, Coded | Race)]
        codes = {p.neuron.code for p in coded}  # pyright: ignore[reportAttributeAccessIssue]
        if codes - {None} and (len(codes) > 1 or len(coded) < len(self.populations)):
            free = next((f"{p.name} steps freely" for p in self.populations if p not in coded), "there are several")
            raise ConfigError(f"in windows of ticks all populations must use one code; {free}")
        for p in self.populations:
            if p.spike_noise is not None and not codes - {None}:
                raise ConfigError(
                    f"{p.name} steps freely: only in windows of ticks does the time of a spike tell a number; leave "
                    "its spike_noise out, or make its synapses unreliable by with_blank_out"
                )
            if p.spike_noise is not None and p.spike_noise.jitter and any(code and code.graded for code in codes):
                raise ConfigError(
                    f"{p.name} sends payloads, which tell the same whenever in their one tick they come; leave "
                    "jitter out, or convert with a code that tells numbers by time: Digits, FirstSpike or Radix"
                )
        if codes - {None} and self.timing is not None:
            raise ConfigError(f"a code knows its ticks, and takes no other timing; leave out {self.timing!r}")
        told = {p.name for p in self.populations}
        for p in coded if codes - {None} else ():
            if p.neuron.pools and [c.source in told for c in self.into(p.name)] != [True]:
                raise ConfigError(f"the race {p.name} must be reached by one connection, from a population")
        for c in self.connections if codes - {None} else ():
            if c.synapse is not None or c.blank_out is not None:
                raise ConfigError(
                    f"connection {c.source} -> {c.target}: a window of ticks is summed as it is, without a filter "
                    "and with synapses that all transmit"
                )

    def _pools(self, name: str) -> bool:
        """Whether a node's neurons take several values each."""
        return any(p.neuron.pools for p in self.populations if p.name == name)

    def _check_blank_out(self, connection: Connection, noise: BlankOut) -> None:
        where = f"connection {connection.source} -> {connection.target}"
        rows = connection.operator.weight_rows()
        if rows is None:
            last = (connection.operator.parts or (connection.operator,))[-1]
            raise ConfigError(
                f"{where}: {type(last).__name__} has no synapses that could blank out one by one; "
                "blank-out needs a Dense or Conv operator (without groups), or a chain's last"
            )
        units = len(rows.weight)
        if isinstance(noise.scale, Tensor) and noise.scale.ndim and tuple(noise.scale.shape) != (units,):
            raise ConfigError(
                f"{where}: the blank-out's scale has shape {list(noise.scale.shape)}; "
                f"expected one number, or {[units]}"
            )


@checked
def output_scale(node: Input | Population, dt: float) -> float:
    """Value of one unit of a node's output when it spikes and is kept: what its neuron gives, times 1/(1 - p)."""
    value = node.neuron.on(dt) if isinstance(node, Population) else 1.0
    return value * node.dropout.factor if node.dropout else value
