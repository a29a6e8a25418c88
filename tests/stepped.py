"""A small network of steps whose batch norms have seen data, so that its units differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.nn import zoo
from spikebayes.training.sharpening import Sharpness


def stepped(x: Tensor, outputs: int, seed: int = 0, **layers: Any) -> nn.Sequential:
    """``zoo.sharpened`` for rows like ``x``, at sharpness 1, its statistics those of ``x``."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        net = zoo.sharpened(tuple(x.shape[1:]), outputs, **layers)
        for unit in Sharpness().layers(net):
            unit.sharpen(1.0)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = None
                module.bias.fill_(0.4)
        for _ in range(2):
            net(x)
    return net.eval()
