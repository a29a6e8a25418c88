"""Weights as whole numbers times scales, and what sums of them can reach.

A neuron's weights have one scale together, over all connections into it; neurons that share weights (a feature map)
share it. The weights onto the read-out have one in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from spikebayes.conversion.whole_paths import layer_of, summed
from spikebayes.errors import ConfigError
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import Chain, Operator, Scale, Shape, size, target_shape

ACCUMULATOR = 2**31  # sums stay below it
EXACT = 2**24  # float32 holds every whole number below it
TINY = 1e-30  # stands for the largest weight where all are 0
FAINT = 2.0**-8  # of a population's largest weight: rows below it are held as finely as there is room
ROUNDED = 0.9  # what rounding leaves of the room, on the safe side
NO_SHIFT = torch.zeros((), dtype=torch.float64)

Node = TypeVar("Node", Input, Population)


class TooLarge(ConfigError):
    """Sums may leave their width."""


@dataclass(frozen=True, eq=False)
class Whole:
    """A network in whole numbers, as its neurons have become them; see :class:`IntegerNetwork`."""

    network: SpikingNetwork
    scales: dict[str, Tensor]
    constants: dict[str, int]
    largest: dict[str, int]
    readout_scale: float
    widths: dict[str, int]
    shifts: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What a node gives in whole numbers.

    Args:
        most: their largest magnitude.
        factor: what a 1 is worth to the weights behind, but for
        levels: by which that is divided: of an input, the whole number that stands for 1.
    """

    most: float
    factor: float = 1.0
    levels: int = 1

    def per_unit(self, weight: Tensor) -> Tensor:
        """Weights for each 1 of the whole numbers, float64."""
        return weight.double() * self.factor / self.levels


@dataclass(frozen=True, eq=False)
class Scales:
    """What whole numbers stand for, row by row of the weights into a node.

    Args:
        scale: ``[O]``, or one for all: of a 1, float64.
        rows: ``[*target]`` int64, the row that each target takes; None where one scale is for all.
        shift: ``[O]``, or one for all: by how many bits the whole numbers are shifted left then, float64.
    """

    scale: Tensor
    rows: Tensor | None = None
    shift: Tensor = NO_SHIFT

    def of_targets(self, values: Tensor) -> Tensor:
        """``[*target]`` of values for each row, or one for all."""
        return values if values.ndim == 0 or self.rows is None else values[self.rows]


@dataclass(frozen=True, eq=False)
class Wire:
    """A connection whose weights are to be whole numbers.

    Args:
        connection: its operator moves units, and has weights at one place: Dense, Conv, or a factor on each unit.
        weight: float64, what a 1 of the source's whole numbers adds: in rows ``[O, ...]``, or of each unit
            ``[*target]``.
        most: what one synapse can add at most for a weight of 1: the largest of these whole numbers, and what a
            filter makes of it.
        layer: the operator with the rows; None where each unit has a factor.
        rows: ``[*target]`` int64, the row that each target takes; None where each unit has a factor.
    """

    connection: Connection
    weight: Tensor
    most: float
    layer: Operator | None
    rows: Tensor | None

    def whole(self, scales: Scales) -> tuple[Connection, Tensor]:
        """The connection in whole numbers, and what its sums cannot exceed in size, ``[*target]``."""
        c, times = self.connection, torch.exp2(scales.shift)
        if self.layer is None or self.rows is None:
            k = torch.round(self.weight / scales.of_targets(scales.scale)) * scales.of_targets(times)
            parts = [part for part in c.operator.parts if type(part) is not Scale]
            operator = Chain((*parts, Scale(k.float())))
            return replace(c, operator=operator), k.abs() * self.most
        per_row = (-1, *[1] * (self.weight.ndim - 1))
        k = torch.round(self.weight / scales.scale.reshape(per_row)) * times.reshape(per_row)
        operator = c.operator.replaced({self.layer: self.layer.with_weight(k.to(self.layer.weight))})
        return replace(c, operator=operator), (k.flatten(1).abs().sum(1) * self.most)[self.rows]

    def reach(self) -> Tensor:
        """What its sums cannot exceed in size before they are whole numbers, ``[*target]``."""
        if self.rows is None:
            return self.weight.abs() * self.most
        return (self.weight.flatten(1).abs().sum(1) * self.most)[self.rows]


