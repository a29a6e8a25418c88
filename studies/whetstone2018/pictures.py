"""What is drawn of a convolutional network: the spikes of its feature maps for an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikebayes import folded, simulate
from studies.whetstone2018.images import Rows
from studies.whetstone2018.judging import spiking
from studies.whetstone2018.learning import SPIKING, rows, trained
from studies.whetstone2018.recipe import Recipe

SHOWN = 3  # test images


def pictures(recipe: Recipe, data: Rows, home: Path) -> dict[str, Any]:
    """The first test images and the spikes of every feature map, as lists of hexadecimal lines.

    Returns:
        ``images``: bytes ``[N, H, W]`` and classes; ``layers``: of every population with feature maps its name,
        shape ``[C, H, W]`` and, for each image, its spikes, row by row, packed into bytes.
    """
    shape, classes = tuple(data.x.shape[1:]), len(data.classes)
    x = rows(recipe, data.x_test[:SHOWN])
    network = spiking(folded(trained(recipe, shape, classes, home / SPIKING)), x)
    run = simulate(network, x, samples=1, steps=1, probe=["spikes"])
    images = torch.round(255 * data.x_test[:SHOWN, 0]).to(torch.uint8).numpy()
    return {
        "images": [image.tobytes().hex() for image in images],
        "side": list(images.shape[1:]),
        "classes": [data.classes[int(y)] for y in data.y_test[:SHOWN]],
        "layers": [
            {
                "name": p.name,
                "shape": list(p.shape),
                "spikes": [np.packbits(run.spikes[p.name][0, i, 0].numpy()).tobytes().hex() for i in range(len(x))],
            }
            for p in network.populations
            if len(p.shape) == 3
        ],
    }


def unpacked(layer: dict[str, Any], image: int) -> np.ndarray:
    """``[C, H, W]`` of 0 and 1: a layer's spikes for an image, from what :func:`pictures` gives."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(layer["spikes"][image]), np.uint8))
    return bits[: int(np.prod(layer["shape"]))].reshape(layer["shape"])
