"""Architectures: their layers, their widths, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.conversion.convert import convert
from spikebayes.errors import ConfigError
from spikebayes.network.neurons import Curve
from spikebayes.network.noise import Exact
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, LIFRate, Permadrop, SoftLIF
from spikebayes.nn.encoders import NoisySign
from spikebayes.nn.zoo import combo, mlp, s2m, s2m_conv, sigmoid_network
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks
from spikebayes.noise.random_layers import Draws


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


def test_combo_has_the_papers_size() -> None:
    model = combo()
    assert sum(p.numel() for p in model.parameters()) == 13_772_001
    assert [m.p for m in model.modules() if isinstance(m, Permadrop)] == [0.1] * 9


def test_combo_applies_one_drug_tower_to_both_drugs() -> None:
    torch.manual_seed(0)
    model = combo(4, 3, 6, 0.0)
    cell, drug1, drug2 = torch.randn(5, 4), torch.randn(5, 3), torch.randn(5, 3)
    towers = [model.cell_tower(cell), model.drug_tower(drug1), model.drug_tower(drug2)]
    by_hand = model.growth(model.joint(torch.cat(towers, 1)))
    np.testing.assert_allclose(model(cell, drug1, drug2).detach(), by_hand.detach(), atol=1e-6)
    assert not torch.allclose(model(cell, drug1, drug2), model(cell, drug2, drug1))


def test_combo_converts_with_a_mask_for_each_pass_of_the_shared_tower() -> None:
    network = convert(combo(4, 3, 6, 0.2), [torch.zeros(1, n) for n in (4, 3, 3)])
    assert [i.argument for i in network.inputs] == [0, 1, 2]
    assert [p.shape for p in network.populations] == [(6,)] * 12
    assert [p.dropout.site for p in network.populations if p.dropout] == [*range(12)]
    first, second = (
        network.into(p.name)[0] for p in network.populations if "drug_tower" in p.name and p.name[-2:] in ("_1", "10")
    )
    assert first.operator is second.operator
    assert len(network.into("joint_1")) == 3


@pytest.mark.parametrize("widths", [(0, 3, 6), (4, 0, 6), (4, 3, 0)])
def test_combo_without_units_is_refused(widths: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1 wide"):
        combo(*widths)


# -- units that fire by chance -----------------------------------------------------------------------------

SAMPLES, ROWS = torch.arange(5) + 2, torch.arange(5)


def by_masks(model: nn.Module, x: Tensor) -> Tensor:
    with Masks(Keys(9, SAMPLES, ROWS)):
        return model(x)


def chance(x: Tensor, curve: Curve, site: int) -> Tensor:
    """Signs, +1 with the curve's probability."""
    return Draws(Keys(9, SAMPLES, ROWS), site).fire(x, curve) * 2.0 - 1


@torch.no_grad()
def test_an_s2m_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    model = s2m(30, 4, (20, 10), noise=0.5)
    x = torch.rand(5, 30) * 2 - 1
    z = chance(x / (0.5 * 2**0.5), Curve.ERF, 0)
    for site, layer in enumerate(model[1:3], start=1):
        v = layer.beta[:, None] * layer.weight / layer.weight.norm(dim=1, keepdim=True)
        z = chance(z @ v.T, Curve.ERF, site)
    torch.testing.assert_close(by_masks(model, x), z @ model[3].weight.T)


@torch.no_grad()
def test_an_s2m_with_encoders_takes_signs_of_trained_mixtures() -> None:
    torch.manual_seed(0)
    model = s2m(3, 2, (20,), noise=0.5, encoders=40)
    x = torch.randn(5, 3)
    mixed = x @ model[0].weight.T + model[0].bias
    z = chance(mixed / (0.5 * 2**0.5), Curve.ERF, 0)
    layer = model[2]
    v = layer.beta[:, None] * layer.weight / layer.weight.norm(dim=1, keepdim=True)
    z = chance(z @ v.T, Curve.ERF, 1)
    torch.testing.assert_close(by_masks(model, x), z @ model[3].weight.T + model[3].bias)
    many = s2m(3, 2, (4,), encoders=20_000)[0]
    assert float((many.weight**2).sum(1).mean()) == pytest.approx(1, rel=0.05)
    assert float(many.bias.std()) == pytest.approx(1, rel=0.05)
    network = convert(s2m(3, 2, (20,), encoders=40).eval(), x)
    assert [p.shape for p in network.populations] == [(40,), (20,)]
    with pytest.raises(ConfigError, match="encoders must be a whole number, at least 0"):
        s2m(3, 2, (4,), encoders=-1)


