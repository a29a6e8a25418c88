"""Factors on a source's units, masks among them, worked into the weights behind them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spikebayes.network.operators import AvgPool, Conv, Dense, Operator, Scale, Shape, SumPool, target_shape


def folded(operators: Sequence[Operator], shape: Shape, factor: Tensor) -> tuple[Operator, ...]:
    """The operators with the source's units multiplied beforehand, in the weights where these can take it.

    A factor goes into the first weights that see each of its units by a weight of their own (or all units of a map
    that share one, where the factors are alike). What lies before them must leave units apart: shapes, factors, and
    pooling of maps whose units have one factor. Elsewhere a ``Scale`` stands at the beginning.

    Args:
        operators: one after another. shape: of the source's rows. factor: ``[*shape]`` float64.

    Example:
        >>> import torch
        >>> ops = folded([Dense(torch.ones(1, 2))], (2,), torch.tensor([0.0, 2.0]).double())
        >>> ops[0].weight.tolist()
        [[0.0, 2.0]]
    """
    if bool((factor == 1).all()):
        return tuple(operators)
    here, at = factor, shape
    for k, operator in enumerate(operators):
        weight = _weight(operator, here)
        if weight is not None:
            return (*operators[:k], operator.with_weight(weight), *operators[k + 1 :])
        moved = _moved(operator, here, at)
        if moved is None:
            break
        here, at = moved, target_shape(operator, at)
    return (Scale(factor), *operators)


def _weight(operator: Operator, factor: Tensor) -> Tensor | None:
    """The operator's weights times the factors of what they see; None where it has none, or units share them."""
    if type(operator) is Dense:
        row = factor.reshape(-1, factor.shape[-1])
        return operator.weight.double() * row[0] if bool((row == row[0]).all()) else None
    if type(operator) is Conv:
        channel = _by_channel(factor)
        if channel is None:
            return None
        groups, out = operator.groups, len(operator.weight)
        seen = channel.reshape(groups, -1).repeat_interleave(out // groups, 0)  # [out, in / groups]
        return operator.weight.double() * seen.reshape(*seen.shape, *[1] * (operator.weight.ndim - 2))
    return None


def _moved(operator: Operator, factor: Tensor, shape: Shape) -> Tensor | None:
    """The factors behind an operator that come to the same as these before it; None if there are none."""
    if operator.reshapes:
        return operator(factor[None])[0]
    if type(operator) is Scale:
        return factor
    channel = _by_channel(factor) if type(operator) in (AvgPool, SumPool) else None
    if channel is None:
        return None
    target = target_shape(operator, shape)
    return channel.reshape(-1, *[1] * (len(target) - 1)).expand(target)


def _by_channel(factor: Tensor) -> Tensor | None:
    """``[C]`` factors of maps, if all units of a map have the same."""
    flat = factor.reshape(len(factor), -1)
    return flat[:, 0] if bool((flat == flat[:, :1]).all()) else None
