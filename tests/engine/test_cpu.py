"""The CPU engine against the reference: the same spikes in float64 on every kind of network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from networks import PROBES, feed_forward, neurons
from spikebayes import (
    LIF,
    Alpha,
    Connection,
    Dropout,
    Input,
    Lowpass,
    Population,
    Readout,
    Run,
    SpikingNetwork,
    Threshold,
    convert,
    simulate,
)
from spikebayes.network.operators import Chain, Conv, Dense, Mix, Reshape, Scale
from spikebayes.nn import Permadrop, SoftLIF


def assert_engines_agree(network: SpikingNetwork, x: Any, steps: int = 60, **settings: Any) -> Run:
    """Spikes and counts are equal, potentials, trace and mean up to the order of summation. Returns the CPU's run."""

    def run(engine: str) -> Run:
        return simulate(network, x, steps=steps, probe=PROBES, engine=engine, dtype=torch.float64, **settings)

    expected, actual = run("reference"), run("cpu")
    for name, count in expected.counts.items():
        assert torch.equal(actual.spikes[name], expected.spikes[name]), name
        assert torch.equal(actual.counts[name], count), name
    assert actual.potentials.keys() == expected.potentials.keys()
    for name, potential in expected.potentials.items():
        torch.testing.assert_close(actual.potentials[name], potential, rtol=0, atol=1e-10)
    torch.testing.assert_close(actual.trace, expected.trace, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(actual.mean, expected.mean, rtol=1e-10, atol=1e-10)
    return actual


@pytest.mark.slow
def test_random_networks() -> None:
    tally = {"had time to fire": 0, "firing to the last layer": 0, "spikes": 0}

    @given(
        feed_forward(neurons(), rows=3, redraws=True),
        st.integers(1, 100),
        st.floats(0, 1),
        st.sampled_from(["row", "pass"]),
        st.data(),
    )
    @settings(max_examples=150)
    def check(drawn: Any, steps: int, share: float, scope: str, data: st.DataObject) -> None:
        network, x = drawn
        burn_in = min(steps - 1, int(share * steps))
        seed = data.draw(st.integers(0, 2**64 - 1), "seed")
        run = assert_engines_agree(network, x, steps, burn_in=burn_in, samples=3, seed=seed, mask_scope=scope)
        if steps > 20:  # how many have so few steps depends on hypothesis and its pool of constants
            tally["had time to fire"] += 1
            tally["firing to the last layer"] += bool(run.counts[network.populations[-1].name].any())
            tally["spikes"] += int(sum(count.sum() for count in run.counts.values()))

    check()
    assert tally["had time to fire"] >= 40
    assert tally["firing to the last layer"] > 0.8 * tally["had time to fire"]
    assert tally["spikes"] > 400 * tally["had time to fire"]


# -- converted modules ---------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 9), nn.Linear(9, 9), nn.Linear(9, 2)
        self.active, self.drop = SoftLIF(), Permadrop(0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.active(self.first(x)))
        return self.head(h + self.drop(self.active(self.second(h))))


class SharedTower(nn.Module):
    """One tower for two inputs, its passes under masks of their own, joined to a third."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(3, 8), SoftLIF(), Permadrop(0.25), nn.Linear(8, 8), SoftLIF())
        self.other = nn.Sequential(nn.Linear(5, 6), SoftLIF(), Permadrop(0.1))
        self.head = nn.Sequential(nn.Linear(22, 7), SoftLIF(), Permadrop(0.5), nn.Linear(7, 1))

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return self.head(torch.cat([self.tower(a), self.tower(b), self.other(c)], dim=1))


class DropConcat(nn.Module):
    """One mask over two concatenated populations."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 5), nn.Linear(4, 7), nn.Linear(12, 3)
        self.active = SoftLIF()

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.active(self.a(x)), self.active(self.b(x))], dim=1)
        return self.head(nn.functional.dropout(joined, 0.25))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        SoftLIF(),
        nn.Dropout2d(0.5),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 2, groups=2),
        SoftLIF(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


def temporal() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, padding="same"),
        SoftLIF(),
        nn.Dropout1d(0.25),
        nn.AvgPool1d(3, 2),
        nn.BatchNorm1d(4),
        nn.Conv1d(4, 3, 2, dilation=2),
        SoftLIF(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )


def noisy_input() -> nn.Module:
    return nn.Sequential(
        Permadrop(0.25), nn.Linear(6, 8), nn.BatchNorm1d(8), SoftLIF(), Permadrop(0.5), nn.Linear(8, 2)
    )


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "convolution in 2 dimensions": (convolutional, ((2, 10, 10),)),
    "convolution in 1 dimension": (temporal, ((2, 11),)),
    "residual": (Residual, ((4,),)),
    "shared tower": (SharedTower, ((3,), (3,), (5,))),
    "one mask over a concatenation": (DropConcat, ((4,),)),
    "noisy input": (noisy_input, ((6,),)),
}


