"""Threshold networks in whole numbers: the same decisions, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from spikebayes import (
    ConfigError,
    Connection,
    DataError,
    Input,
    Lowpass,
    Population,
    Readout,
    SpikingNetwork,
    Threshold,
    convert,
    folded,
    integers,
    simulate,
)
from spikebayes.network import DiscreteLIF
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Permute,
    Reshape,
    Scale,
    Slice,
)
from spikebayes.nn import Sharpened, SoftLIF
from stepped import stepped


def trained(bits: int | None = 8) -> tuple[SpikingNetwork, torch.Tensor]:
    """The network of a small module of steps, and images of 8 bits."""
    x = torch.randint(0, 256, (80, 1, 9, 9), generator=torch.Generator().manual_seed(1)) / 255
    return convert(folded(stepped(x, 4, convolutions=[(5, 3, True)], hidden=(11,), width=12, bits=bits)), x), x


def outputs(network: SpikingNetwork, x: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return simulate(network, x, samples=1, steps=1, dtype=dtype).mean[0]


def test_weights_trained_with_8_bits_give_the_very_same_classes() -> None:
    network, x = trained()
    made = integers(network)
    read = outputs(made.network, made.inputs(x))
    assert torch.equal(read.argmax(1), outputs(network, x).argmax(1))
    assert len(set(read.argmax(1).tolist())) > 1


def test_sums_in_32_bits_give_the_same_spikes() -> None:
    network, x = trained()
    made = integers(network)
    run = simulate(made.network, made.inputs(x), samples=1, steps=1, probe=["spikes"])
    first = made.network.populations[0]
    conv = made.network.into(first.name)[0].operator
    assert isinstance(conv, Conv)
    image = torch.nn.functional.pad(made.inputs(x).to(torch.int32), (1, 1, 1, 1))
    windows = image.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)  # [B, 1, H, W, 9], whole numbers
    total = (windows[:, 0, :, :, None] * conv.weight.to(torch.int32).flatten(1)).sum(-1, dtype=torch.int32)
    assert first.constant is not None
    fires = total.permute(0, 3, 1, 2) + first.constant.to(torch.int32) >= 0
    assert torch.equal(run.spikes[first.name][0, :, 0], fires.flatten(1))
    assert int(total.abs().max()) <= made.largest[first.name]


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_all_weights_and_constants_are_whole_and_small_enough(bits: int) -> None:
    made = integers(trained(None)[0], bits=bits)
    top = 2 ** (bits - 1) - 1
    for connection in made.network.connections:
        for operator in connection.operator.parts:
            if isinstance(operator, Dense | Conv):
                assert torch.equal(operator.weight, operator.weight.round())
                assert operator.weight.abs().max() <= top
    for population in made.network.populations:
        if population.name in made.scales:
            assert population.constant is not None
            assert torch.equal(population.constant, population.constant.round())
            allowed = top + made.constants[population.name] * top * 255
            assert population.constant.abs().max() <= allowed
    assert made.bits == bits


def spikes(network: SpikingNetwork, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """``[B, N]`` of every population."""
    run = simulate(network, x, samples=1, steps=1, probe=["spikes"], dtype=dtype)
    return {name: found[0, :, 0] for name, found in run.spikes.items()}


def step() -> Sharpened:
    return Sharpened("brelu", 1.0)


@torch.no_grad()
def on_grid(*layers: nn.Module, seed: int = 0) -> nn.Sequential:
    """Layers in float64, a row's weights k/64, k/128 or k/256 with 127 the largest k: none is rounded."""
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            k = torch.randint(-127, 128, layer.weight.shape, generator=generator)
            k.flatten(1)[:, 0] = 127
            divisor = 64 * 2 ** (torch.arange(len(k)) % 3)
            layer.weight.copy_(k / divisor.reshape(-1, *[1] * (k.ndim - 1)))
            assert layer.bias is not None
            layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator))
    return nn.Sequential(*layers).double().eval()


def levels_of(rows: int, *shape: int, low: int = 0, high: int = 255) -> torch.Tensor:
    """Inputs that are multiples of 1/255."""
    return torch.randint(low, high + 1, (rows, *shape), generator=torch.Generator().manual_seed(9)).double() / 255


