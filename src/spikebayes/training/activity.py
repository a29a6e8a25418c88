"""What hidden units will cost as spikes, as a term of the loss: their activity, by the synapses that it reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.conversion.activations import MODULES
from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.network.network import Population, Readout, SpikingNetwork
from spikebayes.network.operators import Shape
from spikebayes.nn import Coded, LIFRate, Spiking
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

REFERENCE = 500.0  # Hz at which a LIF neuron counts as 1: where SoftLIF's defaults give 1


class Activity:
    """Synaptic operations to be expected of a network's neurons, over those if all of them fired at a reference.

        A = sum_i w_i mean_b a_bi / sum_i w_i,        w_i = (1 - p_i) sum_{j reached by i} (1 - p_j)

    Unit i is dropped with probability p_i. Its activity a_bi on row b is

    * of a rate activation, its rate over 500 Hz: A is in proportion to the synaptic events that ``energy`` counts;
    * of any other, |y_bi| over the largest |y| of its layer on these rows, as a code in windows tells it: its
      spikes, the digits that are not 0, grow in number with it. The gradient goes through the largest value too, so
      that a layer gains nothing by smaller values for larger weights behind it.

    Args:
        model: whose activations are modules.
        weights: ``[*shape]`` w_i of each call of an activation, in the order of the calls.

    Reference:
        Sorbaro et al. 2020, Front. Neurosci. 14:662 (a cost of synaptic operations); Neil, Pfeiffer & Liu 2016,
        Learning to be efficient (of activations); Pellegrini et al. 2021, IEEE SLT (of spikes).

    Example:
        >>> from spikebayes.conversion.convert import convert
        >>> model = nn.Sequential(nn.Linear(1, 2), LIFRate(), nn.Linear(2, 1))
        >>> with torch.no_grad():
        ...     _ = model[0].weight.fill_(0), model[0].bias.copy_(torch.tensor([-1.0, 1.0]))
        >>> activity = Activity.of(model, convert(model, torch.zeros(2, 1)), torch.zeros(2, 1))
        >>> with activity.recorded():
        ...     _ = model(torch.zeros(2, 1))
        >>> round(activity.mean().item(), 3)  # one is silent, one fires at 626 Hz
        0.626
    """

    def __init__(self, model: nn.Module, weights: Sequence[Tensor]) -> None:
        self.units: list[nn.Module] = [m for m in model.modules() if _is_counted(m)]
        self.weights: list[Tensor] = list(weights)
        self.total: float = sum(float(w.sum()) for w in self.weights)
        self._parts: list[Tensor] = []

    @classmethod
    def of(cls, model: nn.Module, network: SpikingNetwork, x: Tensor) -> Activity:
        """Of a module whose network is known.

        Args:
            model: the module.
            network: what ``convert`` makes of it.
            x: ``[B, *shape]`` rows that it takes.

        Raises:
            ConfigError: neurons that the module has no activation for, or of other kinds.
        """
        others = {type(m).__name__ for m in model.modules() if isinstance(m, Spiking) and not _is_counted(m)}
        if others:
            raise ConfigError(
                "rate_penalty covers SoftLIF and other rate activations, and ReLU and others that codes in windows "
                f"tell; the model has {', '.join(sorted(others))}: leave rate_penalty at 0"
            )
        shapes, counted = _shapes(model, x), [p for p in network.populations if not p.neuron.pools]
        if shapes != [p.shape for p in counted]:
            raise ConfigError(
                "rate_penalty sees activations that are modules, one for each population of the network; the "
                f"modules gave {[list(s) for s in shapes]}, the populations are "
                f"{[list(p.shape) for p in counted]}: call nn.ReLU() and its like instead of functions, and drop "
                "behind activations only"
            )
        return cls(model, [_operations(network, p) for p in counted])

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """While the module is called, once."""
        self._parts.clear()
        hooks = [unit.register_forward_hook(self._record) for unit in self.units]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def mean(self) -> Tensor:
        """A of the last recorded call, with its gradient."""
        return torch.stack(self._parts).sum() / self.total

    @torch.no_grad()
    def measured(self, model: nn.Module, x: Tensor, seed: int) -> float:
        """A of a module on rows ``[B, *shape]``, under one mask each."""
        with self.recorded(), Masks(Keys(seed, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)))):
            model(x.clone())
        return float(self.mean())

    def _record(self, unit: nn.Module, _given: Any, y: Tensor) -> None:
        weight = self.weights[len(self._parts)].to(y.device)
        self._parts.append((_of(unit, y.float()).mean(0) * weight).sum())


def check_penalty(rate_penalty: float, spiking: bool = True) -> None:
    """Refuse a penalty that is negative, or of a network that is not to spike (ConfigError)."""
    if not 0 <= rate_penalty < math.inf:
        raise ConfigError(f"rate_penalty must be 0 or more; got {rate_penalty}")
    if rate_penalty and not spiking:
        raise ConfigError("rate_penalty is of a network that will spike; leave it at 0 with spiking=False")


def _is_counted(module: nn.Module) -> bool:
    return isinstance(module, LIFRate | Coded) or type(module) in MODULES


def _of(unit: nn.Module, y: Tensor) -> Tensor:
    """Activity of a unit's values ``[B, *shape]``."""
    if isinstance(unit, LIFRate):
        return y / (unit.neuron.amplitude * REFERENCE)
    size = y.abs()
    return size / (unit.top if isinstance(unit, Coded) else size.max().clamp(min=1e-12))


def _shapes(model: nn.Module, x: Tensor) -> list[Shape]:
    """Of a row, call by call."""
    found: list[Shape] = []
    hooks = [
        m.register_forward_hook(partial(lambda _m, _x, y, into: into.append(tuple(y.shape[1:])), into=found))
        for m in model.modules()
        if _is_counted(m)
    ]
    try:
        with torch.no_grad(), evaluating(model):
            model(x[:2].clone())
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _operations(network: SpikingNetwork, population: Population) -> Tensor:
    """``[*shape]``, synaptic operations to be expected of one spike of each of its neurons, float32."""
    stages, nodes = Stages(), {node.name: node for node in network.nodes()}
    found = torch.zeros(population.shape, dtype=torch.float64)
    for connection in network.connections:
        if connection.source == population.name:
            reach = Reach(stages.of(connection.operator, population.shape), population.shape)
            found += _kept(nodes[connection.target]) * reach.fan_out.reshape(population.shape)
    return (_kept(population) * found).float()


def _kept(node: Any) -> float:
    """Probability that a neuron of it is not dropped."""
    return 1.0 if isinstance(node, Readout) or node.dropout is None else 1 - node.dropout.p
