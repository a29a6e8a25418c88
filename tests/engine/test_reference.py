"""The reference engine by itself: noise on synapses, redrawn masks, and the time semantics by single spikes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from spikebayes import (
    LIF,
    Alpha,
    BlankOut,
    Connection,
    Dropout,
    Input,
    Lowpass,
    Population,
    Readout,
    Sign,
    SpikingNetwork,
    Threshold,
    simulate,
)
from spikebayes.network.operators import Dense
from spikebayes.network.synapses import Synapse, impulse_response
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

EVERY_STEP = Threshold(-1e6)
ONCE = LIF(tau_ref=100.0, bias=1.5)  # fires a single spike


def chain(*weights: Tensor, neuron: Any, synapse: Synapse | None = None, **first: Any) -> SpikingNetwork:
    """Populations one after another, the last weight the read-out's; ``first`` sets up the first connection."""
    sizes = [len(w) for w in weights]
    names = ["x", *(f"layer{i}" for i in range(1, len(weights))), "readout"]
    connections = [
        Connection(a, b, Dense(w), None if a == "x" else synapse, **(first if a == "x" else {}))
        for (a, b), w in zip(itertools.pairwise(names), weights, strict=True)
    ]
    populations = [Population(name, (n,), neuron) for name, n in zip(names[1:-1], sizes[:-1], strict=True)]
    inputs = Input("x", (weights[0].shape[1],))
    return SpikingNetwork((inputs,), tuple(populations), tuple(connections), Readout((sizes[-1],)))


def spikes(network: SpikingNetwork, x: Tensor, **settings: Any) -> Tensor:
    """``[S, B, T, N]`` of the first population."""
    run = simulate(network, x, probe=["spikes"], engine="reference", **settings)
    return run.spikes[network.populations[0].name]


# -- noise on synapses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.5, 0.3])
def test_blanked_out_sign_units_obey_the_erf_law(keep: float) -> None:
    """P(z = 1) = (1 + erf(beta w.z/|w|))/2, beta = (a + p)/sqrt(2p(1 - p)) (Neftci 2017): one false alarm in 10^4.

    At fan-in 300 the law, a central limit, is itself off by up to 0.003; 2560 draws of a unit tell 0.01.
    """
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(20, 300, generator=generator)
    x = torch.randn(1, 300, generator=generator).sign()
    scale = torch.linspace(-0.3, 0.1, 20)
    noise = BlankOut(keep, scale, site=2)
    fired = spikes(chain(weight, torch.eye(20), neuron=Sign(), blank_out=noise), x, samples=64, steps=40, seed=3)

    drive = ((weight @ x[0]) / weight.norm(dim=1)).double()
    law = (1 + torch.special.erf((scale + keep) * drive / math.sqrt(2 * keep * (1 - keep)))) / 2
    draws = 64 * 40
    surprise = (fired.double().sum((0, 1, 2)) - draws * law) / (draws * law * (1 - law)).sqrt()
    assert surprise.square().sum() < stats.chi2(20).ppf(1 - 1e-4)
    assert law.min() < 0.35
    assert law.max() > 0.65


def test_blanked_out_draws_are_independent_from_step_to_step() -> None:
    """Lag-one correlation of a fair unit over 6400 steps: |r| sqrt(n) < 4, one false alarm in 15,000."""
    network = chain(torch.ones(1, 2), torch.eye(1), neuron=Sign(), blank_out=BlankOut(0.5, -0.5))
    x = torch.tensor([[1.0, 0.9]])  # u = +-0.95 or +-0.05
    fired = spikes(network, x, samples=64, steps=101)[:, 0, :, 0].double() * 2 - 1
    lagged = (fired[:, 1:] * fired[:, :-1]).mean()
    assert abs(lagged) * math.sqrt(6400) < 4


@pytest.mark.parametrize(("hold", "length"), [(1, 1), (5, 5), (None, 30)])
def test_blank_out_is_held_for_its_steps(hold: int | None, length: int) -> None:
    weight = torch.randn(50, 20, generator=torch.Generator().manual_seed(1))
    network = chain(weight, torch.eye(50), neuron=Sign(), blank_out=BlankOut(0.5, -0.5, hold))
    assert_redrawn_every(length, spikes(network, torch.ones(1, 20), steps=30)[0, 0])


def test_a_synapse_transmits_whole_or_not_and_scale_adds() -> None:
    """Units +-1 from a Sign population through one blanked synapse each: read-out (xi + a) w z exactly."""
    weight, scale = torch.diag(torch.tensor([1.0, 2.0, 4.0])), 0.25
    first, second = Dense(torch.eye(3)), Dense(weight)
    wires = Connection("x", "units", first), Connection("units", "readout", second, blank_out=BlankOut(0.5, scale))
    parts = (Input("x", (3,)),), (Population("units", (3,), Sign()),)
    run = simulate(
        SpikingNetwork(*parts, wires, Readout((3,))), torch.tensor([[1.0, -1.0, 0.0]]), steps=40, probe=["trace"]
    )
    assert run.trace is not None
    for unit, value in enumerate((1.0, -2.0, 4.0)):
        assert set(run.trace[0, 0, :, unit].tolist()) == {scale * value, (1 + scale) * value}


def test_a_scale_of_another_dtype_leaves_the_simulations() -> None:
    scale = torch.zeros(3, dtype=torch.float64)
    network = chain(torch.eye(3), torch.eye(3), torch.eye(3), neuron=Sign(), blank_out=BlankOut(0.5, scale))
    assert simulate(network, torch.ones(1, 3), steps=3, dtype=torch.float32).mean.dtype == torch.float32


