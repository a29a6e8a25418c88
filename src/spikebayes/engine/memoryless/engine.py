"""The CPU engine's way through networks without memory: every step is a pass of its own, noise drawn as it goes.

Pairs go through in tiles of one size, each on one thread. What no noise comes before is computed once for each row,
and of it only what the rest reads is kept. Spikes stay bits where ``int8_products.py`` has an exact product for what
they deliver. Synapses that blank out are summed by ``blank_out_sums.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.engine.contract import SPIKES, TRACE, Abilities, Result, Work
from spikebayes.engine.memoryless.int8_products import Product, product_of, together
from spikebayes.machine.products import check_steady_products, full_precision
from spikebayes.machine.threads import one_thread, share_out, threads_kept
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Bernoulli, Neuron, Sign, Threshold
from spikebayes.network.noise import BlankOut, Dropout, Gaussian
from spikebayes.network.operators import WeightRows, size, target_shape
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.blank_out import gaussian_sums
from spikebayes.noise.blank_out_sums import Weights, exact_sums, lay_out_weights
from spikebayes.noise.keys import Keys
from spikebayes.noise.stochastic_units import fired

TILE = 256  # pairs that go through side by side, always: the last bits of a matrix product may depend on its size
BUDGET = 1 << 24  # numbers of a tile
RECORDED = 1 << 25  # numbers of a block that probes record
KEPT = 1 << 28  # bytes kept of rows whose pairs go through together

Sums = Callable[[slice], Tensor]  # a node's input, for some lines of a tile


#: the neurons that it runs beside Bernoulli units, each as the input at and above which it spikes
THRESHOLDS: dict[type[Neuron], Callable[[Any], float]] = {
    Threshold: lambda neuron: neuron.threshold,
    Sign: lambda neuron: 0.0,
}


class MemorylessEngine:
    """Threshold, sign and stochastic units without filters, with noise on their outputs and on synapses."""

    name = "cpu"
    over_time = True
    abilities: Abilities = Abilities((*THRESHOLDS, Bernoulli), (), (Dropout, BlankOut))

    def refusal(self, network: SpikingNetwork) -> str | None:
        if not network.is_memoryless:
            return "neurons or filters with a memory"
        return self.abilities.refusal(network)

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        check_steady_products()
        operators = copy.deepcopy([c.operator for c in network.connections]).__iter__()
        links = [_link(c, next(operators).to(dtype), network, dtype) for c in network.connections]
        made: dict[frozenset[int], _Simulator] = {}  # by the arguments that change over time

        def run(work: Work) -> Result:
            if work.over_time not in made:
                quiet = _quiet(network, work.over_time)
                known = [replace(k, quiet=k.source in quiet and not k.connection.blank_out) for k in links]
                made[work.over_time] = _Simulator(network, known, quiet, dtype)
            return made[work.over_time].run(work)

        return run

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        probed = steps * (network.neurons if SPIKES in probes else size(network.readout.shape))
        return max(1, min(1 << 15, RECORDED // (max(1, probed) if probes else 1)))  # there may be no neurons


def tile(network: SpikingNetwork) -> int:
    """Pairs side by side, by the widest layer with what its synapses see."""
    widest = max(size(node.shape) for node in network.nodes())
    for c in network.connections:
        rows = c.operator.weight_rows() if c.blank_out else None
        if rows is not None:
            places = size(network.shape(c.target)) // len(rows.weight)
            widest = max(widest, places * rows.weight.shape[1])
    return max(1, min(TILE, BUDGET // (2 * widest)))


@dataclass(frozen=True, eq=False)
class _Link:
    """A connection with its operator in the dtype of the simulation.

    Args:
        product: what delivers the source's spikes, where this is exact.
        rows: of its weights, if they blank out.
        weights: these laid out, if each of them is drawn.
        quiet: whether it delivers the same in every sample and step of a row.
    """

    connection: Connection
    operator: Any
    product: Product | None
    rows: WeightRows | None
    weights: Weights | None
    quiet: bool = False

    @property
    def source(self) -> str:
        return self.connection.source

    @property
    def renewed(self) -> bool:
        """Whether its synapses are drawn as those of the next sample, see ``Work.fresh``."""
        return self.connection.blank_out is not None and self.connection.blank_out.successive

    def deliver(self, values: Tensor, keys: Keys, step: int) -> Tensor:
        """What the source's values ``[R, *source]`` add to the target in a step."""
        noise, rows = self.connection.blank_out, self.rows
        if noise is None or rows is None:
            return self.operator(values)
        seen, weight = rows.unfold(values).contiguous(), rows.weight  # [R, L, K], [O, K]
        mean = (seen.flatten(0, 1) @ weight.T).unflatten(0, seen.shape[:2])  # [R, L, O]
        if isinstance(noise.sampling, Gaussian) or self.weights is None:
            drawn = gaussian_sums(noise, seen, weight, keys, step)
        else:
            drawn = exact_sums(noise, seen, self.weights, keys, step)
        scale = torch.as_tensor(noise.scale, dtype=values.dtype)
        return rows.fold(drawn + scale * mean, target_shape(self.operator, tuple(values.shape[1:])))


