"""Spikes that come late, early or never: by hand, by law, and the same by ticks and by products."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from coarse_codes import coarse
from coded_networks import CODES, coded
from spikebayes import (
    ConfigError,
    Digits,
    Dropout,
    FirstSpike,
    Graded,
    Radix,
    SpikeNoise,
    SpikingNetwork,
    convert,
    energy,
    load_network,
    predict,
    save_network,
    simulate,
    with_spike_noise,
)
from spikebayes.engine import contract
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.codes import Code
from spikebayes.network.network import Connection, Input, Population, Readout
from spikebayes.network.operators import Dense, Windows
from spikebayes.noise.keys import Keys
from spikebayes.noise.spike_noise import lateness, received
from spikebayes.prediction.simulate import Run

pytestmark = coarse

ROWS = 4


def noisy(network: SpikingNetwork, jitter: float = 0.7, loss: float = 0.05) -> SpikingNetwork:
    assert network.code is not None
    return with_spike_noise(network, jitter=0.0 if network.code.graded else jitter, loss=loss)


def ran(network: SpikingNetwork, x: Any, engine: str, **settings: Any) -> Run:
    return simulate(network, list(x), seed=7, engine=engine, probe=["numbers"], **{"samples": 3, **settings})


def assert_same(a: Run, b: Run) -> None:
    assert torch.equal(a.mean.float(), b.mean.float()), float((a.mean - b.mean).abs().max())
    for name, numbers in a.numbers.items():
        assert torch.equal(numbers, b.numbers[name]), name
        assert torch.equal(a.counts[name], b.counts[name]), name


def relay(code: Code, count: int, noise: SpikeNoise | None) -> SpikingNetwork:
    """Tells its inputs' numbers, signed, and reads out each."""
    neuron = Coded(code, Ramp(torch.ones(())), torch.tensor(float(code.highest)))
    return SpikingNetwork(
        (Input("x", (count,)),),
        (Population("a", (count,), neuron, spike_noise=noise),),
        (Connection("x", "a", Dense(torch.eye(count))), Connection("a", "readout", Dense(torch.eye(count)))),
        Readout((count,)),
    )


def pairs(count: int) -> Keys:
    return Keys(3, torch.arange(count), torch.zeros(count, dtype=torch.int64))


