"""The reference way through a network that tells numbers in windows of ticks: every tick, every spike, in torch.

All samples of a row come from one run: while a population tells its number of sample s, its sources tell theirs of
sample s + 1. Sums are float64; weights lie on a grid on which they are exact.

A tick stands for k R^d, where d is the digit's place and k = R - 1 .. 1 counts down in its ticks.

* Sending: a neuron fires in the first tick whose threshold, what it has told so far and k R^d more, its input
  reaches; then it is silent until the digit ends.
* Taking in: a spike starts a ramp, its weight, which is added in this tick and in all that are left, k times. At the
  end of a digit sums are multiplied by R (Horner's rule), so that weights are the same in every tick.
* On the way: spikes of noisy neurons arrive in another tick of the window, or never (``SpikeNoise``).
* A window ends: the sum is read, and the membrane cleared. What arrives for a later window waits for it.
* Populations that no mask reaches tell their numbers once; what they add is held for all samples.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikebayes.engine.contract import NUMBERS, POTENTIALS, SPIKES, TRACE, Result, Work
from spikebayes.engine.in_windows import Racer, RampSum, Sender, Tick, on_the_way, ticks_of
from spikebayes.network.coded import Coded, Race
from spikebayes.network.codes import Code
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import Operator, size
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.one_pass import on_grid_of

DTYPE = torch.float64
TILE = 64  # rows that go through side by side


@dataclass
class _Waiting:
    """What arrived for a node: sums of connections that are complete, by sample, and those held for all samples."""

    sums: dict[int, list[Tensor]] = field(default_factory=dict)
    held: list[Tensor] = field(default_factory=list)

    def add(self, sample: int, total: Tensor) -> None:
        self.sums.setdefault(sample, []).append(total)

    def arrived(self, sample: int) -> list[Tensor]:
        return self.held + self.sums.get(sample, [])

    def take(self, sample: int) -> list[Tensor]:
        return self.held + self.sums.pop(sample, [])


class TickSimulator:
    """Runs a coded network tick by tick."""

    network: SpikingNetwork
    dtype: torch.dtype
    code: Code
    told_as: torch.dtype
    depth: dict[str, int]
    once: frozenset[str]
    constant: dict[str, Tensor]

    def __init__(self, network: SpikingNetwork, dtype: torch.dtype) -> None:
        assert network.code is not None
        self.network, self.dtype, self.code = network, dtype, network.code
        self.told_as = torch.int32 if self.code.graded else torch.int8  # what a spike is kept as: payload, or sign
        operators = copy.deepcopy([c.operator for c in network.connections])
        self.links: list[tuple[Connection, Operator]] = [
            (c, operator.to(DTYPE)) for c, operator in zip(network.connections, operators, strict=True)
        ]
        self.depth, self.once = network.depths, network.told_once
        self.constant = {n.name: _constant(n) for n in (*network.populations, network.readout)}

    @torch.no_grad()
    def run(self, work: Work) -> Result:
        """All pairs; the samples of a row follow one another in one run."""
        result = _empty(self.network, work, self.dtype, self.code.ticks)
        for pairs in _streams(work):
            for lines in pairs.split(TILE, dim=1):
                self._stream(work, lines, result)
        return result

    def _stream(self, work: Work, pairs: Tensor, result: Result) -> None:
        """One run of L rows: pairs ``[S, L]``, the samples of each row in their order."""
        samples, first = len(pairs), pairs[0]
        inputs = [x.to(DTYPE)[work.position[first]] for x in work.inputs]
        waiting = {node.name: _Waiting() for node in self.network.nodes()}
        for window in range(samples + max(self.depth.values())):
            self._window(window, samples, work, pairs, inputs, waiting, result)

    def _window(
        self,
        window: int,
        samples: int,
        work: Work,
        pairs: Tensor,
        inputs: list[Tensor],
        waiting: dict[str, _Waiting],
        result: Result,
    ) -> None:
        sample = {name: window - depth for name, depth in self.depth.items()}  # that each node tells now
        senders: dict[str, Sender | Racer] = {}
        for p in self.network.populations:
            if 0 <= sample[p.name] < (1 if p.name in self.once else samples):
                senders[p.name] = self._sender(
                    p, work.keys.at(pairs[sample[p.name]]), waiting[p.name], sample[p.name]
                )
        for i in self.network.inputs:
            if window < samples:  # a current, for as long as the window of its sample lasts
                current = self._current(i, inputs, work.keys.at(pairs[window]))
                for c, operator in self._from(i.name):
                    waiting[c.target].add(window, operator(current))

        ticks = [None] if self.code.graded else list(ticks_of(self.code))
        sent: dict[str, list[Tensor]] = {name: [] for name in senders}
        for t, tick in enumerate(ticks):
            spikes: dict[str, Tensor] = {}
            for name, sender in senders.items():
                spikes[name] = self._spikes(name, sender, spikes, tick)
                for told in pairs if name in self.once else pairs[sample[name]][None]:
                    self._record(name, sender, spikes[name], tick, t, told, result)
                sent[name].append(spikes[name].to(self.told_as))

        arrived = dict(sent)
        for p in self.network.populations:
            if p.name in sent and p.spike_noise is not None:
                keys = work.keys.at(pairs[sample[p.name]])
                arrived[p.name] = on_the_way(sent[p.name], p.spike_noise, self.code, keys)
        sums: dict[int, RampSum] = {}
        for t, tick in enumerate(ticks):
            for c, operator in self.links:
                if c.source in arrived and not self._pools(c.target):
                    arriving = operator(arrived[c.source][t].to(DTYPE))
                    total = sums.setdefault(id(c), RampSum(torch.zeros_like(arriving), torch.zeros_like(arriving)))
                    if tick is None:
                        total.total = total.total + arriving
                    else:
                        total.tick(arriving, tick, self.code.base)
            self._trace(t, tick, sample, samples, waiting, sums, pairs, result)
        for c, _ in self.links:
            if id(c) in sums and c.source in self.once:
                waiting[c.target].held.append(sums[id(c)].total)
            elif id(c) in sums:
                waiting[c.target].add(sample[c.source], sums[id(c)].total)

        read = sample[self.network.readout.name]
        if 0 <= read < samples:
            drive = self._drive(self.network.readout, waiting[self.network.readout.name].take(read), pairs.shape[1])
            result.mean[pairs[read]] = drive.to(self.dtype)

    def _sender(self, p: Population, keys: Keys, waiting: _Waiting, sample: int) -> Sender | Racer:
        keep = None
        if p.dropout is not None and p.dropout.acts:
            keep = dropout_keep(p.dropout, keys, size(p.shape)).reshape(len(keys), *p.shape)
        if isinstance(p.neuron, Coded):
            return Sender(p.neuron, self._drive(p, waiting.take(sample), len(keys)), keep)
        (link,) = self._into(p.name)
        source = torch.zeros(len(keys), *self.network.shape(link[0].source), dtype=DTYPE)
        return Racer(tuple(link[1](source).shape), keep)

    def _drive(self, node: Population | Readout, parts: list[Tensor], lines: int) -> Tensor:
        total = self.constant[node.name].expand(lines, *node.shape)
        return on_grid_of(node, sum(parts, total))

    def _current(self, node: Input, inputs: list[Tensor], keys: Keys) -> Tensor:
        x = inputs[node.argument]
        if node.dropout is None or not node.dropout.acts:
            return x
        keep = dropout_keep(node.dropout, keys, size(node.shape)).reshape(x.shape)
        return torch.where(keep, x * node.dropout.factor, 0.0)

    def _spikes(self, name: str, sender: Sender | Racer, spikes: dict[str, Tensor], tick: Tick | None) -> Tensor:
        if isinstance(sender, Sender):
            return sender.payload() if tick is None else sender.tick(tick)
        ((c, operator),) = self._into(name)
        seen = operator(spikes[c.source])
        return sender.payload(seen) if tick is None else sender.tick(seen, tick)

    def _record(
        self,
        name: str,
        sender: Sender | Racer,
        spikes: Tensor,
        tick: Tick | None,
        t: int,
        pairs: Tensor,
        result: Result,
    ) -> None:
        flat = spikes.flatten(1)
        result.counts[name][pairs] += (flat != 0).sum(1)
        if name in result.spikes:
            result.spikes[name][pairs, t] = flat != 0
        if name in result.numbers:
            result.numbers[name][pairs] += (flat * (1 if tick is None else tick.worth)).int()
        if isinstance(sender, Sender):
            if name in result.potentials:
                result.potentials[name][pairs, t] = sender.potential.flatten(1).to(self.dtype)
            if t == 0:
                above = sender.neuron.response.numbers(sender.drive).abs() > self.code.highest
                above = above if sender.keep is None else above & sender.keep
                result.saturated[name][pairs] = above.flatten(1).sum(1)

    def _trace(
        self,
        t: int,
        tick: Tick | None,
        sample: dict[str, int],
        samples: int,
        waiting: dict[str, _Waiting],
        sums: dict[int, RampSum],
        pairs: Tensor,
        result: Result,
    ) -> None:
        """The read-out as told so far, in the last window of its sample."""
        name = self.network.readout.name
        if result.trace is None or not 0 <= sample[name] < samples:
            return
        here = [
            sums[id(c)] for c, _ in self._into(name) if self.depth[c.source] == self.depth[name] and id(c) in sums
        ]
        parts = [
            *waiting[name].arrived(sample[name]),
            *(s.total * (1 if tick is None else tick.rest) for s in here),
        ]
        drive = self._drive(self.network.readout, parts, pairs.shape[1])
        result.trace[pairs[sample[name]], t] = drive.to(self.dtype)

    def _into(self, target: str) -> list[tuple[Connection, Operator]]:
        return [link for link in self.links if link[0].target == target]

    def _from(self, source: str) -> list[tuple[Connection, Operator]]:
        return [link for link in self.links if link[0].source == source]

    def _pools(self, target: str) -> bool:
        return any(p.name == target and isinstance(p.neuron, Race) for p in self.network.populations)


def _constant(node: Population | Readout) -> Tensor:
    constant = torch.zeros(node.shape) if node.constant is None else node.constant
    return constant.to(DTYPE)


def _streams(work: Work) -> Iterator[Tensor]:
    """The pairs as ``[S, L]``: all samples of L rows where every row has the same ones, else each for itself."""
    samples, of = torch.unique(work.keys.samples, return_inverse=True)
    rows, row = torch.unique(torch.stack([work.position, work.keys.rows]), dim=1, return_inverse=True)
    place = of * rows.shape[1] + row
    if len(work) == len(samples) * rows.shape[1] and len(place.unique()) == len(work):
        yield torch.argsort(place).reshape(len(samples), -1)
    elif len(work):
        yield torch.arange(len(work))[None]


def _empty(network: SpikingNetwork, work: Work, dtype: torch.dtype, ticks: int) -> Result:
    count = len(work)
    result = Result(
        mean=torch.zeros(count, *network.readout.shape, dtype=dtype),
        counts={p.name: torch.zeros(count, dtype=torch.int64) for p in network.populations},
    )
    for p in network.populations:
        units = size(p.shape)
        if isinstance(p.neuron, Coded):
            result.saturated[p.name] = torch.zeros(count, dtype=torch.int64)
        if SPIKES in work.probes:
            result.spikes[p.name] = torch.zeros(count, ticks, units, dtype=torch.bool)
        if NUMBERS in work.probes:
            result.numbers[p.name] = torch.zeros(count, units, dtype=torch.int32)
        if POTENTIALS in work.probes and isinstance(p.neuron, Coded):
            result.potentials[p.name] = torch.zeros(count, ticks, units, dtype=dtype)
    if TRACE in work.probes:
        result.trace = torch.zeros(count, ticks, *network.readout.shape, dtype=dtype)
    return result
