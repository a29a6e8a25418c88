"""From a network of rate units to one whose populations tell numbers: tops, steps, weights that hold them.

Behind a population the weights hold what a unit of its number is worth, and 1/(1 - p) of its mask. In front of a ramp
(ReLU and its kin) they are divided by the neuron's own step, so that its number is its input, rounded. Then they are
put on a grid so coarse that sums of weights times numbers are exact, and so fine that nobody notices: the same
numbers come out tick by tick or by matrix products, in whatever order, on whatever machine.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from spikebayes.conversion.activations import FAR, Activation, Rate
from spikebayes.conversion.calibration import Calibration, extents, tops
from spikebayes.conversion.number_grids import gridded_sums
from spikebayes.errors import ConversionError
from spikebayes.network.coded import Coded, Function, Race, Ramp, Response, Table
from spikebayes.network.codes import Code
from spikebayes.network.network import Population, SpikingNetwork
from spikebayes.network.operators import AdaptiveAvgPool, AvgPool, Chain, Conv, Dense, Operator, Scale, target_shape

LEAST = 1e-30  # value of a unit: it gives 0 whatever happens if it stays below
FURTHEST = 2.0**100  # input that is looked at
BISECTIONS = 200  # at most, of what lies between: to the last bit of float64


def encode(
    network: SpikingNetwork,
    code: Code,
    calibration: Calibration,
    headroom: float,
    largest: dict[str, Tensor] | None = None,
) -> SpikingNetwork:
    """The network with its units telling their values by a code.

    Args:
        network: of ``Rate`` units and races.
        code: for all populations.
        calibration: rows that show how large values become.
        headroom: by what their largest is multiplied to be the value of the highest level.
        largest: what :func:`largest_values` says of them, if that is known already.

    Raises:
        ConversionError: values that are not finite.
    """
    largest = largest_values(network, calibration) if largest is None else largest
    neurons = {p.name: _coded(p, code, largest, headroom) for p in network.populations}
    steps = _steps(network, neurons)
    folded = _folded(network, neurons, steps, calibration.rows[0].dtype)
    return gridded_sums(folded, extents(folded, calibration))


def largest_values(network: SpikingNetwork, calibration: Calibration) -> dict[str, Tensor]:
    """Of each population of ``Rate`` units, one for each place that gets a top of its own."""
    return tops(network, calibration, {p.name: _top_axis(p, network) for p in network.populations})


# -- levels --------------------------------------------------------------------------------------------------


def _top_axis(population: Population, network: SpikingNetwork) -> int | None:
    """Along which axis of a row each place has a top of its own."""
    neuron = population.neuron
    if not isinstance(neuron, Rate) or neuron.activation.given is not None:
        return None
    if not neuron.activation.is_ramp and not neuron.activation.known_as:
        return None  # the thresholds of a curve are the population's
    if len(population.shape) == 1:
        return 0
    pooled = {c.source for p in network.populations if p.neuron.pools for c in network.into(p.name)}
    axes = {_rows_along(c.operator) for c in network.into(population.name)}
    axis = axes.pop() if len(axes) == 1 else None
    return 0 if population.name in pooled or axis is None else axis % len(population.shape)


def _rows_along(operator: Operator) -> int | None:
    weighted = [part for part in operator.parts if part.weight is not None]
    return weighted[-1].row_axis if weighted else None


def _coded(population: Population, code: Code, largest: dict[str, Tensor], headroom: float) -> Coded | Race:
    if population.neuron.pools:
        return Race(code)
    assert isinstance(population.neuron, Rate)
    activation, seen = population.neuron.activation, largest[population.name].float()
    if activation.given is not None:
        return activation.given
    if not bool(seen.isfinite().all()):
        raise ConversionError(
            f"population {population.name!r} gives infinite values or NaN on the calibration rows; give rows like "
            "those that the model was trained on"
        )
    largest_of_all = float(seen.max())
    seen = torch.where(seen > LEAST, seen, largest_of_all if largest_of_all > LEAST else 1.0)
    top = (headroom * seen).clamp(max=activation.furthest)
    return Coded(code, _response(activation, top, code.highest), top)


def _response(activation: Activation, top: Tensor, highest: int) -> Response:
    if activation.is_ramp:
        below = activation.below
        if below is not None and below.numel() == 1:
            below = below.reshape(())
        limit = (activation.furthest / top.double() * highest + 0.5).floor()
        return Ramp(below, limit.float() if activation.furthest < math.inf else None)
    if activation.known_as:
        return Function(activation.known_as, top / highest)
    step = float(top.max()) / highest
    levels = (torch.arange(1, highest + 2, dtype=torch.float64) - 0.5) * step
    rising = _reached(activation, levels, 1.0)
    falling = -_reached(activation, levels, -1.0)
    rising, falling = rising[rising < math.inf], falling[falling > -math.inf]
    return Table(rising, falling)


def _reached(activation: Activation, levels: Tensor, side: float) -> Tensor:
    """From which input on a monotone function, or its mirror image -f(-x), reaches each level; float64."""

    def f(x: Tensor) -> Tensor:
        return side * activation.function((side * x)[:, None])[:, 0]

    ends = FAR * 2.0 ** torch.arange(math.ceil(math.log2(FURTHEST / FAR)) + 1, dtype=torch.float64)
    enough = ends[f(ends) >= levels[-1]]
    far = float(enough[0] if len(enough) else ends[-1])
    low, high = torch.full_like(levels, -far), torch.full_like(levels, far)
    never, always = f(high) < levels, f(low) >= levels
    sought = ~(never | always)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if not bool((sought & (low < middle) & (middle < high)).any()):
            break  # no number lies between
        there = f(middle) >= levels
        low, high = torch.where(there, low, middle), torch.where(there, middle, high)
    return torch.where(never, math.inf, torch.where(always, -math.inf, high)).cummax(0).values


def _steps(network: SpikingNetwork, neurons: dict[str, Coded | Race]) -> dict[str, Tensor]:
    """What a unit of each population's numbers is worth, to broadcast against its shape.

    A race passes on what it sees: kept units are worth more, 1/(1 - p) times, behind it too.
    """
    found: dict[str, Tensor] = {}
    for p in network.populations:
        neuron = neurons[p.name]
        unit = neuron.unit.double() if isinstance(neuron, Coded) else found[network.into(p.name)[0].source]
        found[p.name] = unit * (p.dropout.factor if p.dropout else 1.0)
    return found


# -- weights -------------------------------------------------------------------------------------------------


def _folded(
    network: SpikingNetwork, neurons: dict[str, Coded | Race], steps: dict[str, Tensor], dtype: torch.dtype
) -> SpikingNetwork:
    """The weights in front of and behind the new neurons, with the steps in them."""
    connections = []
    for c in network.connections:
        if c.target in neurons and neurons[c.target].pools:
            connections.append(c)
            continue
        before, after = steps.get(c.source, torch.ones(())).to(dtype), _own_step(neurons.get(c.target), dtype)
        connections.append(replace(c, operator=_scaled(c.operator, network.shape(c.source), before, after)))
    populations = []
    for p in network.populations:
        neuron, dropout = neurons[p.name], p.dropout
        own = _own_step(neuron, dtype)
        constant = p.constant if p.constant is None or own is None else p.constant * own
        dropout = None if dropout is None else replace(dropout, rescale=False)
        populations.append(replace(p, neuron=_with_shape(neuron, p), dropout=dropout, constant=constant))
    return replace(network, populations=tuple(populations), connections=tuple(connections))


def _own_step(neuron: Coded | Race | None, dtype: torch.dtype) -> Tensor | None:
    """What the input of a ramp is multiplied by: one over its step; None for any other node."""
    if not isinstance(neuron, Coded) or not isinstance(neuron.response, Ramp):
        return None
    return (1 / neuron.unit.double()).to(dtype)


def _with_shape(neuron: Coded | Race, population: Population) -> Coded | Race:
    """Slopes of PReLU, one a channel, shaped to broadcast against a row."""
    if isinstance(neuron, Coded) and isinstance(neuron.response, Ramp):
        below = neuron.response.below
        if below is not None and below.numel() > 1:
            return replace(
                neuron, response=replace(neuron.response, below=below.reshape(-1, *[1] * (len(population.shape) - 1)))
            )
    return neuron


def _scaled(operator: Operator, source: tuple[int, ...], before: Tensor, after: Tensor | None) -> Operator:
    """An operator of sources times factors, its targets times others: in its weights as far as that goes."""
    factor = before.expand(source) if before.ndim else before
    parts: list[Operator] = []
    shape, pending = source, True  # whether the factor still has to be taken in
    for part in operator.parts:
        target = target_shape(part, shape)
        if pending:
            taken = _taken(part, factor, shape, target)
            if isinstance(taken, Operator):
                part, pending = taken, False
            elif taken is not None:
                factor = taken
                if isinstance(part, Scale):  # the factor has it
                    continue
            else:
                parts.append(Scale(factor.nan_to_num()))
                pending = False
        parts.append(part)
        shape = target
    if after is not None:
        rows = _row_factors(parts[-1] if parts else None, after, shape)
        if rows is not None:
            parts[-1] = parts[-1].with_scaled_rows(rows)
        elif pending:
            factor = factor * after
        else:
            parts.append(Scale(after))
    if pending and not (factor.ndim == 0 and float(factor) == 1):
        parts.append(Scale(_smallest(factor)))
    return parts[0] if len(parts) == 1 else Chain(tuple(parts))


def _taken(
    part: Operator, factor: Tensor, source: tuple[int, ...], target: tuple[int, ...]
) -> Operator | Tensor | None:
    """The part with a factor on each of its sources in its weights; or that factor behind it; None if neither is.

    Behind what moves units a factor is NaN where none arrives: any will do there.
    """
    if part.rearranges:
        return factor if factor.ndim == 0 else _moved(part, factor)
    if isinstance(part, Scale):
        factor = factor * part.factor
        return factor.expand(source) if factor.ndim else factor
    if isinstance(part, Dense):
        line = factor if factor.ndim == 0 else _constant_but(factor, -1)
        return None if line is None else Dense(part.weight * line)
    if isinstance(part, Conv):
        line = factor if factor.ndim == 0 else _constant_but(factor, 0)
        if line is None:
            return None
        if line.ndim:  # [groups, in / groups], for all outputs of the group
            line = line.reshape(part.groups, -1).repeat_interleave(len(part.weight) // part.groups, 0)
            line = line.reshape(*line.shape, *[1] * (part.weight.ndim - 2))
        return part.with_weight(part.weight * line)
    if isinstance(part, AvgPool | AdaptiveAvgPool):
        line = factor if factor.ndim == 0 else _constant_but(factor, 0)
        return (
            None
            if line is None
            else line
            if line.ndim == 0
            else line.reshape(-1, *[1] * (len(target) - 1)).expand(target)
        )
    return factor if factor.ndim == 0 else None


def _moved(part: Operator, factor: Tensor) -> Tensor:
    """A factor on each unit, where the part brings them; NaN where it brings none."""
    arrives = part((~factor.isnan()).double()[None])[0] > 0
    return torch.where(arrives, part(factor.nan_to_num()[None])[0], torch.nan)


def _constant_but(factor: Tensor, axis: int) -> Tensor | None:
    """A factor as one for each place of an axis, if it changes along no other; ``[n]``, 0 where all are NaN.

    A factor of 0 is that of a mask; NaN stands where there is no source, and fits any.
    """
    lines = factor.movedim(axis, 0).flatten(1) if factor.ndim > 1 else factor[:, None]
    line = lines.masked_fill(lines.isnan(), -torch.inf).amax(1)
    line = line.masked_fill(line == -torch.inf, 0)
    return line if bool(((lines == line[:, None]) | lines.isnan()).all()) else None


def _smallest(factor: Tensor) -> Tensor:
    factor = factor.nan_to_num()
    return factor.flatten()[0].clone() if bool((factor == factor.flatten()[0]).all()) else factor.clone()


def _row_factors(part: Operator | None, after: Tensor, target: tuple[int, ...]) -> Tensor | None:
    """``[O]`` a factor for each row of a part's weights; None where its targets' factors are not the rows'."""
    if part is None or part.weight is None or part.row_axis is None:
        return None
    line = _constant_but(after.expand(target), part.row_axis)
    return line if line is not None and len(line) == len(part.weight) else None
