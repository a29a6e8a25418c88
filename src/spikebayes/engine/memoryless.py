"""The CPU engine's way through networks without memory: every step is a pass of its own, noise drawn as it goes.

Pairs go through in tiles of one size, each on one thread. What no noise comes before is computed once for each row.
Synapses that blank out are summed by ``blank_out_kernel.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.blank_out import Gaussian, gaussian_sums
from spikebayes.blank_out_kernel import Weights, blanked_sums, lay_out_weights
from spikebayes.chance import fired
from spikebayes.engine.contract import SPIKES, TRACE, Result, Work
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import size, synapses, target_shape
from spikebayes.neurons import Bernoulli
from spikebayes.noise import dropout_keep
from spikebayes.philox import site_word
from spikebayes.threads import one_thread, share_out

TILE = 256  # pairs that go through side by side, always: the last bits of a matrix product may depend on its size
BUDGET = 1 << 24  # numbers of a tile


def prepare(network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
    """Lay a memoryless network out; the function returned runs any number of blocks."""
    operators = copy.deepcopy([c.operator for c in network.connections]).__iter__()
    links = [_link(c, next(operators).to(dtype), network) for c in network.connections]
    return _Simulator(network, links, dtype).run


def tile(network: SpikingNetwork) -> int:
    """Pairs side by side, by the widest layer with what its synapses see."""
    widest = max(size(node.shape) for node in network.nodes())
    for c in network.connections:
        found = synapses(c.operator) if c.blank_out else None
        if found is not None:
            places = size(network.shape(c.target)) // len(found[1].matrix())
            widest = max(widest, places * found[1].matrix().shape[1])
    return max(1, min(TILE, BUDGET // (2 * widest)))


@dataclass(frozen=True, eq=False)
class _Link:
    """A connection with its operator in the dtype of the simulation, and its weights laid out if they blank out."""

    connection: Connection
    operator: Any
    weights: Weights | None = None

    def deliver(self, values: Tensor, work: Work, at: Tensor, step: int) -> Tensor:
        """What the source's values ``[R, *source]`` add to the target in a step, for the pairs ``at`` ``[R]``."""
        noise, found = self.connection.blank_out, synapses(self.operator)
        if noise is None or found is None:
            return self.operator(values)
        before, layer = found
        seen, weight = layer.unfold(before(values)).contiguous(), layer.matrix()  # [R, L, K], [O, K]
        mean = (seen.flatten(0, 1) @ weight.T).unflatten(0, seen.shape[:2])  # [R, L, O]
        if isinstance(noise.sampling, Gaussian) or self.weights is None:
            drawn = gaussian_sums(noise, seen, weight, work.seed, work.samples[at], work.rows[at], step)
        else:
            drawn = torch.empty_like(mean)
            samples, draw = noise.key(work.samples[at], step)
            keys = samples.numpy().astype(np.uint64), work.rows[at].numpy().astype(np.uint64)
            word = site_word(noise.site, draw)
            blanked_sums(seen.numpy(), self.weights, noise.keep, work.seed, *keys, word, drawn.numpy())
        scale = torch.as_tensor(noise.scale, dtype=values.dtype)
        return layer.fold(drawn + scale * mean, target_shape(self.operator, tuple(values.shape[1:])))


def _link(connection: Connection, operator: Any, network: SpikingNetwork) -> _Link:
    found = synapses(operator) if connection.blank_out else None
    if found is None or (connection.blank_out and isinstance(connection.blank_out.sampling, Gaussian)):
        return _Link(connection, operator)
    weight = found[1].matrix()
    places = size(network.shape(connection.target)) // len(weight)
    return _Link(connection, operator, lay_out_weights(weight, places))


