"""TrueNorth: what a test image costs a network that fits on it, by its synaptic events."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes import SpikingNetwork
from spikebayes.evaluate import DEVICES, count
from studies.whetstone2018.recipe import Recipe

COUNTED = 1000  # test rows whose events are counted
DEVICE = next(device for device in DEVICES if device.name == "TrueNorth")


@torch.no_grad()
def priced(recipe: Recipe, network: SpikingNetwork, x: Tensor) -> dict[str, Any]:
    """Synaptic events of a row, as ``sb.energy`` counts them and those of its pixels, and their joules.

    Args:
        recipe: of a network that begins with a convolution of inputs that are 0 or 1.
        network: its spiking network. x: ``[B, C, H, W]`` rows as it takes them.
    """
    x = x[:COUNTED]
    spiking, _ = count(network, x, samples=1)
    channels, kernel, _ = recipe.convolutions[0]
    masks = torch.ones(channels, x.shape[1], kernel, kernel)
    pixels = float(F.conv2d(x, masks, padding=recipe.padding).double().sum()) / len(x)
    neurons = spiking.synaptic_events / len(x)
    return {
        "rows": len(x),
        "pixel_events": pixels,
        "neuron_events": neurons,
        "joules": (pixels + neurons) * DEVICE.synaptic_event_j,
    }
