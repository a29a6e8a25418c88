"""Architectures: their layers, their widths, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.network.convert import convert
from spikebayes.nn import LIFRate, Permadrop, SoftLIF
from spikebayes.zoo import mlp


def test_layers_follow_the_widths() -> None:
    model = mlp(5, 3, (7, 11), 0.2)
    widths = [(m.in_features, m.out_features) for m in model if isinstance(m, nn.Linear)]
    assert widths == [(5, 7), (7, 11), (11, 3)]
    assert [m.p for m in model if isinstance(m, Permadrop)] == [0.2, 0.2]
    assert [type(m) for m in model[:-1]] == [nn.Linear, SoftLIF, Permadrop] * 2


def test_every_layer_has_an_activation_of_its_own() -> None:
    made: list[LIFRate] = []

    def activation() -> LIFRate:
        made.append(LIFRate(amplitude=0.063, gain=1.0))
        return made[-1]

    model = mlp(2, 1, (3, 3), activation=activation)
    assert [m for m in model if isinstance(m, LIFRate)] == made
    assert made[0] is not made[1]


def test_it_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    model = mlp(4, 2, (6,), dropout=0.0)
    x = torch.randn(9, 4)
    first, act, _, last = model
    by_hand = act(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    np.testing.assert_allclose(model(x).detach(), by_hand.detach(), atol=1e-6)


def test_it_converts_into_a_population_per_layer() -> None:
    network = convert(mlp(4, 2, (6, 5), 0.3), torch.zeros(1, 4))
    assert [p.shape for p in network.populations] == [(6,), (5,)]
    assert [p.dropout.p for p in network.populations if p.dropout] == [0.3, 0.3]


@pytest.mark.parametrize(("inputs", "outputs", "hidden"), [(0, 1, (3,)), (2, 0, (3,)), (2, 1, ()), (2, 1, (3, 0))])
def test_layers_without_units_are_refused(inputs: int, outputs: int, hidden: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="hidden layers, each at least 1 wide"):
        mlp(inputs, outputs, hidden)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_drop_probabilities_out_of_range_are_refused(dropout: float) -> None:
    with pytest.raises(ConfigError, match="probability"):
        mlp(2, 1, (3,), dropout)
