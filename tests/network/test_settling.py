"""How long filters remember the start, against closed forms and against chains that are stepped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import gamma
from torch import Tensor, nn

from spikebayes import Alpha, ConfigError, Connection, Lowpass, SpikingNetwork, convert, predict
from spikebayes.network import Dense, DiscreteLIF, Synapse, impulse_response
from spikebayes.network.discrete import euler
from spikebayes.network.settling import chains, quantile, settling_steps
from spikebayes.nn import LIFRate, Permadrop, SoftLIF

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


ALPHA = Alpha(0.02)


def layered(depth: int, synapse: Synapse | None = ALPHA, dt: float = 1e-3) -> SpikingNetwork:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(5 if i else 3, 5), SoftLIF(1e-3), Permadrop(0.1)]
    return convert(nn.Sequential(*layers, nn.Linear(5, 1)), X, synapse=synapse, dt=dt)


def with_filters(network: SpikingNetwork, *synapses: Synapse | None) -> SpikingNetwork:
    """Each for the n-th connection."""
    pairs = zip(network.connections, synapses, strict=True)
    return replace(network, connections=tuple(replace(c, synapse=s) for c, s in pairs))


@pytest.mark.parametrize("dt", [1e-3, 5e-4])
@pytest.mark.parametrize("tau", [0.02, 0.005])
@pytest.mark.parametrize("depth", [1, 2, 4, 6, 8, 10])
def test_alpha_filters_in_a_row_settle_as_gamma(depth: int, tau: float, dt: float) -> None:
    expected = gamma.ppf(0.99, 2 * depth) * tau / dt
    assert settling_steps(layered(depth, Alpha(tau), dt)) == int(expected)


def test_low_pass_filters_in_a_row_settle_as_gamma() -> None:
    assert settling_steps(layered(5, Lowpass(0.01))) == int(gamma.ppf(0.99, 5) * 10)


@pytest.mark.parametrize(
    "taus", [(0.1, 0.001), (0.02, 0.01, 0.005), (0.03, 0.03, 0.002), (5e-3, 4e-3, 3e-3, 2e-3, 1e-3), (1.0, 1e-9)]
)
def test_filters_of_different_time_constants_are_convolved(taus: tuple[float, ...]) -> None:
    """Against a million sums of exponential variables; 5 standard errors of their quantile."""
    rng = np.random.default_rng(0)
    drawn = sum(rng.exponential(tau, 1_000_000) for tau in taus)
    assert quantile(tuple(sorted(taus, reverse=True))) == pytest.approx(
        np.quantile(drawn, 0.99), abs=0.06 * max(taus)
    )


def test_a_chain_that_is_stepped_agrees() -> None:
    synapses = (Alpha(0.02), Lowpass(0.05), Alpha(0.007))
    response = np.ones(1)
    for synapse in synapses:
        response = np.convolve(response, impulse_response(synapse, 1e-4, 20_000))[:20_000]
    stepped = int(np.argmax(response.cumsum() >= 0.99))
    network = with_filters(layered(3, Alpha(0.02), 1e-4), None, *synapses)
    assert settling_steps(network) == pytest.approx(stepped, abs=6)  # a filter delivers a step later


def test_the_slowest_way_decides_and_not_the_longest() -> None:
    """A short way with one slow filter beside a long one of fast filters."""
    deep = layered(4, Alpha(0.002))
    skip = Connection("layer1", "readout", Dense(torch.ones(1, 5)), Lowpass(0.1))
    both = replace(deep, connections=(*deep.connections, skip))
    assert settling_steps(deep) == int(gamma.ppf(0.99, 8) * 2)
    assert settling_steps(both) == int(-np.log(0.01) * 100)
    slower = replace(skip, synapse=Alpha(0.002))  # shorter than the way beside it: no way of its own
    assert len(chains(replace(deep, connections=(*deep.connections, slower)))) == 1


def test_many_ways_stay_few() -> None:
    """Every layer reads all before it: 2^20 ways, of which one is the slowest."""
    deep = layered(20)
    names = [p.name for p in deep.populations]
    skips = tuple(
        Connection(a, b, Dense(torch.ones(5, 5)), Alpha(0.001 * (i + j + 1)))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if j > i + 1
    )
    assert settling_steps(replace(deep, connections=(*deep.connections, *skips))) > settling_steps(deep)  # pyright: ignore


@dataclass(frozen=True)
class Cascade(Synapse):
    """A filter of somebody else's: three low-pass steps in a row."""

    tau: float
    order: ClassVar[int] = 3

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        a = np.exp(-dt / self.tau)
        found = []
        for before in state:
            u = a * before + (1 - a) * u
            found.append(u)
        return tuple(found)