def by_hand(
    weight: list[list[float]],
    threshold: float,
    readout: torch.Tensor | None = None,
    constant: torch.Tensor | None = None,
) -> SpikingNetwork:
    """One population behind an input, and a read-out."""
    w = torch.tensor(weight, dtype=torch.float64)
    read = torch.eye(len(w), dtype=torch.float64) if readout is None else readout
    return SpikingNetwork(
        (Input("x", (w.shape[1],)),),
        (Population("h", (len(w),), Threshold(threshold)),),
        (Connection("x", "h", Dense(w)), Connection("h", "readout", Dense(read))),
        Readout((len(read),), constant),
    )


def test_inputs_beyond_1_fire_as_they_do_in_floats() -> None:
    network, x = by_hand([[1.0]], 2.5), torch.tensor([[0.5], [1.5], [2.4], [2.6], [3.0]])
    made = integers(network, largest_input=3.0)
    assert spikes(made.network, made.inputs(x))["h"][:, 0].tolist() == [False, False, False, True, True]
    assert made.largest["h"] == (127 * 3 * 255 + 1) + math.ceil(2.5 * 255 * 127)  # the sums and T


@pytest.mark.parametrize("largest_input", [1.0, 3.0])
def test_inputs_of_either_sign_fire_as_they_do_in_floats(largest_input: float) -> None:
    most = int(255 * largest_input)
    x = levels_of(300, 6, low=-most, high=most)
    network = convert(on_grid(nn.Linear(6, 9), step(), nn.Linear(9, 7), step(), nn.Linear(7, 2)), x)
    made = integers(network, largest_input=largest_input)
    expected, found = spikes(network, x), spikes(made.network, made.inputs(x), made.dtype)
    for name, fired in expected.items():
        assert torch.equal(found[name], fired)
        assert 0 < int(fired.sum()) < fired.numel()


def test_inputs_beyond_what_was_said_are_refused() -> None:
    made = integers(by_hand([[1.0]], 0.5), largest_input=2.4)
    for x in (2.5, -2.5, float("inf"), float("nan")):
        with pytest.raises(DataError, match=rf"an input of {x:g} is not within \+-2.4; .* a larger largest_input"):
            made.inputs(torch.tensor([[0.0], [x]]))
    assert made.inputs(torch.tensor([[2.4, -2.4]])).tolist() == [[612, -612]]  # float32's 2.4 is above 2.4
    assert made.inputs(torch.tensor([2, -1, 0])).tolist() == [510, -255, 0]
    for largest_input in (0.0, -1.0, float("nan"), float("inf"), 1e7):
        with pytest.raises(ConfigError, match=r"largest_input must be above 0, and times levels below 2\^31; got"):
            integers(by_hand([[1.0]], 0.5), largest_input=largest_input)


def pooling(
    *operators: nn.Module, threshold: float = 0.25, constant: float = 0.0, source: str = "a"
) -> SpikingNetwork:
    """Units ``p`` that pool units ``a`` or the input, 4 x 4, by the operators, one connection each."""
    pixels = Conv(torch.ones(1, 1, 1, 1), (1, 1), (0, 0), (1, 1))
    return SpikingNetwork(
        (Input("x", (1, 4, 4)),),
        (
            Population("a", (1, 4, 4), Threshold(0.5)),
            Population("p", (1, 2, 2), Threshold(threshold), constant=torch.full((1, 2, 2), constant)),
        ),
        (
            Connection("x", "a", pixels),
            *(Connection(source, "p", o) for o in operators),
            Connection("p", "readout", Chain((Reshape((4,)), Dense(torch.eye(4))))),
        ),
        Readout((4,)),
    )


POOL = AvgPool((2, 2), (2, 2), (0, 0))


@pytest.mark.parametrize("threshold", [0.25, 0.125, 1e-6])
def test_pooling_that_is_an_or_stays_as_it_is(threshold: float) -> None:
    made = integers(pooling(POOL, threshold=threshold))
    x = torch.randint(0, 2, (50, 1, 4, 4), generator=torch.Generator().manual_seed(2)).float() * (
        torch.rand(50, 1, 4, 4) > 0.5
    )
    found = spikes(made.network, made.inputs(x), made.dtype)["p"].reshape(50, 1, 2, 2)
    assert torch.equal(found, torch.nn.functional.max_pool2d(x, 2) > 0)
    assert list(made.scales) == list(made.constants) == ["a"]
    assert list(made.largest) == ["a", "readout"]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (pooling(POOL, POOL), "2 connections add up in it"),
        (pooling(POOL, source="x"), "its source 'x' is an input"),
        (pooling(POOL, constant=0.1), "it has a constant"),
        (pooling(POOL, threshold=0.26), "its threshold 0.26 is not above 0 and at most 1/4, what one spike gives"),
        (pooling(POOL, threshold=0.0), "its threshold 0 is not above 0"),
        (pooling(AdaptiveAvgPool((2, 2))), r"its connection is not just an AvgPool \(AdaptiveAvgPool\)"),
        (pooling(Chain((POOL, Scale(torch.tensor(2.0))))), r"not just an AvgPool \(AvgPool, Scale\)"),
    ],
)
def test_other_pooling_is_refused(network: SpikingNetwork, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"'p' pools, but is not the OR of spikes that max pooling is: .*{reason}"):
        integers(network)


