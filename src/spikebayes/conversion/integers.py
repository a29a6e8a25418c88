"""Threshold networks in whole numbers: weights and thresholds of a few bits, sums in 32."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import Connection, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Threshold
from spikebayes.network.operators import AdaptiveAvgPool, AvgPool, Chain, Operator, target_shape
from spikebayes.nn.few_bits import largest_whole

ACCUMULATOR = 2**31  # sums stay below it
EXACT = 2**24  # float32 holds every whole number below it
POOLS = (AvgPool, AdaptiveAvgPool)
TINY = 1e-30  # stands for the largest weight where all are 0


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """What :func:`integers` makes.

    Args:
        network: its weights, constants and thresholds are whole numbers, in float tensors; its inputs are to be whole
            numbers too, those of :meth:`inputs`. Any engine runs it, without rounding in :attr:`dtype`. Populations
            that are an OR stay as they are.
        bits: of weights and thresholds.
        levels: L; an input of 1 is L.
        largest_input: the largest magnitude of an input, in the input's own units.
        scales: for each population but ORs, ``[O]``, one for each row of weights (of a Conv: each channel): what a
            weight of 1 stood for.
        constants: for each population but ORs, the most constant synapses that a neuron's threshold takes.
        largest: for each population but ORs and for the read-out, the largest magnitude that a sum can reach.
    """

    network: SpikingNetwork
    bits: int
    levels: int
    largest_input: float
    scales: dict[str, Tensor]
    constants: dict[str, int]
    largest: dict[str, int]

    @property
    def dtype(self) -> torch.dtype:
        """float32 where all sums stay below 2^24, so that it holds them exactly, else float64."""
        return torch.float32 if max(self.largest.values()) < EXACT else torch.float64

    def inputs(self, x: Tensor) -> Tensor:
        """Inputs of any shape as the whole numbers that the network takes, nearest first, in :attr:`dtype`.

        Raises:
            DataError: a value that is NaN, or larger in size than ``largest_input``.
        """
        beyond = ~((x >= -self.largest_input) & (x <= self.largest_input))
        if bool(beyond.any()):
            raise DataError(
                f"an input of {float(x[beyond][0]):g} is not within +-{self.largest_input:g}; "
                "give integers() a larger largest_input, or finite values"
            )
        most = _most(self.levels, self.largest_input)
        return torch.round(x.double() * self.levels).clamp(-most, most).to(self.dtype)


@checked
def integers(
    network: SpikingNetwork, *, bits: int = 8, levels: int = 255, largest_input: float = 1.0
) -> IntegerNetwork:
    """A threshold network with weights and thresholds of a few bits each, for hardware that adds whole numbers.

    A neuron fires iff sum_j w_j x_j + c >= theta. Each has a scale s of its own, of its largest weight:

        sum_j k_j x_j >= T,   k_j = round(w_j/s),  s = max_j |w_j| / (2^(bits-1) - 1),  T = ceil((theta - c)/s)

    so that it decides as if its weights were s k_j. A T beyond the range of a threshold is made up by constant
    synapses, of ``bits`` too: they add to every sum, and are counted. The weights onto the read-out have one scale in
    common. Max pooling (an OR) has weights of 1 as it is.

    A weight from an input is worth L times as much as one from a spike: where both meet, those from the input
    are L times as coarse; more bits or fewer levels help.

    float32 has the sums exactly below 2^24, so simulate in :attr:`IntegerNetwork.dtype`; the constants of a
    population whose sums reach 2^24 are float64.

    Args:
        network: without memory; of threshold neurons, each population behind Dense or Conv operators, or an OR.
        bits: 2 to 16.
        levels: L, of the inputs: an input x is given as the whole number nearest to L x; 255 suits images.
        largest_input: no |x| is larger; it bounds sums and thus thresholds. 1 suits images.

    Raises:
        ConfigError: bits, levels or the largest input out of range; other neurons, noise, filters, or an operator
            that is not of that form; pooling that is no OR; connections that give a neuron's weights different rows;
            sums beyond 32 bits.

    Reference:
        one scale per channel: Krishnamoorthi 2018, arXiv:1806.08342; the constant synapses are ours.

    Example:
        >>> from torch import nn
        >>> from spikebayes import convert
        >>> from spikebayes.nn import zoo
        >>> from spikebayes.training.sharpening import Sharpness
        >>> net = zoo.sharpened((6,), 2, hidden=(5,), width=4).eval()
        >>> for unit in Sharpness().layers(net):
        ...     unit.sharpen(1.0)
        >>> found = integers(convert(net, torch.zeros(1, 6)))
        >>> int(max(c.operator.weight.abs().max() for c in found.network.connections))
        127
    """
    top = largest_whole(bits)
    _check_settings(levels, largest_input)
    _check(network)
    maker = _Maker(network, top, levels, _most(levels, largest_input))
    populations, connections, scales, constants, largest = [], [], {}, {}, {}
    for p in network.populations:
        if _is_or(network, p):
            populations.append(p)
            connections += network.into(p.name)
            continue
        scales[p.name] = maker.row_scales(p)
        made, bound = maker.connections(p.name, scales[p.name])
        threshold = maker.threshold(p, scales[p.name], bound)
        largest[p.name] = _largest(p.name, bound + 1 + threshold.abs())
        constants[p.name] = maker.constant_synapses(p, threshold)
        constant = _kept(-threshold, p.constant, largest[p.name])
        populations.append(replace(p, neuron=Threshold(0.0), constant=constant))
        connections += made
    readout, made, largest[network.readout.name] = maker.readout()
    whole = replace(network, populations=tuple(populations), connections=(*connections, *made), readout=readout)
    return IntegerNetwork(whole, bits, levels, largest_input, scales, constants, largest)


@dataclass(frozen=True, eq=False)
class _Maker:
    """The arithmetic of :func:`integers` for one network.

    Args:
        top: the largest weight.
        levels: L.
        most: the largest whole number of an input.
    """

    network: SpikingNetwork
    top: int
    levels: int
    most: int

    def row_scales(self, population: Population) -> Tensor:
        """``[O]``, of each row of weights, over all connections into a population."""
        into = self.network.into(population.name)
        _check_rows(self.network, into)
        rows = torch.cat([self._per_unit(c).flatten(1) for c in into], 1)
        return rows.abs().amax(1).clamp(min=TINY) / self.top

    def connections(self, target: str, scale: Tensor) -> tuple[list[Connection], Tensor]:
        """Those into a target in whole numbers, and what their sums cannot exceed in size, ``[*shape]``."""
        made, bound = [], torch.zeros(self.network.shape(target), dtype=torch.float64)
        for c in self.network.into(target):
            weight = self._per_unit(c)
            whole = torch.round(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
            made.append(_with(self.network, c, whole.to(_weights(self.network, c))))
            bound = bound + (whole.flatten(1).abs().sum(1) * self._most_of(c))[_rows(self.network, c)]
        return made, bound

    def threshold(self, population: Population, scale: Tensor, bound: Tensor) -> Tensor:
        """``[*shape]``, of each neuron."""
        constant = torch.zeros(population.shape) if population.constant is None else population.constant
        spread = scale[_rows(self.network, self.network.into(population.name)[0])]
        threshold = torch.ceil((_theta(population) - constant.double()) / spread)
        return threshold.clamp(-bound - 1, bound + 1)  # beyond every sum all thresholds are alike

    def constant_synapses(self, population: Population, threshold: Tensor) -> int:
        """The most that a neuron takes: its threshold is +-top at most, one adds up to top times a source's most."""
        most = max(self._most_of(c) for c in self.network.into(population.name))
        rest = (threshold.abs() - self.top).clamp(min=0).max()
        return math.ceil(float(rest) / (self.top * most))

    def readout(self) -> tuple[Readout, list[Connection], int]:
        """The read-out, the connections onto it, and the largest magnitude of its sums."""
        readout = self.network.readout
        constant = torch.zeros(()) if readout.constant is None else readout.constant.double()
        heaviest = torch.stack([self._per_unit(c).abs().max() for c in self.network.into(readout.name)]).max()
        heaviest = constant.abs().max() if heaviest == 0 else heaviest
        scale = heaviest.clamp(min=TINY) / self.top
        made, bound = self.connections(readout.name, scale)
        whole = torch.round(constant / scale)
        largest = _largest(readout.name, bound + whole.abs())
        if readout.constant is not None:
            readout = replace(readout, constant=_kept(whole, readout.constant, largest))
        return readout, made, largest

    def _per_unit(self, connection: Connection) -> Tensor:
        """Weights for each 1 of the source's whole numbers."""
        return _weights(self.network, connection).double() / (self.levels if self._is_input(connection) else 1)

    def _most_of(self, connection: Connection) -> int:
        return self.most if self._is_input(connection) else 1

    def _is_input(self, connection: Connection) -> bool:
        return connection.source in {i.name for i in self.network.inputs}