@pytest.mark.parametrize("synapse", [Alpha(0.005), Lowpass(0.003), None], ids=["alpha", "lowpass", "unfiltered"])
@pytest.mark.parametrize("name", MODULES)
def test_converted_modules(name: str, synapse: Any) -> None:
    make, shapes = MODULES[name]
    torch.manual_seed(1)
    model = randomised(make().double())
    x = tuple(2 * torch.randn(3, *shape, dtype=torch.float64) for shape in shapes)
    run = assert_engines_agree(convert(model, x, synapse=synapse), x, burn_in=20, samples=6, seed=5)
    assert all(count.sum() > 20 for count in run.counts.values())
    assert run.mean.std(0).min() > 0  # the masks tell the samples apart


def randomised(model: nn.Module) -> nn.Module:
    """Batch norms with statistics as after training, so that folding them is seen."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                nn.init.uniform_(tensor, 0.5, 1.5)  # pyright: ignore[reportArgumentType]
            for tensor in (module.running_mean, module.bias):
                nn.init.normal_(tensor, std=0.3)  # pyright: ignore[reportArgumentType]
    return model


# -- corners -------------------------------------------------------------------------------------------------


def pair(
    first: Any = None, second: Any = None, drop: Dropout | None = None, tau: float = 0.005, dt: float = 1e-3
) -> SpikingNetwork:
    """Two populations of 6; the second and the read-out each get the first through two different filters and none."""
    weights = torch.randn(7, 6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    first, second = first or LIF(amplitude=0.02, bias=1.2), second or LIF(amplitude=0.02, gain=-1.5, bias=1.5)
    banks = [Alpha(tau), Lowpass(tau), None]
    connections = [Connection("x", "first", Dense(weights[6]))]
    for target in ("second", "readout"):
        connections += [Connection("first", target, Dense(w), s) for w, s in zip(weights[:3], banks, strict=True)]
    connections += [Connection("second", "readout", Dense(weights[3]), Alpha(tau))]
    populations = Population("first", (6,), first, drop), Population("second", (6,), second)
    return SpikingNetwork((Input("x", (6,)),), populations, tuple(connections), Readout((6,)), dt)


X = torch.randn(2, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bits_are_those_of_a_row_alone_and_under_any_probe(dtype: torch.dtype) -> None:
    """Rows that lead others, populations that make no lists, several stretches of time."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(3, 40), SoftLIF(1e-3), Permadrop(0.2), nn.Linear(40, 300), SoftLIF(1e-3), Permadrop(0.5)),
        nn.Linear(300, 2),
    )
    x, settings = torch.randn(5, 3), {"samples": 9, "steps": 400, "burn_in": 50, "dtype": dtype}
    network = convert(model, x)
    whole = simulate(network, x, **settings)
    alone = [simulate(network, x[i : i + 1], rows=torch.tensor([i]), **settings) for i in range(5)]
    assert torch.equal(torch.cat([run.mean for run in alone], 1), whole.mean)
    for probe in PROBES:
        probed = simulate(network, x, probe=[probe], **settings)
        assert torch.equal(probed.mean, whole.mean)
        assert all(torch.equal(probed.counts[name], count) for name, count in whole.counts.items())


def test_several_filters_into_one_target() -> None:
    run = assert_engines_agree(pair(drop=Dropout(0.25)), X, samples=3)
    assert run.counts["second"].sum() > 50


