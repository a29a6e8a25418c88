"""LIF networks in fixed point: whole numbers throughout, no overflow, and the posterior that they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikebayes import (
    LIF,
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    Gaussian,
    Lowpass,
    SpikingNetwork,
    Threshold,
    Timing,
    compare,
    convert,
    energy,
    integers,
    load_network,
    predict,
    save_network,
    simulate,
)
from spikebayes.network import Chain, Conv, Dense, FixedPointAlpha, FixedPointLIF, FixedPointLowpass, Synapse
from spikebayes.nn import Permadrop, SoftLIF

TIMING = Timing(90, 60)


def spiking(synapse: Synapse | None = None, tau_ref: float = 0.002, width: int = 40) -> tuple[SpikingNetwork, Tensor]:
    """Two hidden layers under dropout behind filters of 5 ms, and rows within [-1, 1]."""
    torch.manual_seed(0)
    unit = SoftLIF(tau_ref=tau_ref)
    layers = [nn.Linear(6, width), unit, Permadrop(0.2), nn.Linear(width, 30), unit, Permadrop(0.2), nn.Linear(30, 2)]
    x = 2 * torch.rand(20, 6) - 1
    network = convert(nn.Sequential(*layers), x, synapse=synapse or Alpha(0.005))
    return replace(network, timing=TIMING), x


@pytest.mark.parametrize("synapse", [Alpha(0.005), Alpha(0.02), Lowpass(0.01)])
def test_the_posterior_is_kept(synapse: Synapse) -> None:
    network, x = spiking(synapse)
    exact, error = predict(network, x, samples=25), {}
    for bits in (8, 16):
        made = integers(network, bits=bits)
        verdict = compare(exact, predict(made, x, samples=25))
        error[bits] = float(np.median(verdict.paired_rmse))
        assert verdict.outcome != "not kept"
    assert error[8] < 0.15
    assert error[16] < 0.08


@pytest.mark.parametrize(("bits", "state_bits"), [(4, None), (8, 24), (8, 32), (16, None)])
def test_weights_constants_and_states_are_whole(bits: int, state_bits: int | None) -> None:
    network, x = spiking()
    made = integers(network, bits=bits, state_bits=state_bits)
    width = state_bits or (32 if bits == 16 else 24)
    assert made.widths == {"weight": bits, "current": width, "voltage": width, "factor": 12}
    assert made.dtype == torch.float64
    for c in made.network.connections:
        w, shift = c.operator.weight, made.shifts[c.target]
        assert w is not None
        k = w.double() / 2.0 ** shift.reshape(-1, 1)
        assert torch.equal(k, k.round())
        assert k.abs().amax(1).max() <= 2 ** (bits - 1) - 1
        assert int(shift.min()) >= 0
    asked = {"steps": 40, "probe": ["potentials", "trace"], "dtype": torch.float64, "samples": 2}
    run = simulate(made.network, made.inputs(x), **asked)
    for name, voltage in run.potentials.items():
        assert torch.equal(voltage, voltage.round())
        assert voltage.abs().max() <= made.largest[name] < 2 ** (width - 1)
        assert voltage.max() > 2**10
    assert run.trace is not None
    assert torch.equal(run.trace, run.trace.round())
    assert run.trace.abs().max() <= made.largest["readout"]


def test_neurons_fire_as_those_they_stand_for() -> None:
    network, x = spiking(Alpha(0.01))
    made = integers(network, bits=16)
    asked = {"steps": 120, "probe": ["spikes"], "dtype": torch.float64, "samples": 2, "engine": "reference"}
    exact = simulate(network, x, **asked)
    found = simulate(made.network, made.inputs(x), **asked)
    first, second = exact.spikes
    assert (exact.spikes[first] == found.spikes[first]).double().mean() > 0.97
    apart = (exact.counts[second] - found.counts[second]).abs().double().mean()
    assert apart < 0.02 * exact.counts[second].double().mean()


def test_the_worst_that_inputs_can_do_overflows_nothing() -> None:
    network, x = spiking()
    extreme = torch.sign(x)
    for bits in (3, 8):
        predict(integers(network, bits=bits), extreme, samples=5)


def test_convolutions_share_their_scale() -> None:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 4, 3),
        SoftLIF(),
        Permadrop(0.2),
        nn.Conv2d(4, 3, 2),
        SoftLIF(),
        nn.Flatten(),
        nn.Linear(27, 2),
    ]
    x = torch.rand(6, 1, 6, 6)
    network = replace(convert(nn.Sequential(*layers), x, synapse=Alpha(0.005)), timing=TIMING)
    made = integers(network)
    convolved = [c.target for c in made.network.connections if isinstance(c.operator.parts[0], Conv)]
    assert [made.scales[name].shape for name in convolved] == [(4,), (3,)]
    exact, found = predict(network, x, samples=20), predict(made, x, samples=20)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.2


def test_skips_from_the_input_and_unfiltered_connections() -> None:
    network, x = spiking()
    torch.manual_seed(5)
    (given,), second = network.inputs, network.populations[1]
    skip = Connection(given.name, second.name, Dense(0.05 * torch.randn(30, 6)))
    last = tuple(replace(c, synapse=None) if c.target == "readout" else c for c in network.connections)
    mixed = replace(network, connections=(*last, skip))
    made = integers(mixed, bits=12, levels=31)
    exact, found = predict(mixed, made.inputs(x).float() / 31, samples=20), predict(made, x, samples=20)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.25


def test_synapses_that_blank_out_draw_as_they_did() -> None:
    network, x = spiking()
    (inner,) = (c for c in network.connections if c.source == network.populations[0].name)
    noise = BlankOut(0.5, 0.25, site=9)
    others = [c for c in network.connections if c is not inner]
    noisy = replace(network, connections=(*others, replace(inner, blank_out=noise)))
    made = integers(noisy, bits=12)
    assert len(made.network.connections) == len(noisy.connections) + 1
    exact, found = predict(noisy, x, samples=20), predict(made, x, samples=20)
    assert float(np.median(compare(exact, found).paired_rmse)) < 0.3
    normal = replace(inner, blank_out=replace(noise, sampling=Gaussian()))
    with pytest.raises(ConfigError, match="draws sums of its synapses as real numbers"):
        integers(replace(network, connections=(*others, normal)))


class Slow(Synapse):
    """A filter of somebody's own."""

    order = 1

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        return (0.9 * state[0] + 0.1 * u,)


