"""The library's network as dense torch operations, for simulators that step tensors of spikes.

Two ways to run it. In sequence: population by population, a whole spike train ``[T, B, *shape]`` at a time, so that
each operator is one product with time folded into the batch; the neurons are the simulator's own. All rows go
together unless a population's spike train would exceed ``NUMBERS`` (256 MB): workload C goes six rows at a time, and
no run takes more than about 0.5 GB for its spike trains. In steps: all populations and rows in every step.

What does not change over time is computed once in a run: the current that constant inputs and biases make. Spikes
are multiplied by one factor per neuron and row, which holds their area, the mask and 1/(1 - p). The read-out is
linear, so its operator is applied to the spikes' average over the window. Synaptic filters are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.peers.base import Outcome
from benchmarks.workloads import Workload
from spikebayes import LIF, ConfigError, Population, SpikingNetwork
from spikebayes.network import Chain, Dense, Operator, Place, Shape, output_scale, size

Fire = Callable[[Tensor], Tensor]  # currents to spikes 0 or 1, shaped alike, time first unless said otherwise
NUMBERS = 1 << 26  # floats in one population's spike train at most; rows beyond them wait for the next block
SEED = 0  # of the masks


@dataclass(frozen=True)
class Link:
    """A connection from a population.

    Args:
        factor: ``[rows, *source]``, what a spike is multiplied by: area, mask, 1/(1 - p), gain of the target.
        last: whether no later connection reads the source.
    """

    source: str
    operator: Operator
    factor: Tensor
    last: bool


class Graph:
    """A workload's network laid out.

    Args:
        workload: LIF populations; masks held for the whole simulation.
        shifts: current added to a population.
        scale: by what a simulator's neurons want their current multiplied, from their parameters.
        each_step: present constant inputs anew in every step, as most tutorials do, instead of once in a run.

    Raises:
        ConfigError: other neurons, or noise that changes during a simulation.
    """

    def __init__(
        self,
        workload: Workload,
        shifts: Mapping[str, float] | None = None,
        scale: Callable[[LIF], float] = lambda neuron: 1.0,
        each_step: bool = False,
    ) -> None:
        network = workload.network
        check(network)
        self.workload, self.network, self.each_step = workload, network, each_step
        self.steps, self.window = workload.steps, workload.steps - workload.burn_in
        self.neurons = {p.name: lif(p) for p in network.populations}
        self.scales = {name: scale(neuron) for name, neuron in self.neurons.items()}
        self.shifts = dict(shifts or {})
        self.keep = masks(workload)
        self.into = {target.name: self._links(target.name) for target in (*network.populations, network.readout)}
        self.read = {link.source for link in self.into[network.readout.name]}

    def blocks(self, trains: bool) -> Iterator[slice]:
        """Slices of rows: all at once, or as many as whole spike trains leave room for."""
        rows = self.workload.rows
        widest = max(size(p.shape) for p in self.network.populations)
        most = max(1, NUMBERS // (self.steps * widest)) if trains else rows
        yield from (slice(first, min(rows, first + most)) for first in range(0, rows, most))

    def static(self, rows: slice, times: int = 1) -> dict[str, Tensor]:
        """By population and for the read-out: the current that constants, inputs and shifts make, ``[B, *shape]``.

        With ``times`` those that inputs reach get it that often, ``[times * B, *shape]``, by as many products.
        """
        network, count = self.network, rows.stop - rows.start
        found = {}
        for node in (*network.populations, network.readout):
            driven = times > 1 and any(c.source not in self.neurons for c in network.into(node.name))
            repeats = times if driven else 1
            total = torch.zeros(count * repeats, *node.shape)
            if node.constant is not None:
                total += node.constant
            for c in network.into(node.name):
                if c.source in self.neurons:
                    continue
                source = next(i for i in network.inputs if i.name == c.source)
                given = self.workload.inputs[source.argument][rows] * output_scale(source, network.dt)
                given = given * self.keep[source.name][rows]
                total += c.operator(given.expand(repeats, *given.shape).flatten(0, 1))
            if neuron := self.neurons.get(node.name):
                current = neuron.gain * total + neuron.bias + self.shifts.get(node.name, 0.0)
                total = current * self.scales[node.name]
            found[node.name] = total
        return found

    def outcome(self, outputs: list[Tensor], emitted: Mapping[str, float]) -> Outcome:
        """Blocks of read-outs and numbers of spikes put together."""
        runs = self.workload.rows * self.steps
        rates = {p.name: emitted[p.name] / (runs * size(p.shape)) for p in self.network.populations}
        return Outcome(torch.cat(outputs).flatten(1), rates)

    def _links(self, target: str) -> list[Link]:
        network = self.network
        order = [n.name for n in (*network.populations, network.readout)]
        made = []
        for c in network.into(target):
            if c.source not in self.neurons:
                continue
            source = next(p for p in network.populations if p.name == c.source)
            gain = self.neurons[target].gain * self.scales[target] if target in self.neurons else 1.0
            factor = self.keep[source.name] * (output_scale(source, network.dt) * gain)
            later = [d for d in network.connections if d.source == c.source and _after(d.target, target, order)]
            same = [d for d in network.into(target) if d.source == c.source]
            made.append(Link(c.source, fused(c.operator, source.shape), factor, not later and c is same[-1]))
        return made


def _after(one: str, other: str, order: list[str]) -> bool:
    return order.index(one) > order.index(other)


def check(network: SpikingNetwork) -> None:
    """Refuse what no peer runs: noise that changes during a simulation, noise on synapses (ConfigError)."""
    if any(c.blank_out for c in network.connections):
        raise ConfigError("noise on synapses is not run by other simulators here")
    if any(n.dropout and n.dropout.hold for n in (*network.inputs, *network.populations)):
        raise ConfigError("masks redrawn during a simulation are not run by other simulators here")


def lif(population: Population) -> LIF:
    """The population's neuron, which must be LIF (ConfigError)."""
    if not isinstance(population.neuron, LIF):
        raise ConfigError(f"other simulators run LIF neurons here; {population.name} has {population.neuron}")
    return population.neuron


