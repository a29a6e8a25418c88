"""Threshold networks rewritten for hardware whose neurons have few inputs, with the same decisions."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add

import torch
from torch import Tensor

from spikebayes.conversion.integers import IntegerNetwork
from spikebayes.conversion.whole_paths import layer_of
from spikebayes.conversion.whole_thresholds import constant_synapses, is_or
from spikebayes.conversion.whole_weights import kept, largest_sum
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.neurons import Sign, Threshold
from spikebayes.network.operators import Chain, Conv, Dense, Operator, Scale, Slice, size, target_shape

LEAST = 8  # synapses of a neuron


@checked
def split_fan_in(network: IntegerNetwork, fan_in: int = 256, weight_bits: int | None = None) -> IntegerNetwork:
    """The same network with at most ``fan_in`` synapses onto any neuron; it takes the same decisions, spike by spike.

    A spike carries one bit, so a sum over some of the inputs is passed on in binary. For each neuron with too many,
    inputs are cut into blocks; the sum K of a block, less its smallest value, is encoded by D threshold neurons,
    highest bit first:

        bit_d = [K - K_min - sum_{e > d} 2^e bit_e >= 2^d],   K = K_min + sum_d 2^d bit_d,

    each of which sees the block and the bits before it. The neuron itself receives the bits with weights 2^d, for as
    few blocks as make it fit, and the other inputs as they are; where that is still too many, bits are summed in the
    same way. Whole numbers make it exact. It costs D neurons and D times the synapses of a block for each block and
    neuron, D = log2 of what the block can sum up to: weights of few bits (``nn.few_bits``) make that small. In a
    network without memory all of this takes one step.

    Args:
        network: threshold or sign neurons in whole numbers.
        fan_in: most synapses of a neuron, 8 or more.
        weight_bits: most bits of a weight, its sign included; a weight 2^d takes d + 2. None takes what is needed,
            see the result's ``widths``.

    Raises:
        ConfigError: other neurons; synapses that blank out, whose draws would change; a neuron that cannot be split
            so; weights beyond ``weight_bits``.

    Reference:
        successive approximation, as of analogue-to-digital converters; that threshold circuits add whole numbers in
        layers of small fan-in: Siu, Roychowdhury & Kailath 1995, Discrete Neural Computation.

    Example:
        >>> from torch import nn
        >>> from spikebayes import convert, integers
        >>> from spikebayes.evaluate import demand
        >>> from spikebayes.nn import Step, few_bits
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(20, 50), Step(), nn.Linear(50, 4), Step(), nn.Linear(4, 2))
        >>> whole = integers(convert(few_bits(net, bits=2).eval(), torch.zeros(1, 20)), bits=2, levels=1)
        >>> narrow = split_fan_in(whole, 24)
        >>> demand(whole.network).fan_in, demand(narrow.network).fan_in
        (50, 24)
    """
    if fan_in < LEAST:
        raise ConfigError(f"a neuron must have {LEAST} synapses or more to tell sums by; got fan_in={fan_in}")
    return _Splitter(network, fan_in, weight_bits).split()


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the inputs of a population.

    Args:
        connections: that bring them.
        fan_in: how many.
        low, high: ``[*target]``, what they can sum up to.
    """

    connections: tuple[Connection, ...]
    fan_in: int
    low: Tensor
    high: Tensor

    @property
    def bits(self) -> int:
        """D, that tell any of their sums."""
        return int((self.high - self.low).max()).bit_length()

    @property
    def saved(self) -> int:
        """Inputs that a neuron is spared which is told the sum."""
        return self.fan_in - self.bits

    def __add__(self, other: _Part) -> _Part:
        connections = self.connections + other.connections
        return _Part(connections, self.fan_in + other.fan_in, self.low + other.low, self.high + other.high)


