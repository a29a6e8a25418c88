"""Grids on which sums of weights times numbers are exact, so that no order of adding up changes a decision."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from spikebayes.conversion.calibration import Extent
from spikebayes.conversion.exact_sums import EXACT_SUMS
from spikebayes.network.coded import Coded, Ramp, Table
from spikebayes.network.network import Connection, Population, Readout, SpikingNetwork
from spikebayes.network.operators import (
    Chain,
    Conv,
    Dense,
    Operator,
    Permute,
    Place,
    Scale,
    Slice,
    size,
    target_shape,
)

ROUNDING = 1 + 1e-4  # by which a bound may be off that was summed in float32
AT_ONCE = 1 << 20  # weights that are looked at
BLOCK, BLOCKS = 25, 16  # inputs of a target that are worth a product of their own; and most such blocks
EXACT_IN_FLOAT64 = 1 << 52  # likewise, with room for a sum of several connections
MARGIN = 1.25  # by which values may exceed those of the calibration before sums need more than float32
# the error that rounded weights may make, and up to twice that if it saves float64:
ROUGH = 0.1  # of a step,
ARRIVING = 0.5  # or of what arrives there anyway, since the numbers that weights take in are rounded
OF_OUTPUT = 5e-5  # of the range of the read-out, likewise


@dataclass(frozen=True)
class _Sum:
    """What weights of a connection and the numbers that it carries can add up to.

    Args:
        bound: of any partial sum.
        block: of those of one block, where the inputs are cut.
        norm: root of the sum of squares of what a target takes.
        arriving: root of the sum of squares of what a typical target takes in if each number is off by 1.
    """

    bound: float
    block: float
    norm: float
    arriving: float


def gridded_sums(network: SpikingNetwork, seen: dict[str, Extent]) -> SpikingNetwork:
    """Each node's grid, and the weights and constants in front of it on it."""
    sources = {p.name for p in network.populations}
    connections: dict[int, Connection] = {}
    nodes = []
    for node in (*network.populations, network.readout):
        into = [(k, c) for k, c in enumerate(network.connections) if c.target == node.name]
        if isinstance(node, Population) and node.neuron.pools:
            nodes.append(node)
            connections |= dict(into)
            continue
        typical = torch.median if isinstance(node, Population) else torch.min  # outputs have scales of their own
        sums = [
            _sum(c.operator, network.shape(c.source), seen[c.source], typical) for _, c in into if c.source in sources
        ]
        grid = _grid(sums, seen[node.name].given, _tolerance(node, seen[node.name]))
        for k, c in into:
            connections[k] = replace(c, operator=_on_grid(c.operator, grid if c.source in sources else 0.0))
        constant = None if node.constant is None else rounded(node.constant, grid).float()
        nodes.append(replace(node, constant=constant, grid=grid))
    *populations, readout = nodes
    return replace(
        network,
        populations=tuple(populations),
        connections=tuple(connections[k] for k in sorted(connections)),
        readout=readout,
    )


def _tolerance(node: Population | Readout, extent: Extent) -> float:
    """How far off a node's input may be without anybody noticing."""
    if isinstance(node, Population) and isinstance(node.neuron, Coded):
        response = node.neuron.response
        if isinstance(response, Ramp):
            return ROUGH
        if isinstance(response, Table):
            steps = torch.cat([response.rising.diff(), -response.falling.diff()])
            steps = steps[(steps > 0) & steps.isfinite()]
            return ROUGH * (float(steps.min()) if len(steps) else 1.0)
        return ROUGH * float(node.neuron.unit.min())
    return OF_OUTPUT * max(extent.narrowest, 1e-30)


def _grid(sums: list[_Sum], more: float, tolerance: float) -> float:
    """A power of two: the finest on which float32 holds all sums, or those of blocks, or one fine enough for float64.

    Args:
        sums: of weights times numbers.
        more: largest magnitude of what inputs and the constant add to them, rounded once it is summed.
        tolerance: how far off the whole may be.
    """
    error = math.sqrt((sum(s.norm**2 for s in sums) + 1) / 12)  # of rounding weights by 1, and what they are added to
    tolerance = max(tolerance, ARRIVING * math.sqrt(sum(s.arriving**2 for s in sums) / 12))
    bounds = (sum(s.bound for s in sums), sum(s.block for s in sums))
    # a step: below half of one, adding a half would round in float32
    reach, of_blocks = (max(MARGIN * bound + 4 * MARGIN * more, tolerance / ROUGH) for bound in bounds)
    whole, blocks = math.log2(reach / (EXACT_SUMS - 1)), math.log2(of_blocks / (EXACT_SUMS - 1))
    fine = math.log2(tolerance / error)
    if math.ceil(whole) <= fine + 1:
        return 2.0 ** math.ceil(whole)
    if math.ceil(blocks) <= fine + 1:
        return 2.0 ** max(math.ceil(blocks), math.floor(fine))
    return 2.0 ** max(math.floor(fine) - 4, math.ceil(math.log2(reach / EXACT_IN_FLOAT64)))


