"""float32 on the CPU engine against float64 on the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from spikebayes import convert, predict
from spikebayes.nn import SoftLIF
from spikebayes.nn.zoo import mlp

SLOW = {"amplitude": 0.01, "gain": 1.0, "bias": 1.0, "tau_ref": 0.002}


@pytest.mark.slow
@pytest.mark.parametrize("activation", [SoftLIF, lambda: SoftLIF(**SLOW)], ids=["fast neurons", "slow neurons"])
@pytest.mark.parametrize("seed", [0, 1])
def test_single_precision_keeps_the_predictive_distribution(activation: Callable[[], nn.Module], seed: int) -> None:
    """Rounding moves a spike now and then; what that does to a sample is far below its spread."""
    torch.manual_seed(seed)
    x = torch.randn(20, 10)
    network = convert(mlp(10, 2, (100, 100), 0.1, activation=activation), x)
    single = predict(network, x, samples=20, seed=1, engine="cpu")
    double = predict(network, x, samples=20, seed=1, engine="reference", dtype=torch.float64)

    error = single.samples - double.samples
    assert error.pow(2).mean().sqrt() < 0.01 * double.samples.std(0).pow(2).mean().sqrt()
    assert (error.abs() / double.samples.std(0)).median() < 1e-3