def wire(network: SpikingNetwork, c: Connection, source: Source, factor: float = 1.0) -> Wire:
    """A connection, from what a source gives in whole numbers.

    Args:
        network: the connection's.
        c: it.
        source: where it begins.
        factor: by what its weights are multiplied besides.

    Raises:
        ConfigError: an operator that is not of that form.
    """
    c, units = summed(network, c)
    before, layer, after = layer_of(network, c)
    most, factor = source.most * units, factor / units
    if layer is None:
        weight = source.per_unit(_factors(network, c)) * factor
        return Wire(c, weight.expand(network.shape(c.target)), most, None, None)
    assert layer.weight is not None
    rows = after(layer.row_of(target_shape(before, network.shape(c.source)))[None])[0]
    return Wire(c, source.per_unit(layer.weight) * factor, most, layer, rows)


def _factors(network: SpikingNetwork, c: Connection) -> Tensor:
    """``[*target]`` what each unit is multiplied by on its way, or one number for all."""
    factor, shape = torch.ones((), dtype=torch.float64), network.shape(c.source)
    for part in c.operator.parts:
        if isinstance(part, Scale):
            factor = (factor * part.factor.double()).expand(shape)
        elif factor.ndim:
            factor = part(factor[None])[0]
        shape = target_shape(part, shape)
    return factor


def blanked_wires(network: SpikingNetwork, c: Connection, source: Source, factor: float = 1.0) -> tuple[Wire, ...]:
    """A connection, and where its synapses blank out by values xi + a beside one of w xi one of w a, which never do.

    Raises:
        ConfigError: see :func:`wire`.
    """
    noise = c.blank_out
    if noise is None:
        return (wire(network, c, source, factor),)
    own = wire(network, replace(c, blank_out=replace(noise, scale=0.0)), source, factor)
    scale = torch.as_tensor(noise.scale, dtype=torch.float64)
    if not bool(scale.any()):
        return (own,)
    always = replace(own, connection=replace(c, blank_out=None))
    rows = scale.reshape(-1, *[1] * (own.weight.ndim - 1)) if scale.ndim else scale
    return own, replace(always, weight=own.weight * rows)


def rows_of(wires: Sequence[Wire], shape: Shape) -> tuple[int, Tensor]:
    """How many rows of weights a population's neurons have together, and ``[*shape]`` int64 which each has.

    Raises:
        ConfigError: connections that give a neuron's weights different rows.
    """
    weighted = [w for w in wires if w.rows is not None]
    if not weighted:
        return size(shape), torch.arange(size(shape)).reshape(shape)
    first, *others = weighted
    for w in others:
        same = len(w.weight) == len(first.weight) and torch.equal(w.rows, first.rows)  # pyright: ignore[reportArgumentType]
        if not same:
            a, b = first.connection, w.connection
            raise ConfigError(
                f"the connections {a.source!r} and {b.source!r} to {b.target!r} lay their rows of weights over "
                "its neurons in different ways, so no scale is common to a neuron's weights"
            )
    assert first.rows is not None
    return len(first.weight), first.rows


def largest_weights(wires: Sequence[Wire], count: int, rows: Tensor) -> Tensor:
    """``[count]``, of each row, over all connections."""
    found = torch.zeros(count, dtype=torch.float64)
    for w in wires:
        if w.rows is None:
            found = found.scatter_reduce(0, rows.flatten(), w.weight.abs().flatten(), "amax")
        else:
            found = torch.maximum(found, w.weight.flatten(1).abs().amax(1))
    return found


