"""Weights on a grid on which sums are exact in float32, in whatever order they are taken."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Operator

EXACT_SUMS = 1 << 24  # below it float32 holds every integer


def on_grid(weight: Tensor) -> Tensor:
    """A unit's weights as multiples of a power of two so small in number that sums over them are exact in float32.

    ``[O, ...]`` to the same shape: row i becomes k_i 2^-e_i, integers with sum_j |k_ij| < 2^24 and e_i as large as
    this allows: at a fan-in of 300 about 17 bits. The sum of such weights times -1, 0 or 1 is the same in whatever
    order it is taken, so a sign unit's decision is the same on every engine.

    Example:
        >>> on_grid(torch.tensor([[0.1, -0.3]]))
        tensor([[ 0.1000, -0.3000]])
    """
    flat = weight.flatten(1).double()
    step = grid_steps(flat)
    return (torch.round(flat * step) / step).to(weight.dtype).reshape(weight.shape)


def grid_steps(flat: Tensor) -> Tensor:
    """``[O, 1]``: 2^e_i of :func:`on_grid` for weights ``[O, K]``."""
    if flat.shape[1] > EXACT_SUMS - 2:
        raise ConfigError(f"a unit may have {EXACT_SUMS - 2} synapses; got {flat.shape[1]}")
    total = flat.abs().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    step = torch.exp2(torch.floor(torch.log2((EXACT_SUMS - 1) / total)))[:, None]
    over = torch.round(flat * step).abs().sum(1, keepdim=True) >= EXACT_SUMS  # by rounding up
    return torch.where(over, step / 2, step)


def gridded(operator: Operator) -> Operator:
    """The same with weights on the grid (:func:`on_grid`); itself if it has none."""
    return operator if operator.weight is None else operator.with_weight(on_grid(operator.weight))


def with_exact_sums(network: SpikingNetwork) -> SpikingNetwork:
    """The weights of connections from populations on a grid (:func:`on_grid`); what was shared stays shared."""
    shared: dict[Operator, Operator] = {}
    populations = {p.name for p in network.populations}
    made = []
    for c in network.connections:
        last = next((part for part in reversed(c.operator.parts) if not part.rearranges), None)
        if c.source in populations and last is not None and last.weight is not None:
            shared[last] = shared.get(last) or gridded(last)
            c = replace(c, operator=c.operator.replaced(shared))
        made.append(c)
    return replace(network, connections=tuple(made))
