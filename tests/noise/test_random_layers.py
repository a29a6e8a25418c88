"""Who hands random functions their draws: torch's generator, Masks, or nobody."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.network.neurons import Curve
from spikebayes.network.noise import Dropout
from spikebayes.noise.bits import drop
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks
from spikebayes.noise.random_layers import Draws, randomly
from spikebayes.noise.stochastic_units import fired

SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2])


def coins(draws: Draws, x: Tensor, curve: Curve = Curve.ERF) -> Tensor:
    return draws.fire(x, curve).to(x.dtype)


def test_draws_of_their_own_come_from_torchs_generator() -> None:
    x = torch.zeros(4, 100)
    torch.manual_seed(3)
    first, second = randomly(coins, x), randomly(coins, x)
    torch.manual_seed(3)
    assert torch.equal(randomly(coins, x), first)
    assert not torch.equal(first, second)
    assert len(first.unique(dim=0)) == 4  # every line has its own
    assert set(first.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("curve", Curve)
def test_draws_are_those_of_their_key(curve: Curve) -> None:
    x = torch.linspace(-1, 1, 60).reshape(3, 20)
    on = Draws(Keys(9, SAMPLES, ROWS), site=4).fire(x, curve)
    assert torch.equal(on, fired(x, curve, 4, Keys(9, SAMPLES, ROWS)))


@pytest.mark.parametrize(("curve", "half"), [(Curve.ERF, 0.0), (Curve.SIGMOID, 0.0), (Curve.LINEAR, 0.5)])
def test_where_nothing_is_drawn_units_do_what_is_likelier(curve: Curve, half: float) -> None:
    x = torch.tensor([[half - 1e-6, half, half + 1e-6]])
    before = x.clone()
    with DropoutInputs() as calls:
        assert randomly(coins, x, curve).tolist() == [[0, 1, 1]]
        x += 1  # what was seen is not what became of it
    assert calls.random
    assert calls.widths == [0, 3]
    assert torch.equal(calls.seen[0], before)


def test_under_masks_random_layers_and_dropout_are_numbered_together() -> None:
    x = torch.full((3, 40), 0.25)
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        F.dropout(x, 0.0)
        first = randomly(coins, x)
        second = F.dropout(x, 0.5)
        third = randomly(coins, x, Curve.LINEAR)
    assert torch.equal(first, coins(Draws(Keys(9, SAMPLES, ROWS), 1), x))
    assert torch.equal(second, drop(x, Dropout(0.5, site=2), Keys(9, SAMPLES, ROWS)))
    assert torch.equal(third, coins(Draws(Keys(9, SAMPLES, ROWS), 3), x, Curve.LINEAR))
    assert masks.sites == 4


def test_a_random_layer_alone_makes_a_module_random() -> None:
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        assert not masks.random
        randomly(coins, torch.zeros(3, 2))
    assert masks.random


def test_pairs_may_share_lines() -> None:
    x, lines = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 0, 1])
    with Masks(Keys(9, SAMPLES, ROWS), lines):
        shared = randomly(coins, x)
        after = randomly(coins, shared)
    with Masks(Keys(9, SAMPLES, ROWS)):
        each = randomly(coins, x[lines])
        assert torch.equal(shared, each)
        assert torch.equal(after, randomly(coins, each))


def test_masks_do_not_touch_torchs_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with Masks(Keys(9, SAMPLES, ROWS)):
        randomly(coins, torch.zeros(3, 2))
    assert torch.equal(torch.rand(1), expected)
