"""Fan-in: the same spikes of every neuron that was there before, from neurons with few synapses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikebayes import (
    BlankOut,
    ConfigError,
    Connection,
    Digits,
    Dropout,
    Input,
    IntegerNetwork,
    Population,
    Readout,
    Sign,
    SpikingNetwork,
    Threshold,
    convert,
    demand,
    integers,
    predict,
    simulate,
    split_fan_in,
)
from spikebayes.network import Chain, Dense, Scale
from spikebayes.nn import Permadrop, Sharpened, SoftLIF
from stepped import stepped


def dense(neuron: Threshold | Sign, inputs: int = 40, width: int = 50, seed: int = 0) -> SpikingNetwork:
    """Two populations with masks, and a connection from the input past the first."""
    rng = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    return SpikingNetwork(
        (Input("x", (inputs,), Dropout(0.25, site=0)),),
        (
            Population("a", (width,), neuron, Dropout(0.5, site=1), constant=drawn(width)),
            Population("b", (9,), neuron, Dropout(0.5, site=2), constant=drawn(9)),
        ),
        (
            Connection("x", "a", Dense(drawn(width, inputs))),
            Connection("a", "b", Dense(drawn(9, width))),
            Connection("x", "b", Dense(drawn(9, inputs))),
            Connection("b", "readout", Dense(drawn(3, 9))),
        ),
        Readout((3,)),
    )


def same_spikes(before: IntegerNetwork, after: IntegerNetwork, x: Tensor, samples: int = 4) -> None:
    """Every population that was there before fires the same spikes, and the read-out is the same."""
    asked: dict[str, Any] = {"samples": samples, "steps": 1, "probe": ["spikes"], "seed": 3}
    expected = simulate(before.network, before.inputs(x), **asked, dtype=before.dtype)
    found = simulate(after.network, after.inputs(x), **asked, dtype=after.dtype)
    for name, fired in expected.spikes.items():
        assert torch.equal(found.spikes[name], fired)
        assert 0 < int(fired.sum()) < fired.numel()
    assert torch.equal(found.mean, expected.mean)


@pytest.mark.parametrize("neuron", [Threshold(0.3), Sign()])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("fan_in", [40, 60, 89])
def test_the_same_spikes_from_fewer_synapses(neuron: Threshold | Sign, bits: int, fan_in: int) -> None:
    whole = integers(dense(neuron), bits=bits, levels=7)
    x = 2 * torch.rand(20, 40, generator=torch.Generator().manual_seed(1)) - 1
    narrow = split_fan_in(whole, fan_in)
    assert demand(whole.network).fan_in == 90
    assert demand(narrow.network).fan_in <= fan_in
    same_spikes(whole, narrow, x)
    for c in narrow.network.connections:
        for part in c.operator.parts:
            numbers = [*part.buffers()]
            assert all(torch.equal(n, n.round()) for n in numbers)
            assert all(n.abs().max() < 2 ** (narrow.widths["weight"] - 1) for n in numbers if n.numel())
    assert set(narrow.constants) == set(narrow.scales) == {p.name for p in narrow.network.populations}
    assert set(narrow.largest) == {*narrow.scales, "readout"}


@pytest.mark.parametrize("fan_in", [30, 60])
def test_convolutions_in_blocks_of_channels(fan_in: int) -> None:
    x = torch.randint(0, 256, (12, 2, 8, 8), generator=torch.Generator().manual_seed(1)) / 255
    net = stepped(x, 4, convolutions=[(9, 3, True)], hidden=(11,), width=12, bits=3)
    whole = integers(convert(net, x), bits=3, levels=15)
    narrow = split_fan_in(whole, fan_in)
    assert demand(whole.network).fan_in > fan_in >= demand(narrow.network).fan_in
    same_spikes(whole, narrow, x, samples=1)


def test_no_neuron_is_added_where_none_is_needed() -> None:
    whole = integers(dense(Threshold(0.3)))
    same = split_fan_in(whole, 90)
    assert [p.name for p in same.network.populations] == ["a", "b"]
    assert same.widths == whole.widths


def test_as_few_blocks_as_make_it_fit_are_told_in_bits() -> None:
    whole = integers(dense(Threshold(0.3)), bits=2, levels=1)
    most = [split_fan_in(whole, fan_in).network.neurons for fan_in in (89, 60, 45, 30)]
    assert most == sorted(most)
    assert most[0] < whole.network.neurons + 9 * 10


def test_a_posterior_under_fan_in_256() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(300, 60), Sharpened("brelu", 1.0), Permadrop(0.2), nn.Linear(60, 2)]
    x = torch.rand(10, 300, generator=torch.Generator().manual_seed(1))
    whole = integers(convert(nn.Sequential(*layers), x), bits=8)
    narrow = split_fan_in(whole)
    assert demand(narrow.network).fan_in <= 256
    assert torch.equal(predict(whole, x, samples=20).samples, predict(narrow, x, samples=20).samples)


def test_weights_of_few_bits_alone_can_be_asked_for() -> None:
    whole = integers(dense(Threshold(0.3)), bits=2, levels=1)
    assert split_fan_in(whole, 40, weight_bits=8).widths["weight"] <= 8
    with pytest.raises(
        ConfigError, match=r"have weights up to 2\^., which take . bits; there are 3. Train with fewer"
    ):
        split_fan_in(whole, 40, weight_bits=3)


def test_what_cannot_be_split_is_refused() -> None:
    network = dense(Threshold(0.3))
    for wrong in (7, 0, -1):
        with pytest.raises(ConfigError, match="must have 8 synapses or more"):
            split_fan_in(integers(network), wrong)
    with pytest.raises(
        ConfigError, match=r"sums over . inputs of 'a' take .* bits, so telling them spares nothing at a"
    ):
        split_fan_in(integers(network), 8)
    first, *others = network.connections
    blank = replace(network, connections=(replace(first, blank_out=BlankOut(0.5)), *others))
    with pytest.raises(ConfigError, match="'a' has synapses that blank out, and more than 30"):
        split_fan_in(integers(blank, bits=2), 30)
    x = torch.rand(100, 20)
    spiking = nn.Sequential(nn.Linear(20, 5), SoftLIF(), nn.Linear(5, 1))
    with pytest.raises(ConfigError, match="has FixedPointLIF neurons: a sum of part of their inputs is no number"):
        split_fan_in(integers(convert(spiking, x)), 10)
    relu = nn.Sequential(nn.Linear(20, 5), nn.ReLU(), nn.Linear(5, 1))
    with pytest.raises(
        ConfigError, match=r"has Coded neurons: .* Train layers of fewer inputs, or threshold neurons"
    ):
        split_fan_in(integers(convert(relu, x, code=Digits(4, 4), calibrate=x)), 10)
    steps = [nn.Conv2d(1, 2, 5), Sharpened("brelu", 1.0), nn.Flatten(), nn.Linear(8, 2)]
    with pytest.raises(ConfigError, match=r"cannot be cut into blocks of .* inputs: Conv with 25 for each channel"):
        split_fan_in(integers(convert(nn.Sequential(*steps), torch.zeros(1, 1, 6, 6))), 20)
    pool = [nn.Conv2d(1, 2, 1), Sharpened("brelu", 1.0), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(2, 2)]
    with pytest.raises(ConfigError, match="pools over more than 10 units; pool over smaller windows, twice"):
        split_fan_in(integers(convert(nn.Sequential(*pool), torch.zeros(1, 1, 4, 4))), 10)


def test_the_given_network_stays_as_it_is() -> None:
    rng = torch.Generator().manual_seed(0)
    weights, factors = torch.randn(9, 40, generator=rng), torch.randn(9, generator=rng)
    network = SpikingNetwork(
        (Input("x", (40,)), Input("y", (9,), argument=1)),
        (Population("a", (9,), Threshold(0.3)),),
        (
            Connection("x", "a", Dense(weights)),
            Connection("y", "a", Scale(factors)),
            Connection("a", "readout", Chain()),
        ),
        Readout((9,)),
    )
    whole = integers(network, bits=2, levels=1)
    before = [b.dtype for c in whole.network.connections for b in c.operator.buffers()]
    split_fan_in(whole, 24)
    assert [b.dtype for c in whole.network.connections for b in c.operator.buffers()] == before
