"""Optimisers by name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked

OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
}


@checked
def make_optimizer(
    name: str, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float = 0.0
) -> Optimizer:
    """One of torch's optimisers, with its defaults except for Nesterov momentum 0.9 with ``"sgd"``.

    The slides found RMSprop best for networks that sharpen (Sandia 2017, lessons learned).

    Args:
        name: ``"adam"``, ``"adamw"``, ``"nadam"``, ``"radam"``, ``"rmsprop"`` or ``"sgd"``.
        parameters: to be optimised.
        learning_rate, weight_decay: of the optimiser.

    Raises:
        ConfigError: an unknown name, a rate out of range, or parameters that cannot be optimised.

    Example:
        >>> type(make_optimizer("rmsprop", [torch.zeros(1, requires_grad=True)], 1e-3)).__name__
        'RMSprop'
    """
    check_optimizer(name, learning_rate, weight_decay)
    kind, settings = OPTIMIZERS[name]
    try:
        return kind(parameters, lr=learning_rate, weight_decay=weight_decay, **settings)  # pyright: ignore[reportCallIssue]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"parameters must be tensors to be trained, as model.parameters(): {error}") from error


def check_optimizer(name: str, learning_rate: float, weight_decay: float) -> None:
    """Refuse a name that is not in :data:`OPTIMIZERS`, or rates out of range (ConfigError)."""
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {name!r}")
    if not 0 < learning_rate < math.inf:
        raise ConfigError(f"learning_rate must be positive; got {learning_rate}")
    if not 0 <= weight_decay < math.inf:
        raise ConfigError(f"weight_decay must be 0 or more; got {weight_decay}")
