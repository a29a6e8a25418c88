"""Coded networks by matrix products: what a window's ticks add up to, at once, with the samples side by side.

The numbers are those of the ticks, to the bit. Weights lie on a grid on which float32 holds every sum of weights
times numbers, as long as these stay below a bound: by Cauchy and Schwarz, norm of a target's weights times norm of a
line. The bound is looked at for every product. One that could leave it is taken in blocks of inputs, whose bounds are
smaller, and if need be in float64, which holds it too.

What no mask comes before is the same for all samples of a row and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.exact_sums import EXACT_SUMS
from spikebayes.engine.contract import NUMBERS, Result, Work, unknown_noise
from spikebayes.engine.windows.links import CPU, Link, link_of
from spikebayes.engine.windows.tell import Teller, Told
from spikebayes.machine.products import check_steady_products, full_precision
from spikebayes.machine.threads import one_thread, share_out, threads_kept
from spikebayes.network.coded import Coded, Race
from spikebayes.network.network import Input, Population, Readout, SpikingNetwork
from spikebayes.network.noise import Dropout, SpikeNoise
from spikebayes.network.operators import Windows, size
from spikebayes.noise.one_pass import masked, on_grid_of

VALUES = 1 << 19  # of the widest node of a tile that is not the same in all samples: what stays in a cache
LINES = (128, 2048)  # fewest and most pairs of a tile
MANY = 1 << 16  # pairs of a tile on any other device
KEPT = 1 << 26  # numbers of the rows of a block that are kept


class WindowsEngine:
    """Networks whose populations tell numbers, with dropout."""

    name = "windows"
    over_time = False

    def refusal(self, network: SpikingNetwork) -> str | None:
        if network.code is None:
            return "its populations step freely, and send no numbers in windows of ticks"
        for race in (p.name for p in network.populations if p.neuron.pools):
            *before, last = network.into(race)[0].operator.parts or (None,)
            if type(last) is not Windows or not all(part.rearranges for part in before):
                return f"races, as of {race!r}, of runners that Windows does not line up"
        unknown = unknown_noise(network, (Dropout, SpikeNoise))
        return unknown and f"{unknown}, are unknown"

    def prepare(
        self, network: SpikingNetwork, dtype: torch.dtype, device: torch.device = CPU
    ) -> Callable[[Work], Result]:
        check_steady_products()
        return _Simulator(network, dtype, device).run

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        widest = max(size(node.shape) for node in network.nodes())
        return max(LINES[0], min(1 << 16, KEPT // widest))


@dataclass
class _Kept:
    """What is the same in all samples of some rows.

    Args:
        sums: what steady sources and the constant add to nodes that are not quiet, ``[b, *shape]`` float64; on the
            node's grid, if all else that the node takes in is on it.
        single: the same in float32 and its largest magnitude, where it is on the grid and float32 holds it.
        told: of steady populations, which no mask changes.
        numbers: of those that only their own mask changes, not yet cut off.
    """

    sums: dict[str, Tensor]
    single: dict[str, tuple[Tensor, float]]
    told: dict[str, Told]
    numbers: dict[str, Tensor]


class _Simulator:
    def __init__(self, network: SpikingNetwork, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.network = replace(network)  # one that does not keep the given one alive
        links = [link_of(c, network, device) for c in network.connections]
        self.into = {n.name: [k for k in links if k.connection.target == n.name] for n in network.nodes()}
        self.steady = network.steady
        self.quiet = {p.name for p in network.populations if all(k.source in self.steady for k in self.into[p.name])}
        self.plain = frozenset(n.name for n in (*network.populations, network.readout) if self._is_plain(n))
        self.tellers = {p.name: Teller(_coded(p), p.dropout, p.shape, p.spike_noise) for p in network.populations}
        self.constant = {n.name: _constant(n, device) for n in (*network.populations, network.readout)}
        widest = max(size(node.shape) for node in network.nodes() if node.name not in self.steady)
        lines = min(max(VALUES // widest, LINES[0]), LINES[1])
        if device != CPU:
            lines = min(max(KEPT // widest, LINES[0]), MANY)
        self.lines = 1 << (lines.bit_length() - 1)

    def _is_plain(self, node: Population | Readout) -> bool:
        """Whether what a node takes in, anew for each sample if it does, are numbers times weights on its grid."""
        links = [k for k in self.into[node.name] if k.source not in self.steady] or self.into[node.name]
        numbers = {p.name for p in self.network.populations}
        return node.grid > 0 and all(k.exact and k.source in numbers for k in links)

    @torch.no_grad()
    def run(self, work: Work) -> Result:
        """All pairs, those of a row one after another."""
        result = self._empty(work)
        if not len(work):
            return result
        work = replace(work, inputs=tuple(x.to(self.device) for x in work.inputs))
        order = torch.argsort(work.position, stable=True)
        with threads_kept(), full_precision():
            with one_thread():
                kept = self._once(work)

            def tile(begin: int, end: int) -> None:
                with torch.no_grad(), one_thread():
                    self._tile(work, order[begin:end], kept, result)

            share_out(tile, len(work), self.lines)
        return result

    def _once(self, work: Work) -> _Kept:
        """Of all rows: what no mask comes before."""
        kept, inputs = _Kept({}, {}, {}, {}), {}
        for node in self.network.nodes():
            name = node.name
            if isinstance(node, Input):
                if name in self.steady:
                    inputs[name] = work.inputs[node.argument].double()
                continue
            links = [k for k in self.into[name] if k.source in self.steady]
            if name not in self.quiet:
                if links:
                    self._keep_sums(node, links, kept, inputs)
                continue
            assert isinstance(node, Population)
            if isinstance(node.neuron, Race):
                x = self._largest(node, kept.told)
            else:
                x = self._drive(node, links, kept.told, inputs, None, len(work.inputs[0]))
            if name in self.steady:
                kept.told[name] = self.tellers[name].tell(x, None)
            else:
                kept.numbers[name] = x if isinstance(node.neuron, Race) else _coded(node).response.numbers(x).float()
        return kept

    def _keep_sums(
        self, node: Population | Readout, links: list[Link], kept: _Kept, inputs: dict[str, Tensor]
    ) -> None:
        """What steady sources add to a node that is not quiet, and its constant, which may cancel most of it."""
        sums = self._sum([k.double(_values(k.source, kept.told, inputs)) for k in links])
        sums = sums + self.constant[node.name].double
        if node.name in self.plain:
            sums = on_grid_of(node, sums)
            most = float(sums.abs().max())
            if most < (EXACT_SUMS - 1) * node.grid:
                kept.single[node.name] = sums.float(), most
        kept.sums[node.name] = sums

    def _tile(self, work: Work, pairs: Tensor, kept: _Kept, result: Result) -> None:
        """Some pairs ``[L]``, from the first mask on."""
        row, keys = work.position[pairs].to(self.device), work.keys.at(pairs)
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
                links = [k for k in self.into[name] if k.source not in self.steady]
                x = self._drive(node, links, told, inputs, (kept, row), len(row))
                if isinstance(node, Readout):
                    result.mean[pairs] = x.to("cpu", self.dtype)
                    continue
                told[name] = self.tellers[name].tell(x, keys)
            self._record(name, told[name], result, pairs)

    def _drive(
        self,
        node: Population | Readout,
        links: list[Link],
        told: dict[str, Told],
        inputs: dict[str, Tensor],
        rows: tuple[_Kept, Tensor] | None,
        lines: int,
    ) -> Tensor:
        """What a node takes in, ``[L, *shape]``, on its grid; float32 where that holds every sum, else float64.

        Args:
            node: not a race.
            links: from sources that are not in what is kept.
            told, inputs: of these sources.
            rows: what is kept, and ``[L]`` which of its rows each line takes; None where nothing is.
            lines: L.
        """
        constant, name = self.constant[node.name], node.name
        kept = rows is not None and name in rows[0].sums
        plain = name in self.plain and bool(links)
        if plain and (single := self._single(node, links, told, rows if kept else None)) is not None:
            return single
        rest = rows[0].sums[name][rows[1]] if kept and rows is not None else constant.double
        total = sum((k.double(_values(k.source, told, inputs)) for k in links), rest)
        return (total if plain else on_grid_of(node, total)).expand(lines, *node.shape)  # pyright: ignore

    def _single(
        self,
        node: Population | Readout,
        links: list[Link],
        told: dict[str, Told],
        rows: tuple[_Kept, Tensor] | None,
    ) -> Tensor | None:
        """The same of a node all whose sums are on its grid, in float32; None where that might not hold them."""
        constant, most = self.constant[node.name], (EXACT_SUMS - 1) * node.grid
        if rows is not None and node.name not in rows[0].single:
            return None
        parts = [(constant.single, constant.most)] if constant.most and rows is None else []
        if rows is not None:
            base, reach = rows[0].single[node.name]
            parts.append((base[rows[1]], reach))
        total, reach = None, 0.0
        for link in links:
            found = link.sums(told[link.source], most)
            if found is None:
                return None
            parts.append(found)
        for part, bound in parts:
            total, reach = part if total is None else total + part, reach + bound
            if reach >= most:  # by the bounds; what it is, is less
                low, high = total.aminmax()
                reach = max(-float(low), float(high))
                if reach >= most:
                    return None
        return total

    @staticmethod
    def _sum(parts: list[Tensor]) -> Tensor:
        return sum(parts[1:], parts[0])

    def _largest(
        self, node: Population, told: dict[str, Told], kept: _Kept | None = None, row: Tensor | None = None
    ) -> Tensor:
        """The largest of each neuron's runners."""
        (link,) = self.into[node.name]
        source = link.connection.source
        numbers = told[source].sent if source in told else kept.told[source].sent[row]  # pyright: ignore
        *before, last = link.single.parts
        assert isinstance(last, Windows)
        for part in before:
            numbers = part(numbers)
        return last.largest(numbers)

    def _record(self, name: str, told: Told, result: Result, pairs: Tensor, row: Tensor | None = None) -> None:
        at = slice(None) if row is None else row
        result.counts[name][pairs] = told.spikes[at].cpu()
        if name in result.saturated:
            result.saturated[name][pairs] = told.saturated[at].cpu()
        if name in result.numbers:
            result.numbers[name][pairs] = told.sent.flatten(1)[at].int().cpu()

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


def _values(source: str, told: dict[str, Told], inputs: dict[str, Tensor]) -> Tensor:
    """What a source gives, float64."""
    return inputs[source] if source in inputs else told[source].numbers.double()


@dataclass(frozen=True, eq=False)
class _Constant:
    """A node's constant, in both precisions, and its largest magnitude."""

    single: Tensor
    double: Tensor
    most: float


def _constant(node: Population | Readout, device: torch.device) -> _Constant:
    values = (torch.zeros(node.shape) if node.constant is None else node.constant).to(device)
    most = float(values.abs().max()) if values.numel() else 0.0
    return _Constant(values.float(), values.double(), most)


def _coded(population: Population) -> Any:
    assert isinstance(population.neuron, Coded | Race)
    return population.neuron
