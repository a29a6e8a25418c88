"""Permadrop drops in training and in prediction, and leaves expectations as they are."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.nn import Permadrop
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_units_are_dropped_at_the_rate_p_in_either_mode(p: float, training: bool) -> None:
    torch.manual_seed(3)
    y = Permadrop(p).train(training)(torch.ones(20_000, dtype=torch.float64))
    dropped = y == 0
    assert torch.allclose(y[~dropped], torch.tensor(1 / (1 - p), dtype=torch.float64))
    assert stats.binomtest(int(dropped.sum()), 20_000, p).pvalue > 1e-6


def test_two_calls_draw_two_masks() -> None:
    torch.manual_seed(0)
    layer, x = Permadrop(0.5).eval(), torch.ones(200)
    assert not torch.equal(layer(x), layer(x))


def test_the_gradient_is_the_mask() -> None:
    torch.manual_seed(0)
    x = torch.ones(100, requires_grad=True)
    y = Permadrop(0.25)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())


def test_zero_passes_everything() -> None:
    x = torch.randn(50)
    assert torch.equal(Permadrop(0.0)(x), x)


def test_under_counter_based_masks_it_is_torchs_dropout() -> None:
    x, keys = torch.randn(6, 40), torch.arange(6)
    with Masks(Keys(1, keys, keys)):
        ours = Permadrop(0.3).eval()(x)
    with Masks(Keys(1, keys, keys)):
        theirs = nn.Dropout(0.3).eval()(x)
    assert torch.equal(ours, theirs)
    assert bool((ours == 0).any())


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_probability_out_of_range_is_refused(p: float) -> None:
    with pytest.raises(ConfigError, match=r"must lie in \[0, 1\)"):
        Permadrop(p)


def test_what_it_is_can_be_read_off() -> None:
    assert repr(Permadrop(0.1)) == "Permadrop(p=0.1)"
