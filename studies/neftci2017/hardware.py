"""What imprecise weights do to the networks: few bits, gains that differ by row, devices that vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikebayes import SpikingNetwork, quantised, scaled, with_device_noise, with_row_gains
from studies.neftci2017.learning import Digits
from studies.neftci2017.networks import Run, Trained, rows
from studies.neftci2017.sampling import SCALE, errors, spiking

BITS = (8, 4, 3, 2)
GAINS = (0.1, 0.3, 1.0)  # standard deviation of a row's log gain
NOISE = (0.1, 0.2, 0.5)  # of a device's relative error

Change = tuple[str, float, Callable[[SpikingNetwork, int], SpikingNetwork]]
NONE: Change = ("none", 0.0, lambda network, _: network)
DEVICES: tuple[Change, ...] = tuple(
    ("noise", std, lambda network, seed, std=std: with_device_noise(network, std, seed)) for std in NOISE
)
AFTERWARDS: tuple[Change, ...] = (
    NONE,
    ("scaled", SCALE, lambda network, _: scaled(network, SCALE)),
    *(("bits", float(b), lambda network, _, b=b: quantised(network, b)) for b in BITS),
    *(("gains", std, lambda network, seed, std=std: with_row_gains(network, std, seed)) for std in GAINS),
    *DEVICES,
)


def robustness(
    trained: Trained, run: Run, changes: tuple[Change, ...], digits: Digits, samples: int, draws: range
) -> list[dict[str, Any]]:
    """Test errors under each imperfection, as means over draws; those that nothing is drawn for, once."""
    network, x = spiking(trained, run), rows(run.kind, digits.x_test)
    found = []
    for name, value, change in changes:
        seeds = draws if name in ("gains", "noise") else draws[:1]
        lines = [errors(change(network, seed), x, digits.y_test, samples) for seed in seeds]
        mean = {key: float(np.mean([line[key] for line in lines])) for key in lines[0]}
        worst = max(line["average"] for line in lines)
        found.append({"change": name, "value": value, "draws": len(lines), **mean, "worst_average": worst})
    return found
