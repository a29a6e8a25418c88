"""Inputs over time as predict and simulate take them: how long, in which form, the same bits, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import spikebayes as sb
from spikebayes.network import Dense
from spikebayes.nn import LIFRate, zoo
from spikebayes.prediction import batches
from spikebayes.prediction import simulate as simulating

torch.manual_seed(0)
STEPS = 60
X = torch.randn(11, STEPS, 3)
MODEL = zoo.mlp(3, 2, [20, 10], 0.3).eval()
NETWORK = sb.convert(MODEL, X[:, 0], synapse=sb.Alpha(0.003))
STEPWISE = sb.convert(
    nn.Sequential(nn.Linear(3, 20), sb.nn.Step(), nn.Dropout(0.3), nn.Linear(20, 2)).eval(), X[:, 0]
)
ORDINARY = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)).eval()
CODED = sb.convert(ORDINARY, X[:, 0], code=sb.Digits(4, 2), calibrate=torch.randn(100, 3))
QUICK: dict[str, Any] = {"samples": 5, "seed": 3, "burn_in": 10}


# -- how long ------------------------------------------------------------------------------------------------------


def test_the_input_says_how_many_steps() -> None:
    told = sb.predict(NETWORK, X, **QUICK)
    assert (told.settings["steps"], told.settings["burn_in"]) == (STEPS, 10)
    assert torch.equal(sb.predict(NETWORK, X, steps=STEPS, **QUICK).samples, told.samples)
    assert sb.simulate(NETWORK, X, probe=["spikes"]).spikes["layer1"].shape == (1, 11, STEPS, 20)
    with pytest.raises(sb.ConfigError, match=r"given for 60 steps, and steps=50 .*leave steps out, or .* T = 50"):
        sb.predict(NETWORK, X, steps=50, **QUICK)
    with pytest.raises(sb.ConfigError, match=r"given for 60 steps, and steps=300"):
        sb.simulate(NETWORK, X, steps=300)


def test_the_average_is_over_the_steps_after_the_burn_in() -> None:
    run = sb.simulate(NETWORK, X, samples=2, burn_in=25, window=sb.Hann(), probe=["trace"], dtype=torch.float64)
    assert run.trace is not None
    expected = torch.einsum("sbtc,t->sbc", run.trace[:, :, 25:], sb.Hann().weights(STEPS - 25))
    torch.testing.assert_close(run.mean, expected, rtol=1e-10, atol=1e-10)
    whole = sb.simulate(NETWORK, X, samples=2, probe=["trace"], dtype=torch.float64)
    assert whole.trace is not None
    torch.testing.assert_close(whole.mean, whole.trace.mean(2), rtol=1e-10, atol=1e-10)  # nothing is left out


def test_the_burn_in_is_the_usual_one_or_the_networks_own() -> None:
    usual = sb.predict(NETWORK, X[:, [0]].expand(-1, 150, -1), samples=2)
    assert usual.settings["burn_in"] == sb.predict(NETWORK, X[:, 0], samples=2).settings["burn_in"] > 0
    tuned = replace(NETWORK, timing=sb.Timing(40, 20, sb.Hann()))
    told = sb.predict(tuned, X, samples=2).settings
    assert (told["steps"], told["burn_in"], told["window"]) == (STEPS, 20, "Hann")
    with pytest.raises(sb.ConfigError, match=r"given for 5 steps, and 20 would be left out .* more steps, or say"):
        sb.predict(tuned, X[:, :5], samples=2)


def test_a_sample_of_a_network_without_memory_is_all_steps_under_one_mask() -> None:
    options: dict[str, Any] = {"samples": 6, "seed": 2, "rows": torch.arange(11)}
    told = sb.predict(STEPWISE, X, **options)
    assert told.settings["steps"] == STEPS
    apart = torch.stack([sb.predict(STEPWISE, X[:, t], **options).samples for t in range(STEPS)])
    torch.testing.assert_close(told.samples, apart.mean(0))


# -- the same bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [NETWORK, STEPWISE], ids=["with memory", "without"])
def test_whatever_the_batch_the_order_and_the_threads(network: sb.SpikingNetwork, monkeypatch: Any) -> None:
    whole = sb.predict(network, X, **QUICK)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    for settings in ({"batch_size": 1}, {"batch_size": 4}, {"rows": order}):
        x = X[order] if "rows" in settings else X
        found = sb.predict(network, x, **QUICK, **settings)
        assert torch.equal(found.samples, whole.samples[:, order] if "rows" in settings else whole.samples)
    monkeypatch.setattr(simulating, "MOVING", 1)  # a row, or a simulation, at a time
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(sb.predict(network, X, **QUICK).samples, whole.samples)
    finally:
        torch.set_num_threads(threads)


def test_blocks_are_cut_so_that_what_inputs_give_in_every_step_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    units = 3 + 20 + 10 + 2
    monkeypatch.setattr(simulating, "MOVING", 2 * STEPS * units)
    made: list[int] = []
    init = simulating.Work.__init__

    def spy(self: Any, inputs: Any, *rest: Any) -> None:
        made.append(len(inputs[0]))
        init(self, inputs, *rest)

    monkeypatch.setattr(simulating.Work, "__init__", spy)
    sb.predict(NETWORK, X, **QUICK)
    assert made == [2, 2, 2, 2, 2, 1]


FORMS: dict[str, Callable[[], Any]] = {
    "a loader": lambda: DataLoader(TensorDataset(X, torch.arange(11)), batch_size=4),
    "a generator": lambda: iter(X.split(3)),
    "arrays": lambda: iter(np.array_split(X.numpy(), 4)),
    "lists": lambda: (part.tolist() for part in X.split(5)),
}


@pytest.mark.parametrize("form", FORMS)
def test_batches_give_the_samples_of_one_call(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PAIRS", 4 * QUICK["samples"])
    whole, parts = sb.predict(NETWORK, X, **QUICK), sb.predict(NETWORK, FORMS[form](), **QUICK)
    assert torch.equal(parts.samples, whole.samples)
    assert parts.settings == whole.settings


@pytest.mark.slow
def test_processes_give_the_bits_of_one() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (pip install 'spikebayes[cluster]')")
    one, two = sb.predict(NETWORK, X, **QUICK), sb.distribute(NETWORK, X, cluster="local:2", **QUICK)
    assert torch.equal(two.samples, one.samples)


# -- what is taken -------------------------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 9), nn.Linear(2, 9)
        self.active, self.drop, self.last = sb.nn.SoftLIF(), nn.Dropout(0.4), nn.Linear(9, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.last(self.drop(self.active(self.first(x) + self.second(y))))


def test_some_inputs_change_and_others_stay() -> None:
    y = torch.randn(11, 2)
    network = sb.convert(Two().eval(), (X[:, 0], y), synapse=sb.Lowpass(0.003))
    mixed = sb.predict(network, (X, y), **QUICK)
    both = sb.predict(network, (X, y[:, None].expand(-1, STEPS, -1)), **QUICK)
    assert torch.equal(mixed.samples, both.samples)
    with pytest.raises(sb.DataError, match="equally many steps; input 0 has 60, input 1 has 59: give all of them"):
        sb.predict(network, (X, torch.randn(11, 59, 2)), **QUICK)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a coded network": (
        lambda: sb.predict(CODED, X, samples=2),
        r"60 steps of rows of shape \[3\], so it is an input over time; this network tells numbers .* x\.mean\(1\)",
    ),
    "a coded network, looked into": (lambda: sb.simulate(CODED, X), "this network tells numbers by .* SoftLIF"),
    "redrawn masks": (
        lambda: sb.predict(NETWORK, X, samples=2, redraw=sb.Redraw(20, gap=5)),
        "redraw takes all samples of a row out of one run, in which each would see another part of it: leave redraw",
    ),
    "energy": (lambda: sb.energy(NETWORK, X, samples=2), r"energy is counted beside the module's.*x\.mean\(1\)"),
    "tune": (lambda: sb.tune(NETWORK, MODEL, X), r"rows has 60 steps .*inputs stay as they are .*x\.mean\(1\)"),
    "another shape": (lambda: sb.predict(NETWORK, X[:, :, :2]), r"must have rows of shape \[3\]; got \[60, 2\]"),
    "two times": (lambda: sb.predict(NETWORK, X[:, None]), r"must have rows of shape \[3\]; got \[1, 60, 3\]"),
    "no steps": (lambda: sb.predict(NETWORK, X[:, :0]), "at least one row"),
    "NaN": (lambda: sb.simulate(NETWORK, X / 0), "NaN or infinite values in 11 of 11 rows"),
    "other steps in a batch": (
        lambda: sb.predict(NETWORK, iter([X[:5], X[5:, :30]]), **QUICK),
        r"batch 2, whose first row is row 5: all batches must last equally long; .*\[30, 3\], the first \[60, 3\]",
    ),
    "a constant batch": (
        lambda: sb.predict(NETWORK, iter([X[:5], X[5:, 0]]), **QUICK),
        r"batch 2, .* has rows of shape \[3\], the first \[60, 3\]",
    ),
    "a batch over time": (lambda: sb.predict(NETWORK, iter([X[:5, 0], X]), **QUICK), "batch 2, .* equally long"),
    "a module": (
        lambda: sb.predict(MODEL, X, samples=2),
        r"each of 60 steps by itself, .*no notion of time: .*x\.mean\(1\), or convert .*x\.flatten\(0, 1\)",
    ),
    "a module, by batches": (lambda: sb.predict(MODEL, iter([X]), samples=2), "a torch module has no notion of time"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_time_says_what_to_do(case: str) -> None:
    call, says = REFUSED[case]
    with pytest.raises(sb.SpikebayesError, match=says) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_a_clock_that_float32_merges_is_refused_within_a_row_too() -> None:
    model = zoo.mlp(1, 1, [3], 0.2).eval()
    network, clock = sb.convert(model, torch.zeros(1, 1)), 1.7e9 + np.arange(10.0).reshape(1, 10, 1)
    with pytest.raises(sb.DataError, match=r"the input, feature 0: its rows differ by 9 at most"):
        sb.predict(network, clock, samples=2, burn_in=2)


def test_modules_whose_rows_are_sequences_are_taken() -> None:
    """A step of theirs is no row."""
    convolution = nn.Sequential(nn.Conv1d(5, 5, 3, padding=1), nn.Dropout(0.2)).eval()  # [B, 5, L] to [B, 5, L]
    assert sb.predict(convolution, torch.randn(4, 5, 6), samples=2).samples.shape == (2, 4, 30)
    one = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Dropout(0.2)).eval()
    assert sb.predict(one, torch.randn(1, 1, 4, 4), samples=2).samples.shape == (2, 1, 16)


def test_standardised_inputs_are_judged_by_their_mean_over_time() -> None:
    """Events are far from 0 whenever they come."""
    network = replace(NETWORK, inputs=tuple(replace(i, standardised=True) for i in NETWORK.inputs))
    events = sb.nn.poisson_events(torch.rand(30, 3), 400, max_rate=50.0)
    assert float((events.abs() > 10).double().mean()) > 0.02
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb.predict(network, events, samples=2, burn_in=50)
    with pytest.warns(UserWarning, match="was trained on standardised inputs"):
        sb.predict(network, 100 + X, **QUICK)


# -- what comes out ------------------------------------------------------------------------------------------------


def test_events_tell_a_network_what_a_constant_input_does() -> None:
    """Regular trains of many events, in a long run."""
    x = torch.rand(6, 3, generator=torch.Generator().manual_seed(2))
    events = sb.nn.regular_events(x, 1500, max_rate=500.0)
    smooth = [replace(c, synapse=sb.Alpha(0.02)) for c in NETWORK.connections]
    network = replace(NETWORK, connections=tuple(smooth))
    told = sb.predict(network, events, samples=20, burn_in=300)
    constant = sb.predict(network, x, samples=20, steps=1500, burn_in=300)
    spread = float(constant.mean.std(0).mean())
    assert float((told.mean - constant.mean).abs().max()) < 0.1 * spread


def test_neurons_follow_a_slow_sine() -> None:
    """The read-out of many LIF neurons is their rates' sum through the filter: by amplitude and phase at 1 Hz."""
    neurons, tau, dt, frequency = 300, 0.01, 1e-3, 1.0
    rng = torch.Generator().manual_seed(4)
    curve = LIFRate(0.02, 0.001, 0.002, 30.0, 4.0)
    gain = torch.rand(neurons, generator=rng, dtype=torch.float64) + 0.5
    shift = torch.rand(neurons, generator=rng, dtype=torch.float64)
    population = sb.Population("a", (neurons,), sb.LIF(0.02, 0.001, 0.002, 30.0, 4.0), None, shift)
    decode = torch.full((1, neurons), 1 / neurons, dtype=torch.float64)
    wires = sb.Connection("x", "a", Dense(gain[:, None])), sb.Connection("a", "readout", Dense(decode), sb.Alpha(tau))
    network = sb.SpikingNetwork((sb.Input("x", (1,)),), (population,), wires, sb.Readout((1,)), dt)

    steps, period = 3000, round(1 / (frequency * dt))
    wave = 0.3 * torch.sin(2 * math.pi * frequency * dt * torch.arange(steps, dtype=torch.float64))
    run = sb.simulate(network, wave[None, :, None], probe=["trace"], dtype=torch.float64)
    assert run.trace is not None

    rates = curve(wave[:, None] * gain + shift).mean(1)  # what constant inputs would give
    turns = torch.exp(-2j * math.pi * frequency * dt * torch.arange(period, dtype=torch.float64))
    heard, told = ((part[-period:] * turns).sum() for part in (run.trace[0, 0, :, 0], rates))
    z = complex(math.cos(2 * math.pi * frequency * dt), -math.sin(2 * math.pi * frequency * dt))
    response = torch.from_numpy(sb.network.impulse_response(sb.Alpha(tau), dt, 400))
    expected = complex((response * torch.tensor([z**k for k in range(400)])).sum())
    ratio = complex(heard / told) / expected
    assert abs(abs(ratio) - 1) < 0.02
    assert abs(math.atan2(ratio.imag, ratio.real)) < 0.03  # rad, of 2 pi a second
