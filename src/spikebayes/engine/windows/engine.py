"""Coded networks by matrix products: what a window's ticks add up to, at once, with the samples side by side.

The numbers are those of the ticks, to the bit. Weights lie on a grid on which float32 holds every sum of weights
times numbers, as long as these stay below a bound: by Cauchy and Schwarz, norm of a target's weights times norm of a
line. The bound is looked at for every product, and one that could leave it is taken in float64, which holds it too.

What no mask comes before is the same for all samples of a row and is computed once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.exact_sums import EXACT_SUMS
from spikebayes.conversion.number_grids import weight_norms
from spikebayes.engine.contract import NUMBERS, Result, Work, unknown_noise
from spikebayes.engine.windows.tell import Teller, Told
from spikebayes.machine.products import check_steady_products
from spikebayes.machine.threads import one_thread, share_out
from spikebayes.network.coded import Coded, Race
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import Operator, Scale, Windows, size
from spikebayes.noise.one_pass import masked, on_grid_of

VALUES = 1 << 18  # of the widest node of a tile: what stays in a cache
LINES = (64, 2048)  # fewest and most pairs of a tile
KEPT = 1 << 26  # numbers of the rows of a block that are kept


class WindowsEngine:
    """Networks whose populations tell numbers, with dropout."""

    name = "windows"

    def refusal(self, network: SpikingNetwork) -> str | None:
        if network.code is None:
            return "its populations step freely, and tell no numbers in windows of ticks"
        unknown = unknown_noise(network, (Dropout,))
        return unknown and f"{unknown}, are unknown"

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        check_steady_products()
        return _Simulator(network, dtype).run

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        widest = max(size(node.shape) for node in network.nodes())
        return max(LINES[0], min(1 << 16, KEPT // widest))


@dataclass(frozen=True, eq=False)
class _Link:
    """A connection.

    Args:
        single, double: its operator in float32 and float64.
        euclid, total: of a target's weights, norm and sum of magnitudes.
        exact: whether float32 can hold its sums: its weights are on a grid and in one part.
    """

    connection: Connection
    single: Operator
    double: Operator
    euclid: float
    total: float
    exact: bool

    def bound(self, told: Told) -> float:
        """Of any sum over the numbers of a line."""
        return min(self.euclid * told.norm, self.total * told.largest)


def _link(connection: Connection, network: SpikingNetwork) -> _Link:
    operator = connection.operator
    source = network.shape(connection.source)
    euclid, total, _ = weight_norms(copy.deepcopy(operator).double(), source, _signed(connection.source, network))
    working = [part for part in operator.parts if not part.rearranges]
    exact = len(working) == 1 and (working[0].weight is not None or isinstance(working[0], Scale))
    single, double = (copy.deepcopy(operator).to(dtype) for dtype in (torch.float32, torch.float64))
    return _Link(connection, single, double, euclid, total, exact)


@dataclass
class _Kept:
    """What is the same in all samples of some rows.

    Args:
        sums: what quiet sources add to nodes that are not quiet, ``[b, *shape]`` float64.
        told: of steady populations, which no mask changes.
        numbers: of those that only their own mask changes, not yet cut off.
    """

    sums: dict[str, Tensor]
    told: dict[str, Told]
    numbers: dict[str, Tensor]


class _Simulator:
    def __init__(self, network: SpikingNetwork, dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype
        links = [_link(c, network) for c in network.connections]
        self.into = {n.name: [k for k in links if k.connection.target == n.name] for n in network.nodes()}
        self.quiet, self.steady = _quiet(network)
        self.tellers = {p.name: Teller(_coded(p), p.dropout, p.shape) for p in network.populations}
        self.constant = {n.name: _constant(n) for n in (*network.populations, network.readout)}
        widest = max(size(node.shape) for node in network.nodes())
        lines = min(max(VALUES // widest, LINES[0]), LINES[1])
        self.lines = 1 << (lines.bit_length() - 1)

    @torch.no_grad()
    def run(self, work: Work) -> Result:
        """All pairs, those of a row one after another."""
        result = self._empty(work)
        if not len(work):
            return result
        order = torch.argsort(work.position, stable=True)
        threads = torch.get_num_threads()
        try:
            with one_thread():
                kept = self._once(work)

            def tile(begin: int, end: int) -> None:
                with torch.no_grad(), one_thread():
                    self._tile(work, order[begin:end], kept, result)

            share_out(tile, len(work), self.lines)
        finally:
            torch.set_num_threads(threads)
        return result

    def _once(self, work: Work) -> _Kept:
        """Of all rows: what no mask comes before."""
        kept, inputs = _Kept({}, {}, {}), {}
        for node in self.network.nodes():
            name = node.name
            if isinstance(node, Input):
                if name in self.steady:
                    inputs[name] = work.inputs[node.argument].double()
                continue
            parts = [
                self._steady_part(k, inputs, kept) for k in self.into[name] if k.connection.source in self.steady
            ]
            if name not in self.quiet:
                if parts:
                    kept.sums[name] = sum(parts[1:], parts[0])
                continue
            assert isinstance(node, Population)
            if isinstance(node.neuron, Race):
                x = self._largest(node, kept.told)
            else:
                x = self._settled(node, parts, len(work.inputs[0]))
            if name in self.steady:
                kept.told[name] = self.tellers[name].tell(x, None)
            else:
                kept.numbers[name] = x if isinstance(node.neuron, Race) else _coded(node).response.numbers(x).float()
        return kept

    def _steady_part(self, link: _Link, inputs: dict[str, Tensor], kept: _Kept) -> Tensor:
        source = link.connection.source
        return link.double(inputs[source] if source in inputs else kept.told[source].numbers.double())

    def _tile(self, work: Work, pairs: Tensor, kept: _Kept, result: Result) -> None:
        """Some pairs ``[L]``, from the first mask on."""
        row, keys = work.position[pairs], work.keys.at(pairs)
        told: dict[str, Told] = {}
        inputs: dict[str, Tensor] = {}
        for node in self.network.nodes():
            name = node.name
            if name in self.steady and isinstance(node, Input):
                continue
            if isinstance(node, Input):
                inputs[name] = masked(work.inputs[node.argument][row].double(), node, keys)
                continue
            if isinstance(node, Population) and name in self.quiet:
                if name in self.steady:
                    self._record(name, kept.told[name], result, pairs, row)
                    continue
                told[name] = self.tellers[name].tell(kept.numbers[name], keys, row, told=True)
                self._record(name, told[name], result, pairs)
                continue
            if isinstance(node, Population) and isinstance(node.neuron, Race):
                told[name] = self.tellers[name].tell(self._largest(node, told, kept, row), keys)
            else:
                x = self._drive(node, told, inputs, kept, row)
                if isinstance(node, Readout):
                    result.mean[pairs] = x.to(self.dtype)
                    continue
                told[name] = self.tellers[name].tell(x, keys)
            self._record(name, told[name], result, pairs)

    def _drive(
        self,
        node: Population | Readout,
        told: dict[str, Told],
        inputs: dict[str, Tensor],
        kept: _Kept,
        row: Tensor,
    ) -> Tensor:
        """What a node takes in, ``[L, *shape]``; float32 where that holds every sum."""
        links = [k for k in self.into[node.name] if k.connection.source not in self.steady]
        sums = kept.sums.get(node.name)
        if all(k.exact and k.connection.source in told for k in links) and links and node.grid:
            most = (EXACT_SUMS - 1) * node.grid - self.constant[node.name].most
            bound = sum(k.bound(told[k.connection.source]) for k in links)
            bound += 0.0 if sums is None else float(sums.abs().max())
            if bound < most:
                total = self._sum([k.single(told[k.connection.source].numbers.float()) for k in links])
                if sums is not None:
                    total += on_grid_of(node, sums).float()[row]
                return total if self.constant[node.name].zero else total.add_(self.constant[node.name].single)
        parts = [
            k.double(
                inputs[k.connection.source]
                if k.connection.source in inputs
                else told[k.connection.source].numbers.double()
            )
            for k in links
        ]
        if sums is not None:
            parts.append(sums[row])
        return self._settled(node, parts, len(row))

    def _settled(self, node: Population | Readout, parts: list[Tensor], lines: int) -> Tensor:
        """Sum of a node's parts and its constant, on its grid; as float32, if that holds it."""
        total = self.constant[node.name].double.expand(lines, *node.shape)
        total = on_grid_of(node, sum(parts, total))
        if node.grid and float(total.abs().max()) < (EXACT_SUMS - 1) * node.grid:
            return total.float()
        return total

    @staticmethod
    def _sum(parts: list[Tensor]) -> Tensor:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total

    def _largest(
        self, node: Population, told: dict[str, Told], kept: _Kept | None = None, row: Tensor | None = None
    ) -> Tensor:
        """The largest of each neuron's runners."""
        (link,) = self.into[node.name]
        source = link.connection.source
        numbers = told[source].numbers if source in told else kept.told[source].numbers[row]  # pyright: ignore
        *before, last = link.single.parts
        assert isinstance(last, Windows)
        for part in before:
            numbers = part(numbers)
        return last.largest(numbers)

    def _record(self, name: str, told: Told, result: Result, pairs: Tensor, row: Tensor | None = None) -> None:
        at = slice(None) if row is None else row
        result.counts[name][pairs] = told.spikes[at]
        if name in result.saturated:
            result.saturated[name][pairs] = told.saturated[at]
        if name in result.numbers:
            result.numbers[name][pairs] = told.numbers.flatten(1)[at].int()

    def _empty(self, work: Work) -> Result:
        net, count = self.network, len(work)
        result = Result(
            mean=torch.zeros(count, *net.readout.shape, dtype=self.dtype),
            counts={p.name: torch.zeros(count, dtype=torch.int64) for p in net.populations},
        )
        for p in net.populations:
            if isinstance(p.neuron, Coded):
                result.saturated[p.name] = torch.zeros(count, dtype=torch.int64)
            if NUMBERS in work.probes:
                result.numbers[p.name] = torch.zeros(count, size(p.shape), dtype=torch.int32)
        return result