def _most(levels: int, largest_input: float) -> int:
    return math.ceil(levels * largest_input)


def _largest(target: str, sums: Tensor) -> int:
    found = float(sums.max())
    if not found < ACCUMULATOR:
        raise ConfigError(f"sums into {target!r} may reach {found:.0f}, beyond 32 bits; use fewer bits or levels")
    return int(found)


def _kept(whole: Tensor, like: Tensor | None, largest: int) -> Tensor:
    """In the dtype that a constant has, unless sums of that size need float64."""
    plain = torch.get_default_dtype() if like is None else like.dtype
    return whole.to(plain if largest < EXACT else torch.float64)


def _check_settings(levels: int, largest_input: float) -> None:
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels < 2**16:
        raise ConfigError(f"levels must be a whole number from 1 to 65535; got {levels!r}")
    if not 0 < levels * largest_input < ACCUMULATOR:
        raise ConfigError(f"largest_input must be above 0, and times levels below 2^31; got {largest_input!r}")


def _check(network: SpikingNetwork) -> None:
    for p in network.populations:
        _theta(p)
    for node in (*network.inputs, *network.populations):
        if node.dropout is not None and node.dropout.p > 0:
            kind = "population" if isinstance(node, Population) else "input"
            raise ConfigError(f"{kind} {node.name!r} has dropout; convert the network without it")
    for c in network.connections:
        if c.synapse is not None or c.blank_out is not None:
            has = "a filter" if c.synapse is not None else "synapses that blank out"
            raise ConfigError(f"the connection {c.source!r} to {c.target!r} has {has}; whole numbers have neither")
    for node in (*network.populations, network.readout):
        if not network.into(node.name):
            raise ConfigError(f"no connection ends in {node.name!r}; it has no weights that could give it a scale")