# -- ticks and products --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize(
    "seed", [pytest.param(k, marks=() if k == 880 else pytest.mark.slow) for k in range(800, 900, 20)]
)
def test_ticks_and_products_receive_the_same(code: Code, seed: int) -> None:
    plain, rows = coded(seed + CODES.index(code), code)
    network, x = noisy(plain, (0.3, 0.7, 2.0, 9.0)[seed // 20 % 4]), [part[:ROWS] for part in rows]
    ticks = ran(network, x, "reference")
    assert_same(ticks, ran(network, x, "windows"))
    assert_same(ticks, ran(network, x, "windows", dtype=torch.float64))
    assert_same(ticks, ran(network, x, "windows", batch_size=2))
    alone = ran(network, [part[2:3] for part in x], "windows", rows=[2])
    assert torch.equal(alone.mean, ticks.mean[:, 2:3])
    assert not torch.equal(ticks.mean, ran(plain, x, "reference").mean)


@pytest.mark.parametrize("code", [Digits(3, 8), FirstSpike(64), Graded(8)], ids=str)
def test_large_sums_are_the_same(code: Code) -> None:
    """Of numbers that jitter makes larger than any that is sent, and of wide layers, whose sums take float64."""
    torch.manual_seed(1)
    layers = [nn.Linear(5, 300), nn.ReLU(), nn.Dropout(0.1), nn.Linear(300, 200), nn.Tanh(), nn.Linear(200, 2)]
    x = torch.randn(100, 5)
    network = noisy(convert(nn.Sequential(*layers), x, code=code), 1.5)
    for scale in (1, 1e3):
        assert_same(ran(network, [x[:3] * scale], "reference"), ran(network, [x[:3] * scale], "windows"))


@pytest.mark.parametrize("code", CODES, ids=str)
def test_max_pooling_sees_what_was_sent_and_its_own_spikes_are_displaced(code: Code) -> None:
    neuron = Coded(code, Ramp(torch.ones(())), torch.tensor(float(code.highest)))
    network = noisy(
        SpikingNetwork(
            (Input("x", (1, 9)),),
            (Population("a", (1, 9), neuron), Population("max", (1, 4), Race(code))),
            (
                Connection("x", "a", Dense(torch.eye(9))),
                Connection("a", "max", Windows((3,), (2,), (0,), (1,))),
                Connection("a", "readout", Dense(torch.ones(4, 9))),
                Connection("max", "readout", Dense(torch.eye(4))),
            ),
            Readout((1, 4)),
        )
    )
    most = min(code.highest, 40)
    x = torch.randint(-most, most + 1, (50, 1, 9), generator=torch.Generator().manual_seed(0)).float()
    a, b = (ran(network, [x], engine) for engine in ("reference", "windows"))
    assert_same(a, b)
    expected = nn.functional.max_pool1d(x, 3, 2)
    assert torch.equal(a.numbers["max"][0].reshape(50, 1, 4).float(), expected)
    assert not torch.equal(a.mean[0].reshape(50, 1, 4), expected + x.sum(2, keepdim=True))
    only = replace(
        network, connections=tuple(c for c in network.connections if c.target != "readout" or c.source != "a")
    )
    assert noisy(only).populations[0].spike_noise is None  # nobody hears it


# -- what arrives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES, ids=str)
def test_without_jitter_and_loss_numbers_arrive_as_they_were_sent(code: Code) -> None:
    numbers = torch.randint(-code.highest, code.highest + 1, (20, 50), generator=torch.Generator().manual_seed(0))
    assert torch.equal(received(numbers.float(), code, SpikeNoise(), pairs(20)), numbers.float())
    network, _ = coded(3, code)
    assert repr(with_spike_noise(network)) == repr(network)
    silent = relay(code, 9, SpikeNoise())
    assert torch.equal(
        ran(silent, [torch.arange(9.0)[None]], "windows").mean[0, 0], torch.arange(9.0).clamp(max=code.highest)
    )
    assert not silent.is_random


@pytest.mark.parametrize("code", [Digits(3, 3), Digits(5, 2), FirstSpike(12), Radix(4)], ids=str)
def test_a_spike_is_worth_what_the_tick_of_its_arrival_is(code: Code) -> None:
    """One by one: every spike of a number, moved by its own draw; first tick and end of the window hold it."""
    noise, keys = SpikeNoise(3.0, 0.1, site=5), pairs(40)
    numbers = torch.arange(code.highest + 1)
    got = received(numbers.expand(40, -1), code, noise, keys)
    late = torch.stack([lateness(noise, code, keys, len(numbers), place) for place in range(code.places)])
    worth = [k * code.base**d for d in reversed(range(code.places)) for k in range(code.base - 1, 0, -1)]
    for r in (0, 7, 39):
        for n in range(len(numbers)):
            total = 0
            for place in range(code.places):
                digit = n // code.base**place % code.base
                if digit:
                    tick = worth.index(digit * code.base**place)
                    arrives = max(0, tick + int(late[place, r, n]))
                    total += worth[arrives] if arrives < code.ticks else 0
            assert int(got[r, n]) == total
    assert (got != numbers).any()
    assert torch.equal(received(-numbers.expand(40, -1), code, noise, keys), -got)


def test_displacements_are_rounded_normal_draws_and_losses_a_share() -> None:
    """Each share of 2^20 draws within 5 standard errors: of 24 shares, one false alarm in 70,000."""
    code, count = FirstSpike(64), 1 << 20
    for jitter, loss in ((0.5, 0.0), (2.0, 0.1), (0.0, 0.3)):
        late = lateness(SpikeNoise(jitter, loss), code, pairs(1), count, 0)
        for k in range(-4, 5) if jitter else (0,):
            law = float(norm.cdf(k + 0.5, scale=jitter) - norm.cdf(k - 0.5, scale=jitter)) if jitter else 1.0
            law *= 1 - loss
            assert abs(float((late == k).double().mean()) - law) < 5 * math.sqrt(law * (1 - law) / count) + 1e-9
        assert (
            abs(float((late == code.ticks).double().mean()) - loss) < 5 * math.sqrt(loss * (1 - loss) / count) + 1e-9
        )


@pytest.mark.parametrize("code", [Digits(4, 2), FirstSpike(12), Radix(4), Graded(4)], ids=str)
def test_the_mean_of_what_lost_spikes_leave(code: Code) -> None:
    """1 - loss of every number, since every digit is lost alike: within 5 standard errors, one alarm in 10^5."""
    loss, count, most = 0.2, 4000, code.highest
    run = simulate(
        relay(code, most + 1, SpikeNoise(loss=loss)), torch.arange(most + 1.0)[None], samples=count, seed=1
    )
    mean, spread = run.mean[:, 0].double().mean(0), run.mean[:, 0].double().std(0)
    numbers = torch.arange(most + 1.0).double()
    assert ((mean - (1 - loss) * numbers).abs() <= 5 * spread / math.sqrt(count) + 1e-9).all()
    assert torch.equal(run.counts["a"][:, 0], code.spikes(numbers).sum().expand(count))  # sent


def test_no_two_neurons_windows_rows_or_populations_share_their_draws() -> None:
    """And none shares a mask's: neighbours' displacements do not correlate, within 5 / sqrt(n)."""
    network, _ = coded(805, Digits(4, 4))
    heard = noisy(network)
    sites = [p.spike_noise.site for p in heard.populations if p.spike_noise]
    sites += [n.dropout.site for n in (*heard.inputs, *heard.populations) if n.dropout]
    assert len(set(sites)) == len(sites) >= 2
    code, noise = Digits(4, 4), SpikeNoise(1.0)
    late = torch.stack([lateness(noise, code, pairs(100), 100, place) for place in range(4)]).double()
    other = lateness(replace(noise, site=1), code, pairs(100), 100, 0).double()
    rows_of = lateness(noise, code, Keys(3, torch.zeros(100).long(), torch.arange(100)), 100, 0).double()
    shifted = (late[:, :, 1:], late[:, :, :-1]), (late[:, 1:], late[:, :-1]), (late[1:], late[:-1])
    for a, b in (*shifted, (late[0], other), (late[0][1:], rows_of[1:])):
        found = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
        assert abs(float(found)) < 5 / math.sqrt(a.numel())


# -- what it does to networks --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Sequential, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 60), nn.ReLU(), nn.Dropout(0.1), nn.Linear(60, 60), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(60, 1)).eval(), torch.randn(200, 6)


def error(model: nn.Module, network: SpikingNetwork, x: Tensor) -> float:
    """rms difference under the same masks over the predictive standard deviation, the median over rows."""
    a, b = (predict(m, x[:40], samples=50, seed=1).samples for m in (model, network))
    return float(((a - b).square().mean(0).sqrt() / a.std(0)).median())


@pytest.mark.filterwarnings("ignore:.*lie above its highest level")
def test_first_spikes_bend_and_digits_break(trained: tuple[nn.Sequential, Tensor]) -> None:
    """Half a tick is a 63rd of a first spike's range, and a quarter of a value where digits of radix 4 carry it."""
    model, x = trained
    found = {}
    for code in (FirstSpike(64), Digits(4, 3), Radix(6)):  # 64 levels each
        plain = convert(model, x, code=code, headroom=1.0)
        found[code] = [error(model, noisy(plain, j, 0.0), x) for j in (0.0, 0.25, 0.5, 1.0)]
        assert found[code] == sorted(found[code])
    first, *digits = found.values()
    assert first[2] < 0.2
    assert all(some[2] > 4 * first[2] and some[1] > 3 * first[1] for some in digits)
    assert max(errors[0] for errors in found.values()) < 0.06


@pytest.mark.filterwarnings("ignore:.*lie above its highest level")
def test_a_lost_spike_costs_a_first_spike_its_number_and_a_payload_too(trained: tuple[nn.Sequential, Tensor]) -> None:
    model, x = trained
    for code in (FirstSpike(64), Digits(4, 3), Radix(6), Graded(6)):
        plain = convert(model, x, code=code, headroom=1.0)
        errors = [error(model, noisy(plain, 0.0, loss), x) for loss in (0.0, 0.001, 0.01, 0.1)]
        assert errors == sorted(errors)
        assert errors[-1] > 5 * errors[0]


def test_jitter_alone_makes_a_predictive_distribution_and_energy_counts_what_was_sent(
    trained: tuple[nn.Sequential, Tensor],
) -> None:
    model, x = trained
    plain = convert(model[:3], x, code=Digits(4, 3))  # one layer: what is sent does not depend on what arrives
    network = noisy(plain, 0.5, 0.5)
    assert network.is_random
    counts = [energy(n, x[:5], samples=6).spiking for n in (plain, network)]
    assert counts[0] == counts[1]


def test_files_keep_it(tmp_path: Path) -> None:
    network, rows = coded(811, Digits(5, 3))
    network, x = noisy(network), [part[:ROWS] for part in rows]
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    assert [p.spike_noise for p in loaded.populations] == [p.spike_noise for p in network.populations]
    assert "jitter of 0.7 ticks, 5 % of spikes lost" in repr(loaded)
    assert_same(ran(network, x, "windows"), ran(loaded, x, "windows"))


def test_noise_is_replaced_and_taken_away_again() -> None:
    network, _ = coded(805, Digits(4, 4))
    twice = with_spike_noise(noisy(network), loss=0.2)
    assert repr(twice) == repr(with_spike_noise(network, loss=0.2))
    assert [p.spike_noise for p in twice.populations] == [
        p.spike_noise and replace(p.spike_noise, jitter=0.0, loss=0.2) for p in noisy(network).populations
    ]
    assert repr(with_spike_noise(twice)) == repr(network)


# -- refusals ------------------------------------------------------------------------------------------------


class Other(SpikeNoise):
    """Of a kind that no engine knows."""


def test_refusals(trained: tuple[nn.Sequential, Tensor]) -> None:
    model, x = trained
    graded = convert(model, x, code=Graded(6))
    free = SpikingNetwork(
        (Input("x", (2,)),), (), (Connection("x", "readout", Dense(torch.ones(1, 2))),), Readout((1,))
    )
    with pytest.raises(
        ConfigError, match=r"payloads, .* leave jitter out, or convert with a code that tells numbers by"
    ):
        with_spike_noise(graded, jitter=0.1)
    with pytest.raises(
        ConfigError, match=r"step freely: .* Convert with a code, as Digits\(4, 4\); or make synapses"
    ):
        with_spike_noise(free, loss=0.1)
    for jitter in (-0.1, math.inf, math.nan):
        with pytest.raises(ConfigError, match="standard deviation in ticks, 0 or more; got"):
            with_spike_noise(graded, jitter=jitter)
    for loss in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match=r"gets lost must lie in \[0, 1\); got"):
            with_spike_noise(graded, loss=loss)
    odd = replace(graded.populations[0], spike_noise=Other(loss=0.1))
    network = replace(graded, populations=(odd, *graded.populations[1:]))
    assert "Other spikes, as of" in str(contract.unknown_noise(network, (Dropout, SpikeNoise)))
    with pytest.raises(ConfigError, match="Other spikes"):
        simulate(network, x[:2])


def test_neurons_that_step_freely_have_none() -> None:
    from spikebayes import LIF

    layers = (Input("x", (2,)),), (Population("a", (2,), LIF(), spike_noise=SpikeNoise(loss=0.1)),)
    wires = Connection("x", "a", Dense(torch.eye(2))), Connection("a", "readout", Dense(torch.eye(2)))
    with pytest.raises(
        ConfigError, match=r"a steps freely: .* leave its spike_noise out, or make its synapses unreli"
    ):
        SpikingNetwork(*layers, wires, Readout((2,)))
