"""What every engine must do; an engine that joins ``ENGINES`` joins these tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from networks import PROBES, STEPPING, feed_forward, neurons
from spikebayes import (
    LIF,
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    Dropout,
    Input,
    Lowpass,
    Population,
    Readout,
    Sign,
    SpikingNetwork,
    Threshold,
    Timing,
    simulate,
)
from spikebayes.engine.contract import Engine, Result, Work
from spikebayes.engine.select import select
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.codes import Digits
from spikebayes.network.neurons import Bernoulli, Curve, Neuron
from spikebayes.network.operators import Chain, Dense, Reshape, Windows
from spikebayes.network.synapses import Synapse
from spikebayes.network.vocabulary import VOCABULARY
from spikebayes.nn import LIFRate
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

EVERY_STEP = Threshold(-1e6)


def single(
    neuron: Neuron,
    units: int = 1,
    drop: Dropout | None = None,
    synapse: Synapse | None = None,
    dt: float = 1e-3,
    **connection: Any,
) -> SpikingNetwork:
    """Every unit sees its own input; the read-out adds 2.5 times its output to 3."""
    wires = (
        Connection("x", "units", Dense(torch.eye(units)), **connection),
        Connection("units", "readout", Dense(2.5 * torch.eye(units)), synapse),
    )
    parts = (Input("x", (units,)),), (Population("units", (units,), neuron, drop),)
    return SpikingNetwork(*parts, wires, Readout((units,), torch.full((units,), 3.0)), dt)


def outcomes(result: Result) -> dict[str, Tensor]:
    """Everything in a result, by name."""
    assert result.trace is not None
    spikes = {f"spikes of {k}": v for k, v in result.spikes.items()}
    potentials = {f"potentials of {k}": v for k, v in result.potentials.items()}
    return {"mean": result.mean, "trace": result.trace, **result.counts, **spikes, **potentials}


WITH_MEMORY = [engine for engine in STEPPING if engine.refusal(single(LIF())) is None]


@pytest.mark.parametrize("engine", WITH_MEMORY, ids=[engine.name for engine in WITH_MEMORY])
class TestEngine:
    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @settings(max_examples=15)
    @given(feed_forward(neurons(), rows=5), st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 2**32 - 1))
    def test_simulations_are_independent_of_one_another(
        self, engine: Engine, dtype: torch.dtype, drawn: Any, steps: int, share: float, seed: int
    ) -> None:
        network, x = drawn
        generator = torch.Generator().manual_seed(seed)
        position = torch.randint(5, (9,), generator=generator)
        pairs = torch.randint(1 << 32, (2, 9), generator=generator)
        keys = Keys(seed, pairs[1], pairs[0])
        work = Work((x,), position, keys, Timing(steps, int(share * steps)), frozenset(PROBES))
        run = engine.prepare(network, dtype)
        together = outcomes(run(work))

        order = torch.randperm(9, generator=generator)[:7]
        few = replace(work, position=position[order], keys=keys.at(order))
        for name, values in outcomes(run(few)).items():
            assert torch.equal(values, together[name][order]), name

    @settings(max_examples=15)
    @given(feed_forward(neurons()), st.integers(1, 40), st.floats(0, 0.99))
    def test_counts_and_mean_sum_up_spikes_and_trace(
        self, engine: Engine, drawn: Any, steps: int, share: float
    ) -> None:
        network, x = drawn
        burn_in = int(share * steps)
        settings = {"samples": 2, "steps": steps, "burn_in": burn_in, "engine": engine.name, "dtype": torch.float64}
        run = simulate(network, x, probe=PROBES, **settings)
        for name, spikes in run.spikes.items():
            assert torch.equal(spikes.sum((2, 3)), run.counts[name])
        assert run.trace is not None
        torch.testing.assert_close(run.trace[:, :, burn_in:].mean(2), run.mean, rtol=1e-11, atol=1e-11)
        unprobed = simulate(network, x, **settings)
        assert torch.equal(unprobed.mean, run.mean)

    @settings(max_examples=40)
    @given(
        st.floats(2e-3, 0.1),
        st.floats(2e-3, 0.01),
        st.sampled_from([5e-4, 1e-3, 2e-3]),
        st.lists(st.floats(0.5, 20), min_size=1, max_size=8),
    )
    @pytest.mark.slow
    def test_lif_counts_follow_the_rate_curve(
        self, engine: Engine, tau_rc: float, tau_ref: float, dt: float, currents: list[float]
    ) -> None:
        """|count - t r(J)| < 1 at every step for constant J (Nengo's spike-time correction)."""
        steps = 200
        network = single(LIF(tau_rc, tau_ref, gain=0.5, bias=0.25), len(currents), dt=dt)
        x = (torch.tensor([currents], dtype=torch.float64) - 0.25) / 0.5
        run = simulate(network, x, steps=steps, probe=["spikes"], engine=engine.name, dtype=torch.float64)
        count = run.spikes["units"][0, 0].double().cumsum(0)
        rate = LIFRate(tau_rc, tau_ref, amplitude=1.0, gain=0.5, bias=0.25)(x[0])
        time = dt * torch.arange(1, steps + 1, dtype=torch.float64)
        assert ((count - time[:, None] * rate).abs() < 1).all()

    @pytest.mark.parametrize("p", [0.5, 0.25, 0.9])
    @pytest.mark.parametrize("scope", ["row", "pass"])
    def test_dropped_neurons_are_silent_and_the_others_scaled(self, engine: Engine, p: float, scope: Any) -> None:
        drop = Dropout(p, site=3, offset=5)
        settings = {"samples": 4, "seed": 11, "steps": 6, "mask_scope": scope, "engine": engine.name}
        run = simulate(single(EVERY_STEP, 40, drop), torch.zeros(3, 40), probe=["spikes"], **settings)
        for sample in range(4):
            rows = torch.arange(3) if scope == "row" else torch.zeros(3, dtype=torch.int64)
            keep = dropout_keep(drop, Keys(11, torch.full((3,), sample), rows), 40)
            assert torch.equal(run.spikes["units"][sample], keep[:, None].expand(3, 6, 40))
            torch.testing.assert_close(run.mean[sample], 3 + keep * (2.5 / (1 - p)))

    @pytest.mark.parametrize("p", [0.5, 0.1])
    def test_dropped_inputs_are_zero_and_the_others_scaled(self, engine: Engine, p: float) -> None:
        drop = Dropout(p, site=2)
        parts = single(Threshold(0.5), 30)
        network = SpikingNetwork((Input("x", (30,), drop),), parts.populations, parts.connections, parts.readout)
        run = simulate(network, torch.full((2, 30), 0.51 * (1 - p)), samples=3, steps=1, engine=engine.name)
        for sample in range(3):
            keep = dropout_keep(drop, Keys(0, torch.full((2,), sample), torch.arange(2)), 30)
            torch.testing.assert_close(run.mean[sample], 3 + 2.5 * keep)

    @pytest.mark.parametrize(
        ("synapse", "response"),
        [
            (None, lambda r: np.ones_like(r)),
            (Lowpass(0.007), lambda r: 1 - np.exp(-r)),
            (Alpha(0.007), lambda r: 1 - (1 + r) * np.exp(-r)),
        ],
        ids=["unfiltered", "lowpass", "alpha"],
    )
    def test_a_filter_gives_its_continuous_step_response(
        self, engine: Engine, synapse: Synapse | None, response: Any
    ) -> None:
        network = single(EVERY_STEP, synapse=synapse, dt=2e-3)
        run = simulate(network, torch.zeros(1, 1), steps=40, probe=["trace"], engine=engine.name, dtype=torch.float64)
        assert run.trace is not None
        expected = 3 + 2.5 * response(2e-3 * np.arange(40) / 0.007)
        np.testing.assert_allclose(run.trace[0, 0, :, 0], expected, rtol=1e-12)

    def test_below_threshold_the_potential_is_the_membrane_equations(self, engine: Engine) -> None:
        network = single(LIF(tau_rc=0.01), 2)
        x = torch.tensor([[0.9, -2.0]], dtype=torch.float64)
        run = simulate(network, x, steps=50, probe=["potentials"], engine=engine.name, dtype=torch.float64)
        time = 1e-3 * np.arange(1, 51)
        expected = np.stack([0.9 * -np.expm1(-time / 0.01), np.zeros(50)], axis=1)  # voltage never falls below 0
        np.testing.assert_allclose(run.potentials["units"][0, 0], expected, rtol=1e-12)


# -- selection -----------------------------------------------------------------------------------------------

NOT_COMPILED = {
    "Sign neurons, as in population 'units', are not compiled beside": single(Sign(), synapse=Lowpass(0.01)),
    "Bernoulli neurons, as in population 'units', are not compiled beside": single(
        Bernoulli(Curve.ERF), synapse=Lowpass(0.01)
    ),
    "refractory times beyond 50": single(LIF(tau_rc=0.001, tau_ref=0.1)),
    "BlankOut synapses, as in the connection x -> units, are not compiled beside": single(
        LIF(), blank_out=BlankOut(0.5)
    ),
    "filtered inputs": SpikingNetwork(
        (Input("x", (1,)),),
        (Population("units", (1,), LIF()),),
        (
            Connection("x", "units", Dense(torch.eye(1)), Lowpass(0.01)),
            Connection("units", "readout", Dense(torch.eye(1))),
        ),
        Readout((1,)),
    ),
}


@pytest.mark.parametrize("reason", NOT_COMPILED)
def test_what_the_cpu_engine_refuses_runs_on_the_reference(reason: str) -> None:
    network, x = NOT_COMPILED[reason], torch.ones(1, 1)
    with pytest.raises(ConfigError, match=f"the cpu engine cannot run this network: .*{reason}.* use engine='auto'"):
        simulate(network, x, engine="cpu")
    assert simulate(network, x, steps=2).engine == "reference"


# -- what no engine has heard of: nobody may take it for something that he knows ------------------------------


@dataclass(frozen=True)
class Counting(Neuron):
    """Spikes in every fourth step in which its input is positive."""

    def initial(self, like: Tensor) -> tuple[Tensor, ...]:
        return (torch.zeros_like(like),)

    def step(
        self, x: Tensor, state: tuple[Tensor, ...], dt: float, chance: Any = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        count = state[0] + (x > 0).to(x.dtype)
        spiked = count == 4
        return spiked, spiked.to(x.dtype), (torch.where(spiked, 0.0, count),)


@dataclass(frozen=True)
class Parity(Neuron):
    """Spikes where the whole part of its input is odd."""

    memoryless = True

    def step(
        self, x: Tensor, state: tuple[Tensor, ...], dt: float, chance: Any = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        spiked = x.floor() % 2 == 1
        return spiked, spiked.to(x.dtype), state


class Tired(LIF):
    """A LIF neuron that needs twice the current."""

    def current(self, x: Tensor) -> Tensor:
        return super().current(x) / 2


class Late(Threshold):
    """A threshold unit that is off where its parent is on."""

    def step(
        self, x: Tensor, state: tuple[Tensor, ...], dt: float, chance: Any = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        spiked = x < self.threshold
        return spiked, spiked.to(x.dtype), state


class Doubled(Lowpass):
    """Delivers twice what its parent does."""

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        return super().step(state, 2 * u, dt)


@dataclass(frozen=True)
class Moving(Synapse):
    """The mean of this step's input and the last one's."""

    order: ClassVar[int] = 2

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        return u, (u + state[0]) / 2


class Mirrored(Dense):
    """Reads its sources from the last to the first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flip(-1))


UNKNOWN: dict[str, SpikingNetwork] = {
    "Counting": single(Counting(), 3, synapse=Lowpass(0.01)),
    "Parity": single(Parity(), 3),
    "Tired": single(Tired(bias=1.0), 3, synapse=Alpha(0.01)),
    "Late": single(Late(0.5), 3),
    "Doubled": single(LIF(bias=1.0), 3, synapse=Doubled(0.01)),
    "Moving": single(LIF(bias=1.0), 3, synapse=Moving()),
    "Mirrored": replace(
        single(LIF(), 3),
        connections=(
            Connection("x", "units", Mirrored(torch.eye(3))),
            Connection("units", "readout", Dense(torch.eye(3))),
        ),
    ),
    "Mirrored, no memory": replace(
        single(Threshold(1.5), 3),
        connections=(
            Connection("x", "units", Mirrored(torch.eye(3))),
            Connection("units", "readout", Dense(torch.eye(3))),
        ),
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_an_engine_has_not_heard_of_it_refuses_by_name(name: str) -> None:
    network, x = UNKNOWN[name], torch.tensor([[0.5, 1.2, 3.1]])
    with pytest.raises(ConfigError, match=f"the cpu engine cannot run this network: {name.split(',')[0]} "):
        simulate(network, x, engine="cpu")
    run = simulate(network, x, steps=60, probe=["spikes", "trace"])
    expected = simulate(network, x, steps=60, probe=["spikes", "trace"], engine="reference")
    assert run.engine == "reference"
    assert torch.equal(run.spikes["units"], expected.spikes["units"])
    assert run.trace is not None
    assert expected.trace is not None
    assert torch.equal(run.trace, expected.trace)


def test_an_unknown_neuron_does_what_it_says() -> None:
    run = simulate(UNKNOWN["Counting"], torch.tensor([[0.5, -1.0, 3.0]]), steps=40, probe=["spikes"])
    assert run.spikes["units"][0, 0].sum(0).tolist() == [10, 0, 10]
    run = simulate(UNKNOWN["Parity"], torch.tensor([[0.5, 1.5, 3.0]]), steps=2)
    assert run.counts["units"].tolist() == [[4]]


class Odd(Dropout):
    """Drops every other unit."""


class Leaky(BlankOut):
    """Transmits half of what it drops."""


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (single(LIF(), drop=Odd(0.5)), "Odd masks, as on 'units'"),
        (single(Threshold(), drop=Odd(0.5)), "Odd masks, as on 'units'"),
        (single(Sign(), blank_out=Leaky(0.5)), "Leaky synapses, as in the connection x -> units"),
        (single(LIF(), blank_out=Leaky(0.5)), "Leaky synapses, as in the connection x -> units"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "cpu", "reference"])
def test_no_engine_draws_noise_that_it_does_not_know(network: SpikingNetwork, what: str, engine: str) -> None:
    with pytest.raises(ConfigError, match=f"run this network: {what}"):
        simulate(network, torch.ones(1, 1), engine=engine)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_long_refractory_times(dtype: torch.dtype) -> None:
    """One spike in 50 membrane time constants, on both engines in the same steps."""
    network, x = single(LIF(tau_rc=0.001, tau_ref=0.05)), torch.full((1, 1), 3.0)
    runs = [simulate(network, x, steps=300, probe=["spikes"], engine=e, dtype=dtype) for e in ("cpu", "reference")]
    assert torch.equal(runs[0].spikes["units"], runs[1].spikes["units"])
    assert int(runs[0].counts["units"]) == 6


@pytest.mark.parametrize("engine", ["auto", "cpu", "reference"])
def test_a_network_without_neurons_is_its_readout(engine: str) -> None:
    wire = Connection("x", "readout", Dense(torch.tensor([[1.0, 2.0]])))
    network = SpikingNetwork((Input("x", (2,), Dropout(0.5)),), (), (wire,), Readout((1,)))
    for probe in (["spikes"], ["trace"], []):
        run = simulate(network, torch.ones(3, 2), samples=9, steps=2, engine=engine, probe=probe)
        assert set(run.mean.unique().tolist()) == {0.0, 2.0, 4.0, 6.0}


class Watching(Dense):
    """Writes down of each product what precision torch is asked for."""

    seen: ClassVar[list[str]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(torch.get_float32_matmul_precision())
        return super().forward(x)


@pytest.mark.parametrize("engine", ["reference", "cpu", "windows"])
def test_engines_compute_in_float32_though_the_user_asks_torch_for_less(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF32 or bfloat16 would end sums that are exact."""
    monkeypatch.setitem(VOCABULARY, "Watching", Watching)
    coded = Coded(Digits(2, 4), Ramp(), torch.tensor(15.0))
    network = single(coded if engine == "windows" else Threshold(), drop=Dropout(0.5))
    wires = tuple(replace(c, operator=Watching(c.operator.weight)) for c in network.connections)
    network, x = replace(network, connections=wires), torch.ones(3, 1)
    simulate(network, x, engine=engine)  # lays it out
    Watching.seen.clear()
    torch.set_float32_matmul_precision("medium")
    try:
        simulate(network, x, engine=engine, seed=1)
        assert set(Watching.seen) == {"highest"}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_pooling_neurons_that_step_freely_are_refused() -> None:
    pairs = Chain((Reshape((1, 4)), Windows((2,), (2,), (0,), (1,)), Reshape((2, 2))))
    wires = Connection("x", "pool", pairs), Connection("pool", "readout", Dense(torch.eye(2)))
    network = SpikingNetwork((Input("x", (4,)),), (Population("pool", (2,), Race()),), wires, Readout((2,)))
    with pytest.raises(ConfigError, match=r"no engine can .*: Race neurons, as in population 'pool', pool"):
        simulate(network, torch.ones(1, 4))


def test_auto_takes_the_cpu_engine_where_it_can() -> None:
    assert select("auto", single(LIF(), drop=Dropout(0.5))).name == "cpu"


def test_unknown_engine() -> None:
    with pytest.raises(ConfigError, match="engine must be one of 'auto', 'windows', 'cpu', 'reference'; got 'gpu'"):
        select("gpu", single(LIF()))
