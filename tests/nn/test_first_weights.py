"""First weights, and a Combo network that learns on lines of its tables."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from spikebayes import ConfigError, DataError
from spikebayes.nn import SoftLIF, spread_weights, zoo


def test_all_layers_but_the_last_are_drawn_with_their_fan_in() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(8, 64, 5), nn.ReLU(), nn.Flatten(), nn.Linear(64, 900, bias=False), nn.Linear(900, 3)
    )
    before = net[4].weight.clone(), net[4].bias.clone()
    assert spread_weights(net, 0.7) is net
    assert float(net[0].weight.detach().std()) == pytest.approx(0.7 / math.sqrt(8 * 25), rel=0.03)
    assert float(net[3].weight.detach().std()) == pytest.approx(0.7 / 8, rel=0.03)
    assert not net[0].bias.any()
    assert (net[4].weight == before[0]).all()
    assert (net[4].bias == before[1]).all()


@pytest.mark.parametrize("spread", [0.0, -1.0, math.inf, math.nan])
def test_a_spread_that_is_not_positive_is_refused(spread: float) -> None:
    with pytest.raises(ConfigError, match="spread must be positive"):
        zoo.mlp(3, 1, (4,), spread=spread)


def test_one_layer_has_no_hidden_weights() -> None:
    with pytest.raises(ConfigError, match="two layers or more"):
        spread_weights(nn.Linear(3, 1))


def combo(dropout: float) -> tuple[zoo.ComboRows, zoo.Combo, torch.Tensor]:
    torch.manual_seed(1)
    net = zoo.combo(5, 4, 12, dropout, activation=lambda: SoftLIF(gain=3, bias=1), spread=1.2)
    rows = zoo.ComboRows(net, torch.randn(3, 5), torch.randn(4, 4), copies=3)
    return rows, net, torch.stack([torch.randint(3, (50,)), torch.randint(4, (50,)), torch.randint(4, (50,))], 1)


def test_learning_without_dropout_gives_the_output_and_the_gradient_of_the_rows() -> None:
    rows, net, index = combo(0.0)
    features = rows.cells[index[:, 0]], rows.drugs[index[:, 1]], rows.drugs[index[:, 2]]
    expected = net(*features)
    wanted = torch.autograd.grad(expected.square().sum(), list(net.parameters()))
    made = rows.train()(index)
    found = torch.autograd.grad(made.square().sum(), list(net.parameters()))
    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_learning_with_dropout_has_the_mean_and_the_spread_of_the_network() -> None:
    rows, net, index = combo(0.3)
    index = index[:8]
    learning = torch.stack([rows.train()(index).detach() for _ in range(3000)])[..., 0]
    with torch.no_grad():
        features = rows.cells[index[:, 0]], rows.drugs[index[:, 1]], rows.drugs[index[:, 2]]
        plain = torch.stack([net(*features) for _ in range(3000)])[..., 0]
    error = plain.std(0) / math.sqrt(3000)
    assert ((learning.mean(0) - plain.mean(0)).abs() < 5 * error).all()
    torch.testing.assert_close(learning.std(0), plain.std(0), rtol=0.1, atol=0.0)


def test_the_two_drugs_of_a_row_have_masks_of_their_own() -> None:
    """The same drug twice, one copy for each: with one copy they would be dropped together."""
    torch.manual_seed(2)
    net = zoo.combo(2, 2, 40, 0.5)
    rows = zoo.ComboRows(net, torch.randn(1, 2), torch.randn(1, 2), copies=2).train()
    heard: list[torch.Tensor] = []
    hook = net.joint[1].register_forward_hook(lambda _module, inputs, _output: heard.append(inputs[0]))
    with torch.no_grad():
        net.joint[0].weight[:, :40] = 0
        net.joint[0].weight[:, 80:] = -net.joint[0].weight[:, 40:80]  # the drugs cancel if their masks are the same
    rows(torch.zeros(20, 3))
    hook.remove()
    assert heard[0].detach().sub(net.joint[0].bias).abs().amax(1).min() > 1e-3


def test_no_copies_are_refused() -> None:
    with pytest.raises(ConfigError, match="copies"):
        zoo.ComboRows(zoo.combo(2, 2, 3), torch.randn(1, 2), torch.randn(1, 2), copies=0)


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("row", [[3.0, 0, 1], [0, 4.0, 1], [0, 1, -1.0], [0.5, 0, 1], [float("nan"), 0, 1], [0, 1]])
def test_rows_that_point_to_no_line_are_refused(row: list[float], learns: bool) -> None:
    """While it learns, a line beyond its table would have been a line of the next."""
    rows, _, _ = combo(0.1)
    with pytest.raises(DataError, match="rows must"):
        rows.train(learns)(torch.tensor([row]))
