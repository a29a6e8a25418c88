"""The specification: every engine does what this one does, step by step, in readable torch.

Time semantics are Nengo 4's: populations are stepped in order, an unfiltered connection delivers in the same step,
a filtered one in the next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from spikebayes.engine.contract import POTENTIALS, SPIKES, TRACE, Result, Work, unknown_noise
from spikebayes.engine.ticks import TickSimulator
from spikebayes.machine.products import check_steady_products, full_precision
from spikebayes.machine.threads import one_thread
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.noise import BlankOut, Dropout, Gaussian, SpikeNoise
from spikebayes.network.operators import size
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.blank_out import Synapses, blank_out_keep, gaussian_sums
from spikebayes.noise.stochastic_units import fired

BUDGET = 1 << 26  # numbers held at once
TILE = 64  # simulations stepped side by side, always: the last bits of a matrix product depend on its size


class ReferenceEngine:
    """Every network, every noise, every probe; float32 or float64."""

    name = "reference"
    over_time = True

    def refusal(self, network: SpikingNetwork) -> str | None:
        pooling = next((p for p in network.populations if p.neuron.pools), None)
        if pooling is not None and network.code is None:
            kind = type(pooling.neuron).__name__
            return f"{kind} neurons, as in population {pooling.name!r}, pool numbers in windows of ticks only"
        unknown = unknown_noise(network, (Dropout, BlankOut, SpikeNoise))
        return unknown and f"{unknown}, are unknown"

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        check_steady_products()
        if network.code is not None:
            return TickSimulator(network, dtype).run
        if any(p.neuron.whole for p in network.populations):
            dtype = torch.float64
        operators = copy.deepcopy([c.operator for c in network.connections])  # one deepcopy keeps sharing
        modules = [operator.to(dtype) for operator in operators]
        connections = [_Link(c, m) for c, m in zip(network.connections, modules, strict=True)]
        return _Simulator(network, connections, dtype, _tile(network)).run

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        if not probes:
            return 4096
        units = network.neurons if probes & {SPIKES, POTENTIALS} else size(network.readout.shape)
        return max(1, min(4096, BUDGET // max(1, steps * units)))  # a network may have no neurons


def _tile(network: SpikingNetwork) -> int:
    """How many simulations the network's size allows side by side: ``TILE`` but for very wide networks."""
    widest = max(size(node.shape) for node in network.nodes())
    blanked = max((_synapses(c, network) for c in network.connections if c.blank_out), default=0)
    return max(1, min(TILE, BUDGET // (8 * network.neurons + 8 * widest + blanked)))


@dataclass(frozen=True)
class _Link:
    """A connection with its operator in the dtype of the simulation."""

    connection: Connection
    operator: Any

    def deliver(self, values: Tensor, work: Work, step: int) -> Tensor:
        """What the source's values ``[R, *source]`` add to the target in this step."""
        noise = self.connection.blank_out
        if noise is None:
            return self.operator(values)
        return _blanked(noise, self.operator, values, work, step)


class _Simulator:
    def __init__(self, network: SpikingNetwork, links: list[_Link], dtype: torch.dtype, tile: int) -> None:
        self.network, self.dtype, self.tile = network, dtype, tile
        self.into = {n.name: [k for k in links if k.connection.target == n.name] for n in network.nodes()}
        self.filtered = [k for k in links if k.connection.synapse is not None]

    @torch.no_grad()
    def run(self, work: Work) -> Result:
        """Simulate R pairs for T steps, in tiles of equal size, the last one filled up by repetition."""
        result = _empty(self.network, work, self.dtype)
        with full_precision(), one_thread():
            for first in range(0, len(work), self.tile):
                lines = torch.arange(first, first + self.tile).clamp(max=len(work) - 1)
                tile = replace(work, position=work.position[lines], keys=work.keys.at(lines))
                self._run(tile, _lines(result, slice(first, first + self.tile)))
        return result

    def _run(self, work: Work, result: Result) -> None:
        """Simulate one tile, of which ``result`` keeps as many lines as it has."""
        net, count, kept = self.network, len(work), len(result.mean)
        blank = {n.name: torch.zeros(count, *n.shape, dtype=self.dtype) for n in net.nodes()}
        neurons = {p.name: p.neuron.initial(blank[p.name]) for p in net.populations}
        filters = {id(k): (blank[k.connection.target],) * k.connection.synapse.order for k in self.filtered}  # pyright: ignore[reportOptionalMemberAccess]
        constant = {k: self._seen(work, k) for k in range(len(work.inputs)) if k not in work.over_time}
        keep: dict[str, Tensor | None] = {}
        weights = work.timing.weights().tolist()

        for step in range(work.steps):
            values: dict[str, Tensor] = {}  # each node's output in this step, [R, *shape]
            for node in (*net.inputs, *net.populations):
                keep[node.name] = _keep(node, work, step, keep.get(node.name))
                if isinstance(node, Input):
                    argument = node.argument
                    seen = constant[argument] if argument in constant else self._seen(work, argument, step)
                    values[node.name] = _masked(seen, node, keep[node.name])
                    continue
                drive = self._drive(node, values, filters, work, step, blank)
                advance = node.neuron.drawing_by(partial(fired, keys=work.fresh.later(step)))
                spiked, output, neurons[node.name] = advance(drive, neurons[node.name], net.dt)
                values[node.name] = _masked(output, node, keep[node.name])
                _record(result, node, spiked, neurons[node.name], keep[node.name], step)

            readout = self._drive(net.readout, values, filters, work, step, blank)
            result.mean += weights[step] * readout[:kept]
            if result.trace is not None:
                result.trace[:, step] = readout[:kept]

            for link in self.filtered:
                delivered = link.deliver(values[link.connection.source], work, step)
                filters[id(link)] = link.connection.synapse.step(filters[id(link)], delivered, net.dt)  # pyright: ignore[reportOptionalMemberAccess]

    def _seen(self, work: Work, argument: int, step: int = 0) -> Tensor:
        """What the simulations see of an argument in a step, ``[R, *shape]``."""
        x = work.inputs[argument]
        return (x[work.position, step] if argument in work.over_time else x[work.position]).to(self.dtype)

    def _drive(
        self,
        node: Population | Readout,
        values: dict[str, Tensor],
        filters: dict[int, tuple[Tensor, ...]],
        work: Work,
        step: int,
        blank: dict[str, Tensor],
    ) -> Tensor:
        """Sum of a node's connections and its constant, ``[R, *shape]``."""
        total = blank[node.name]
        for link in self.into[node.name]:
            if link.connection.synapse is None:
                total = total + link.deliver(values[link.connection.source], work, step)
            else:
                total = total + filters[id(link)][-1]
        return total if node.constant is None else total + node.constant.to(self.dtype)


def _keep(node: Input | Population, work: Work, step: int, held: Tensor | None) -> Tensor | None:
    """The node's mask in this step, ``[R, *shape]`` bool; drawn anew only when it changes."""
    noise = node.dropout
    if noise is None or not noise.acts:
        return None
    if noise.is_drawn_in(step):
        bits = dropout_keep(noise, work.keys, size(node.shape), step)
        return bits.reshape(len(work), *node.shape)
    return held


def _masked(values: Tensor, node: Input | Population, keep: Tensor | None) -> Tensor:
    if keep is None or node.dropout is None:
        return values
    return torch.where(keep, values * node.dropout.factor, 0.0)


def _blanked(noise: BlankOut, operator: Any, values: Tensor, work: Work, step: int) -> Tensor:
    """u_i = sum_j (xi_ij + a_i) w_ij z_j with fresh xi (Neftci 2017, eq. 2)."""
    rows = operator.weight_rows()
    seen, weight = rows.unfold(values), rows.weight  # [R, L, K], [O, K]
    mean = seen @ weight.T  # [R, L, O]
    scale = torch.as_tensor(noise.scale, dtype=values.dtype)
    if isinstance(noise.sampling, Gaussian):
        drawn = gaussian_sums(noise, seen, weight, work.keys_of(noise), step)
    else:
        bits = Synapses(seen.shape[1], seen.shape[2], len(weight))
        keep = blank_out_keep(noise, work.keys_of(noise), bits, step)  # [R, L, K, O]
        drawn = torch.einsum("rlko,ok,rlk->rlo", keep.to(values.dtype), weight, seen)
    target = operator(values[:1]).shape[1:]
    return rows.fold(drawn + scale * mean, target)


def _synapses(connection: Connection, network: SpikingNetwork) -> int:
    rows = connection.operator.weight_rows()
    assert rows is not None
    weight = rows.weight
    return size(network.shape(connection.target)) // len(weight) * weight.numel()


def _empty(net: SpikingNetwork, work: Work, dtype: torch.dtype) -> Result:
    count, steps = len(work), work.steps
    result = Result(
        mean=torch.zeros(count, *net.readout.shape, dtype=dtype),
        counts={p.name: torch.zeros(count, dtype=torch.int64) for p in net.populations},
    )
    for p in net.populations:
        if SPIKES in work.probes:
            result.spikes[p.name] = torch.zeros(count, steps, size(p.shape), dtype=torch.bool)
        if POTENTIALS in work.probes and not p.neuron.memoryless:
            result.potentials[p.name] = torch.zeros(count, steps, size(p.shape), dtype=dtype)
    if TRACE in work.probes:
        result.trace = torch.zeros(count, steps, *net.readout.shape, dtype=dtype)
    return result


def _lines(result: Result, at: slice) -> Result:
    """Some lines of a result, as views to write into."""
    return Result(
        mean=result.mean[at],
        counts={name: count[at] for name, count in result.counts.items()},
        spikes={name: spikes[at] for name, spikes in result.spikes.items()},
        potentials={name: potential[at] for name, potential in result.potentials.items()},
        trace=None if result.trace is None else result.trace[at],
    )


def _record(
    result: Result,
    node: Population,
    spiked: Tensor,
    state: tuple[Tensor, ...],
    keep: Tensor | None,
    step: int,
) -> None:
    lines = len(result.mean)
    emitted = (spiked if keep is None else spiked & keep).flatten(1)[:lines]
    result.counts[node.name] += emitted.sum(1)
    if node.name in result.spikes:
        result.spikes[node.name][:, step] = emitted
    if node.name in result.potentials:
        potential = state[0]
        if keep is not None and node.dropout is not None and node.dropout.hold is None:
            potential = potential * keep
        result.potentials[node.name][:, step] = potential.flatten(1)[:lines]
