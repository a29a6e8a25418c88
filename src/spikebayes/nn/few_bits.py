"""Weights of few bits from the first epoch on, so that nothing has to be rounded afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked


class _StraightThrough(torch.autograd.Function):
    """Weights rounded to multiples of each row's scale; their gradient is that of the weights behind."""

    @staticmethod
    def forward(_ctx: Any, weight: Tensor, top: int) -> Tensor:
        whole, scale = _whole(weight, top)
        return whole.mul_(scale)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None


def _whole(weight: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Whole numbers shaped as the weights, and each row's scale ``[O, 1, ...]``."""
    least, most = weight.flatten(1).aminmax(dim=1)
    scale = (torch.maximum(-least, most) / top).clamp_(min=torch.finfo(weight.dtype).tiny)
    scale = scale.view(-1, *(1,) * (weight.ndim - 1))
    return (weight * (1 / scale)).round_(), scale


class _FewBits(nn.Module):
    """w to s k: whole numbers |k| <= top, one s per row."""

    def __init__(self, top: int) -> None:
        super().__init__()
        self.top = top

    def forward(self, weight: Tensor) -> Tensor:
        return _StraightThrough.apply(weight, self.top)  # pyright: ignore[reportReturnType]

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Weights that are assigned are those behind."""
        return weight


@checked
def few_bits(model: nn.Module, bits: int = 8) -> nn.Module:
    """Let the Linear and Conv layers of a model compute, and train, with weights of a few bits.

    A unit's weights are s k_j with whole numbers |k_j| <= 2^(bits-1) - 1 and an s of its own, such that its largest
    weight is unchanged. Training updates underlying float weights, which are rounded on every call. A batch norm
    after the layer only changes s, so ``spikebayes.integers`` recovers the same k_j, and the network in whole numbers
    is the trained one.

    Args:
        model: changed in place, and returned.
        bits: 2 to 16.

    Raises:
        ConfigError: bits out of range, or a model without such layers or with such weights already.

    Reference:
        Jacob et al. 2018, arXiv:1712.05877, section 3 (simulated quantisation while training).

    Example:
        >>> layer = few_bits(nn.Sequential(nn.Linear(2, 1)), bits=2)[0]
        >>> layer.weight = torch.tensor([[0.1, -0.75]])
        >>> layer.weight.tolist()
        [[0.0, -0.75]]
    """
    top = largest_whole(bits)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
    if not layers:
        raise ConfigError("the model has no Linear or Conv layers")
    if any(parametrize.is_parametrized(layer, "weight") for layer in layers):
        raise ConfigError("the model has weights of few bits, or otherwise made, already")
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", _FewBits(top))
    return model


def largest_whole(bits: int) -> int:
    """The largest whole number of a signed weight, 2^(bits-1) - 1, for 2 to 16 bits (ConfigError).

    Example:
        >>> largest_whole(8)
        127
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ConfigError(f"weights may have 2 to 16 bits; got {bits!r}")
    return 2 ** (bits - 1) - 1


def trained_weight(layer: nn.Module) -> Tensor:
    """The tensor that is trained: a layer's weight, or the one behind it."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original  # pyright: ignore
    return layer.weight  # pyright: ignore[reportReturnType]


@torch.no_grad()
def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Of each layer with weights of few bits, by its name: their whole numbers k, shaped as the weights."""
    found = {}
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            behind = module.parametrizations.weight  # pyright: ignore[reportAttributeAccessIssue]
            if isinstance(behind[0], _FewBits):  # pyright: ignore[reportIndexIssue]
                found[name] = _whole(behind.original, behind[0].top)[0]  # pyright: ignore
    return found


def settle_bits(model: nn.Module) -> None:
    """Make the rounded weights a model's own; it trains as an ordinary one from then on."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            shared = type(module)  # with copies of the module; what follows changes the class
            module.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))  # pyright: ignore[reportAttributeAccessIssue]
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
