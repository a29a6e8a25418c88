"""Inputs over time: all engines fire the reference's spikes, and what stays the same has a constant input's bits."""

from __future__ import annotations

from dataclasses import replace
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
    Bernoulli,
    BlankOut,
    ConfigError,
    Connection,
    Curve,
    Dropout,
    Exact,
    Gaussian,
    Input,
    Lowpass,
    Population,
    Readout,
    Run,
    Sign,
    SpikingNetwork,
    Threshold,
    Timing,
    convert,
    simulate,
)
from spikebayes.engine.contract import Work
from spikebayes.engine.cpu.engine import CpuEngine
from spikebayes.engine.memoryless.engine import MemorylessEngine
from spikebayes.engine.select import select
from spikebayes.network import Dense, DiscreteLIF, Neuron, Sampling, Synapse
from spikebayes.nn import Permadrop, SoftLIF
from spikebayes.noise.keys import Keys

DTYPES = [torch.float32, torch.float64]
MASK = Dropout(0.25, site=1)
STEPS = 90


def weights(*shape: int, seed: int = 0, scale: float = 1.0) -> Dense:
    rng = torch.Generator().manual_seed(seed)
    return Dense(scale * torch.randn(*shape, generator=rng, dtype=torch.float64) / shape[-1] ** 0.5)


def two_layers(
    first: Neuron,
    second: Neuron,
    synapse: Synapse | None = None,
    drop_in: Dropout | None = None,
    drop: Dropout | None = MASK,
) -> SpikingNetwork:
    """Both layers and the read-out hear the input, the read-out both layers; every node has a constant."""
    wires = (
        Connection("x", "a", weights(20, 3, seed=1)),
        Connection("x", "b", weights(11, 3, seed=2, scale=0.5)),
        Connection("a", "b", weights(11, 20, seed=3), synapse),
        Connection("x", "readout", weights(2, 3, seed=4)),
        Connection("a", "readout", weights(2, 20, seed=5), synapse),
        Connection("b", "readout", weights(2, 11, seed=6), synapse),
    )
    constant = torch.linspace(-0.2, 0.4, 11, dtype=torch.float64)
    populations = Population("a", (20,), first, drop), Population("b", (11,), second, None, constant)
    return SpikingNetwork((Input("x", (3,), drop_in),), populations, wires, Readout((2,), constant[:2]))


def lif(gain: float = 1.0) -> LIF:
    return LIF(amplitude=0.01, gain=gain, bias=1.3)


def convolutional() -> SpikingNetwork:
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, stride=2, padding=1), SoftLIF(), nn.Dropout2d(0.5), nn.Conv2d(4, 6, 2, groups=2)),
        *(SoftLIF(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(24, 3)),
    )
    return convert(model.double().eval(), torch.zeros(1, 2, 6, 6, dtype=torch.float64), synapse=Lowpass(0.004))


