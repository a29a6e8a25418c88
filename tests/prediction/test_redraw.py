"""All samples of a row out of one run whose masks are redrawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikebayes import (
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    Dropout,
    Input,
    Population,
    Readout,
    Redraw,
    SpikingNetwork,
    Threshold,
    compare,
    convert,
    estimate_carry_over,
    predict,
    simulate,
)
from spikebayes.engine.cpu import engine as cpu
from spikebayes.network.noise import Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import Dense
from spikebayes.nn import Permadrop, SoftLIF, zoo
from spikebayes.nn.zoo import s2m
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))


def softlif_network(p_in: float = 0.0) -> SpikingNetwork:
    torch.manual_seed(3)
    layers = [nn.Linear(4, 30), SoftLIF(1e-3), Permadrop(0.5), nn.Linear(30, 30), SoftLIF(1e-3), Permadrop(0.25)]
    first = [Permadrop(p_in)] if p_in else []
    return convert(nn.Sequential(*first, *layers, nn.Linear(30, 2)).eval(), X)


def memoryless(drop_in: Dropout | None = None) -> SpikingNetwork:
    """Threshold neurons without filters: a step's output depends on the step's masks alone."""
    rng = torch.Generator().manual_seed(5)
    weights = [torch.randn(n, m, generator=rng) for n, m in ((20, 4), (15, 20), (2, 15))]
    drops = [Dropout(0.5, site=1), Dropout(0.25, site=2, offset=3)]
    return SpikingNetwork(
        (Input("x", (4,), drop_in),),
        tuple(
            Population(f"h{i}", (w.shape[0],), Threshold(0.1), d)
            for i, (w, d) in enumerate(zip(weights, drops, strict=False))
        ),
        tuple(
            Connection(a, b, Dense(w))
            for a, b, w in zip(("x", "h0", "h1"), ("h0", "h1", "readout"), weights, strict=True)
        ),
        Readout((2,)),
    )


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("drop_in", [None, Dropout(0.5, site=0)])
def test_without_memory_one_run_gives_the_samples_of_separate_ones(engine: str, drop_in: Dropout | None) -> None:
    network = memoryless(drop_in)
    common: dict[str, Any] = {"samples": 40, "seed": 9, "engine": engine, "rows": torch.arange(3, 9)}
    apart = predict(network, X, steps=1, burn_in=0, **common)
    together = predict(network, X, redraw=Redraw(hold=3, gap=1, lead=2), **common)
    assert apart.samples.std(0).min() > 0
    torch.testing.assert_close(together.samples, apart.samples, rtol=1e-6, atol=1e-6)
    assert together.settings["steps"] == 2 + 40 * 3


@pytest.mark.parametrize("p_in", [0.0, 0.25])
def test_engines_agree_past_a_stretch(p_in: float) -> None:
    network = Redraw(hold=37, lead=11).apply(softlif_network(p_in))
    steps = 2 * cpu.STRETCH + 100
    runs = [
        simulate(network, X, steps=steps, probe=["spikes", "trace"], engine=engine, dtype=torch.float64)
        for engine in ("reference", "cpu")
    ]
    for name, spikes in runs[0].spikes.items():
        assert spikes.any()
        assert torch.equal(spikes, runs[1].spikes[name]), name
    torch.testing.assert_close(runs[0].trace, runs[1].trace, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(runs[0].mean, runs[1].mean, rtol=1e-10, atol=1e-10)


def test_dropped_neurons_are_those_of_the_samples() -> None:
    """Period s of the run is silent where the mask of sample s drops."""
    network, redraw = softlif_network(), Redraw(hold=50, lead=20)
    run = simulate(redraw.apply(network), X, seed=4, steps=redraw.steps(4), probe=["spikes"])
    rows = torch.arange(len(X))
    for population in network.populations:
        assert population.dropout is not None
        spikes = run.spikes[population.name][0]  # [B, T, N]
        for s in range(4):
            begin = redraw.lead + s * redraw.hold if s else 0
            keep = dropout_keep(population.dropout, Keys(4, torch.full_like(rows, s), rows), 30)
            fired = spikes[:, begin : redraw.lead + (s + 1) * redraw.hold].any(1)  # [B, N]
            assert not (fired & ~keep).any()
            assert (fired & keep).any()


def test_long_holds_keep_the_posterior() -> None:
    network = softlif_network()
    apart = predict(network, X, samples=60, steps=300, burn_in=200)
    together = predict(network, X, samples=60, redraw=Redraw(hold=300, gap=200))
    assert compare(apart, together).paired_rmse is not None
    assert (compare(apart, together).paired_rmse < 0.1).all()  # pyright: ignore[reportOptionalOperand]


def test_redrawing_every_few_steps_narrows_the_distribution() -> None:
    network = softlif_network()
    apart = predict(network, X, samples=60, steps=300, burn_in=200)
    naive = predict(network, X, samples=60, redraw=Redraw(hold=5, lead=200))
    assert (naive.model_std < 0.7 * apart.model_std).all()


def deep_network() -> SpikingNetwork:
    torch.manual_seed(4)
    layers: list[nn.Module] = []
    for width in (4, 150, 150, 150):
        layers += [nn.Linear(width, 150), SoftLIF(1e-3), Permadrop(0.25)]
    return convert(nn.Sequential(*layers, nn.Linear(150, 1)).eval(), X, synapse=Alpha(0.001))


def test_delays_count_the_filters_on_the_longest_way() -> None:
    assert Redraw(10, stagger=3).delays(deep_network()) == {
        "input_1": 0, "layer1": 0, "layer4": 3, "layer7": 6, "layer10": 9, "readout": 12,
    }  # fmt: skip
    assert set(Redraw(10, stagger=3).delays(memoryless()).values()) == {0}
    own = convert(zoo.discrete(4, 1, (5, 5)).eval(), torch.zeros(1, 4))  # the second layer filters its current
    assert list(Redraw(10, stagger=3).delays(own).values()) == [0, 0, 3, 3]
    assert Redraw(10, lead=5, stagger=3).steps(20, deep_network()) == 5 + 12 + 200


def test_each_layer_is_redrawn_at_its_own_time() -> None:
    network, redraw = deep_network(), Redraw(hold=30, lead=10, stagger=4)
    run = simulate(redraw.apply(network), X, seed=4, steps=redraw.steps(3, network), probe=["spikes"])
    rows = torch.arange(len(X))
    for population in network.populations:
        assert population.dropout is not None
        first = redraw.lead + redraw.delays(network)[population.name]
        spikes = run.spikes[population.name][0]  # [B, T, N]
        for s in range(3):
            keep = dropout_keep(population.dropout, Keys(4, torch.full_like(rows, s), rows), 150)
            fired = spikes[:, first + s * 30 if s else 0 : first + (s + 1) * 30].any(1)
            assert not (fired & ~keep).any()
            assert (fired & keep).any()


def test_staggered_redraws_keep_more_of_the_posterior() -> None:
    network = deep_network()
    apart = predict(network, X, samples=60, steps=300, burn_in=100)
    errors = []
    for stagger in (0, 2):
        made = predict(network, X, samples=60, redraw=Redraw(hold=14, gap=6, lead=60, stagger=stagger))
        errors.append(float(((made.samples - apart.samples).pow(2).mean(0).sqrt() / apart.model_std).median()))
    assert errors[1] < 0.7 * errors[0]


def test_windows_by_hand() -> None:
    trace = torch.arange(11, dtype=torch.float64).reshape(1, 11, 1)
    read = Redraw(hold=4, gap=2, lead=3).average(trace)
    assert read.flatten().tolist() == [5.5, 9.5]  # the mean of steps 5 and 6, of 9 and 10
    corrected = Redraw(hold=4, gap=2, lead=3, carry_over=0.25).average(trace)
    assert corrected.flatten().tolist() == pytest.approx([5.5, (9.5 - 0.25 * 5.5) / 0.75])


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.4])
def test_a_known_carry_over_is_found_and_taken_out(share: float) -> None:
    f = torch.from_numpy(np.random.default_rng(1).normal(size=(4001, 8, 1)))
    mixed = (1 - share) * f[1:] + share * f[:-1]
    assert estimate_carry_over(mixed) == pytest.approx(share, abs=0.01)
    assert estimate_carry_over(f - 0.3 * f.roll(1, 0)) == 0.0  # neighbours that repel one another share nothing


def test_few_samples_do_not_hide_the_carry_over() -> None:
    """Samples are centred on their own mean, which makes neighbours look more different than they are."""
    f = torch.from_numpy(np.random.default_rng(2).normal(size=(21, 5000, 1)))
    assert estimate_carry_over(0.9 * f[1:] + 0.1 * f[:-1]) == pytest.approx(0.1, abs=0.02)


def test_spikes_per_prediction_are_those_of_one_sample() -> None:
    network = softlif_network()
    apart = predict(network, X, samples=20, steps=100, burn_in=50)
    together = predict(network, X, samples=20, redraw=Redraw(hold=100, gap=50))
    for name, spikes in apart.settings["spikes_per_prediction"].items():
        assert together.settings["spikes_per_prediction"][name] == pytest.approx(spikes, rel=0.2)  # but for the start


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hold": 0}, "hold must be a whole number of steps, at least 1; got 0"),
        ({"hold": 2.5}, "hold must be a whole number; got 2.5"),
        ({"hold": 5, "gap": 5}, r"gap must be a whole number in \[0, hold\); got 5 with hold=5"),
        ({"hold": 5, "gap": -1}, "gap must be a whole number"),
        ({"hold": 5, "lead": -1}, "lead must be a whole number of steps, 0 or more; got -1"),
        ({"hold": 5, "stagger": 1.5}, "stagger must be a whole number; got 1.5"),
        ({"hold": 5, "carry_over": 0.5}, r"carry_over must lie in \[0, 1/2\); got 0.5"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Redraw(**settings)


def test_synapse_noise_is_refused() -> None:
    network = SpikingNetwork(
        (Input("x", (1,)),),
        (Population("h", (1,), Threshold()),),
        (
            Connection("x", "h", Dense(torch.ones(1, 1)), None, BlankOut(0.5)),
            Connection("h", "readout", Dense(torch.ones(1, 1))),
        ),
        Readout((1,)),
    )
    with pytest.raises(ConfigError, match="drawn anew in every step"):
        predict(network, torch.ones(1, 1), redraw=Redraw(hold=5))


@pytest.mark.parametrize("sampling", [Exact(), Gaussian(), Law()], ids=str)
def test_what_draws_by_itself_is_refused(sampling: Sampling) -> None:
    """A step of such a network is a sample already."""
    x = torch.ones(1, 4)
    network = convert(s2m(4, 2, (3,)), x, sampling=sampling)
    what = "a stochastic unit" if sampling == Law() else "noise on synapses"
    with pytest.raises(ConfigError, match=f"{what} is drawn anew in every step.*dropout only; leave it out"):
        predict(network, x, redraw=Redraw(hold=5))


def test_two_samples_have_no_neighbours_to_correlate() -> None:
    with pytest.raises(ConfigError, match="at least 3 samples; got 2"):
        estimate_carry_over(torch.zeros(2, 1, 1))


@pytest.mark.parametrize("shape", [(), (5,), (5, 2), (5, 2, 1, 1)])
def test_samples_of_another_shape_have_no_carry_over(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"samples must be \[S, B, C\]"):
        estimate_carry_over(torch.zeros(shape))


@pytest.mark.parametrize("engine", ["auto", "cpu", "reference"])
def test_more_redraws_than_a_generator_tells_apart_are_refused(engine: str) -> None:
    """Masks came again from the first on."""
    network = memoryless()
    kept = replace(network, populations=tuple(replace(p, dropout=Dropout(0.5, hold=1)) for p in network.populations))
    for asked in (kept, memoryless(Dropout(0.5, hold=1))):
        with pytest.raises(ConfigError, match=r"can be redrawn 1,048,575 times in a run.*with hold=1.*fewer steps"):
            simulate(asked, X, steps=(1 << 20) + 1, engine=engine)