@pytest.mark.parametrize(("steps", "burn_in"), [(1, 0), (2, 1), (40, 0), (40, 39)])
def test_windows(steps: int, burn_in: int) -> None:
    run = assert_engines_agree(pair(Threshold(0.1)), X, steps, burn_in=burn_in)
    assert run.counts["first"].sum() > 0
    assert run.trace is not None
    torch.testing.assert_close(run.mean, run.trace[:, :, burn_in:].mean(2), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tau_ref", [0.0, 1e-4, 1e-3, 1.5e-3, 7e-3])
def test_refractory_times_below_and_above_a_step(tau_ref: float) -> None:
    fast = LIF(tau_rc=2e-3, tau_ref=tau_ref, bias=6.0)
    run = assert_engines_agree(pair(fast, LIF(tau_ref=tau_ref, bias=3.0)), X, 80)
    assert run.counts["first"].sum() > 80


@pytest.mark.parametrize("p", [0.5, 0.25, 0.1, 0.9])
@pytest.mark.parametrize(("offset", "repeat"), [(0, 1), (130, 1), (3, 2)])
def test_every_layout_of_mask_bits(p: float, offset: int, repeat: int) -> None:
    always = pair(Threshold(-100.0), drop=Dropout(p, site=7, offset=offset, repeat=repeat))
    run = assert_engines_agree(always, X, samples=8)
    silent = (run.spikes["first"].sum(2) == 0).double().mean()
    assert abs(silent - p) < 0.25  # of 96 neurons, in pairs: 3.5 standard deviations


def test_a_population_that_no_spikes_reach() -> None:
    parts = pair()
    kept = tuple(c for c in parts.connections if (c.source, c.target) != ("first", "second"))
    run = assert_engines_agree(SpikingNetwork(parts.inputs, parts.populations, kept, parts.readout), X)
    assert run.counts["second"].min() > 0


def test_the_input_read_out_directly_and_through_a_sparse_operator() -> None:
    parts = pair(Threshold(0.0))
    kernel = torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inputs = Input("x", (1, 6), Dropout(0.5, site=3))
    flat = Readout((1, 6), torch.ones(1, 6, dtype=torch.float64))
    first = Population("first", (1, 6), LIF(bias=1.3), Dropout(0.5, site=4))
    conv = Conv(kernel, (1,), (1,), (1,))
    wires = (Connection("x", "first", conv), Connection("x", "readout", conv), Connection("first", "readout", conv))
    network = SpikingNetwork((inputs,), (first,), wires, flat, parts.dt)
    run = assert_engines_agree(network, X.reshape(2, 1, 6), samples=5)
    assert run.counts["first"].sum() > 0


@pytest.mark.parametrize("shape", [(5, 1), (5, 5), (5,), (1, 5), ()], ids=str)
@pytest.mark.parametrize("folded", [False, True], ids=["maps", "folded maps"])
def test_factors_behind_a_convolution_of_as_many_channels_as_places(shape: tuple[int, ...], folded: bool) -> None:
    """Factors of a channel, of a place, of both: a convolution takes only the first of them in."""
    generator = torch.Generator().manual_seed(0)
    conv = Conv(torch.randn(5, 2, 3, generator=generator), (1,), (1,), (1,))
    scale = Scale(3 * torch.rand(shape, generator=generator))
    turned = (Reshape((1, 5, 5)), scale, Reshape((5, 5))) if folded else (scale,)
    first = Population("first", (2, 5), LIF(amplitude=1e-3, bias=1.5))
    last = Population("last", (5, 5), LIF(bias=1.2))
    identity = Chain()
    wires = (
        Connection("x", "first", identity),
        Connection("first", "last", Chain((conv, *turned))),
        Connection("last", "readout", identity),
    )
    network = SpikingNetwork((Input("x", (2, 5)),), (first, last), wires, Readout((5, 5)))
    run = assert_engines_agree(network, torch.rand(3, 2, 5, generator=generator), steps=100)
    assert len(set(run.spikes["last"].sum(2).flatten().tolist())) > 1


def test_an_operator_into_populations_of_other_numbers_of_channels() -> None:
    """Their neurons are stored in other orders, so that one matrix of its weights does not do for both."""
    generator = torch.Generator().manual_seed(0)
    sparse = torch.randn(32, 8, generator=generator) * (torch.rand(32, 8, generator=generator) < 0.1)
    both = Chain((Reshape((8,)), Mix(1, sparse), Reshape((8, 2, 2))))
    eight = Conv(torch.randn(8, 2, 1, 1, generator=generator), (1, 1), (0, 0), (1, 1))
    two = Conv(torch.randn(2, 2, 1, 1, generator=generator), (1, 1), (1, 1), (1, 1))
    neuron, slow, line = LIF(amplitude=0.01, bias=1.5), Lowpass(0.005), Reshape((32,))
    wires = (
        Connection("x", "first", Reshape((2, 2, 2))),
        Connection("first", "eight", eight, slow),
        Connection("first", "eight", both, slow),
        Connection("first", "two", Chain((two, Reshape((8, 2, 2)))), slow),
        Connection("first", "two", both, slow),
        Connection("eight", "readout", line, slow),
        Connection("two", "readout", line, slow),
    )
    populations = tuple(
        Population(name, shape, neuron)
        for name, shape in (("first", (2, 2, 2)), ("eight", (8, 2, 2)), ("two", (8, 2, 2)))
    )
    network = SpikingNetwork((Input("x", (8,)),), populations, wires, Readout((32,)))
    run = assert_engines_agree(network, torch.rand(2, 8, generator=generator), steps=100)
    assert run.counts["two"].min() > 0


# -- float32 -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_float32_reads_the_same_to_a_hundredth_of_the_predictive_spread() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(8, 50), SoftLIF(), Permadrop(0.1), nn.Linear(50, 50), SoftLIF(), Permadrop(0.1)]
    network = convert(nn.Sequential(*layers, nn.Linear(50, 1)), torch.zeros(1, 8))
    x = torch.randn(20, 8)

    def run(dtype: torch.dtype, engine: str) -> Tensor:
        return simulate(network, x, samples=30, steps=300, burn_in=200, dtype=dtype, engine=engine).mean.double()

    exact = run(torch.float64, "reference")
    for engine in ("cpu", "reference"):
        rmse = (run(torch.float32, engine) - exact).square().mean().sqrt()
        assert rmse / exact.std(0).mean() < 0.01