def masks(workload: Workload) -> dict[str, Tensor]:
    """By input and population ``[rows, *shape]`` float32, 1 where a unit is kept: one mask per row, a fixed seed."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = {}
    for node in (*workload.network.inputs, *workload.network.populations):
        keep = torch.ones(workload.rows, *node.shape)
        drawn[node.name] = keep.bernoulli_(1 - node.dropout.p, generator=generator) if node.dropout else keep
    return drawn


def fused(operator: Operator, source: Shape) -> Operator:
    """The operator, a slot in a concatenation merged into the dense layer after it.

    Example:
        >>> fused(Chain((Place(1, 2, 1), Dense(torch.ones(4, 6)))), (3,)).weight.shape
        torch.Size([4, 3])
    """
    first, *rest = operator.parts or (operator,)
    if len(source) == 1 and isinstance(first, Place) and rest and isinstance(rest[0], Dense):
        weight = rest[0].weight[:, first.before : first.before + source[0]].contiguous()
        return Chain((Dense(weight), *rest[1:])) if rest[1:] else Dense(weight)
    return operator


def in_sequence(graph: Graph, fire: Mapping[str, Fire], time: int = 0) -> Callable[[], Outcome]:
    """A function that runs the network population by population.

    Args:
        graph: the network.
        fire: for each population, currents to spikes over all steps, from rest; it must not change its argument.
        time: the axis of steps in both, 0 or 1; the other of the two is the row.
    """

    @torch.inference_mode()
    def run() -> Outcome:
        outputs, emitted = [], dict.fromkeys(graph.neurons, 0.0)
        for rows in graph.blocks(trains=True):
            static = graph.static(rows, graph.steps if graph.each_step and time == 0 else 1)
            trains: dict[str, Tensor] = {}
            read: dict[str, Tensor] = {}
            for name in graph.neurons:
                current = static.pop(name)
                presented = len(current) > rows.stop - rows.start
                current = current.unflatten(0, (graph.steps, -1)) if presented else current.unsqueeze(time)
                if links := graph.into[name]:
                    total = _delivered(links[0], trains, rows, time)
                    for link in links[1:]:
                        total += _delivered(link, trains, rows, time)
                    current = total.add_(current)
                elif not presented:
                    current = current.expand(*_lead(graph, current, time), *current.shape[2:])
                train = fire[name](current)
                emitted[name] += float((train.sum(time) * graph.keep[name][rows]).sum())
                if name in graph.read:
                    read[name] = train.narrow(time, graph.steps - graph.window, graph.window).sum(time)
                trains[name] = train
            output = static[graph.network.readout.name]
            for link in graph.into[graph.network.readout.name]:
                output += link.operator(read[link.source] * (link.factor[rows] / graph.window))
            outputs.append(output)
        return graph.outcome(outputs, emitted)

    return run


def _lead(graph: Graph, current: Tensor, time: int) -> tuple[int, int]:
    rows = current.shape[1 - time]
    return (graph.steps, rows) if time == 0 else (rows, graph.steps)


def _delivered(link: Link, trains: dict[str, Tensor], rows: slice, time: int) -> Tensor:
    """Current that a spike train makes in the target, over all steps; its last reader may overwrite the train."""
    factor = link.factor[rows].unsqueeze(time)
    sent = trains.pop(link.source).mul_(factor) if link.last else trains[link.source] * factor
    return link.operator(sent.flatten(0, 1)).unflatten(0, sent.shape[:2])