@dataclass(frozen=True)
class Integrator(Synapse):
    order: ClassVar[int] = 1

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        return (state[0] + u,)


def test_a_filter_that_only_steps_tells_its_time_constants() -> None:
    assert Cascade(0.004).time_constants(1e-3) == pytest.approx((0.004,) * 3)
    assert settling_steps(layered(2, Cascade(0.004))) == int(gamma.ppf(0.99, 6) * 4)


def test_a_filter_that_never_forgets_needs_a_timing() -> None:
    network = layered(1, Integrator())
    with pytest.raises(ConfigError, match="never forgets, so its start never dies away; give steps and burn_in"):
        predict(network, X, samples=2)
    assert predict(network, X, samples=2, steps=9, burn_in=3).settings["steps"] == 9


@pytest.mark.parametrize(("depth", "expected"), [(1, (232, 132)), (2, (300, 200)), (6, (529, 429))])
def test_predict_leaves_out_what_the_filters_need_and_averages_100_steps(
    depth: int, expected: tuple[int, int]
) -> None:
    settings = predict(layered(depth), X[:1], samples=2).settings
    assert (settings["steps"], settings["burn_in"], settings["window"]) == (*expected, "Flat")


def test_without_filters_or_memory_nothing_is_worked_out() -> None:
    assert settling_steps(layered(3, None)) is None
    settings = predict(layered(3, None), X[:1], samples=2).settings
    assert (settings["steps"], settings["burn_in"]) == (300, 200)


@pytest.mark.parametrize("depth", [2, 4, 6, 8, 10])
def test_deep_networks_keep_their_samples(depth: int) -> None:
    """Paired error with the defaults; with 200 of 300 steps left out it was 1.2 at 8 layers."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i in range(depth):
        linear = nn.Linear(64 if i else 3, 64)
        nn.init.normal_(linear.weight, std=1.2 / linear.in_features**0.5)
        layers += [linear, LIFRate(), Permadrop(0.1)]
    model, x = nn.Sequential(*layers, nn.Linear(64, 1)), torch.randn(20, 3)
    module, spiking = (predict(m, x, samples=20, seed=3).samples for m in (model, convert(model, x)))
    error = ((spiking - module).pow(2).mean(0).sqrt() / module.std(0)).median()
    assert error < 0.03


def test_filters_that_neurons_have_of_their_own_count_like_those_on_connections() -> None:
    tau = 0.01
    own = DiscreteLIF(0.02, tau_syn=euler(tau, 1e-3))
    assert own.time_constants(1e-3) == pytest.approx((tau,))
    bare = layered(3, None)
    inside = replace(bare, populations=tuple(replace(p, neuron=own) for p in bare.populations))
    assert settling_steps(inside) == int(gamma.ppf(0.99, 3) * 10)
    first = replace(bare.populations[0], neuron=DiscreteLIF(0.02))
    assert settling_steps(replace(inside, populations=(first, *inside.populations[1:]))) == int(
        gamma.ppf(0.99, 2) * 10
    )
    assert settling_steps(bare) is None
