"""Threshold networks in whole numbers: weights and thresholds of a few bits, sums in 32."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.operators import AvgPool, Chain, Conv, Dense, Operator, Permute, Reshape, Slice, parts
from spikebayes.neurons import Threshold

ACCUMULATOR = 2**31  # sums stay below it
MOVES = (Reshape, Permute, Slice)  # operators that move values and change none


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """What :func:`integers` makes.

    Args:
        network: its weights, constants and thresholds are whole numbers, in float tensors; its inputs are to be whole
            numbers too, 0 to ``levels``. Any engine runs it.
        bits: of weights and thresholds.
        levels: L; an input of 1 is L.
        scales: ``[units]`` for each population, what a weight of 1 stood for.
        constants: for each population, the largest number of constant synapses that a neuron's threshold takes.
        largest: for each population, the largest magnitude that a sum can reach.
    """

    network: SpikingNetwork
    bits: int
    levels: int
    scales: dict[str, Tensor]
    constants: dict[str, int]
    largest: dict[str, int]

    def inputs(self, x: Tensor) -> Tensor:
        """Values in [0, 1] as the whole numbers that the network takes, nearest first."""
        return torch.round(x * self.levels)


def integers(network: SpikingNetwork, *, bits: int = 8, levels: int = 255) -> IntegerNetwork:
    """A threshold network with weights and thresholds of a few bits each, for hardware that adds whole numbers.

    A neuron fires iff sum_j w_j x_j + c >= theta. Each has a scale s of its own, of its largest weight:

        sum_j k_j x_j >= T,   k_j = round(w_j/s),  s = max_j |w_j| / (2^(bits-1) - 1),  T = ceil((theta - c)/s)

    so that it decides as if its weights were s k_j. A T beyond the range of a threshold is made up by constant
    synapses, of ``bits`` too: they add to every sum, and are counted. The weights onto the read-out have one scale in
    common. Max pooling (an OR) has weights of 1 as it is.

    Args:
        network: without memory; of threshold neurons, each population behind Dense or Conv operators, or an OR.
        bits: 2 to 16.
        levels: L, of the inputs: an input x in [0, 1] is given as the whole number nearest to L x; 255 suits images.

    Raises:
        ConfigError: bits or levels out of range; other neurons, noise, or an operator that is not of that form; sums
            beyond 32 bits.

    Reference:
        one scale per channel: Krishnamoorthi 2018, arXiv:1806.08342; the constant synapses are ours.

    Example:
        >>> from torch import nn
        >>> from spikebayes import convert, zoo
        >>> from spikebayes.training.sharpening import Sharpness
        >>> net = zoo.sharpened((6,), 2, hidden=(5,), width=4).eval()
        >>> for unit in Sharpness().layers(net):
        ...     unit.sharpen(1.0)
        >>> found = integers(convert(net, torch.zeros(1, 6)))
        >>> int(max(c.operator.weight.abs().max() for c in found.network.connections))
        127
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ConfigError(f"weights may have 2 to 16 bits; got {bits!r}")
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels < 2**16:
        raise ConfigError(f"levels must be a whole number from 1 to 65535; got {levels!r}")
    top = 2 ** (bits - 1) - 1
    unit = {i.name: levels for i in network.inputs} | {p.name: 1 for p in network.populations}
    made: dict[str, list[Connection]] = {}
    populations, scales, constants, largest = [], {}, {}, {}
    for p in network.populations:
        _check(p)
        into = network.into(p.name)
        if any(_is_or(c) for c in into):
            populations.append(p)
            made[p.name] = list(into)
            continue
        weights = [_weights(c).double() for c in into]
        rows = torch.cat([w.flatten(1) / unit[c.source] for w, c in zip(weights, into, strict=True)], 1)
        scale = rows.abs().amax(1).clamp(min=1e-30) / top  # [O]
        whole = [torch.round(w / unit[c.source] / _along(scale, w)) for w, c in zip(weights, into, strict=True)]
        made[p.name] = [_with(c, k.to(_weights(c))) for c, k in zip(into, whole, strict=True)]
        sums = sum(k.flatten(1).abs().sum(1) * unit[c.source] for k, c in zip(whole, into, strict=True))
        constant = torch.zeros(p.shape) if p.constant is None else p.constant
        spread = _over(scale, p.shape, into[0])
        threshold = torch.ceil((p.neuron.threshold - constant.double()) / spread)  # pyright: ignore
        # beyond every sum all thresholds are alike
        bound = _over(torch.as_tensor(sums), p.shape, into[0]) + 1
        threshold = threshold.clamp(-bound, bound)
        populations.append(replace(p, neuron=Threshold(0.0), constant=-threshold.to(constant.dtype)))
        scales[p.name] = scale
        constants[p.name] = _constant_synapses(threshold, top, max(unit[c.source] for c in into))
        largest[p.name] = int((bound + threshold.abs()).max())
        if largest[p.name] >= ACCUMULATOR:
            raise ConfigError(f"sums into {p.name!r} may reach {largest[p.name]}, beyond 32 bits; use fewer bits")
    readout, last = network.readout, network.into(network.readout.name)
    scale = max(float(_weights(c).abs().max()) for c in last) / top
    made[readout.name] = [_with(c, torch.round(_weights(c).double() / scale).to(_weights(c))) for c in last]
    if readout.constant is not None:
        readout = replace(readout, constant=torch.round(readout.constant.double() / scale).to(readout.constant))
    order = [c for name in made for c in made[name]]
    whole_network = replace(network, populations=tuple(populations), connections=tuple(order), readout=readout)
    return IntegerNetwork(whole_network, bits, levels, scales, constants, largest)