def of_rows(values: Tensor, count: int, rows: Tensor) -> Tensor:
    """``[count]``, the largest of the values ``[*shape]`` of each row, or 1 if that is larger."""
    least = torch.ones(count, dtype=torch.float64)
    return least.scatter_reduce(0, rows.flatten(), values.double().flatten(), "amax")


def too_fine(weights: Tensor, room: Tensor) -> Tensor:
    """``[O]``: rows that sums have no room for as finely as is asked, but for those that hardly count.

    Args:
        weights: the largest of each row.
        room: by what its whole numbers might be multiplied.
    """
    return (room < 1) & (weights >= FAINT * weights.max()) & (weights > 0)


def whole_readout(
    network: SpikingNetwork, wires: Sequence[Wire], top: int, most: int = ACCUMULATOR, shift: int = 0
) -> tuple[Readout, list[Connection], int, float]:
    """The read-out, the connections onto it, the largest magnitude of its sums, and what a 1 of them is worth."""
    readout = network.readout
    constant = torch.zeros(()) if readout.constant is None else readout.constant.double()
    heaviest = torch.stack([w.weight.abs().max() for w in wires]).max()
    heaviest = constant.abs().max() if heaviest == 0 else heaviest
    scale = heaviest.double().clamp(min=TINY) / top
    made, bound = in_whole_numbers(wires, Scales(scale, shift=NO_SHIFT + shift), readout.shape)
    scale = scale / 2**shift
    whole = torch.round(constant / scale)
    largest = largest_sum(readout.name, bound + whole.abs(), most)
    if readout.constant is not None:
        readout = replace(readout, constant=kept(whole, readout.constant, largest))
    return readout, made, largest, float(scale)


def in_whole_numbers(wires: Sequence[Wire], scales: Scales, shape: Shape) -> tuple[list[Connection], Tensor]:
    """The connections, and what their sums cannot exceed in size together, ``[*shape]``."""
    made, bound = [], torch.zeros(shape, dtype=torch.float64)
    for w in wires:
        connection, here = w.whole(scales)
        made.append(connection)
        bound = bound + here
    return made, bound


def largest_sum(target: str, sums: Tensor, most: int = ACCUMULATOR) -> int:
    """Of some bounds the largest.

    Raises:
        ConfigError: it does not lie below ``most``, a power of two.
    """
    found = float(sums.max())
    if not found < most:
        raise TooLarge(
            f"sums into {target!r} may reach {found:.0f}, beyond {most.bit_length()} bits; "
            "use fewer bits or levels, or a smaller largest_input"
            + ("" if most == ACCUMULATOR else ", or more state_bits")
        )
    return int(found)


def kept(whole: Tensor, like: Tensor | None, largest: int) -> Tensor:
    """In the dtype that a constant has, unless sums of that size need float64."""
    plain = torch.get_default_dtype() if like is None else like.dtype
    return whole.to(plain if largest < EXACT else torch.float64)


def without_factor(node: Node) -> Node:
    """The node with its mask's 1/(1 - p) left to the weights behind."""
    if node.dropout is None:
        return node
    return replace(node, dropout=replace(node.dropout, rescale=False))


def with_whole_inputs(network: SpikingNetwork) -> tuple[Input, ...]:
    """The inputs of the network in whole numbers."""
    return tuple(replace(without_factor(i), standardised=False) for i in network.inputs)


def check_wired(network: SpikingNetwork) -> None:
    """Refuse nodes that no connection ends in (ConfigError)."""
    for node in (*network.populations, network.readout):
        if not network.into(node.name):
            raise ConfigError(f"no connection ends in {node.name!r}; it has no weights that could give it a scale")


def whole_number(levels: int, x: float) -> int:
    """The largest whole number of inputs up to x."""
    return math.ceil(levels * x)
