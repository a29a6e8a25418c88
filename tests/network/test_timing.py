"""Timing: averaging windows, and the timing that a network carries."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikebayes import (
    ConfigError,
    Flat,
    Hann,
    Redraw,
    SpikingNetwork,
    Timing,
    convert,
    load_network,
    predict,
    save_network,
    simulate,
)
from spikebayes.evaluate import count
from spikebayes.machine.checked_files import write_json
from spikebayes.nn import Permadrop, SoftLIF

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


def network() -> SpikingNetwork:
    torch.manual_seed(0)
    return convert(nn.Sequential(nn.Linear(3, 40), SoftLIF(1e-3), Permadrop(0.5), nn.Linear(40, 2)), X)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 257])
def test_weights_add_up_to_one(steps: int) -> None:
    for window in (Flat(), Hann()):
        weights = window.weights(steps)
        assert weights.shape == (steps,)
        assert (weights > 0).all()
        assert float(weights.sum()) == pytest.approx(1, abs=1e-14)
        torch.testing.assert_close(weights, weights.flip(0))


def test_hann_is_the_raised_cosine() -> None:
    n = 7
    expected = np.array([0.5 * (1 - math.cos(2 * math.pi * (t + 1) / (n + 1))) for t in range(n)])
    np.testing.assert_allclose(Hann().weights(n).numpy(), expected / expected.sum(), rtol=1e-13)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("burn_in", [0, 13])
def test_the_mean_is_the_weighted_trace(engine: str, burn_in: int) -> None:
    run = simulate(
        network(), X, steps=60, burn_in=burn_in, window=Hann(), probe=["trace"], engine=engine, dtype=torch.float64
    )
    assert run.trace is not None
    expected = torch.einsum("sbtc,t->sbc", run.trace[:, :, burn_in:], Hann().weights(60 - burn_in))
    torch.testing.assert_close(run.mean, expected, rtol=1e-12, atol=1e-12)


def test_a_smooth_window_reads_a_regular_spike_train_better() -> None:
    """The same steps, the same spikes, no filter; only the weights differ."""
    layers = nn.Sequential(nn.Linear(3, 40), SoftLIF(1e-3), nn.Linear(40, 2))
    plain = convert(layers, X, synapse=None)
    exact = simulate(plain, X, steps=5000, window=Hann()).mean
    flat, hann = (
        float((simulate(plain, X, steps=60, burn_in=20, window=window).mean - exact).pow(2).mean().sqrt())
        for window in (Flat(), Hann())
    )
    assert hann < 0.5 * flat


def test_redrawn_samples_are_read_by_it_too() -> None:
    trace = torch.tensor([9.0, 1.0, 2.0, 3.0, 9.0, 5.0, 6.0, 9.0]).reshape(1, 8, 1)
    read = Redraw(hold=4, gap=1).average(trace, Hann())
    assert read.flatten().tolist() == pytest.approx([2.0, 0.25 * 5 + 0.5 * 6 + 0.25 * 9])


@pytest.mark.parametrize("window", ["hann", Hann])
def test_what_is_no_window_is_refused(window: object) -> None:
    with pytest.raises(ConfigError, match=r"window must be Flat\(\), Hann\(\) or None; got"):
        predict(network(), X, window=window)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"window must be Flat\(\) or Hann\(\); got"):
        Timing(5, 2, window)  # pyright: ignore[reportArgumentType]


# -- a timing that a network carries -------------------------------------------------------------------------


def test_a_stored_timing_is_what_predict_and_simulate_take(tmp_path: Path) -> None:
    timed = replace(network(), timing=Timing(40, 25, Hann()))
    save_network(timed, tmp_path / "net")
    loaded = load_network(tmp_path / "net")
    assert loaded.timing == timed.timing
    expected = predict(network(), X, samples=3, steps=40, burn_in=25, window=Hann())
    found = predict(loaded, X, samples=3)
    assert torch.equal(found.samples, expected.samples)
    assert {name: found.settings[name] for name in ("steps", "burn_in", "window")} == {
        "steps": 40,
        "burn_in": 25,
        "window": "Hann",
    }
    assert torch.equal(simulate(loaded, X).mean, found.samples[:1])
    spiking, _ = count(loaded, X, samples=3)
    assert spiking.steps == 40
    assert "40 steps, 25 left out, Hann window" in repr(loaded)


def test_what_is_given_wins_over_the_timing_and_is_checked_against_it() -> None:
    timed = replace(network(), timing=Timing(40, 25, Hann()))
    found = predict(timed, X, samples=3, steps=60, burn_in=20, window=Flat())
    assert torch.equal(found.samples, predict(network(), X, samples=3, steps=60, burn_in=20).samples)
    assert predict(timed, X, samples=2, burn_in=10).settings["steps"] == 40
    with pytest.raises(ConfigError, match=r"burn_in must be .*; got 25 with steps=20: take more steps, or give"):
        predict(timed, X, samples=2, steps=20)
    with pytest.raises(ConfigError, match=r"burn_in must be .*; got 40 with steps=40"):
        predict(timed, X, samples=2, burn_in=40)


def test_redrawn_samples_have_their_own_timing() -> None:
    redraw = Redraw(hold=30, gap=10, lead=40)
    plain, timed = (
        predict(n, X, samples=4, redraw=redraw) for n in (network(), replace(network(), timing=Timing(9, 3, Hann())))
    )
    assert torch.equal(plain.samples, timed.samples)
    assert timed.settings["steps"] == 160


def test_a_file_from_before_timings_loads(tmp_path: Path) -> None:
    save_network(network(), tmp_path)
    path = tmp_path / "network.json"
    stored = json.loads(path.read_text("utf-8"))
    assert stored["network"].pop("timing", ...) is None
    form = stored.pop("format")
    del stored["checksum"]
    write_json(path, stored, form)
    assert load_network(tmp_path).timing is None
    assert predict(load_network(tmp_path), X, samples=2).settings["burn_in"] == 132  # one filter


def test_a_code_takes_no_timing() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 1))
    coded = convert(layers, torch.randn(100, 3))
    with pytest.raises(ConfigError, match=r"a code knows its ticks.*leave out Timing\(steps=5"):
        replace(coded, timing=Timing(5))
