"""Signs that are drawn: their gradient, and the binary stochastic unit."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.network.neurons import Bernoulli, Curve
from spikebayes.nn.unit import Place, Spiking, Units
from spikebayes.noise.random_layers import Draws, randomly

NEGLIGIBLE = 1e-20  # slope of the erf law; smaller ones would end in denormals, which slow matrix products down


class SigmoidSign(Spiking):
    """Binary stochastic units: +1 with probability 1 / (1 + exp(-x)), else -1; the gradient is twice the curve's.

    The baseline of the S2M's paper: its input is a plain linear layer, so nothing normalises the weights.

    Reference:
        Neftci 2017, section III.A.

    Example:
        >>> SigmoidSign()(torch.tensor([[50.0, -50.0]])).tolist()
        [[1.0, -1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return randomly(_sigmoid_signs, x)

    def units(self, place: Place) -> Units:
        return Units(Bernoulli(Curve.SIGMOID, site=place.site))


def _sigmoid_signs(draws: Draws, x: Tensor) -> Tensor:
    return StraightThrough.apply(x, draws.fire(x, Curve.SIGMOID), Curve.SIGMOID)


class StraightThrough(torch.autograd.Function):
    """Forward the sampled sign, backward the gradient of its mean 2 P(x) - 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, on: Tensor, curve: Curve) -> Tensor:
        ctx.save_for_backward(x)
        ctx.curve = curve
        return plus_minus(on, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,) = ctx.saved_tensors
        if ctx.curve is Curve.ERF:
            slope = F.threshold((-x * x).exp(), NEGLIGIBLE, 0.0) * (2 / math.sqrt(math.pi))
        else:
            p = x.sigmoid()
            slope = 2 * p * (1 - p)
        return gradients[0] * slope, None, None


def plus_minus(on: Tensor, like: Tensor) -> Tensor:
    """+1 where a unit is on, else -1, in the dtype of another tensor."""
    return on.to(like.dtype) * 2 - 1