class Two(nn.Module):
    """One tower for two arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(3, 8), SoftLIF(), Permadrop(0.25))
        self.head = nn.Sequential(nn.Linear(16, 7), SoftLIF(), Permadrop(0.5), nn.Linear(7, 1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.cat([self.tower(a), self.tower(b)], dim=1))


def shared_tower() -> SpikingNetwork:
    torch.manual_seed(2)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    return convert(Two().double().eval(), (zero, zero), synapse=Alpha(0.004))


WITH_MEMORY: dict[str, SpikingNetwork] = {
    "alpha": two_layers(lif(), lif(-1.5), Alpha(0.005)),
    "lowpass": two_layers(lif(), lif(), Lowpass(0.004)),
    "unfiltered": two_layers(lif(), Threshold(0.2)),
    "threshold first": two_layers(Threshold(0.1), lif(), Alpha(0.003)),
    "masked input": two_layers(lif(), lif(), Alpha(0.005), Dropout(0.25)),
    "redrawn masks": two_layers(
        lif(), lif(), Alpha(0.005), Dropout(0.5, hold=7, start=3), Dropout(0.25, site=1, hold=5, successive=True)
    ),
    "discrete": two_layers(DiscreteLIF(0.01, 4.0), DiscreteLIF(0.015, 3.0)),
    "discrete, with a current": two_layers(DiscreteLIF(0.01, 4.0), DiscreteLIF(0.015, 6.0, tau_syn=0.005, w_in=1.5)),
    "convolution": convolutional(),
    "shared tower": shared_tower(),
}
MEMORYLESS: dict[str, SpikingNetwork] = {
    "threshold": two_layers(Threshold(0.1), Threshold(0.3)),
    "threshold, masked input": two_layers(Threshold(0.1), Threshold(0.3), None, Dropout(0.5)),
    "sign and stochastic": two_layers(Sign(), Bernoulli(Curve.SIGMOID, site=2)),
}


def over_time(network: SpikingNetwork, rows: int = 3, steps: int = STEPS, seed: int = 7) -> tuple[Tensor, ...]:
    """Noise about a slow wave for every argument, ``[B, T, *shape]`` float64."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {i.argument: i.shape for i in network.inputs}
    wave = torch.sin(torch.arange(steps, dtype=torch.float64) / 9)
    made = []
    for k in sorted(shapes):
        noise = torch.randn(rows, steps, *shapes[k], generator=rng, dtype=torch.float64)
        made.append(noise + wave.reshape(1, -1, *(1 for _ in shapes[k])))
    return tuple(made)


def outcomes(run: Run) -> dict[str, Tensor]:
    found = {"mean": run.mean} | {f"counts of {k}": v for k, v in run.counts.items()}
    found |= {f"spikes of {k}": v for k, v in run.spikes.items()}
    found |= {f"potentials of {k}": v for k, v in run.potentials.items()}
    return found if run.trace is None else found | {"trace": run.trace}


def assert_same_bits(one: Run, other: Run) -> None:
    assert outcomes(one).keys() == outcomes(other).keys()
    for name, values in outcomes(one).items():
        assert torch.equal(values, outcomes(other)[name]), name


def assert_engines_agree(network: SpikingNetwork, x: Any, **settings: Any) -> Run:
    options: dict[str, Any] = {"probe": PROBES, "dtype": torch.float64} | settings
    expected, actual = (simulate(network, x, engine=engine, **options) for engine in ("reference", "cpu"))
    for name, values in outcomes(expected).items():
        if name.startswith(("spikes", "counts")):
            assert torch.equal(outcomes(actual)[name], values), name
        else:
            torch.testing.assert_close(outcomes(actual)[name], values, rtol=1e-9, atol=1e-9)
    unprobed = simulate(network, x, engine="cpu", **(options | {"probe": ()}))  # without lists of spikes
    assert torch.equal(unprobed.mean, actual.mean)
    return actual


@pytest.mark.parametrize("name", [*WITH_MEMORY, *MEMORYLESS])
def test_the_cpu_engine_fires_the_references_spikes(name: str) -> None:
    network = (WITH_MEMORY | MEMORYLESS)[name]
    x = over_time(network)
    run = assert_engines_agree(network, x, samples=4, seed=5, burn_in=20, rows=torch.tensor([4, 0, 9]))
    assert all(count.sum() > 20 for count in run.counts.values())
    still = simulate(network, tuple(part.mean(1) for part in x), samples=4, seed=5, steps=STEPS, dtype=torch.float64)
    assert any(not torch.equal(still.counts[name], count) for name, count in run.counts.items())  # it is heard


@pytest.mark.slow
@given(feed_forward(neurons(), rows=3, redraws=True), st.integers(1, 60), st.integers(0, 2**64 - 1), st.data())
@settings(max_examples=60)
def test_random_networks(drawn: Any, steps: int, seed: int, data: st.DataObject) -> None:
    network, x = drawn
    rng = torch.Generator().manual_seed(seed % (1 << 63))
    x = x[:, None] + torch.randn(3, steps, x.shape[1], generator=rng, dtype=torch.float64)
    burn_in = data.draw(st.integers(0, steps - 1), "burn_in")
    assert_engines_agree(network, x, samples=3, seed=seed, burn_in=burn_in)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("name", [*WITH_MEMORY, *MEMORYLESS])