@dataclass(frozen=True, eq=False)
class _Constant:
    single: Tensor
    double: Tensor
    most: float
    zero: bool


def _constant(node: Population | Readout) -> _Constant:
    values = torch.zeros(node.shape) if node.constant is None else node.constant
    most = float(values.abs().max()) if values.numel() else 0.0
    return _Constant(values.float(), values.double(), most, most == 0)


def _coded(population: Population) -> Any:
    assert isinstance(population.neuron, Coded | Race)
    return population.neuron


def _signed(name: str, network: SpikingNetwork) -> bool:
    """Whether a node may give negative numbers."""
    neuron = next((p.neuron for p in network.populations if p.name == name), None)
    if isinstance(neuron, Race):
        return _signed(network.into(name)[0].source, network)
    return not isinstance(neuron, Coded) or neuron.response.signed


def _quiet(network: SpikingNetwork) -> tuple[frozenset[str], frozenset[str]]:
    """Nodes whose numbers are the same in all samples of a row before their own mask, and those after it too."""
    quiet: set[str] = set()
    steady: set[str] = set()
    for node in (*network.inputs, *network.populations):
        if all(c.source in steady for c in network.into(node.name)):
            quiet.add(node.name)
            if node.dropout is None or not node.dropout.acts:
                steady.add(node.name)
    return frozenset(quiet), frozenset(steady)