@dataclass(eq=False)
class _Splitter:
    """:func:`split_fan_in` for one network."""

    whole: IntegerNetwork
    fan_in: int
    weight_bits: int | None

    def __post_init__(self) -> None:
        self.network, self.widest = self.whole.network, self.whole.bits
        self.populations: list[Population] = []
        self.connections: list[Connection] = []
        self.scales, self.constants = dict(self.whole.scales), dict(self.whole.constants)
        self.largest = dict(self.whole.largest)

    def split(self) -> IntegerNetwork:
        """The network, with populations that tell sums in front of those with too many inputs."""
        for p in self.network.populations:
            _check(p)
            into = self.network.into(p.name)
            if sum(_fan_in(c, self.network) for c in into) > self.fan_in:
                self._check_parts(p, into)
                self._split(p, into)
            else:
                self.populations.append(p)
                self.connections += into
        self.connections += self.network.into(self.network.readout.name)
        made = replace(self.network, populations=tuple(self.populations), connections=tuple(self.connections))
        widths = self.whole.widths | {"weight": self.widest}
        return replace(
            self.whole,
            network=made,
            scales=self.scales,
            constants=self.constants,
            largest=self.largest,
            widths=widths,
        )

    def _check_parts(self, p: Population, into: Sequence[Connection]) -> None:
        if any(c.blank_out is not None for c in into):
            raise ConfigError(
                f"{p.name!r} has synapses that blank out, and more than {self.fan_in}; those of a sum told in bits "
                "would be drawn for every bit: train layers of fewer inputs"
            )
        if is_or(self.network, p):
            raise ConfigError(
                f"{p.name!r} pools over more than {self.fan_in} units; pool over smaller windows, twice"
            )

    def _split(self, p: Population, into: Sequence[Connection]) -> None:
        """A population that is told sums of its inputs, and sums of these if need be."""
        parts, number = [self._part(c) for c in into], 0
        base = torch.zeros(p.shape, dtype=torch.float64) if p.constant is None else p.constant.double()
        while sum(part.fan_in for part in parts) > self.fan_in:
            told, parts = self._blocks(p, parts)
            for block in told:
                parts += self._tell(p, block, number)
                base, number = base + block.low, number + 1
        self.connections += [c for part in parts for c in part.connections]
        sums = torch.stack([torch.maximum(part.high.abs(), part.low.abs()) for part in parts]).sum(0)
        self.largest[p.name] = max(self.largest[p.name], largest_sum(p.name, sums + base.abs()))
        self.constants[p.name] = self._constants(p, -base)
        self.populations.append(replace(p, constant=kept(base, p.constant, self.largest[p.name])))

    def _tell(self, p: Population, block: _Part, number: int) -> list[_Part]:
        """Populations that tell a block's sum, highest bit first; each bit is an input of its own."""
        names = [f"{p.name}_sum{number}_bit{bit}" for bit in range(block.bits)]
        sums = torch.maximum(block.high.abs(), block.low.abs()) + block.low.abs()
        reach = largest_sum(p.name, sums + 2 ** (block.bits + 1))
        for bit in reversed(range(block.bits)):
            name, threshold = names[bit], block.low + 2**bit
            constant = kept(-threshold, p.constant, reach)
            self.populations.append(Population(name, p.shape, Threshold(0.0), constant=constant))
            self.connections += [replace(c, target=name) for c in block.connections]
            self.connections += [_bit(names[higher], name, -(2**higher)) for higher in range(bit + 1, block.bits)]
            self.scales[name], self.largest[name] = self.whole.scales[p.name], reach
            self.constants[name] = self._constants(p, threshold)
        self.widest = max(self.widest, block.bits + 1)
        nothing = torch.zeros(p.shape, dtype=torch.float64)
        return [_Part((_bit(n, p.name, 2**k),), 1, nothing, nothing + 2**k) for k, n in enumerate(names)]

    def _constants(self, p: Population, threshold: Tensor) -> int:
        most = max(self._most(c.source)[1] for c in self.network.into(p.name))
        return constant_synapses(threshold, 2 ** (self.whole.bits - 1) - 1, most)

    def _blocks(self, p: Population, parts: list[_Part]) -> tuple[list[_Part], list[_Part]]:
        """Blocks of inputs to be told in bits, as few as make the rest fit, and what stays as it is."""
        bits, most, found = 0, 1, list[list[_Part]]()
        while bits < most < self.fan_in:  # each bit of a block but the last is an input of those behind it
            bits = most
            found = self._packed(parts, self.fan_in + 1 - bits)
            most = max(_joined(block).bits for block in found)
        found.sort(key=lambda block: -_joined(block).saved)
        load, told = sum(part.fan_in for part in parts), list[_Part]()
        while load > self.fan_in and len(told) < len(found) and most <= bits:
            block = _joined(found[len(told)])
            if block.saved <= 0:
                break
            load -= block.saved
            told.append(block)
        if not told:
            raise ConfigError(
                f"sums over {max(1, self.fan_in + 1 - bits)} inputs of {p.name!r} take {most} bits, so telling them "
                f"spares nothing at a fan-in of {self.fan_in}. Train with fewer bits, nn.few_bits(model, bits=2), "
                "give inputs fewer levels, or train layers of fewer inputs"
            )
        self._check_width(p, max(block.bits for block in told))
        return told, [part for block in found[len(told) :] for part in block]

    def _check_width(self, p: Population, bits: int) -> None:
        if self.weight_bits is not None and max(bits + 1, self.whole.bits) > self.weight_bits:
            raise ConfigError(
                f"the bits of sums into {p.name!r} have weights up to 2^{bits - 1}, which take {bits + 1} bits; "
                f"there are {self.weight_bits}. Train with fewer bits, nn.few_bits(model, bits=2), or layers of "
                "fewer inputs"
            )

    def _packed(self, parts: Sequence[_Part], block: int) -> list[list[_Part]]:
        """The inputs in blocks of at most so many."""
        found: list[list[_Part]] = []
        room = 0
        for small in (small for part in parts for small in self._cut(part, block)):
            if small.fan_in > room:
                found.append([])
                room = block
            found[-1].append(small)
            room -= small.fan_in
        return found

    def _cut(self, part: _Part, block: int) -> Iterator[_Part]:
        """A part in parts of at most so many inputs."""
        if part.fan_in <= block:
            yield part
            return
        (c,) = part.connections
        before, layer, after = layer_of(self.network, c)
        assert layer is not None
        assert layer.weight is not None
        each = math.prod(layer.weight.shape[2:])
        if not isinstance(layer, Dense | Conv) or (isinstance(layer, Conv) and layer.groups > 1) or each > block:
            raise ConfigError(
                f"the connection {c.source!r} to {c.target!r} cannot be cut into blocks of {block} inputs: "
                f"{type(layer).__name__} with {each} for each channel; blocks are features of a Dense, or channels "
                "of a Conv without groups"
            )
        axis = 1 if isinstance(layer, Conv) else len(target_shape(before, self.network.shape(c.source)))
        inputs = layer.weight.shape[1]
        blocks = -(-inputs // (block // each))
        edges = [round(k * inputs / blocks) for k in range(blocks + 1)]
        for first, last in pairwise(edges):
            some = layer.with_weight(layer.weight[:, first:last].contiguous())
            parts: tuple[Operator, ...] = (*before.parts, Slice(axis, first, last), some, *after.parts)
            yield self._part(replace(c, operator=Chain(parts)))

    def _part(self, c: Connection) -> _Part:
        """A connection with what its sums can be."""
        least, most = self._most(c.source)
        _, layer, _ = layer_of(self.network, c)
        up, down = (self._through(c, layer, side) for side in (1, -1))
        return _Part((c,), _fan_in(c, self.network), least * up + most * down, most * up + least * down)

    def _through(self, c: Connection, layer: Operator | None, side: int) -> Tensor:
        """``[*target]``, the sum of the weights of one sign onto each target."""
        ones = torch.ones(1, *self.network.shape(c.source), dtype=torch.float64)
        if layer is None or layer.weight is None:
            found = copy.deepcopy(c.operator).double()(ones)[0]
            return found.clamp(min=0) if side > 0 else found.clamp(max=0)
        weight = layer.weight.double()
        weight = weight.clamp(min=0) if side > 0 else weight.clamp(max=0)
        path = (part if part is not layer else layer.with_weight(weight) for part in c.operator.parts)
        return Chain(tuple(path))(ones)[0]

    def _most(self, source: str) -> tuple[int, int]:
        """The least and the largest whole number that a node gives."""
        for p in self.network.populations:
            if p.name == source:
                return (-1 if isinstance(p.neuron, Sign) else 0), 1
        most = math.ceil(self.whole.levels * self.whole.largest_input)
        return -most, most


def _joined(parts: Sequence[_Part]) -> _Part:
    return reduce(add, parts)


def _bit(source: str, target: str, weight: int) -> Connection:
    return Connection(source, target, Scale(torch.tensor(float(weight))))


def _fan_in(c: Connection, network: SpikingNetwork) -> int:
    """Synapses of a neuron, at most."""
    if any(hasattr(part, "kernel") for part in c.operator.parts):  # pooling
        return max(size(part.kernel) for part in c.operator.parts if hasattr(part, "kernel"))  # pyright: ignore
    layer = layer_of(network, c)[1]
    return 1 if layer is None or layer.weight is None else layer.weight[0].numel()


def _check(p: Population) -> None:
    if isinstance(p.neuron, Threshold | Sign):
        return
    raise ConfigError(
        f"population {p.name!r} has {type(p.neuron).__name__} neurons: a sum of part of their inputs is no number "
        "that their spikes can tell exactly, so their inputs cannot be split. Train layers of fewer inputs, or "
        "threshold neurons (nn.Sharpened, nn.few_bits)"
    )
