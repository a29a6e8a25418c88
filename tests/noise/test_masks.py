"""The counter-based masks inside torch modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes import ConfigError, Dropout
from spikebayes.network.neurons import Curve
from spikebayes.nn import BlankOutLinear, Permadrop, SigmoidSign
from spikebayes.nn.encoders import NoisySign
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks, evaluating
from spikebayes.noise.stochastic_units import fired

SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2])


def expected(x: Tensor, p: float, site: int, repeat: int = 1) -> Tensor:
    keep = dropout_keep(Dropout(p, site=site, repeat=repeat), Keys(9, SAMPLES, ROWS), x[0].numel())
    return x * keep.reshape(x.shape) / (1 - p)


@pytest.mark.parametrize(
    ("call", "p"),
    [
        (F.dropout, 0.5),
        (lambda x: F.dropout(x, 0.2), 0.2),
        (lambda x: F.dropout(input=x, p=0.2, training=False), 0.2),
        (lambda x: F.dropout(x, 0.2, False, True), 0.2),
        (lambda x: torch.dropout(x, 0.3, train=False), 0.3),
        (nn.Dropout(0.4).eval(), 0.4),
        (nn.Dropout(0.4, inplace=True), 0.4),
        (Permadrop(0.1).eval(), 0.1),
    ],
)
def test_every_spelling_of_dropout_acts(call: Callable[[Tensor], Tensor], p: float) -> None:
    x = torch.rand(3, 4, 5) + 1
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        values = call(x.clone())
    torch.testing.assert_close(values, expected(x, p, site=0))
    assert masks.random


@pytest.mark.parametrize("call", [F.dropout2d, nn.Dropout2d().eval(), nn.Dropout1d()])
def test_channels_are_dropped_whole(call: Callable[[Tensor], Tensor]) -> None:
    x = torch.rand(3, 40, 6) + 1 if isinstance(call, nn.Dropout1d) else torch.rand(3, 40, 2, 3) + 1
    with Masks(Keys(9, SAMPLES, ROWS)):
        values = call(x)
    torch.testing.assert_close(values, expected(x, 0.5, site=0, repeat=6))
    maps = values.flatten(2) == 0
    assert torch.equal(maps.all(2), maps.any(2))
    assert 0.2 < maps.double().mean() < 0.8


def test_calls_are_numbered_in_order_those_without_effect_too() -> None:
    x = torch.ones(3, 8)
    with Masks(Keys(9, SAMPLES, ROWS)):
        F.dropout(x, 0.0)
        second, third = F.dropout(x, 0.5), F.dropout(x, 0.5)
    assert torch.equal(second, expected(x, 0.5, site=1))
    assert torch.equal(third, expected(x, 0.5, site=2))


def signs(x: Tensor, site: int) -> Tensor:
    return fired(x, Curve.SIGMOID, site, Keys(9, SAMPLES, ROWS)).to(x.dtype) * 2 - 1


def test_random_layers_are_numbered_among_the_dropout_calls() -> None:
    x = torch.zeros(3, 60)
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        one = SigmoidSign()(x)
        dropped = F.dropout(one, 0.5)
        F.dropout(x, 0.0)
        NoisySign(0.0)(x)  # draws nothing, so is no site
        other = SigmoidSign()(x)
    assert torch.equal(one, signs(x, 0))
    torch.testing.assert_close(dropped, expected(one, 0.5, site=1))
    assert torch.equal(other, signs(x, 3))
    assert masks.sites == 4


def test_a_random_layer_alone_makes_a_pass_random() -> None:
    for layer in (SigmoidSign(), NoisySign(0.5), BlankOutLinear(60, 2)):
        with Masks(Keys(9, SAMPLES, ROWS)) as masks, torch.no_grad():
            layer(torch.ones(3, 60))
        assert masks.random
        with DropoutInputs() as calls, torch.no_grad():
            layer(torch.ones(3, 60))
        assert calls.random


def test_pairs_share_the_lines_before_a_random_layer() -> None:
    x, lines = torch.rand(2, 60) - 0.5, torch.tensor([1, 0, 1])
    with Masks(Keys(9, SAMPLES, ROWS), lines):
        first = SigmoidSign()(F.dropout(x, 0.0))
        branch = SigmoidSign()(x)
        dropped = F.dropout(first, 0.5)
    assert torch.equal(first, signs(x[lines], 1))
    assert torch.equal(branch, signs(x[lines], 2))
    torch.testing.assert_close(dropped, expected(first, 0.5, site=3))


def test_the_gradient_is_the_masks() -> None:
    x = torch.ones(3, 8, requires_grad=True)
    with Masks(Keys(9, SAMPLES, ROWS)):
        F.dropout(x, 0.5).sum().backward()
    torch.testing.assert_close(x.grad, expected(torch.ones(3, 8), 0.5, site=0))


def test_what_has_no_dropout_is_not_random() -> None:
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        F.dropout(torch.ones(3, 2), 0.0)
        nn.Linear(2, 2)(torch.ones(3, 2))
    assert not masks.random


def test_outside_torchs_own_dropout_is_back() -> None:
    with Masks(Keys(9, SAMPLES, ROWS)):
        pass
    assert torch.equal(nn.Dropout(0.5).eval()(torch.ones(3, 8)), torch.ones(3, 8))


def test_the_batch_must_come_first() -> None:
    with Masks(Keys(9, SAMPLES, ROWS)), pytest.raises(ConfigError, match="dropout call 0 sees 8 lines for 3 rows"):
        F.dropout(torch.ones(8, 3))


def test_pairs_may_share_the_lines_of_the_module() -> None:
    """Up to the first dropout that acts; one on another branch, too."""
    x, lines = torch.rand(2, 4, 5) + 1, torch.tensor([1, 0, 1])
    with Masks(Keys(9, SAMPLES, ROWS), lines):
        first = F.dropout(F.dropout(x, 0.0), 0.3)
        again, branch = F.dropout(first, 0.5), F.dropout2d(x, 0.4)
    torch.testing.assert_close(first, expected(x[lines], 0.3, site=1))
    torch.testing.assert_close(again, expected(first, 0.5, site=2))
    torch.testing.assert_close(branch, expected(x[lines], 0.4, site=3, repeat=5))


def test_lines_of_several_passes() -> None:
    def forward(x: Tensor) -> Tensor:
        return F.dropout(F.dropout(2 * x, 0.0).exp_(), 0.5) + F.dropout(x - 1, 0.1).mul_(3)

    x, lines = torch.rand(6, 4), torch.tensor([5, 0, 3])
    with DropoutInputs() as one:
        forward(x[:2])
    with DropoutInputs() as two:
        forward(x[2:4])
    with Masks(Keys(9, SAMPLES, ROWS), lines, [one.seen, two.seen]):
        shared = forward(x[4:])
    with Masks(Keys(9, SAMPLES, ROWS)):
        assert torch.equal(forward(x[lines]), shared)


def test_what_a_pass_is_seen_to_hold() -> None:
    with DropoutInputs() as calls:
        x = torch.ones(3, 70).mul(2)
        F.dropout(x, 0.0)
        y = F.dropout(x[:, :5], 0.5)
        torch.cat([y, y], 1)
    assert calls.widths == [210, 30]
    assert [list(seen.shape) for seen in calls.seen] == [[3, 70], [3, 5]]
    assert torch.equal(y, x[:, :5])


def test_where_nothing_is_drawn_units_do_what_is_likelier() -> None:
    x = torch.tensor([[-2.0, -0.1, 0.0, 3.0]])
    with DropoutInputs() as calls:
        y = SigmoidSign()(x)
        NoisySign(0.5)(y)
    assert y.tolist() == [[-1.0, -1.0, 1.0, 1.0]]
    assert torch.equal(torch.stack(calls.seen), torch.stack([x, y]))


@pytest.mark.parametrize("fails", [False, True])
def test_evaluating_gives_every_module_its_mode_back(fails: bool) -> None:
    model: Any = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout()), nn.Linear(2, 2))
    model[1].eval()
    try:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [model.training, model[0].training, model[1].training, model[1][0].training] == [True, True, False, False]


def test_modes_come_back_when_the_last_of_several_is_done() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).train()
    first, second, of_a_part = evaluating(model), evaluating(model), evaluating(model[0])
    first.__enter__()
    second.__enter__()
    of_a_part.__enter__()
    first.__exit__(None, None, None)
    assert not any(module.training for module in model.modules())  # the second goes on
    second.__exit__(None, None, None)
    assert [model.training, model[0].training, model[1].training] == [True, False, True]
    of_a_part.__exit__(None, None, None)
    assert all(module.training for module in model.modules())
