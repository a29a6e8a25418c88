"""Coded networks in whole numbers: tick by tick in integers of 32 bits, and what their posterior keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coarse_codes import coarse
from coded_networks import drawn
from spikebayes import (
    Code,
    ConfigError,
    Digits,
    FirstSpike,
    Graded,
    Radix,
    SpikingNetwork,
    compare,
    convert,
    integers,
    predict,
    simulate,
    with_spike_noise,
)
from spikebayes.network import Chain, Dense, Table, WholeRamp
from spikebayes.nn import Permadrop

pytestmark = coarse

CODES: list[Code] = [Digits(4, 4), Digits(3, 5), FirstSpike(64), Radix(6), Graded(8)]


def coded(code: Code, activation: nn.Module | None = None, headroom: float = 2.0) -> tuple[SpikingNetwork, Tensor]:
    """Two hidden layers under dropout, and rows within [0, 1]."""
    torch.manual_seed(0)
    act = activation or nn.ReLU()
    layers = [nn.Linear(8, 30), act, Permadrop(0.2), nn.Linear(30, 20), act, Permadrop(0.1), nn.Linear(20, 2)]
    x = torch.rand(120, 8)
    return convert(nn.Sequential(*layers), x, code=code, calibrate=x, headroom=headroom), x


def in_integers(made: Any, x: Tensor) -> dict[str, np.ndarray]:
    """What the populations of a network of dense layers tell, in NumPy's int32 and a spike at a time.

    Thresholds are (told + k R^d) U - U/2, doubled so that they are whole; a sum is multiplied by R after a digit.
    """
    net, code = made.network, made.network.code
    total = (made.inputs(x).numpy().astype(np.int32) @ weights(net, net.inputs[0].name).T).astype(np.int32)
    found = {}
    for p in net.populations:
        state = total + (0 if p.constant is None else p.constant.numpy().astype(np.int32))
        unit, told = p.neuron.response.unit.numpy().astype(np.int32), np.zeros(state.shape, np.int32)
        nxt = weights(net, p.name)
        total = np.zeros((len(x), len(nxt)), np.int32)
        for place in reversed(range(code.places)):
            fired, ramp = np.zeros(state.shape, bool), np.zeros_like(total)
            total *= np.int32(code.base)
            for k in range(code.base - 1, 0, -1):
                worth = np.int32(k * code.base**place)
                fires = ~fired & (2 * state >= (2 * (told + worth) - 1) * unit)
                fired |= fires
                told += worth * fires
                ramp += fires.astype(np.int32) @ nxt.T
                total += ramp
        found[p.name] = told
    return found | {"readout": total + net.readout.constant.numpy().astype(np.int32)}


def weights(network: SpikingNetwork, source: str) -> np.ndarray:
    """``[out, in]`` int32 of the connection from a source."""
    (c,) = (c for c in network.connections if c.source == source)
    assert isinstance(c.operator, Dense)
    return c.operator.weight.numpy().astype(np.int32)


@pytest.mark.parametrize("code", [Digits(4, 4), Digits(3, 5), FirstSpike(32), Radix(6)])
@pytest.mark.parametrize("bits", [4, 8])
def test_every_spike_is_that_of_sums_in_32_bits(code: Code, bits: int) -> None:
    network, x = coded(code)
    made = integers(network, bits=bits)
    plain = simulate(unmasked(made.network), made.inputs(x), probe=["numbers"], engine="reference")
    expected = in_integers(made, x)
    for name, told in plain.numbers.items():
        assert np.array_equal(told[0].numpy(), expected[name])
        assert 0 < (expected[name] > 0).mean() < 1
    assert np.array_equal(plain.mean[0].numpy(), expected["readout"])


def unmasked(network: SpikingNetwork) -> SpikingNetwork:
    return replace(network, populations=tuple(replace(p, dropout=None) for p in network.populations))


@pytest.mark.parametrize("code", CODES)
def test_ticks_and_products_give_the_same_numbers(code: Code) -> None:
    network, x = coded(code)
    made = integers(network)
    asked = {"samples": 4, "probe": ["numbers"], "dtype": made.dtype}
    ticks = simulate(made.network, made.inputs(x), **asked, engine="reference")
    products = simulate(made.network, made.inputs(x), **asked, engine="windows")
    assert torch.equal(ticks.mean, products.mean)
    for name, told in ticks.numbers.items():
        assert torch.equal(told, products.numbers[name])
    assert torch.equal(ticks.mean, ticks.mean.round())


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_weights_units_and_constants_are_whole(bits: int) -> None:
    network, _ = coded(Digits(4, 4))
    made = integers(network, bits=bits)
    for c in made.network.connections:
        w = c.operator.weight
        assert w is not None
        assert torch.equal(w, w.round())
        assert w.abs().max() <= 2 ** (bits - 1) - 1
    for p in made.network.populations:
        assert isinstance(p.neuron.response, WholeRamp)  # pyright: ignore[reportAttributeAccessIssue]
        assert p.constant is not None
        assert torch.equal(p.constant, p.constant.round())
        assert p.dropout is not None
        assert not p.dropout.rescale
        assert made.largest[p.name] < 2**31
    assert made.widths == {"weight": bits, "sum": 32, "number": 8}


@pytest.mark.parametrize("code", [Digits(4, 4), Radix(8), Graded(8)])
def test_the_posterior_is_kept_in_units_of_the_network(code: Code) -> None:
    network, x = coded(code)
    exact = predict(network, x, samples=50)
    error = {}
    for bits in (4, 8, 16):
        verdict = compare(exact, predict(integers(network, bits=bits), x, samples=50))
        error[bits] = float(np.median(verdict.paired_rmse))
        assert bits == 4 or verdict.outcome == "kept"
    assert error[16] < error[8] < error[4] / 4


@pytest.mark.parametrize(
    "activation",
    [nn.LeakyReLU(0.2), nn.LeakyReLU(-0.3), nn.PReLU(), nn.ReLU6(), nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.ELU()],
)
def test_other_activations(activation: nn.Module) -> None:
    network, x = coded(Digits(4, 4), activation)
    made = integers(network, bits=12)
    exact, found = predict(network, x, samples=30), predict(made, x, samples=30)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.1
    response = made.network.populations[0].neuron.response  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(response, Table):
        assert torch.equal(response.rising, response.rising.round())
        assert torch.equal(response.falling, response.falling.round())
    asked = {"samples": 3, "probe": ["numbers"]}
    ticks = simulate(made.network, made.inputs(x), **asked, engine="reference")
    products = simulate(made.network, made.inputs(x), **asked, engine="windows")
    for name, told in ticks.numbers.items():
        assert torch.equal(told, products.numbers[name])


def test_an_activation_that_rises_and_falls_is_refused() -> None:
    network, _ = coded(Graded(8), nn.GELU())
    with pytest.raises(ConfigError, match=r"tells gelu, which rises and falls: .* Train with ReLU"):
        integers(network)


def test_spikes_that_come_late_are_counted_in_the_bound() -> None:
    network, x = coded(Digits(4, 4))
    noisy = with_spike_noise(network, jitter=0.5)
    plain, made = integers(network), integers(noisy)
    assert made.largest["readout"] > plain.largest["readout"]
    exact, found = predict(noisy, x, samples=40), predict(made, x, samples=40)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.5


REFUSED = {
    **dict.fromkeys(
        (3, 7, 8, 9, 12, 13, 14, 22), r"is not one Dense or Conv \(.*AvgPool.*by averages over whole windows"
    ),
    5: r"is not one Dense or Conv \(Conv, SumPool, Scale\): put an activation between layers",
}


@pytest.mark.parametrize("seed", range(24))
def test_modules_by_chance_are_kept_or_refused_by_name(seed: int) -> None:
    model, rows, code = drawn(seed)
    network = convert(model, rows, code=code, headroom=2.0)
    reason = REFUSED.get(seed)
    if reason:
        with pytest.raises(ConfigError, match=reason):
            integers(network, bits=12, largest_input=8.0)
        return
    made = integers(network, bits=12, largest_input=8.0)
    whole_rows = tuple(map(made.inputs, rows))
    asked = {"samples": 2, "probe": ["numbers"], "dtype": torch.float64}
    products = simulate(made.network, whole_rows, **asked)
    assert torch.equal(products.mean, products.mean.round())
    few = tuple(part[:10] for part in whole_rows)
    ticks = simulate(made.network, few, **asked, engine="reference")
    for name, told in ticks.numbers.items():
        assert torch.equal(told, products.numbers[name][:, :10])
    expected = simulate(network, rows, samples=2, probe=["numbers"])
    for name, told in expected.numbers.items():
        off = (told - products.numbers[name]).abs().double()
        assert off.mean() < 0.02 * max(8, code.highest) / 4
    apart = (products.mean * made.readout_scale - expected.mean).abs().median()
    assert apart < 0.1 * expected.mean.std()


def test_a_factor_on_each_unit_is_a_weight_of_its_own() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.a, self.b, self.c = nn.Linear(8, 12), nn.Linear(12, 12), nn.Linear(12, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.a(x))
            return self.c(torch.relu(h + self.b(h)))

    x = torch.rand(120, 8)
    network = convert(Residual(), x, code=Digits(4, 4), calibrate=x)
    made = integers(network, bits=12)
    (skip,) = (c for c in made.network.connections if isinstance(c.operator, Chain))
    factor = skip.operator.parts[-1].factor  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(factor, factor.round())
    assert factor.abs().max() <= 2047
    expected = simulate(network, x, probe=["numbers"])
    found = simulate(made.network, made.inputs(x), probe=["numbers"])
    for name, told in expected.numbers.items():
        assert (told - found.numbers[name]).abs().max() <= 2


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.AvgPool2d(3, 1, padding=1), nn.AdaptiveAvgPool2d(2)])
def test_averages_in_front_of_weights_are_sums(pool: nn.Module) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 4, 3)
    layers = [conv, nn.ReLU(), Permadrop(0.2), pool, nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)]
    model, x = nn.Sequential(*layers), torch.rand(100, 1, 6, 6)
    model(x)
    network = convert(model.eval(), x, code=Digits(4, 4), calibrate=x)
    made = integers(network, bits=12)
    exact, found = predict(network, x, samples=20), predict(made, x, samples=20)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.1
    asked = {"samples": 2, "probe": ["numbers"], "dtype": made.dtype}
    ticks = simulate(made.network, made.inputs(x[:9]), **asked, engine="reference")
    products = simulate(made.network, made.inputs(x[:9]), **asked)
    assert torch.equal(ticks.mean, products.mean)
    assert torch.equal(ticks.mean, ticks.mean.round())