def _link(connection: Connection, operator: Any, network: SpikingNetwork, dtype: torch.dtype) -> _Link:
    noise, rows = connection.blank_out, operator.weight_rows()
    if noise is None or rows is None:
        source = next(n for n in (*network.inputs, *network.populations) if n.name == connection.source)
        return _Link(connection, operator, product_of(operator, source, dtype), None, None)
    if isinstance(noise.sampling, Gaussian):
        return _Link(connection, operator, None, rows, None)
    places = size(network.shape(connection.target)) // len(rows.weight)
    return _Link(connection, operator, None, rows, lay_out_weights(rows.weight, places))


@dataclass(frozen=True)
class _Kept:
    """What is the same in every sample and step of some rows, as far as it is read again.

    Args:
        base: what quiet sources give a node behind noise, or the read-out, ``[rows, *shape]``.
        spikes: of quiet populations that unreliable synapses or a probe read, ``[rows, *shape]`` bool.
        counts: spikes of every quiet population, ``[rows]``.
    """

    base: dict[str, Tensor]
    spikes: dict[str, Tensor]
    counts: dict[str, Tensor]


@dataclass(frozen=True)
class _Given:
    """What nodes give in a step of a tile: spikes, and values where they are read."""

    spikes: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)


class _Simulator:
    def __init__(
        self, network: SpikingNetwork, links: list[_Link], quiet: frozenset[str], dtype: torch.dtype
    ) -> None:
        self.network, self.quiet, self.dtype, self.tile = network, quiet, dtype, tile(network)
        self.into = {n.name: [k for k in links if k.connection.target == n.name] for n in network.nodes()}
        self.based = {k.connection.target for k in links if k.quiet} - quiet
        self.again = {k.source for k in links if not k.quiet} & quiet  # read in every step
        self.valued = {k.source for k in links if k.product is None}
        self.constant = {n.name: _constant(n, dtype) for n in (*network.populations, network.readout)}

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
        inputs = [x.to(self.dtype) for x in work.inputs]
        kept = {p.name for p in net.populations if p.name in (self.quiet if result.spikes else self.again)}
        item = torch.empty(0, dtype=self.dtype).element_size()
        each = sum(item * size(net.shape(name)) for name in self.based) + sum(size(net.shape(n)) for n in kept)
        most = max(1, KEPT // max(1, each) // self.tile) * self.tile
        with threads_kept(), full_precision():
            for first in range(0, rows, most):
                self._rows(work, inputs, kept, result, first, min(rows, first + most))
        return result

    def _rows(
        self, work: Work, inputs: list[Tensor], spikes: set[str], result: Result, first: int, last: int
    ) -> None:
        """All pairs of some rows; ``spikes`` are kept of these quiet populations."""
        count, shape = last - first, self.network.shape
        kept = _Kept(
            {name: torch.empty(count, *shape(name), dtype=self.dtype) for name in self.based},
            {name: torch.empty(count, *shape(name), dtype=torch.bool) for name in spikes},
            {p.name: torch.empty(count, dtype=torch.int64) for p in self.network.populations if p.name in self.quiet},
        )
        chosen = ((work.position >= first) & (work.position < last)).nonzero()[:, 0]

        def once(begin: int, end: int) -> None:
            with torch.no_grad(), one_thread():
                lines = torch.arange(begin, begin + self.tile).clamp(max=count - 1)
                constant = {k: x[first + lines] for k, x in enumerate(inputs) if k not in work.over_time}
                self._once(constant, kept, begin, end)

        def pairs(begin: int, end: int) -> None:
            with torch.no_grad(), one_thread():
                at = chosen[torch.arange(begin, begin + self.tile).clamp(max=len(chosen) - 1)]
                self._pairs(work, inputs, kept, result, at, work.position[at] - first, end - begin)

        share_out(once, count, self.tile)
        if len(chosen):
            share_out(pairs, len(chosen), self.tile)

    def _once(self, inputs: dict[int, Tensor], kept: _Kept, begin: int, end: int) -> None:
        """What is kept of rows ``begin`` to ``end``, from the inputs of a whole tile."""
        given = _Given()
        for node in self.network.nodes():
            name = node.name
            if isinstance(node, Input):
                if name in self.quiet:
                    given.values[name] = inputs[node.argument]
                continue
            parts = [_part(k, given, k.operator) for k in self.into[name] if k.quiet]
            if name in self.based:
                kept.base[name][begin:end] = _sum(parts, slice(end - begin))
            elif isinstance(node, Population) and name in self.quiet:
                spiked = self._fired(node, parts, self.tile)
                given.spikes[name] = spiked
                if name in self.valued:
                    given.values[name] = _values(node.neuron, spiked, self.dtype)
                kept.counts[name][begin:end] = _counted(spiked)[: end - begin]
                if name in kept.spikes:
                    kept.spikes[name][begin:end] = spiked[: end - begin]

    def _pairs(
        self,
        work: Work,
        inputs: list[Tensor],
        kept: _Kept,
        result: Result,
        at: Tensor,
        position: Tensor,
        lines: int,
    ) -> None:
        """Simulate a tile of pairs ``at`` ``[R]``, of rows ``position`` of what is kept; the first lines count."""
        to, weights = at[:lines], work.timing.weights().tolist()
        keys, fresh, masks = work.keys.at(at), work.fresh.at(at), dict[str, Tensor]()
        for name, counts in kept.counts.items():
            result.counts[name][to] = work.steps * counts[position[:lines]]
            if name in result.spikes:
                result.spikes[name][to] = kept.spikes[name][position[:lines]].flatten(1)[:, None]
        for step in range(work.steps):
            given = _Given()
            for node in self.network.nodes():
                name = node.name
                if name in self.quiet and name not in self.again:
                    continue
                if isinstance(node, Input):
                    self._mask(node, keys, step, masks)
                    x, row = inputs[node.argument], work.position[at]
                    x = x[row, step] if node.argument in work.over_time else x[row]
                    given.values[name] = _masked(node, x, masks)
                    continue
                if name in self.quiet:
                    assert isinstance(node, Population)
                    given.values[name] = _values(node.neuron, kept.spikes[name][position], self.dtype)
                    continue
                base = [lambda part, base=kept.base[name]: base[position[part]]] if name in kept.base else []
                parts = base + [
                    _part(k, given, lambda x, k=k, step=step: k.deliver(x, fresh if k.renewed else keys, step))
                    for k in self.into[name]
                    if not k.quiet
                ]
                if isinstance(node, Readout):
                    drive = self._drive(node, parts, slice(lines))
                    result.mean[to] += weights[step] * drive
                    if result.trace is not None:
                        result.trace[to, step] = drive
                    continue
                spiked = self._fired(node, parts, len(at), fresh, step)
                self._mask(node, keys, step, masks)
                if name in self.valued:
                    given.values[name] = _masked(node, _values(node.neuron, spiked, self.dtype), masks)
                emitted = given.spikes[name] = spiked & masks[name] if name in masks else spiked
                result.counts[name][to] += _counted(emitted)[:lines]
                if name in result.spikes:
                    result.spikes[name][to, step] = emitted.flatten(1)[:lines]

    def _drive(self, node: Population | Readout, parts: list[Sums], lines: slice) -> Tensor:
        """Sum of a node's connections and its constant, of some lines of a tile."""
        if not parts:
            parts = [lambda lines: torch.zeros(lines.stop - (lines.start or 0), *node.shape, dtype=self.dtype)]
        total, constant = _sum(parts, lines), self.constant[node.name]
        return total if constant is None else total + constant

    def _fired(
        self, node: Population, parts: list[Sums], count: int, keys: Keys | None = None, step: int = 0
    ) -> Tensor:
        """Which neurons spike, ``[R, *shape]`` bool; drawn for the keys, if by chance."""
        layout = torch.channels_last if len(node.shape) == 3 else torch.contiguous_format
        spiked = torch.empty(count, *node.shape, dtype=torch.bool, memory_format=layout)
        for begin in range(0, count, together(node.shape)):
            lines = slice(begin, min(count, begin + together(node.shape)))
            drive = self._drive(node, parts, lines)
            if isinstance(node.neuron, Bernoulli):
                assert keys is not None
                drawn = keys.at(lines).later(step)
                spiked[lines] = fired(drive, node.neuron.curve, node.neuron.site, drawn)
            else:
                values, level = drive.numpy(), THRESHOLDS[type(node.neuron)](node.neuron)
                spiked[lines] = torch.from_numpy(values >= values.dtype.type(level))  # numpy compares faster
        return spiked

    def _mask(self, node: Input | Population, keys: Keys, step: int, masks: dict[str, Tensor]) -> None:
        """Draw a node's mask where it changes."""
        noise = node.dropout
        if noise is None or not noise.acts:
            return
        if noise.is_drawn_in(step):
            keep = dropout_keep(noise, keys, size(node.shape), step)
            masks[node.name] = keep.reshape(-1, *node.shape)


def _part(link: _Link, given: _Given, deliver: Callable[[Tensor], Tensor]) -> Sums:
    """What a connection gives some lines of a tile: by its product, or of the whole tile at once."""
    if link.product is None:
        return deliver(given.values[link.source]).__getitem__
    product, spikes = link.product, given.spikes[link.source]
    return lambda lines: product(spikes[lines])


def _sum(parts: list[Sums], lines: slice) -> Tensor:
    total = parts[0](lines)
    for part in parts[1:]:
        total = total + part(lines)
    return total


def _masked(node: Input | Population, x: Tensor, masks: dict[str, Tensor]) -> Tensor:
    if node.dropout is None or node.name not in masks:
        return x
    return torch.where(masks[node.name], x * node.dropout.factor, 0.0)


def _values(neuron: Neuron, spiked: Tensor, dtype: torch.dtype) -> Tensor:
    """What neurons without memory give: 1 where they spike, else 0, or -1 if they are signs."""
    off = neuron.off
    on = spiked.view(torch.uint8).to(dtype)  # bytes are converted faster than bools
    return on * (1 - off) + off if off else on


def _counted(spiked: Tensor) -> Tensor:
    """Spikes of each line; eight are added at a time, as bytes of a word that do not overflow."""
    flat = (spiked.permute(0, 2, 3, 1) if spiked.ndim == 4 else spiked).flatten(1)
    whole = flat.shape[1] // 8 * 8
    total = flat[:, whole:].sum(1)
    words = flat[:, :whole].reshape(-1).view(torch.int64).reshape(len(flat), whole // 8)
    for part in words.split(255, 1):
        total += part.sum(1, keepdim=True).view(torch.uint8).sum(1)
    return total


def _constant(node: Population | Readout, dtype: torch.dtype) -> Tensor | None:
    """A node's constant; where it is one for a whole feature map, this one."""
    if node.constant is None or len(node.shape) != 3:
        return None if node.constant is None else node.constant.to(dtype)
    constant = node.constant.to(dtype)
    one = constant[:, :1, :1]
    return one if bool((constant == one).all()) else constant


def _quiet(network: SpikingNetwork, over_time: frozenset[int]) -> frozenset[str]:
    """Inputs and populations whose output is the same in every sample and step of a row.

    Args:
        over_time: arguments that change from step to step.
    """
    still = [i for i in network.inputs if i.argument not in over_time]
    quiet = {i.name for i in still if not (i.dropout and i.dropout.acts)}
    for p in network.populations:
        noisy = p.neuron.random or (p.dropout is not None and p.dropout.acts)
        if not noisy and all(c.source in quiet and not c.blank_out for c in network.into(p.name)):
            quiet.add(p.name)
    return frozenset(quiet)
