"""What conversion asks of neurons."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from spikebayes.network.neurons import Bernoulli, Curve, Neuron, is_memoryless

Chance = Callable[[Tensor, Curve, int], Tensor]  # from input, curve and site to which units are on


def memoryless(neuron: Neuron) -> bool:
    """Whether a step depends on nothing but the step's input and draws."""
    return is_memoryless(neuron)


def random(neuron: Neuron) -> bool:
    """Whether it draws."""
    return isinstance(neuron, Bernoulli)


def fires(neuron: Neuron | None, off: int) -> bool:
    """Whether its output is 1 where it fires, and ``off`` where it does not, in the step itself."""
    return neuron is not None and memoryless(neuron) and getattr(neuron, "off", None) == off


def output(neuron: Neuron, x: Tensor, dt: float, chance: Chance) -> Tensor:
    """Of a neuron without memory, in one step with the input x."""
    if isinstance(neuron, Bernoulli):
        return neuron.output(chance(x, neuron.curve, neuron.site), x.dtype)
    return neuron.step(x, neuron.initial(x), dt)[1]


def levels(neuron: Neuron, uniform: Tensor) -> Tensor:
    """What it could give, from numbers in [0, 1): either of its outputs, or a rate."""
    if not memoryless(neuron):
        return uniform
    off = getattr(neuron, "off", 0)
    return (uniform >= 0.5) * (1.0 - off) + off
