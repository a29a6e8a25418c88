"""What imprecise weights do to the networks: few bits, gains that differ by row, devices that vary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikebayes import SpikingNetwork, quantised, scaled, with_device_noise, with_row_gains
from studies.neftci2017 import learning
from studies.neftci2017.sampling import SCALE, errors, spiking
from studies.neftci2017.settings import Learning

BITS = (8, 4, 3, 2)
GAINS = (0.1, 0.3, 1.0)  # standard deviation of a row's log gain
NOISE = (0.1, 0.2, 0.5)  # of a device's relative error


def robustness(
    kind: str, digits: learning.Digits, s: Learning, folder: Path, samples: int, draws: int
) -> list[dict[str, Any]]:
    """Test errors under each imperfection; those that are drawn, as means over draws."""
    network, x = spiking(kind, s, folder), learning.rows(kind, digits.x_test)
    changes: list[tuple[str, float, int, Callable[[int], SpikingNetwork]]] = [
        ("none", 0.0, 1, lambda _: network),
        ("scaled", SCALE, 1, lambda _: scaled(network, SCALE)),
        *(("bits", b, 1, lambda _, b=b: quantised(network, b)) for b in BITS),
        *(("gains", std, draws, lambda seed, std=std: with_row_gains(network, std, seed)) for std in GAINS),
        *(("noise", std, draws, lambda seed, std=std: with_device_noise(network, std, seed)) for std in NOISE),
    ]
    found = []
    for name, value, times, change in changes:
        lines = [errors(change(seed), x, digits.y_test, samples) for seed in range(times)]
        mean = {key: float(np.mean([line[key] for line in lines])) for key in lines[0]}
        worst = max(line["average"] for line in lines)
        found.append({"change": name, "value": value, "draws": times, **mean, "worst_average": worst})
    return found
