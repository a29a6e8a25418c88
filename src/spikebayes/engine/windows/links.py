"""What the numbers of a source add to a target: one product, or as many as a bound on its sums asks for."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from spikebayes.conversion.number_grids import cuts_of, weight_norms
from spikebayes.engine.windows.tell import Told
from spikebayes.network.coded import Coded, Race
from spikebayes.network.network import Connection, SpikingNetwork
from spikebayes.network.operators import Chain, Conv, Dense, Operator, Scale

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class _Block:
    """Some inputs of an operator: which, along which axis, and what is known of their weights."""

    at: slice
    operator: Operator
    euclid: float
    total: float
    axis: int

    def bound(self, seen: Tensor, largest: float) -> float:
        """Of any sum over these inputs ``[L, ...]``, none of which is above ``largest``."""
        norm = float(seen.flatten(1).square().sum(1).max().sqrt())
        return min(self.euclid * norm, self.total * largest)


@dataclass(frozen=True, eq=False)
class Link:
    """A connection.

    Args:
        single: its operator in float32.
        euclid, total: of a target's weights, norm and sum of magnitudes.
        exact: whether float32 can hold its sums: its weights are on a grid and in one part.
        cuts: that part in more and more blocks, where its targets have many inputs.
        before, after: the parts that move its inputs and its targets.
    """

    connection: Connection
    single: Operator
    euclid: float
    total: float
    exact: bool
    cuts: tuple[tuple[_Block, ...], ...] = ()
    before: Chain = field(default_factory=Chain)
    after: Chain = field(default_factory=Chain)

    def sums(self, told: Told, most: float) -> tuple[Tensor, float] | None:
        """What the numbers add to the target in float32, and a bound of it; None where float32 may not hold it.

        Args:
            told: of the source.
            most: up to which it holds every sum.
        """
        bound = self.bound(told)
        if bound < most:
            return self.single(told.numbers.float()), bound
        for blocks in self.cuts:
            if bound < most * len(blocks):
                x = self.before(told.numbers.float())
                seen = [x.narrow(b.axis % x.ndim, b.at.start, b.at.stop - b.at.start) for b in blocks]
                if all(b.bound(part, told.largest) < most for b, part in zip(blocks, seen, strict=True)):
                    return self._added(blocks, seen, most)
        return None

    def _added(self, blocks: tuple[_Block, ...], seen: list[Tensor], most: float) -> tuple[Tensor, float] | None:
        """The blocks' sums, each of which float32 holds; None once their sum is too large for it."""
        total, reach = blocks[0].operator(seen[0]), most
        for block, part in zip(blocks[1:], seen[1:], strict=True):
            total += block.operator(part)
            low, high = total.aminmax()
            reach = max(-float(low), float(high))
            if reach >= most:
                return None
        return self.after(total), reach

    @cached_property
    def double(self) -> Operator:
        """Its operator in float64."""
        return copy.deepcopy(self.single).double()

    @property
    def source(self) -> str:
        return self.connection.source

    def bound(self, told: Told) -> float:
        """Of any sum over the numbers of a line."""
        return min(self.euclid * told.norm, self.total * told.largest)


def link_of(connection: Connection, network: SpikingNetwork, device: torch.device) -> Link:
    operator = copy.deepcopy(connection.operator).to(device, torch.float32)
    source = network.shape(connection.source)
    euclid, total, _ = weight_norms(operator, source, _signed(connection.source, network))
    working = [part for part in operator.parts if not part.rearranges]
    exact = len(working) == 1 and (working[0].weight is not None or isinstance(working[0], Scale))
    exact = exact and (device == CPU or not isinstance(working[0], Conv))  # elsewhere transforms may stand in for it
    link = Link(connection, operator, euclid, total, exact)
    cuts = cuts_of(operator) if exact else []
    if not cuts:
        return link
    (place,) = (k for k, part in enumerate(operator.parts) if not part.rearranges)
    weighted, signed = operator.parts[place], _signed(connection.source, network)
    made = tuple(tuple(_block(weighted, at, signed) for at in cut) for cut in cuts)
    return replace(link, cuts=made, before=Chain(operator.parts[:place]), after=Chain(operator.parts[place + 1 :]))


def _block(weighted: Operator, at: slice, signed: bool) -> _Block:
    assert weighted.weight is not None
    part = weighted.with_weight(weighted.weight[:, at].contiguous())
    euclid, total, _ = weight_norms(part, (), signed)
    return _Block(at, part, euclid, total, -1 if isinstance(part, Dense) else 1)


def _signed(name: str, network: SpikingNetwork) -> bool:
    """Whether a node may give negative numbers."""
    neuron = next((p.neuron for p in network.populations if p.name == name), None)
    if isinstance(neuron, Race):
        return _signed(network.into(name)[0].source, network)
    return not isinstance(neuron, Coded) or neuron.response.signed
