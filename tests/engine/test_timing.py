"""Averaging windows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from spikebayes import ConfigError, Flat, Hann, Redraw, SpikingNetwork, convert, predict, simulate
from spikebayes.nn import Permadrop, SoftLIF

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


def network() -> SpikingNetwork:
    torch.manual_seed(0)
    return convert(nn.Sequential(nn.Linear(3, 40), SoftLIF(1e-3), Permadrop(0.5), nn.Linear(40, 2)), X)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 257])
def test_weights_add_up_to_one(steps: int) -> None:
    for window in (Flat(), Hann()):
        weights = window.weights(steps)
        assert weights.shape == (steps,)
        assert (weights > 0).all()
        assert float(weights.sum()) == pytest.approx(1, abs=1e-14)
        torch.testing.assert_close(weights, weights.flip(0))


def test_hann_is_the_raised_cosine() -> None:
    n = 7
    expected = np.array([0.5 * (1 - math.cos(2 * math.pi * (t + 1) / (n + 1))) for t in range(n)])
    np.testing.assert_allclose(Hann().weights(n).numpy(), expected / expected.sum(), rtol=1e-13)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("burn_in", [0, 13])
def test_the_mean_is_the_weighted_trace(engine: str, burn_in: int) -> None:
    run = simulate(
        network(), X, steps=60, burn_in=burn_in, window=Hann(), probe=["trace"], engine=engine, dtype=torch.float64
    )
    assert run.trace is not None
    expected = torch.einsum("sbtc,t->sbc", run.trace[:, :, burn_in:], Hann().weights(60 - burn_in))
    torch.testing.assert_close(run.mean, expected, rtol=1e-12, atol=1e-12)


def test_a_smooth_window_reads_a_regular_spike_train_better() -> None:
    """The same steps, the same spikes, no filter; only the weights differ."""
    layers = nn.Sequential(nn.Linear(3, 40), SoftLIF(1e-3), nn.Linear(40, 2))
    plain = convert(layers, X, synapse=None)
    exact = simulate(plain, X, steps=5000, window=Hann()).mean
    flat, hann = (
        float((simulate(plain, X, steps=60, burn_in=20, window=window).mean - exact).pow(2).mean().sqrt())
        for window in (Flat(), Hann())
    )
    assert hann < 0.5 * flat


def test_redrawn_samples_are_read_by_it_too() -> None:
    trace = torch.tensor([9.0, 1.0, 2.0, 3.0, 9.0, 5.0, 6.0, 9.0]).reshape(1, 8, 1)
    read = Redraw(hold=4, gap=1).average(trace, Hann())
    assert read.flatten().tolist() == pytest.approx([2.0, 0.25 * 5 + 0.5 * 6 + 0.25 * 9])


@pytest.mark.parametrize("window", ["hann", None, Hann])
def test_what_is_no_window_is_refused(window: object) -> None:
    with pytest.raises(ConfigError, match=r"window must be Flat\(\) or Hann\(\); got"):
        predict(network(), X, window=window)  # pyright: ignore[reportArgumentType]