def test_an_input_that_stays_has_the_bits_of_a_constant_one(name: str, engine: str, dtype: torch.dtype) -> None:
    """Of stochastic units only in sample 0: the others' draws are those of later steps."""
    network, samples = (WITH_MEMORY | MEMORYLESS)[name], 1 if name == "sign and stochastic" else 3
    x = tuple(part[:, 0] for part in over_time(network))
    options: dict[str, Any] = {"samples": samples, "burn_in": 30, "engine": engine, "dtype": dtype, "probe": PROBES}
    constant = simulate(network, x, steps=STEPS, **options)
    lasting = tuple(part[:, None].expand(-1, STEPS, *part.shape[1:]) for part in x)
    assert_same_bits(simulate(network, lasting, **options), constant)
    if len(x) > 1:
        assert_same_bits(simulate(network, (x[0], *lasting[1:]), **options), constant)
    bare = options | {"probe": ()}
    assert_same_bits(simulate(network, lasting, **bare), simulate(network, x, steps=STEPS, **bare))


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_one_argument_changes_beside_a_constant_one(engine: str) -> None:
    network = shared_tower()
    a, b = over_time(network)
    constant = b[:, 0]
    options: dict[str, Any] = {"samples": 3, "probe": PROBES, "engine": engine}
    mixed = simulate(network, (a, constant), **options)
    assert_same_bits(mixed, simulate(network, (a, constant[:, None].expand(-1, STEPS, -1)), **options))
    assert_engines_agree(network, (a, constant), samples=3)


# -- a simulation alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("name", ["alpha", "masked input", "discrete, with a current", "convolution", *MEMORYLESS])
def test_simulations_are_independent_of_one_another(name: str, engine: str, dtype: torch.dtype) -> None:
    network = (WITH_MEMORY | MEMORYLESS)[name]
    chosen = select(engine, network, over_time=True)
    rng = torch.Generator().manual_seed(3)
    position, pairs = torch.randint(5, (9,), generator=rng), torch.randint(1 << 10, (2, 9), generator=rng)
    inputs = tuple(part.to(dtype) for part in over_time(network, rows=5, steps=40))
    keys, arguments = Keys(11, pairs[1], pairs[0]), frozenset(range(len(inputs)))
    work = Work(inputs, position, keys, Timing(40, 10), frozenset(["trace"]), arguments)
    run = chosen.prepare(network, dtype)
    whole, order = run(work), torch.randperm(9, generator=rng)[:7]
    few = run(replace(work, position=position[order], keys=keys.at(order)))
    assert whole.trace is not None
    assert few.trace is not None
    assert torch.equal(few.mean, whole.mean[order])
    assert torch.equal(few.trace, whole.trace[order])
    for population, count in few.counts.items():
        assert torch.equal(count, whole.counts[population][order])


