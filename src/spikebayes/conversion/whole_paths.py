"""Where on a connection's way the weights are: what only moves units before and after them, sums over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spikebayes.errors import ConfigError
from spikebayes.network.network import Connection, SpikingNetwork
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Operator,
    Scale,
    Shape,
    SumPool,
    size,
    target_shape,
)


def layer_of(network: SpikingNetwork, c: Connection) -> tuple[Chain, Operator | None, Chain]:
    """What is before the weights, the operator that has them (None where a unit has a factor), and what is after."""
    path, shape, at, scales = c.operator.parts, network.shape(c.source), [], 0
    fits = True
    for i, part in enumerate(path):
        target = target_shape(part, shape)
        if part.weight is not None:
            at.append(i)
        elif type(part) is Scale:
            scales += 1
            fits &= target == shape
        elif type(part) is SumPool:
            fits &= not at and not scales
        else:  # in front of weights units may be missing; behind them each has its row
            fits &= part.rearranges if not at else part.only_moves(shape)
        shape = target
    if len(at) + scales > 1 or not fits or (not at and not all(_whole_path(path, network.shape(c.source)))):
        raise ConfigError(
            f"the connection {c.source!r} to {c.target!r} is not one Dense or Conv ({names_of(c.operator)}): put an "
            "activation between layers, and pool by maxima, or in front of a layer by averages over whole windows"
        )
    if not at:
        return Chain(path), None, Chain()
    return Chain(path[: at[0]]), path[at[0]], Chain(path[at[0] + 1 :])


def _whole_path(path: Sequence[Operator], shape: Shape) -> list[bool]:
    """Of each part but scales and sums, whether it only moves units."""
    found = []
    for part in path:
        found.append(type(part) in (Scale, SumPool) or part.only_moves(shape))
        shape = target_shape(part, shape)
    return found


def names_of(operator: Operator) -> str:
    """Its parts' kinds, in words."""
    return ", ".join(type(o).__name__ for o in operator.parts or (operator,))


def summed(network: SpikingNetwork, c: Connection) -> tuple[Connection, int]:
    """A connection with averages over windows as sums, and of how many units these are."""
    parts, shape, units = [], network.shape(c.source), 1
    for part in c.operator.parts:
        parts.append(_sum_of(part, shape))
        if parts[-1] is not part:
            units *= size(parts[-1].kernel)  # pyright: ignore[reportArgumentType]
        shape = target_shape(part, shape)
    if units == 1:
        return c, 1
    return replace(c, operator=parts[0] if len(parts) == 1 else Chain(tuple(parts))), units


def _sum_of(part: Operator, shape: Shape) -> Operator:
    """An average over windows of equal size as the sum; any other operator as it is."""
    if type(part) is AvgPool and not part.ceil_mode and (part.count_include_pad or not any(part.padding)):
        return SumPool(part.kernel, part.stride, part.padding)
    if type(part) is AdaptiveAvgPool:
        sizes = [(n, n if k is None else k) for n, k in zip(shape[1:], part.size, strict=True)]
        if all(n % k == 0 for n, k in sizes):
            kernel = tuple(n // k for n, k in sizes)
            return SumPool(kernel, kernel, (0,) * len(kernel))
    return part