def test_what_fixed_point_cannot_say_is_refused() -> None:
    network, _ = spiking()
    with pytest.raises(ConfigError, match=r"refractory time of 1.5 ms, 1.5 steps of 1 ms; .* convert with a dt"):
        integers(spiking(tau_ref=0.0015)[0])
    with pytest.raises(
        ConfigError, match=r"sums into '.*' of weights of 16 bits may leave 24 bits; use fewer bits, or"
    ):
        integers(network, bits=16, state_bits=24)
    first, *others = network.populations
    slow = replace(first, neuron=LIF(tau_rc=20.0, amplitude=0.002))
    with pytest.raises(ConfigError, match=r"membrane time constant of 20000 ms, .* use a larger dt"):
        integers(replace(network, populations=(slow, *others)))
    mixed = replace(first, neuron=Threshold(0.5))
    with pytest.raises(ConfigError, match="has Threshold neurons beside LIF; whole numbers are for networks of one"):
        integers(replace(network, populations=(mixed, *others)))
    own = tuple(replace(c, synapse=Slow()) if c.synapse else c for c in network.connections)
    with pytest.raises(ConfigError, match=r"filter of its own kind \(Slow\); fixed point has Lowpass and Alpha"):
        integers(replace(network, connections=own))
    heavy = tuple(
        replace(c, operator=Dense(1e9 * c.operator.weight)) if c.target == "readout" else c  # pyright: ignore
        for c in network.connections
    )
    assert integers(replace(network, connections=heavy)).readout_scale > 1  # one scale: no loss


def test_it_is_simulated_in_float64_whatever_is_asked_for() -> None:
    network, x = spiking()
    made = integers(network)
    asked = {"steps": 50, "probe": ["spikes"], "samples": 2}
    exact = simulate(made.network, made.inputs(x), **asked, dtype=torch.float64)
    found = simulate(made.network, made.inputs(x), **asked)
    assert torch.equal(found.mean, exact.mean.float())
    assert all(torch.equal(found.spikes[name], fired) for name, fired in exact.spikes.items())
    spent, before = (energy(n, i, samples=2, steps=50, burn_in=20).spiking for n, i in
                     ((made.network, made.inputs(x)), (network, x)))  # fmt: skip
    assert spent.spikes == {p.name: int(exact.counts[p.name].sum()) for p in made.network.populations}
    assert spent.synapses == before.synapses
    assert abs(spent.synaptic_events / before.synaptic_events - 1) < 0.02


def test_a_network_in_fixed_point_is_stored(tmp_path: Path) -> None:
    network, x = spiking(Lowpass(0.01))
    made = integers(network)
    save_network(made.network, tmp_path)
    again = load_network(tmp_path)
    kinds: list[Any] = [type(p.neuron) for p in again.populations]
    assert kinds == [FixedPointLIF] * 2
    assert {type(c.synapse) for c in again.connections} == {type(None), FixedPointLowpass}
    asked = {"steps": 30, "dtype": torch.float64}
    assert torch.equal(
        simulate(again, made.inputs(x), **asked).mean, simulate(made.network, made.inputs(x), **asked).mean
    )
    assert not isinstance(again.connections[0].operator, Chain)
    alpha = integers(spiking()[0]).network.connections
    assert any(isinstance(c.synapse, FixedPointAlpha) for c in alpha)
