"""Mixtures of normals against SciPy."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spikebayes.prediction import normal_mixture

MEANS = torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(0))
NOISE = torch.tensor([0.2, 3.0])
Y = torch.linspace(-2, 2, 8, dtype=torch.float64).reshape(4, 2)


def test_distribution_is_scipys() -> None:
    expected = stats.norm.cdf(Y.numpy(), MEANS.double().numpy(), NOISE.double().numpy()).mean(0)
    np.testing.assert_allclose(normal_mixture.cdf(MEANS, NOISE.double(), Y), expected, atol=1e-12)


def test_density_of_one_output_is_the_slope_of_the_distribution() -> None:
    means, noise, y, h = MEANS[..., :1], NOISE[:1].double(), Y[:, :1], 1e-5
    slope = (normal_mixture.cdf(means, noise, y + h) - normal_mixture.cdf(means, noise, y - h)) / (2 * h)
    np.testing.assert_allclose(normal_mixture.log_density(means, noise, y).exp(), slope[:, 0], rtol=1e-5, atol=1e-9)


def test_density_far_away_is_that_of_the_nearest_normal() -> None:
    far = torch.full((4, 1), 1000.0)
    nearest = MEANS[..., :1].amax(0).double().numpy()
    expected = stats.norm.logpdf(far.numpy(), nearest, NOISE[:1].double().numpy())[:, 0] - np.log(6)
    np.testing.assert_allclose(normal_mixture.log_density(MEANS[..., :1], NOISE[:1], far), expected, rtol=1e-9)


@given(st.floats(1e-6, 1 - 1e-6))
def test_quantile_undoes_the_distribution(q: float) -> None:
    at = normal_mixture.quantile(MEANS, NOISE, q)
    np.testing.assert_allclose(normal_mixture.cdf(MEANS, NOISE.double(), at), q, atol=1e-6)


def test_a_quantile_depends_on_no_other_row() -> None:
    apart = MEANS * torch.tensor([1.0, 30.0, 1000.0, 1e5])[:, None]
    for q in (0.05, 0.7):
        whole = normal_mixture.quantile(apart, NOISE, q)
        for row in range(4):
            assert torch.equal(normal_mixture.quantile(apart[:, [row]], NOISE, q)[0], whole[row])