def _check(population: Population) -> None:
    if not isinstance(population.neuron, Threshold):
        raise ConfigError(
            f"population {population.name!r} has {type(population.neuron).__name__} neurons; "
            "whole numbers are for threshold neurons"
        )
    if population.dropout is not None and population.dropout.p > 0:
        raise ConfigError(f"population {population.name!r} has dropout; convert the network without it")


def _is_or(connection: Connection) -> bool:
    return isinstance(connection.operator, AvgPool)


def _path(connection: Connection) -> tuple[tuple[Operator, ...], Dense | Conv, tuple[Operator, ...]]:
    """What comes before the weights, the weights, and what comes after."""
    path = parts(connection.operator) or (connection.operator,)
    at = [i for i, o in enumerate(path) if isinstance(o, Dense | Conv)]
    rest = [o for o in path if not isinstance(o, (*MOVES, Dense, Conv))]
    if len(at) != 1 or rest or connection.blank_out is not None:
        names = ", ".join(type(o).__name__ for o in path)
        raise ConfigError(
            f"the connection {connection.source!r} to {connection.target!r} is not one Dense or Conv ({names})"
        )
    return path[: at[0]], path[at[0]], path[at[0] + 1 :]  # pyright: ignore[reportReturnType]


def _weights(connection: Connection) -> Tensor:
    return _path(connection)[1].weight


def _with(connection: Connection, weight: Tensor) -> Connection:
    before, layer, after = _path(connection)
    path = (*before, type(layer)(weight, **layer.config()), *after)
    return replace(connection, operator=Chain(path) if len(path) > 1 else path[0])  # pyright: ignore


def _along(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.reshape(-1, *[1] * (weight.ndim - 1))


def _over(values: Tensor, shape: tuple[int, ...], connection: Connection) -> Tensor:
    """One value per row of weights, ``[O]``, as one per neuron, broadcastable to its population's shape."""
    layer = _path(connection)[1]
    return values.reshape(-1, *[1] * (len(shape) - 1)) if isinstance(layer, Conv) else values


def _constant_synapses(threshold: Tensor, top: int, level: int) -> int:
    """The most that one neuron takes: its threshold is +-top at most, a constant synapse adds up to top * level."""
    rest = (threshold.abs() - top).clamp(min=0).max()
    return math.ceil(float(rest) / (top * level))
