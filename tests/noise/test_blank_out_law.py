"""Units behind synapses that blank out, drawn synapse by synapse, against the erf law (Neftci 2017, eq. 3).

The law is that of infinitely many synapses. With normal weights and inputs of +-1 the true probability misses it by
O(1/K): at a fan-in of 300 by 5e-4 at most for p = 1/2, where 32 768 draws leave a standard error of 3e-3, and by 2e-3
for p = 1/4; at 8 by some per cent. The true one is computed here, too, from the sum's characteristic function.

Seeds are fixed; each test would fail by chance at a rate of at most 1e-3.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from spikebayes.network.noise import Exact, Gaussian, Law, Sampling
from spikebayes.nn import BlankOutConv2d, BlankOutLinear
from spikebayes.noise.keys import Keys
from spikebayes.noise.random_layers import Draws

FALSE_ALARM = 1e-3
Layer = BlankOutLinear | BlankOutConv2d


def problem(fan_in: int, units: int, keep: float, sampling: Sampling) -> tuple[BlankOutLinear, Tensor]:
    """A fresh layer and an input of +-1, ``[1, fan_in]``."""
    torch.manual_seed(fan_in)
    layer = BlankOutLinear(fan_in, units, keep, sampling=sampling).requires_grad_(False)
    return layer, torch.randint(0, 2, (1, fan_in)) * 2.0 - 1


def counts(layer: Layer, z: Tensor, draws: int, chunk: int = 8192) -> Tensor:
    """How often each unit is +1, shaped like one line of the output, float64."""
    total = torch.zeros(())
    for first in range(0, draws, chunk):
        samples = torch.arange(first, first + chunk)
        on = layer.drawn(z.expand(chunk, *z.shape[1:]), Draws(Keys(1, samples, torch.full((chunk,), 7)), site=2))
        total = total + on.double().sum(0)
    return total


def law(layer: Layer, z: Tensor) -> Tensor:
    return ((1 + torch.erf(layer.double().law(z.double()))) / 2)[0]


def p_value(found: Tensor, draws: int, probability: Tensor) -> float:
    """Of Pearson's statistic over all units."""
    square = (found - draws * probability).square() / (draws * probability * (1 - probability))
    return float(stats.chi2(found.numel()).sf(float(square.sum())))


def truth(layer: BlankOutLinear, z: Tensor) -> Tensor:
    """P(sum_j (xi_ij + a_i) w_ij z_j >= 0) by Gil-Pelaez: 1/2 + 1/pi int_0^inf Im phi(t) / t dt."""
    terms = (layer.weight * z).double().numpy()  # [O, K]
    p, scale = layer.keep, layer.scale.double().numpy()[:, None, None]
    terms = (terms / np.sqrt(p * (1 - p) * (terms**2).sum(1, keepdims=True)))[:, None]  # [O, 1, K]
    width = 0.08
    t = (np.arange(125)[:, None] + 0.5) * width  # [T, 1]; beyond 10 standard deviations nothing is left
    phi = np.exp(1j * t * scale * terms) * (1 - p + p * np.exp(1j * t * terms))  # [O, T, K]
    return torch.from_numpy(0.5 + (phi.prod(2).imag / t[:, 0]).sum(1) * width / math.pi)


@pytest.mark.parametrize("keep", [0.5, 0.25, 0.75])
@pytest.mark.parametrize("sampling", [Exact(), Gaussian(), Law()])
def test_at_a_fan_in_of_300_a_million_draws_obey_the_law(keep: float, sampling: Sampling) -> None:
    draws = 2**15
    layer, z = problem(300, 32, keep, sampling)
    assert p_value(counts(layer, z, draws), draws, law(layer, z)) > FALSE_ALARM


def test_at_a_fan_in_of_8_they_do_not() -> None:
    draws = 2**16
    layer, z = problem(8, 32, 0.5, Exact())
    found = counts(layer, z, draws)
    assert p_value(found, draws, law(layer, z)) < 1e-100


@pytest.mark.parametrize("keep", [0.5, 0.25, 0.75])
def test_at_any_fan_in_they_obey_the_sums_true_distribution(keep: float) -> None:
    draws = 2**16
    layer, z = problem(30, 32, keep, Exact())
    assert p_value(counts(layer, z, draws), draws, truth(layer, z)) > FALSE_ALARM


@pytest.mark.parametrize(("fan_in", "bound"), [(30, 1e-2), (300, 1e-3), (1200, 2.5e-4)])
def test_the_law_is_missed_by_one_over_the_fan_in(fan_in: int, bound: float) -> None:
    layer, z = problem(fan_in, 32, 0.5, Law())
    missed = (truth(layer, z) - law(layer, z)).abs()
    assert bound / 20 < float(missed.max()) < bound


@pytest.mark.parametrize("sampling", [Exact(), Gaussian(), Law()])
def test_a_convolutions_units_obey_the_law_with_the_norm_of_the_synapses_they_have(sampling: Sampling) -> None:
    """1.2 million draws; a corner has 128 synapses, the unit in the middle 288."""
    torch.manual_seed(0)
    layer, draws = BlankOutConv2d(32, 16, 3, padding=1, sampling=sampling).requires_grad_(False), 2**13
    z = torch.randint(0, 2, (1, 32, 3, 3)) * 2.0 - 1
    found = counts(layer, z, draws, chunk=1024)
    assert found.shape == (16, 3, 3)
    assert p_value(found, draws, law(layer, z)) > FALSE_ALARM


@pytest.mark.parametrize("sampling", [Exact(), Gaussian(), Law()])
def test_beta_and_dropped_inputs_are_in_the_law(sampling: Sampling) -> None:
    layer, z = problem(400, 32, 0.5, sampling)
    layer.beta.copy_(torch.linspace(-2, 2, 32))
    z[:, ::4] = 0
    draws = 2**15
    assert p_value(counts(layer, z, draws), draws, law(layer, z)) > FALSE_ALARM


def test_units_and_lines_are_drawn_apart() -> None:
    """Correlations of 8 units, and of each with itself a sample later; p = 1/2 for all of them."""
    layer, _ = problem(300, 8, 0.5, Exact())
    layer.beta.zero_()
    draws = 2**14
    samples = torch.arange(draws)
    on = layer.drawn(torch.ones(draws, 300), Draws(Keys(1, samples, torch.zeros_like(samples)))).double() * 2 - 1
    between = (on.T @ on / draws)[torch.triu_indices(8, 8, 1).unbind()]
    later = (on[1:] * on[:-1]).mean(0)
    square = draws * float(between.square().sum() + later.square().sum())
    assert stats.chi2(28 + 8).cdf(square) < 1 - FALSE_ALARM
