"""Weights of few bits from the first epoch on, so that nothing has to be rounded afterwards."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import is_whole
from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, BlankOutLinear, BlankOutConv2d)


class _StraightThrough(torch.autograd.Function):
    """Weights rounded to multiples of a scale; their gradient is that of the weights behind.

    Under a fixed range it is 0 for weights at an end of it that would leave it.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, top: int, fixed: Tensor | None) -> Tensor:
        whole, scale = _whole(weight, top, fixed)
        ctx.ends = None if fixed is None else (weight, fixed * top)
        return whole.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        if ctx.ends is not None:
            weight, end = ctx.ends
            gradient = gradient.masked_fill((weight.abs() >= end) & (weight * gradient < 0), 0.0)
        return gradient, None, None


def _whole(weight: Tensor, top: int, fixed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Whole numbers shaped as the weights, and each row's scale ``[O, 1, ...]``, or the one that is fixed, ``[]``."""
    if fixed is not None:
        return (weight / fixed).round_().clamp_(-top, top), fixed
    least, most = weight.flatten(1).aminmax(dim=1)
    scale = (torch.maximum(-least, most) / top).clamp_(min=torch.finfo(weight.dtype).tiny)
    scale = scale.view(-1, *(1,) * (weight.ndim - 1))
    return (weight * (1 / scale)).round_(), scale


class _FewBits(nn.Module):
    """w to s k: whole numbers |k| <= top, one s per row, or one that is fixed for the layer."""

    scale: Tensor | None

    def __init__(self, top: int, scale: Tensor | None = None) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("scale", scale)

    def forward(self, weight: Tensor) -> Tensor:
        return _StraightThrough.apply(weight, self.top, self.scale)  # pyright: ignore[reportReturnType]

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Weights that are assigned are those behind."""
        return weight


@checked
def few_bits(model: nn.Module, bits: int = 8, *, span: float | None = None) -> nn.Module:
    """Let the layers of a model compute, and train, with weights of a few bits.

    A weight is s k_j with a whole number |k_j| <= L = 2^(bits-1) - 1. Either each unit has an s of its own, such that
    its largest weight is unchanged; or a layer has one s for good, and weights saturate at the ends +- s L, as they
    do in fixed point and in memristors. Training updates underlying float weights, which are rounded on every call.
    Biases, and the beta of unreliable synapses, stay float numbers. A batch norm after a layer only changes s, so
    ``spikebayes.integers`` recovers the same k_j, and the network in whole numbers is the trained one.

    Args:
        model: with Linear, Conv or BlankOut layers; changed in place, and returned.
        bits: 2 to 16.
        span: None for an s for each unit; a number for one s a layer: s L is ``span`` times the root mean square of
            the weights that the layer has now.

    Raises:
        ConfigError: bits or span out of range, or a model without such layers or with such weights already.

    References:
        Jacob et al. 2018, arXiv:1712.05877, section 3 (simulated quantisation while training); Neftci 2017, section
        III.B (weights that saturate).

    Example:
        >>> layer = few_bits(nn.Sequential(nn.Linear(2, 1)), bits=2)[0]
        >>> layer.weight = torch.tensor([[0.1, -0.75]])
        >>> layer.weight.tolist()
        [[0.0, -0.75]]
    """
    top = largest_whole(bits)
    if span is not None and not (math.isfinite(span) and span > 0):
        raise ConfigError(f"span must be positive and finite, or None; got {span}")
    layers = [m for m in model.modules() if isinstance(m, LAYERS)]
    if not layers:
        raise ConfigError("the model has no Linear, Conv or BlankOut layers")
    if any(parametrize.is_parametrized(layer, "weight") for layer in layers):
        raise ConfigError("the model has weights of few bits, or otherwise made, already: call few_bits once")
    scales = [None if span is None else _fixed(layer, span / top) for layer in layers]
    for layer, scale in zip(layers, scales, strict=True):
        parametrize.register_parametrization(layer, "weight", _FewBits(top, scale))
    return model


def _fixed(layer: nn.Module, times: float) -> Tensor:
    """A multiple of the root mean square of a layer's weights, ``[]``."""
    weight = trained_weight(layer).detach()
    scale = weight.square().mean().sqrt() * times
    if not (scale.isfinite() and scale > 0):
        raise ConfigError(
            f"a fixed range is measured in the layer's weights, and the weights {list(weight.shape)} of "
            f"{type(layer).__name__} are all zero, or not finite; give them first weights"
        )
    return scale


def largest_whole(bits: int) -> int:
    """The largest whole number of a signed weight, 2^(bits-1) - 1, for 2 to 16 bits (ConfigError).

    Example:
        >>> largest_whole(8)
        127
    """
    if not is_whole(bits) or not 2 <= bits <= 16:
        raise ConfigError(f"weights may have 2 to 16 bits; got {bits!r}")
    return 2 ** (bits - 1) - 1


def trained_weight(layer: nn.Module) -> Tensor:
    """The tensor that is trained: a layer's weight, or the one behind it."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original  # pyright: ignore
    return layer.weight  # pyright: ignore[reportReturnType]


def has_few_bits(layer: Any) -> bool:
    """Whether a layer's weights are of few bits."""
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], _FewBits)


@torch.no_grad()
def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Of each layer with weights of few bits, by its name: their whole numbers k, shaped as the weights."""
    found = {}
    for name, module in model.named_modules():
        if has_few_bits(module):
            behind: Any = module.parametrizations.weight  # pyright: ignore[reportAttributeAccessIssue]
            found[name] = _whole(behind.original, behind[0].top, behind[0].scale)[0]
    return found


def settle_bits(model: nn.Module) -> None:
    """Make the rounded weights a model's own; it trains as an ordinary one from then on."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            shared = type(module)  # with copies of the module; what follows changes the class
            module.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))  # pyright: ignore[reportAttributeAccessIssue]
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