class _Simulator:
    def __init__(self, network: SpikingNetwork, links: list[_Link], dtype: torch.dtype) -> None:
        self.network, self.dtype, self.tile = network, dtype, tile(network)
        self.quiet = _quiet(network)
        self.into = {n.name: [k for k in links if k.connection.target == n.name] for n in network.nodes()}

    @torch.no_grad()
    def run(self, work: Work) -> Result:
        """R pairs, T steps each."""
        net, count, rows = self.network, len(work), len(work.inputs[0])
        result = Result(
            mean=torch.zeros(count, *net.readout.shape, dtype=self.dtype),
            counts={p.name: torch.zeros(count, dtype=torch.int64) for p in net.populations},
        )
        if SPIKES in work.probes:
            lead = (count, work.steps)
            result.spikes = {p.name: torch.zeros(*lead, size(p.shape), dtype=torch.bool) for p in net.populations}
        if TRACE in work.probes:
            result.trace = torch.zeros(count, work.steps, *net.readout.shape, dtype=self.dtype)
        if not count:
            return result
        spans = dict.fromkeys(c.target for c in net.connections if c.source in self.quiet and not c.blank_out)
        still = [node for node in net.nodes() if node.name in spans or node.name in self.quiet]
        base = {node.name: torch.zeros(rows, *node.shape, dtype=self.dtype) for node in still}
        inputs = [x.to(self.dtype) for x in work.inputs]

        def once(begin: int, end: int) -> None:
            with torch.no_grad(), one_thread():
                self._once(inputs, base, begin, end)

        def pairs(begin: int, end: int) -> None:
            with torch.no_grad(), one_thread():
                self._pairs(work, inputs, base, result, begin, end)

        threads = torch.get_num_threads()
        try:
            share_out(once, rows, self.tile)
            share_out(pairs, count, self.tile)
        finally:
            torch.set_num_threads(threads)
        return result

    def _once(self, inputs: list[Tensor], base: dict[str, Tensor], begin: int, end: int) -> None:
        """Values of quiet nodes, and what they give the others: ``base``, rows ``begin`` to ``end``."""
        lines = torch.arange(begin, begin + self.tile).clamp(max=len(inputs[0]) - 1)
        kept = end - begin
        values: dict[str, Tensor] = {}
        for node in self.network.nodes():
            if node.name not in base:
                continue
            if isinstance(node, Input):
                values[node.name] = inputs[node.argument][lines]
            else:
                total = torch.zeros(len(lines), *node.shape, dtype=self.dtype)
                for link in self.into[node.name]:
                    if link.connection.source in self.quiet and not link.connection.blank_out:
                        total = total + link.operator(values[link.connection.source])
                values[node.name] = total
                if node.name in self.quiet and isinstance(node, Population):
                    drive = total if node.constant is None else total + node.constant.to(self.dtype)
                    base[node.name][begin:end] = drive[:kept]
                    values[node.name] = node.neuron.step(drive, (), self.network.dt)[1]  # pyright: ignore
                    continue
            base[node.name][begin:end] = values[node.name][:kept]

    def _pairs(
        self, work: Work, inputs: list[Tensor], base: dict[str, Tensor], result: Result, begin: int, end: int
    ) -> None:
        """Simulate one tile of pairs, filled up by repetition."""
        at = torch.arange(begin, begin + self.tile).clamp(max=len(work) - 1)
        position, kept, weights = work.position[at], end - begin, work.weights().tolist()
        masks: dict[str, Tensor] = {}
        for step in range(work.steps):
            values: dict[str, Tensor] = {}
            for node in self.network.nodes():
                if isinstance(node, Input):
                    values[node.name] = self._masked(node, inputs[node.argument][position], work, at, step, masks)
                    continue
                drive = self._drive(node, base, position, values, work, at, step)
                if isinstance(node, Readout):
                    result.mean[begin:end] += weights[step] * drive[:kept]
                    if result.trace is not None:
                        result.trace[begin:end, step] = drive[:kept]
                    continue
                if isinstance(node.neuron, Bernoulli):
                    spiked = fired(drive, node.neuron, work.seed, work.samples[at] + step, work.rows[at])
                    output = node.neuron.output(spiked, self.dtype)
                else:
                    spiked, output, _ = node.neuron.step(drive, (), self.network.dt)
                values[node.name] = self._masked(node, output, work, at, step, masks)
                emitted = spiked & masks[node.name] if node.name in masks else spiked
                result.counts[node.name][begin:end] += emitted.flatten(1).sum(1)[:kept]
                if node.name in result.spikes:
                    result.spikes[node.name][begin:end, step] = emitted.flatten(1)[:kept]

    def _drive(
        self,
        node: Population | Readout,
        base: dict[str, Tensor],
        position: Tensor,
        values: dict[str, Tensor],
        work: Work,
        at: Tensor,
        step: int,
    ) -> Tensor:
        """Sum of a node's connections and its constant, ``[R, *shape]``."""
        if node.name in self.quiet:
            return base[node.name][position]
        total = base[node.name][position] if node.name in base else None
        for link in self.into[node.name]:
            source = link.connection.source
            if source in self.quiet and not link.connection.blank_out:
                continue
            part = link.deliver(values[source], work, at, step)
            total = part if total is None else total + part
        if total is None:
            total = torch.zeros(len(at), *node.shape, dtype=self.dtype)
        return total if node.constant is None else total + node.constant.to(self.dtype)

    def _masked(
        self, node: Input | Population, x: Tensor, work: Work, at: Tensor, step: int, masks: dict[str, Tensor]
    ) -> Tensor:
        noise = node.dropout
        if noise is None or noise.p == 0:
            return x
        if step == 0 or noise.redraws(step) > noise.redraws(step - 1):
            keys = work.seed, work.samples[at], work.rows[at], size(node.shape)
            masks[node.name] = dropout_keep(noise, *keys, step).reshape(x.shape)
        return torch.where(masks[node.name], x / (1 - noise.p), 0.0)


def _quiet(network: SpikingNetwork) -> frozenset[str]:
    """Inputs and populations whose output is the same in every sample and step of a row."""
    quiet = {i.name for i in network.inputs if not (i.dropout and i.dropout.p > 0)}
    for p in network.populations:
        noisy = isinstance(p.neuron, Bernoulli) or (p.dropout is not None and p.dropout.p > 0)
        if not noisy and all(c.source in quiet and not c.blank_out for c in network.into(p.name)):
            quiet.add(p.name)
    return frozenset(quiet)