def _theta(population: Population) -> float:
    if not isinstance(population.neuron, Threshold):
        raise ConfigError(
            f"population {population.name!r} has {type(population.neuron).__name__} neurons; "
            "whole numbers are for threshold neurons"
        )
    return population.neuron.threshold


def _is_or(network: SpikingNetwork, population: Population) -> bool:
    """Whether a population is the OR that ``convert`` makes of max pooling; pooling of another kind is refused."""
    into = network.into(population.name)
    if not any(type(o) in POOLS for c in into for o in c.operator.parts):
        return False
    reason = _why_no_or(network, population, into)
    if reason:
        raise ConfigError(
            f"population {population.name!r} pools, but is not the OR of spikes that max pooling is: {reason}"
        )
    return True


def _why_no_or(network: SpikingNetwork, population: Population, into: tuple[Connection, ...]) -> str:
    first, *others = into
    pool, theta = first.operator, _theta(population)
    if others:
        return f"{len(into)} connections add up in it"
    if type(pool) is not AvgPool:
        return f"its connection is not just an AvgPool ({_names(pool)})"
    if first.source in {i.name for i in network.inputs}:
        return f"its source {first.source!r} is an input"
    if population.constant is not None and bool(population.constant.any()):
        return "it has a constant"
    window = math.prod(pool.kernel)
    if not 0 < theta <= 1 / window:
        return f"its threshold {theta:g} is not above 0 and at most 1/{window}, what one spike gives"
    return ""


def _path(network: SpikingNetwork, connection: Connection) -> tuple[Chain, Operator, Chain]:
    """What comes before the weights, the operator that has them, and what comes after."""
    path, shape, at = connection.operator.parts, network.shape(connection.source), []
    fits = True
    for i, part in enumerate(path):
        if part.weight is not None:
            at.append(i)
        else:
            fits &= part.only_moves(shape)
        shape = target_shape(part, shape)
    if len(at) != 1 or not fits:
        raise ConfigError(
            f"the connection {connection.source!r} to {connection.target!r} is not one Dense or Conv "
            f"({_names(connection.operator)})"
        )
    return Chain(path[: at[0]]), path[at[0]], Chain(path[at[0] + 1 :])


def _names(operator: Operator) -> str:
    return ", ".join(type(o).__name__ for o in operator.parts or (operator,))


def _weights(network: SpikingNetwork, connection: Connection) -> Tensor:
    weight = _path(network, connection)[1].weight
    assert weight is not None
    return weight


def _with(network: SpikingNetwork, connection: Connection, weight: Tensor) -> Connection:
    layer = _path(network, connection)[1]
    return replace(connection, operator=connection.operator.replaced({layer: layer.with_weight(weight)}))


def _rows(network: SpikingNetwork, connection: Connection) -> Tensor:
    """``[*shape]``: the row of a connection's weights that each of the target's neurons has."""
    before, layer, after = _path(network, connection)
    return after(layer.row_of(target_shape(before, network.shape(connection.source)))[None])[0]


def _check_rows(network: SpikingNetwork, into: tuple[Connection, ...]) -> None:
    """Connections into one population share a scale for each row of weights, so their rows must be those of the
    same neurons."""
    first, *others = into
    for c in others:
        same = len(_weights(network, c)) == len(_weights(network, first))
        same = same and torch.equal(_rows(network, c), _rows(network, first))
        if not same:
            raise ConfigError(
                f"the connections {first.source!r} and {c.source!r} to {c.target!r} lay their rows of weights over "
                "its neurons in different ways, so no scale is common to a neuron's weights"
            )
