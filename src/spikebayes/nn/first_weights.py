"""Initial weights of layers before activations."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked

Module = TypeVar("Module", bound=nn.Module)
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@checked
def spread_weights(module: Module, spread: float = 1.2) -> Module:
    """Draw the weights of all layers but the last anew, N(0, spread^2 / fan-in), with biases of 0; in place.

    torch's initial weights have a third of that variance at a spread of 1: after several layers the inputs of
    activations hardly differ from row to row, and a curve with a threshold learns slowly. The last layer, the
    read-out, is unchanged. Draws from torch's generator.

    Args:
        module: its dense and convolutional layers, in their order of definition.
        spread: standard deviation of an activation's input for each unit of root mean square of what comes in, > 0.

    Returns:
        The module.

    Raises:
        ConfigError: a spread that is not positive, or fewer layers than two.

    Reference:
        He et al. 2015, arXiv:1502.01852, eq. 10, has sqrt(2) for ReLU.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> net = spread_weights(nn.Sequential(nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 1)), 1.5)
        >>> round(net[0].weight.std().item(), 2), net[0].bias.abs().max().item()
        (0.15, 0.0)
    """
    if not (spread > 0 and math.isfinite(spread)):
        raise ConfigError(f"spread must be positive and finite; got {spread}")
    layers = [m for m in module.modules() if isinstance(m, WEIGHTED)]
    if len(layers) < 2:
        raise ConfigError(f"a network of two layers or more has hidden weights to draw; this one has {len(layers)}")
    with torch.no_grad():
        for layer in layers[:-1]:
            layer.weight.normal_(0, spread / math.sqrt(layer.weight[0].numel()))
            if layer.bias is not None:
                layer.bias.zero_()
    return module