def test_what_inputs_alone_drive_is_simulated_once_for_all_samples_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of currents are as many as rows where no mask lies on the input, else as many as simulations."""
    from spikebayes.engine.cpu import engine

    seen: list[tuple[int, ...]] = []
    simulate_batch = engine.loops.simulate

    def spy(layout: Any, base: Any, position: Any, change: Any, moving: Any, *rest: Any) -> None:
        seen.append((moving.shape[0], len({int(line) for line in position[:, 0]})))
        simulate_batch(layout, base, position, change, moving, *rest)

    monkeypatch.setattr(engine.loops, "simulate", spy)
    for name, lines in (("alpha", 3), ("masked input", 15)):
        seen.clear()
        simulate(WITH_MEMORY[name], over_time(WITH_MEMORY[name]), samples=5, engine="cpu")
        assert set(seen) - {(0, 0)} == {(lines, lines)}


# -- draws ---------------------------------------------------------------------------------------------------------


def unreliable(sampling: Sampling) -> SpikingNetwork:
    noise = BlankOut(0.5, 0.1, site=3, sampling=sampling, successive=True)
    wires = (
        Connection("x", "a", weights(16, 3, seed=1)),
        Connection("a", "b", weights(12, 16, seed=2), blank_out=noise),
        Connection("b", "readout", weights(2, 12, seed=3)),
    )
    populations = Population("a", (16,), Sign()), Population("b", (12,), Sign())
    return SpikingNetwork((Input("x", (3,)),), populations, wires, Readout((2,)))


STOCHASTIC = {
    "units": MEMORYLESS["sign and stochastic"],
    "synapses": unreliable(Exact()),
    "sums of synapses": unreliable(Gaussian()),
}


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("name", STOCHASTIC)
def test_no_two_samples_share_a_draw(name: str, engine: str) -> None:
    """Step t of sample s is drawn as sample s T + t: those are the steps of one long run, cut into pieces."""
    network, steps = STOCHASTIC[name], 6
    if any(p.dropout for p in network.populations):  # a held mask is the sample's own
        network = replace(network, populations=tuple(replace(p, dropout=None) for p in network.populations))
    x = over_time(network, rows=2, steps=1)[0]
    options: dict[str, Any] = {"seed": 4, "engine": engine, "probe": ["trace"], "dtype": torch.float64}
    runs = simulate(network, x.expand(-1, steps, -1), samples=5, **options)
    long = simulate(network, x[:, 0], steps=5 * steps, **options)
    assert runs.trace is not None
    assert long.trace is not None
    cut = long.trace[0].unflatten(1, (5, steps)).transpose(0, 1)
    assert torch.equal(runs.trace, cut)
    assert cut.flatten(1).unique(dim=0).shape[0] == 5


@pytest.mark.parametrize("name", ["units", "synapses"])
def test_engines_draw_alike(name: str) -> None:
    assert_engines_agree(STOCHASTIC[name], over_time(STOCHASTIC[name], steps=12), samples=4, seed=2)


def test_more_runs_than_there_are_draws_are_refused() -> None:
    network = STOCHASTIC["units"]
    x = torch.zeros(1, 1 << 20, 3)
    with pytest.raises(ConfigError, match=r"samples must be at most 4,096; got 5,000: each step of each has draws"):
        simulate(network, x, samples=5000)


# -- who can -------------------------------------------------------------------------------------------------------


def test_who_takes_them() -> None:
    assert select("auto", WITH_MEMORY["alpha"], over_time=True).__class__ is CpuEngine
    assert select("auto", MEMORYLESS["threshold"], over_time=True).__class__ is MemorylessEngine


def test_an_engine_that_cannot_is_passed_over_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CpuEngine, "over_time", False)
    network = WITH_MEMORY["alpha"]
    x = over_time(network)
    assert simulate(network, x).engine == "reference"
    assert simulate(network, x[0][:, 0], steps=5).engine == "cpu"
    with pytest.raises(ConfigError, match=r"cpu engine cannot run this network: inputs that change .*engine='auto'"):
        simulate(network, x, engine="cpu")


def test_filtered_inputs_over_time_run_on_the_reference() -> None:
    """A filter on an input answers an event by its impulse response, one step later."""
    wires = Connection("x", "readout", Dense(torch.eye(1)), Lowpass(0.005)), Connection("x", "a", Dense(torch.eye(1)))
    network = SpikingNetwork((Input("x", (1,)),), (Population("a", (1,), LIF()),), wires, Readout((1,)))
    x = torch.zeros(1, 30, 1, dtype=torch.float64)
    x[0, 4] = 1.0
    run = simulate(network, x, probe=["trace"], dtype=torch.float64)
    assert run.engine == "reference"
    assert run.trace is not None
    a = torch.exp(torch.tensor(-0.2, dtype=torch.float64))
    expected = torch.where(torch.arange(30) > 4, (1 - a) * a ** (torch.arange(30).double() - 5), 0.0)
    torch.testing.assert_close(run.trace[0, 0, :, 0], expected, rtol=1e-12, atol=1e-15)