def test_average_pooling_of_spikes_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), step(), nn.AvgPool2d(2), step(), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ConfigError, match=r"its threshold 0\.5 is not above 0 and at most 1/4"):
        integers(convert(net, torch.zeros(1, 1, 4, 4)))


class Skips(nn.Module):
    """b(step(a(x))) + c(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.step = nn.Linear(6, 12), nn.Linear(12, 5), nn.Linear(6, 5), step()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.step(self.a(x))) + self.c(x)


def test_the_readout_knows_what_an_input_of_1_is() -> None:
    torch.manual_seed(3)
    network, x = convert(Skips(), torch.zeros(1, 6)), levels_of(400, 6, low=-255).float()
    made = integers(network, bits=16)
    read, expected = outputs(made.network, made.inputs(x), made.dtype), outputs(network, x)
    assert len(set(expected.argmax(1).tolist())) > 3
    assert (read.argmax(1) == expected.argmax(1)).double().mean() > 0.98
    scale = (read * expected).sum() / (read * read).sum()
    assert (read * scale - expected).abs().max() < 0.01 * expected.abs().max()


@pytest.mark.parametrize("constant", [None, torch.tensor([-0.5, 4.0, 3.0])])
def test_a_readout_without_weights_is_its_constant(constant: torch.Tensor | None) -> None:
    made = integers(by_hand([[1.0]], 0.5, torch.zeros(3, 1), constant))
    expected = [0, 0, 0] if constant is None else [-16, 127, 95]
    assert outputs(made.network, made.inputs(torch.tensor([[0.9], [0.1]]))).tolist() == [expected, expected]


def test_rows_of_weights_are_found_behind_a_transpose() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = on_grid(nn.Linear(4, 4), step(), nn.Flatten(), nn.Linear(16, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net[3](self.net[2](self.net[1](self.net[0](x).transpose(1, 2))))

    x = levels_of(200, 4, 4)
    network = convert(Turned(), x)
    made = integers(network)
    for name, fired in spikes(network, x).items():
        assert torch.equal(spikes(made.network, made.inputs(x))[name], fired)
        assert 0 < int(fired.sum()) < fired.numel()


def test_rows_of_weights_are_found_behind_a_flattened_part_of_a_convolution() -> None:
    class Parted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = on_grid(nn.Conv2d(2, 3, 2), step(), nn.Linear(12, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net[2](self.net[1](self.net[0](x).flatten(1)[:, 3:15]))

    x = levels_of(200, 2, 4, 3)
    network = convert(Parted(), x)
    made = integers(network)
    (name,) = made.scales
    assert made.scales[name].shape == (3,)
    fired = spikes(network, x)[name]
    assert torch.equal(spikes(made.network, made.inputs(x))[name], fired)
    assert 0 < int(fired.sum()) < fired.numel()


@pytest.mark.parametrize(
    "second",
    [
        Chain((Dense(torch.ones(4, 8)), Reshape((2, 2)), Permute((2, 1)))),
        Chain((Slice(1, 0, 4), Reshape((2, 2)), Dense(torch.eye(2)))),
        Chain((Dense(torch.ones(8, 8)), Slice(1, 0, 4), Reshape((2, 2)))),
        Chain((Reshape((2, 2, 2)), Conv(torch.ones(2, 2, 1, 2), (1, 1), (0, 0), (1, 1)), Reshape((2, 2)))),
    ],
)
def test_connections_whose_rows_are_not_those_of_the_same_neurons_are_refused(second: Chain) -> None:
    first = Chain((Dense(torch.randn(4, 8)), Reshape((2, 2))))
    network = SpikingNetwork(
        (Input("x", (8,)), Input("y", (8,), argument=1)),
        (Population("h", (2, 2), Threshold(0.5)),),
        (Connection("x", "h", first), Connection("y", "h", second), Connection("h", "readout", Dense(torch.eye(2)))),
        Readout((2, 2)),
    )
    with pytest.raises(ConfigError, match="the connections 'x' and 'y' to 'h' lay their rows of weights over its"):
        integers(network)


def test_sums_beyond_those_of_float32_are_exact_in_float64() -> None:
    top, levels, sum_that_fires = 2**15 - 1, 2**15, 15000 * (2**15 - 1) + 1
    network = by_hand([[1.0, 1 / top]], (sum_that_fires - 0.5) / top / levels)
    made = integers(network, bits=16, levels=levels)
    x = torch.tensor([[15000, 0], [15000, 1]], dtype=torch.float64) / levels
    constant = made.network.populations[0].constant
    assert made.dtype == torch.float64
    assert constant is not None
    assert constant.double().tolist() == [-sum_that_fires]
    assert constant.dtype == torch.float64
    assert spikes(made.network, made.inputs(x), made.dtype)["h"][:, 0].tolist() == [False, True]


def test_the_dtype_is_float32_where_that_is_exact() -> None:
    made = integers(trained()[0])
    assert made.dtype == torch.float32
    assert all(p.constant is None or p.constant.dtype == torch.float32 for p in made.network.populations)
    many = by_hand([[1.0]] * 600, 0.5, torch.ones(1, 600))
    assert integers(many).dtype == torch.float32
    made = integers(many, bits=16)
    assert made.largest == {"h": 12533379, "readout": 600 * 32767}
    assert made.dtype == torch.float64  # for the read-out's sums alone


def test_scales_are_one_for_each_row_of_weights_and_none_for_an_or() -> None:
    network, _ = trained()
    made = integers(network)
    rows = {
        p.name: (len(c.operator.parts[-1].weight),)
        for p in network.populations
        for c in network.into(p.name)
        if not isinstance(c.operator, AvgPool)
    }
    assert {name: tuple(scale.shape) for name, scale in made.scales.items()} == rows
    assert len(rows) == len(network.populations) - 1
    assert set(made.constants) == set(rows)
    assert set(made.largest) == {*rows, "readout"}


def test_what_is_not_of_that_form_is_refused() -> None:
    def of(*layers: nn.Module) -> SpikingNetwork:
        return convert(nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2)), torch.zeros(1, 3))

    lif = of(SoftLIF())
    stepped_by_euler = replace(lif, populations=(replace(lif.populations[0], neuron=DiscreteLIF()),))
    with pytest.raises(
        ConfigError, match="DiscreteLIF neurons; whole numbers are for threshold and sign neurons, LIF"
    ):
        integers(stepped_by_euler)
    with pytest.raises(ConfigError, match="is not one Dense or Conv"):
        integers(of(Sharpened("brelu", 1.0), nn.Linear(4, 4), nn.Linear(4, 4), Sharpened("brelu", 1.0)))
    good = of(Sharpened("brelu", 1.0))
    for bits in (1, 17, True):
        with pytest.raises(ConfigError, match="bits"):
            integers(good, bits=bits)
    for levels in (0, 1 << 16):
        with pytest.raises(ConfigError, match="levels must be a whole number from 1 to 65535"):
            integers(good, levels=levels)
    for state_bits, reason in ((7, "must be 8 to 32"), (24, "of LIF neurons, and the network has none")):
        with pytest.raises(ConfigError, match=f"state_bits .*{reason}"):
            integers(good, state_bits=state_bits)


def test_memory_and_missing_connections_are_refused() -> None:
    good = by_hand([[1.0], [2.0]], 0.5)
    first, last = good.connections
    with pytest.raises(ConfigError, match="'h' to 'readout' has a filter"):
        integers(replace(good, connections=(first, replace(last, synapse=Lowpass(0.01)))))
    for left, name in ((last, "h"), (first, "readout")):
        with pytest.raises(ConfigError, match=f"no connection ends in {name!r}"):
            integers(replace(good, connections=(left,)))


def test_sums_beyond_32_bits_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"sums into 'h' may reach .*, beyond 32 bits; use fewer bits or levels, or .* largest_input",
    ):
        integers(by_hand([[1.0]], 0.5), bits=16, levels=65535)
    with pytest.raises(ConfigError, match=r"sums into 'readout' may reach .*, beyond 32 bits"):
        integers(by_hand([[1.0]], 0.5, torch.ones(1, 1), torch.tensor([1e9])))
