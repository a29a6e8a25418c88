"""Coded neurons in whole numbers: sums of weights times numbers, held against whole thresholds tick by tick.

In front of a ramp (ReLU and its kin) a row of weights w becomes k = w U with a whole U: U of the sum are worth 1 of
the neuron's number. So the neuron fires when its sum reaches (told + k R^d) U - U/2, and takes off k R^d U: whole
numbers throughout. Where the largest weight is above the largest whole number, U is one over a power of two: the sum
is shifted left instead. In front of a curve, whose thresholds a population has in common, all rows have one scale,
and the thresholds are whole.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from spikebayes.conversion.whole_weights import (
    ACCUMULATOR,
    ROUNDED,
    TINY,
    Scales,
    Source,
    Whole,
    Wire,
    in_whole_numbers,
    kept,
    largest_sum,
    largest_weights,
    of_rows,
    rows_of,
    too_fine,
    whole_readout,
    wire,
    with_whole_inputs,
    without_factor,
)
from spikebayes.errors import ConfigError
from spikebayes.network.coded import Coded, Ramp, Response, Table
from spikebayes.network.network import Population, SpikingNetwork
from spikebayes.network.whole_ramp import WholeRamp

GRID = 1.0  # of whole numbers


def whole_codes(network: SpikingNetwork, bits: int, top: int, inputs: dict[str, Source]) -> Whole:
    """A network whose populations tell numbers in windows.

    Args:
        network: coded.
        bits, top: of weights, and the largest.
        inputs: what the inputs give.

    Raises:
        ConfigError: an activation that rises and falls, weights of another form, or sums beyond 32 bits.
    """
    assert network.code is not None
    sources = _sources(network, inputs)
    populations, connections, scales, largest = [], [], {}, {}
    for p in network.populations:
        if p.neuron.pools:
            populations.append(without_factor(p))
            connections += network.into(p.name)
            continue
        assert isinstance(p.neuron, Coded)
        wires = _wires(network, p.name, sources)
        count, rows = rows_of(wires, p.shape)
        weights = largest_weights(wires, count, rows)
        reach = sum((w.reach() for w in wires), torch.full(p.shape, network.code.highest + 1.0, dtype=torch.float64))
        reach = torch.as_tensor(reach) + (0 if p.constant is None else p.constant.double().abs())
        room = ROUNDED * ACCUMULATOR / of_rows(reach, count, rows)
        scale, response = _in_front_of(p, p.neuron, weights, room, rows, top)
        scales[p.name], units = scale, Scales(scale, rows)
        made, bound = in_whole_numbers(wires, units, p.shape)
        constant = None if p.constant is None else torch.round(p.constant.double() / units.of_targets(scale))
        largest[p.name] = largest_sum(p.name, bound if constant is None else bound + constant.abs())
        if constant is not None:
            constant = kept(constant, p.constant, largest[p.name])
        neuron = replace(p.neuron, response=response)
        populations.append(replace(without_factor(p), neuron=neuron, constant=constant, grid=GRID))
        connections += made
    readout, made, most, unit = whole_readout(network, _wires(network, network.readout.name, sources), top)
    whole = replace(
        network,
        inputs=with_whole_inputs(network),
        populations=tuple(populations),
        connections=(*connections, *made),
        readout=replace(readout, grid=GRID),
    )
    number = network.code.highest.bit_length()
    widths = {"weight": bits, "sum": 32, "number": number + any(_signed(p) for p in network.populations)}
    return Whole(whole, scales, {}, largest | {network.readout.name: most}, unit, widths)


def _wires(network: SpikingNetwork, target: str, sources: dict[str, Source]) -> list[Wire]:
    return [wire(network, c, sources[c.source]) for c in network.into(target)]


def _sources(network: SpikingNetwork, inputs: dict[str, Source]) -> dict[str, Source]:
    """What nodes tell: under noise a digit's spike may arrive among those of the largest one."""
    code, found = network.code, dict(inputs)
    assert code is not None
    for p in network.populations:
        factor = p.dropout.factor if p.dropout else 1.0
        if p.neuron.pools:  # it passes on what it sees
            (seen,) = network.into(p.name)
            factor *= found[seen.source].factor
        noisy = p.spike_noise is not None and p.spike_noise.acts and not code.graded
        found[p.name] = Source(code.places * code.worths[0] if noisy else code.highest, factor)
    return found


def _signed(p: Population) -> bool:
    return isinstance(p.neuron, Coded) and p.neuron.response.signed


def _in_front_of(
    p: Population, neuron: Coded, weights: Tensor, room: Tensor, rows: Tensor, top: int
) -> tuple[Tensor, Response]:
    """The scale of the rows ``[O]``, or of all, and what the neurons make of whole sums."""
    response = neuron.response
    if isinstance(response, Ramp):
        if bool(too_fine(weights, room * weights / top).any()):
            raise ConfigError(
                f"sums into {p.name!r} may go beyond 32 bits; use fewer bits or levels, or a smaller largest_input"
            )
        unit = _units(weights, room, top)
        return 1 / unit, _whole_ramp(response, unit[rows])
    if isinstance(response, Table):
        scale = weights.max().clamp(min=TINY) / top
        rising, falling = torch.ceil(response.rising / scale), torch.floor(response.falling / scale)
        return scale, Table(rising.clamp(-ACCUMULATOR, ACCUMULATOR), falling.clamp(-ACCUMULATOR, ACCUMULATOR))
    raise ConfigError(
        f"population {p.name!r} tells {_called(response)}, which rises and falls: its value would be computed in "
        "floating point. Train with ReLU, another ramp, or a curve that only rises, such as tanh"
    )


def _called(response: Response) -> str:
    return str(getattr(response, "name", type(response).__name__))


def _units(weights: Tensor, room: Tensor, top: int) -> Tensor:
    """``[O]``: the largest U with which a row's weights are within +-top, and its sums within 32 bits."""
    whole = torch.floor(torch.minimum(top / weights.clamp(min=TINY), room))
    shifted = torch.exp2(-torch.ceil(torch.log2((weights / top).clamp(min=TINY))))
    return torch.where(whole >= 1, whole, shifted)


def _whole_ramp(response: Ramp, unit: Tensor) -> WholeRamp:
    below = None
    if response.below is not None and bool((response.below != 0).any()):
        slope = response.below.double().expand(unit.shape)
        size = (unit / slope.abs().clamp(min=TINY)).clamp(max=ACCUMULATOR)
        power = torch.exp2(torch.round(torch.log2(size)))
        below = torch.where(size >= 1, size.round(), power) * torch.where(slope < 0, -1.0, 1.0)
    return WholeRamp(unit, below, response.limit)