# -- redrawn masks -------------------------------------------------------------------------------------------


def assert_redrawn_every(length: int, fired: Tensor) -> None:
    """``[T, N]``: equal within blocks of ``length`` steps, different from each block to the next."""
    changed = (fired[1:] != fired[:-1]).any(1)
    expected = torch.arange(1, len(fired)) % length == 0
    assert torch.equal(changed, expected)


@pytest.mark.parametrize(("hold", "length"), [(1, 1), (7, 7), (None, 30)])
def test_a_mask_is_redrawn_every_hold_steps_exactly(hold: int | None, length: int) -> None:
    drop = Dropout(0.5, hold, site=4)
    population = Population("units", (60,), EVERY_STEP, drop)
    wires = Connection("x", "units", Dense(torch.eye(60))), Connection("units", "readout", Dense(torch.eye(60)))
    network = SpikingNetwork((Input("x", (60,)),), (population,), wires, Readout((60,)))
    fired = spikes(network, torch.zeros(2, 60), samples=3, steps=30, seed=8)
    for sample, row in itertools.product(range(3), range(2)):
        assert_redrawn_every(length, fired[sample, row])
        for step in (0, 6, 7, 29):
            keep = dropout_keep(drop, Keys(8, torch.tensor([sample]), torch.tensor([row])), 60, step)
            assert torch.equal(fired[sample, row, step], keep[0])


def test_a_redrawn_mask_on_the_input() -> None:
    inputs = Input("x", (60,), Dropout(0.5, 4))
    parts = chain(torch.eye(60), torch.eye(60), neuron=Threshold(1.0))
    network = SpikingNetwork((inputs,), parts.populations, parts.connections, parts.readout)
    fired = spikes(network, torch.ones(1, 60), steps=20)[0, 0]
    assert_redrawn_every(4, fired)
    assert 0.3 < fired.double().mean() < 0.7


def test_a_neuron_dropped_for_a_while_goes_on_integrating() -> None:
    """Its potential is that of a neuron never dropped; dropped for good it shows none."""

    def potentials(drop: Dropout | None) -> Tensor:
        parts = chain(torch.eye(20), torch.eye(20), neuron=LIF())
        population = Population("layer1", (20,), LIF(), drop)
        network = SpikingNetwork(parts.inputs, (population,), parts.connections, parts.readout)
        run = simulate(network, torch.full((1, 20), 2.0), steps=40, probe=["potentials"], engine="reference")
        return run.potentials["layer1"][0, 0]

    free, redrawn, dropped = (potentials(d) for d in (None, Dropout(0.5, 3), Dropout(0.5)))
    assert torch.equal(redrawn, free)
    keep = dropout_keep(Dropout(0.5), Keys(0, torch.tensor([0]), torch.tensor([0])), 20)[0]
    assert 0 < keep.sum() < 20
    assert torch.equal(dropped, free * keep)


# -- units without memory ------------------------------------------------------------------------------------


def test_threshold_units_fire_at_and_above_their_threshold() -> None:
    x = torch.tensor([[0.5, np.nextafter(0.5, 0), 0.75, -1.0]], dtype=torch.float64)
    network = chain(torch.eye(4), torch.eye(4), neuron=Threshold(0.5))
    run = simulate(network, x, steps=3, engine="reference", dtype=torch.float64)
    assert run.mean.tolist() == [[[1.0, 0.0, 1.0, 0.0]]]


def test_sign_units_give_plus_and_minus_one_and_count_the_plus() -> None:
    x = torch.tensor([[0.0, -1e-30, 2.0, -3.0]])
    run = simulate(chain(torch.eye(4), torch.eye(4), neuron=Sign()), x, steps=5, engine="reference")
    assert run.mean.tolist() == [[[1.0, -1.0, 1.0, -1.0]]]
    assert run.counts["layer1"].tolist() == [[10]]


# -- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("synapse", [None, Lowpass(0.004), Alpha(0.004)], ids=["unfiltered", "lowpass", "alpha"])
def test_one_spike_arrives_as_the_impulse_response(synapse: Synapse | None) -> None:
    network = chain(torch.zeros(1, 1), torch.full((1, 1), 0.25), neuron=ONCE, synapse=synapse)
    run = simulate(
        network, torch.zeros(1, 1), steps=60, probe=["spikes", "trace"], engine="reference", dtype=torch.float64
    )
    (fires,) = run.spikes["layer1"][0, 0, :, 0].nonzero().flatten().tolist()
    assert run.trace is not None
    expected = np.concatenate([np.zeros(fires), 0.25 / 1e-3 * impulse_response(synapse, 1e-3, 60 - fires)])
    np.testing.assert_allclose(run.trace[0, 0, :, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("synapse", "delay"), [(None, 0), (Lowpass(1e-4), 1)], ids=["unfiltered", "filtered"])
def test_each_filter_delays_a_chain_by_a_step(synapse: Synapse | None, delay: int) -> None:
    """The first of three populations fires once; the others, at rest without it, follow."""
    parts = chain(
        torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1), neuron=ONCE, synapse=synapse
    )
    first, *others = parts.populations
    relays = tuple(Population(p.name, (1,), Threshold(0.5)) for p in others)
    network = SpikingNetwork(parts.inputs, (first, *relays), parts.connections, parts.readout)
    run = simulate(network, torch.zeros(1, 1), steps=60, probe=["spikes"], engine="reference")
    times = [int(run.spikes[f"layer{i}"][0, 0, :, 0].nonzero()[0]) for i in (1, 2, 3)]
    assert [t - times[0] for t in times] == [0, delay, 2 * delay]