@torch.no_grad()
def test_a_sigmoid_network_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    model = sigmoid_network(30, 4, (20, 10), noise=0.5)
    x = torch.rand(5, 30) * 2 - 1
    z = chance(x / (0.5 * 2**0.5), Curve.ERF, 0)
    for site, layer in enumerate((model[1], model[3]), start=1):
        z = chance(z @ layer.weight.T, Curve.SIGMOID, site)
    torch.testing.assert_close(by_masks(model, x), z @ model[5].weight.T)


@torch.no_grad()
def test_a_convolutional_s2m_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    model = s2m_conv(3, noise=0.5)
    x = torch.rand(5, 1, 28, 28) * 2 - 1
    z = chance(x / (0.5 * 2**0.5), Curve.ERF, 0)
    for site, layer in enumerate(model[1:3], start=1):
        v = layer.beta[:, None, None, None] * layer.weight / layer.weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        z = chance(F.conv2d(z, v, stride=2), Curve.ERF, site)
    layer = model[4]
    z = chance(z.flatten(1) @ (layer.beta * layer.weight.T / layer.weight.norm(dim=1)), Curve.ERF, 3)
    torch.testing.assert_close(by_masks(model, x), z @ model[5].weight.T)


def test_the_papers_networks_have_its_size_and_no_biases() -> None:
    synapses = 784 * 300 + 2 * 300 * 300 + 300 * 10
    assert sum(p.numel() for p in sigmoid_network().parameters()) == synapses
    assert sum(p.numel() for p in s2m().parameters()) == synapses + 900  # beta


@pytest.mark.parametrize("make", [s2m, s2m_conv])
def test_settings_reach_every_layer(make: Callable[..., nn.Sequential]) -> None:
    model = make(keep=0.75, noise=0.25, sampling=Exact())
    layers = [m for m in model if isinstance(m, BlankOutLinear | BlankOutConv2d)]
    assert [(m.keep, m.sampling) for m in layers] == [(0.75, Exact())] * 3
    assert isinstance(model[0], NoisySign)
    assert model[0].sigma == 0.25


def test_a_sigmoid_networks_sums_have_variance_one() -> None:
    torch.manual_seed(0)
    for layer in sigmoid_network():
        if isinstance(layer, nn.Linear) and layer.out_features > 10:
            norms = float(layer.in_features * layer.weight.detach().double().square().sum())
            assert stats.chi2(layer.weight.numel()).cdf(norms) == pytest.approx(0.5, abs=0.4995)


@pytest.mark.parametrize("make", [s2m, sigmoid_network])
@pytest.mark.parametrize(("inputs", "outputs", "hidden"), [(0, 1, (3,)), (2, 0, (3,)), (2, 1, ()), (2, 1, (3, 0))])
def test_chance_networks_without_units_are_refused(
    make: Callable[..., nn.Module], inputs: int, outputs: int, hidden: tuple[int, ...]
) -> None:
    with pytest.raises(ConfigError, match="hidden layers, each at least 1 wide"):
        make(inputs, outputs, hidden)


@pytest.mark.parametrize("make", [s2m, s2m_conv])
@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_probabilities_of_transmission_without_a_law_are_refused(make: Callable[..., nn.Module], keep: float) -> None:
    with pytest.raises(ConfigError, match="transmit"):
        make(keep=keep)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Linear, lambda: 3])
def test_an_activation_is_what_makes_a_module(activation: Any) -> None:
    for make in (lambda: mlp(3, 1, (4,), activation=activation), lambda: combo(2, 2, 3, activation=activation)):
        with pytest.raises(ConfigError, match="must make a module without being given anything"):
            make()