def _sum(operator: Operator, source: tuple[int, ...], extent: Extent, typical: Callable[[Tensor], Tensor]) -> _Sum:
    """By Cauchy and Schwarz over all units, or by the largest of them times all weights."""
    euclid, total, fan_in = weight_norms(operator, source, signed=extent.low < 0)
    bound = min(euclid * extent.norm, total * extent.largest)
    blocks = max(map(len, cuts_of(operator)), default=1)
    norm = min(extent.norm, extent.largest * math.sqrt(fan_in))
    weights = [part.weight.double() for part in operator.parts if part.weight is not None]
    rows = weights[0].flatten(1).square().sum(1).sqrt() if len(weights) == 1 else torch.zeros(1)
    rows = rows[rows > 0]
    return _Sum(bound, bound / blocks, norm, float(typical(rows)) if len(rows) else 0.0)


def weight_norms(operator: Operator, source: tuple[int, ...], signed: bool = True) -> tuple[float, float, float]:
    """Of an operator's targets: the largest root of summed squares and sum of magnitudes of weights; and fan-in.

    Where sources are never negative, a sum in whatever order lies between that of the negative weights and that of
    the positive ones: then the larger of these two counts.
    """
    euclid = total = fan_in = 1.0
    signed = signed or sum(part.weight is not None for part in operator.parts) > 1
    for part in operator.parts:
        if part.weight is not None:
            weight = part.weight.detach().flatten(1)
            fan_in *= weight.shape[1]
            norms = [0.0, 0.0]
            for rows in weight.split(max(1, AT_ONCE // weight.shape[1])):
                for side in (rows,) if signed else (rows.clamp(min=0), rows.clamp(max=0)):
                    norms[0] = max(norms[0], float(side.square().sum(1).max().sqrt()))
                    norms[1] = max(norms[1], float(side.abs().sum(1).max()))
            euclid, total = euclid * ROUNDING * norms[0], total * ROUNDING * norms[1]
        elif isinstance(part, Scale):
            euclid, total = (n * float(part.factor.abs().max()) for n in (euclid, total))
        elif part.rearranges:
            euclid *= math.sqrt(_copies(part, source))
        else:
            like = next(part.buffers(), torch.empty(0))
            gain = float(part(torch.ones(1, *source, dtype=like.dtype, device=like.device)).abs().max())
            euclid, total, fan_in = euclid * max(1.0, gain), total * max(1.0, gain), fan_in * max(1.0, gain)
        source = target_shape(part, source) if source else ()
    return euclid, total, fan_in


def _copies(part: Operator, source: tuple[int, ...]) -> int:
    """How often a unit arrives, at most, behind a part that moves units: a line's norm grows with the root of it."""
    if part.reshapes or isinstance(part, Permute | Place | Slice):
        return 1
    place = next((b.device for b in part.buffers()), None)
    numbers = torch.arange(1, size(source) + 1, dtype=torch.float64, device=place).reshape(1, *source)
    return max(1, int(part(numbers).flatten().long().bincount(minlength=2)[1:].max()))


def cuts_of(operator: Operator) -> list[list[slice]]:
    """How the inputs of many weights may be cut into 2, 4, 8 and 16 blocks, each with smaller sums than all at once.

    Example:
        >>> cuts_of(Dense(torch.zeros(3, 120)))
        [[slice(0, 60, None), slice(60, 120, None)], [slice(0, 30, None), ..., slice(90, 120, None)]]
    """
    working = [part for part in operator.parts if not part.rearranges]
    if len(working) != 1 or not isinstance(working[0], Dense | Conv) or getattr(working[0], "groups", 1) > 1:
        return []
    weight, cuts, count = working[0].weight, [], 2
    while count <= min(weight.shape[1], BLOCKS, weight[0].numel() // BLOCK):
        edges = [round(k * weight.shape[1] / count) for k in range(count + 1)]
        cuts.append([slice(a, b) for a, b in pairwise(edges)])
        count *= 2
    return cuts


def grids(network: SpikingNetwork) -> dict[Operator, float]:
    """The grid of each operator whose weights lie on one: in coded networks, those alone on their way to a target."""
    found: dict[Operator, float] = {}
    for node in (*network.populations, network.readout) if network.code is not None else ():
        for c in network.into(node.name):
            if node.grid and _alone(c.operator) and any(p.name == c.source for p in network.populations):
                weighted = (part for part in c.operator.parts if part.weight is not None)
                found |= {part: max(node.grid, found.get(part, 0.0)) for part in weighted}
    return found


def _alone(operator: Operator) -> bool:
    """Whether one part has all its factors."""
    return sum(part.weight is not None or isinstance(part, Scale) for part in operator.parts) == 1


def _on_grid(operator: Operator, grid: float) -> Operator:
    """A copy with its weights on a grid where they are in one part, and all in float32."""
    parts = list(operator.parts)
    alone = _alone(operator)
    for k, part in enumerate(parts):
        if alone and part.weight is not None:
            parts[k] = part.with_weight(rounded(part.weight, grid).float())
        elif alone and isinstance(part, Scale):
            parts[k] = Scale(rounded(part.factor, grid).float())
        else:
            parts[k] = copy.deepcopy(part).float()
    return parts[0] if len(parts) == 1 else Chain(tuple(parts))


def rounded(values: Tensor, grid: float) -> Tensor:
    """The nearest multiples of a grid; of 0, the values themselves."""
    return values.clone() if not grid else (values / grid).round_().mul_(grid)
