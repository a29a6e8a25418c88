"""Counts of coded networks against loops over windows, ticks and spikes, and the law of what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikebayes as sb
from coarse_codes import coarse
from modules import Net, act, dense
from spikebayes import ConfigError, Dropout, Input, Population, Readout, SpikingNetwork, convert, simulate
from spikebayes.evaluate.energy import spiking_counts
from spikebayes.evaluate.energy.devices import DEVICES, LOIHI, SPINNAKER2, Device
from spikebayes.evaluate.energy.energy import Energy, energy
from spikebayes.evaluate.energy.meter import Meter
from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
from spikebayes.evaluate.energy.text import statement
from spikebayes.network import Connection, Threshold
from spikebayes.network.operators import Dense, size
from spikebayes.nn import Permadrop
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

pytestmark = coarse

CODES = [sb.FirstSpike(8), sb.Radix(4), sb.Digits(3, 2), sb.Graded(5)]
SEED = 5


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def relu(*widths: int, p: float = 0.4) -> list[nn.Module]:
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return [part for layer in layers for part in (layer, nn.ReLU(), nn.Dropout(p))]


MODELS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "mlp": ((4,), lambda: nn.Sequential(*relu(4, 7, 6), nn.Linear(6, 2))),
    "masked input, a layer without mask, signed": (
        (4,),
        lambda: nn.Sequential(
            *(nn.Dropout(0.5), nn.Linear(4, 7), nn.LeakyReLU(0.3), nn.Linear(7, 6), nn.Tanh(), nn.Dropout(0.4)),
            nn.Linear(6, 2),
        ),
    ),
    "max pooling, dropout behind it": (
        (1, 8, 8),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Dropout(0.3)),
            *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout2d(0.5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 2)),
        ),
    ),
    "dropout behind a mean": (
        (2, 4, 4),
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)), nn.Linear(3, 2)
        ),
    ),
    "padded, and told once": (
        (1, 4, 4),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Dropout(0.4)),
            *(nn.Flatten(), nn.Linear(32, 2)),
        ),
    ),
    "two layers before any mask": (
        (4,),
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), *relu(5, 6), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)),
    ),
    "a sum over several windows": (
        (4,),
        lambda: Net(
            lambda m, x: _over(m, _first(m, x)),
            a=nn.Linear(4, 5),
            b=nn.Linear(5, 5),
            c=nn.Linear(5, 5),
            drop=nn.Dropout(0.4),
            out=nn.Linear(5, 2),
        ),
    ),
    "concatenation with the input": (
        (4,),
        lambda: Net(
            lambda m, x: m.out(m.drop(torch.relu(m.b(torch.cat([_first(m, x), x], 1))))),
            a=nn.Linear(4, 5),
            b=nn.Linear(9, 6),
            drop=nn.Dropout(0.4),
            out=nn.Linear(6, 2),
        ),
    ),
}


def _first(m: Any, x: Tensor) -> Tensor:
    return m.drop(torch.relu(m.a(x)))


def _over(m: Any, h: Tensor) -> Tensor:
    return m.out(m.drop(torch.relu(m.c(m.drop(torch.relu(m.b(h)))) + h)))


def made(name: str, code: Any = CODES[2]) -> tuple[SpikingNetwork, Tensor]:
    shape, make = MODELS[name]
    x = torch.randn(150, *shape)
    return convert(make().eval(), x, code=code), x[:2]


# -- against loops --------------------------------------------------------------------------------------------


def depth(network: SpikingNetwork, name: str) -> int:
    into = network.into(name)
    pools = any(p.name == name and p.neuron.pools for p in network.populations)
    adds = 0 if pools or name == "readout" else 1
    return adds + max(depth(network, c.source) for c in into) if into else 0


def pattern(connection: Connection, network: SpikingNetwork) -> Tensor:
    """``[N, M]`` where a spike arrives; a racer takes those of all its runners."""
    shape, operator = network.shape(connection.source), connection.operator
    reach = operator(torch.eye(size(shape)).reshape(-1, *shape)) != 0
    reach = reach.any(-1) if reach.ndim > 1 + len(network.shape(connection.target)) else reach
    return reach.reshape(size(shape), -1)


def steady(network: SpikingNetwork, name: str) -> bool:
    node = next(n for n in network.nodes() if n.name == name)
    masked = getattr(node, "dropout", None) is not None
    return not masked and all(steady(network, c.source) for c in network.into(name))


def told_once(network: SpikingNetwork, name: str) -> bool:
    """No mask reaches it, and whoever hears it holds what it said, as races do not."""
    races = {p.name for p in network.populations if p.neuron.pools}
    heard_by = {c.target for c in network.connections if c.source == name}
    return steady(network, name) and all(told_once(network, target) for target in heard_by & races)


def naive(network: SpikingNetwork, x: Tensor, samples: int, scope: Any) -> dict[str, int]:
    """One run of each row: window by window, tick by tick, spike by spike."""
    code = network.code
    assert code is not None
    run = simulate(network, x, samples=samples, seed=SEED, mask_scope=scope, engine="reference", probe=["spikes"])
    deep = {n.name: depth(network, n.name) for n in network.nodes()}
    patterns = {c: pattern(c, network) for c in network.connections}
    found: dict[str, int] = {"spikes": 0, "events": 0, "updates": 0, "awake": 0}
    everyone = torch.tensor(True)
    last = {
        n.name: 1 if n in network.populations and told_once(network, n.name) else samples for n in network.nodes()
    }

    def alive(p: Population, sample: int, row: int) -> Tensor:
        if p.dropout is None:
            return torch.ones(size(p.shape), dtype=torch.bool)
        keys = Keys(SEED, torch.tensor([sample]), torch.tensor([row if scope == "row" else 0]))
        return dropout_keep(p.dropout, keys, size(p.shape))[0]

    kept = {
        (p.name, s, b): alive(p, s, b) for p in network.populations for s in range(samples) for b in range(len(x))
    }
    for b in range(len(x)):
        for window in range(samples + max(deep.values())):
            for tick in range(code.ticks):
                for p in network.populations:
                    told = window - deep[p.name]
                    said = {(told, last[p.name])}
                    said |= {
                        (window - deep[c.source], min(last[c.source], last[p.name])) for c in network.into(p.name)
                    }
                    works = [kept[p.name, s, b] for s, end in said if 0 <= s < end]
                    found["updates"] += int(torch.stack(works).any(0).sum()) if works else size(p.shape)
                    found["awake"] += int(torch.stack(works).any(0).sum()) if works else 0
                    if not 0 <= told < last[p.name]:
                        continue
                    fired = run.spikes[p.name][told, b, tick]
                    found["spikes"] += int(fired.sum())
                    for c in network.connections:
                        if c.source == p.name:
                            held = told_once(network, p.name)
                            targets = patterns[c] & (everyone if held else kept.get((c.target, told, b), everyone))
                            found["events"] += int(targets[fired].sum())
    return found


def said(counts: SpikingCounts) -> dict[str, int]:
    return {
        "spikes": sum(counts.spikes.values()),
        "events": counts.synaptic_events,
        "updates": counts.neuron_updates,
        "awake": counts.awake_updates,
    }


@pytest.mark.parametrize("scope", ["row", "pass"])
@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_counts_are_those_of_the_ticks(name: str, code: Any, scope: Any) -> None:
    network, x = made(name, code)
    spiking, classical = count(network, x, samples=3, seed=SEED, mask_scope=scope)
    assert said(spiking) == naive(network, x, 3, scope)
    assert spiking.synaptic_events > 0
    assert 0 < spiking.awake_updates < spiking.neuron_updates <= spiking.dense_neuron_updates
    populations = {p.name for p in network.populations}
    patterns = [pattern(c, network) for c in network.connections if c.source in populations]
    assert spiking.synapses == sum(int(reach.sum()) for reach in patterns)
    assert spiking.messages == (sum(spiking.spikes.values()) if code.graded else 0)
    assert spiking.steps == (3 + depth(network, "readout")) * code.ticks
    assert spiking.dense_neuron_updates == 2 * spiking.steps * network.neurons
    assert spiking.mask_bits == classical.mask_bits


def test_a_single_sample_has_neurons_awake_in_two_windows() -> None:
    network, x = made("mlp", sb.Digits(4, 2))
    spiking, _ = count(network, x, samples=1, seed=SEED)
    keys = Keys(SEED, torch.zeros(2, dtype=torch.int64), torch.arange(2))
    kept = sum(int(dropout_keep(p.dropout, keys, size(p.shape)).sum()) for p in network.populations if p.dropout)
    assert spiking.awake_updates == 2 * 6 * kept
    assert spiking.idle_updates == (3 - 2) * 6 * 2 * 13  # two populations behind one another: three windows


@pytest.mark.parametrize("name", ["max pooling, dropout behind it", "padded, and told once"])
def test_blocks_and_their_size_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = made(name)
    whole = count(network, x, samples=5)
    monkeypatch.setattr(spiking_counts, "NUMBERS", 500)
    assert count(network, x, samples=5, batch_size=1) == whole
    assert count(network, x, samples=5, engine="reference") == whole


def test_masks_are_drawn_once_for_each_sample() -> None:
    network, x = made("masked input, a layer without mask, signed")
    spiking, _ = count(network, x, samples=3)
    assert spiking.mask_bits == 3 * 2 * (4 + 6)
    assert spiking.input_macs == 3 * 2 * 4 * 7
    assert count(network, x, samples=3, mask_scope="pass")[0].mask_bits == 3 * (4 + 6)


# -- the classical passes beside them -------------------------------------------------------------------------


def _both(m: Any, h: Tensor) -> Tensor:
    return m.one(m.drop(h)) + m.other(m.drop(h))


def _added(m: Any, x: Tensor) -> Tensor:
    h = m.drop(m.a(x))
    return m.out(m.b(h) + h)


TWINS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "mlp": ((4,), lambda: nn.Sequential(dense(4, 7), Permadrop(0.4), dense(7, 6), Permadrop(0.5), nn.Linear(6, 2))),
    "one layer reads a sum": (
        (4,),
        lambda: Net(_added, a=dense(4, 5), b=dense(5, 5), drop=nn.Dropout(0.4), out=nn.Linear(5, 2)),
    ),
    "one activation under two masks": (
        (4,),
        lambda: nn.Sequential(
            nn.Dropout(0.5),
            Net(
                lambda m, x: _both(m, m.a(x)),
                a=dense(4, 5),
                drop=nn.Dropout(0.4),
                one=nn.Linear(5, 2),
                other=nn.Linear(5, 2),
            ),
        ),
    ),
    "conv, pooling": (
        (2, 7, 7),
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, stride=2, padding=1), act(), nn.Dropout2d(0.5), nn.AvgPool2d(2)),
            *(nn.Conv2d(3, 4, 2), act(), nn.Flatten(), nn.Linear(4, 2)),
        ),
    ),
}


@pytest.mark.parametrize("code", [CODES[2], CODES[3]], ids=str)
@pytest.mark.parametrize("name", TWINS)
def test_a_code_does_not_change_what_the_module_does(name: str, code: Any) -> None:
    """The module is read back from its network of LIF neurons, and from the coded one: the same."""
    shape, make = TWINS[name]
    model, x = make().eval(), torch.randn(150, *shape)
    _, expected = count(convert(model, x[:1]), x[:2], samples=4, steps=2, burn_in=0)
    _, found = count(convert(model, x, code=code), x[:2], samples=4)
    assert replace(found, zero_macs=0) == replace(expected, zero_macs=0)


def test_max_pooling_and_relays_are_no_activations() -> None:
    network, x = made("max pooling, dropout behind it")
    _, classical = count(network, x, samples=4)
    assert classical.activations == 2 * 3 * 64 + 4 * 2 * 4 * 4  # the first layer's once a row
    assert classical.macs == 2 * 22**2 * 3 + 4 * 2 * (2 * 2 * 27 * 4 + 4 * 4 + 4 * 2)
    network, x = made("dropout behind a mean")
    _, classical = count(network, x, samples=4)
    assert classical.activations == 2 * 3 * 4
    assert classical.macs == 2 * (4 * 18 * 3 + 3 * 4) + 4 * 2 * 3 * 2


@pytest.mark.parametrize("code", [sb.Radix(12), sb.Digits(10, 4), sb.Graded(14)], ids=str)
def test_zeros_are_those_of_the_module(code: Any) -> None:
    """A ReLU's, a leaky one's that never is 0, those behind max pooling and its dropout; and zeros of the input."""
    model = nn.Sequential(
        *(nn.Conv1d(1, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Dropout(0.4), nn.Flatten()),
        *(nn.Linear(15, 7), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 2)),
    ).eval()
    x = torch.randn(150, 1, 12)
    x[:, :, 8:] = 0
    network, x = convert(model, x, code=code), x[:2]
    _, classical = count(network, x, samples=3, seed=SEED)
    pooled, leaky, last = (values.sum(1) for values in _seen(model, x))
    kept = _kept(network.populations[2], 3, 2).sum(2).flatten()
    windows = 2 * (x[0] != 0).unfold(1, 3, 1).sum()
    assert classical.nonzero_macs == int(3 * windows + (pooled * kept + 6 * leaky + 2 * last).sum())
    assert classical.nonzero_macs < 0.8 * classical.kept_macs


def _seen(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What linear layers multiply that is not 0, ``[6, N]`` bool each, for 3 samples of 2 rows."""
    seen: list[Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda _, a: seen.append(a[0] != 0)) for m in model if isinstance(m, nn.Linear)
    ]
    pairs = torch.arange(6)
    with evaluating(model), Masks(Keys(SEED, pairs // 2, pairs % 2)), torch.no_grad():
        model(x[pairs % 2])
    for hook in hooks:
        hook.remove()
    return seen


def test_a_constant_behind_silent_units_is_not_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 2)).eval()
    nn.init.constant_(model[0].bias, -100.0)
    x = torch.randn(150, 4)
    network, x = convert(model, x, code=sb.Radix(12)), x[:2]
    _, classical = count(network, x, samples=3, seed=SEED)
    _, silent, last = _seen(model, x)
    assert not silent.any()
    assert classical.nonzero_macs == 2 * 4 * 3 + 2 * int(last.sum())


def test_the_largest_of_dropped_units_and_of_values_below_zero_is_zero() -> None:
    model = nn.Sequential(
        *(nn.Conv1d(1, 3, 3), nn.LeakyReLU(0.2), Permadrop(0.5), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(15, 2)),
    ).eval()
    x = torch.randn(150, 1, 12)
    network, x = convert(model, x, code=sb.Radix(12)), x[:2]
    _, classical = count(network, x, samples=3, seed=SEED)
    (pooled,) = _seen(model, x)
    assert classical.nonzero_macs == 2 * 3 * 3 * 10 + 2 * int(pooled.sum())


def test_zeros_do_not_depend_on_the_code() -> None:
    """Of the first layer, which sees the input itself; a coarse code rounds many of its values to 0."""
    model = nn.Sequential(*relu(4, 30, p=0.5), nn.Linear(30, 2)).eval()
    x = torch.randn(150, 4)
    counts = [count(convert(model, x, code=code), x[:5], samples=4) for code in (sb.Radix(12), sb.FirstSpike(3))]
    assert counts[0][1] == counts[1][1]
    assert counts[0][0].synaptic_events > 2 * counts[1][0].synaptic_events


def _kept(p: Population, samples: int, rows: int) -> Tensor:
    assert p.dropout is not None
    pairs = torch.arange(samples * rows)
    return dropout_keep(p.dropout, Keys(SEED, pairs // rows, pairs % rows), size(p.shape)).reshape(samples, rows, -1)


def test_thresholds_multiply_where_they_spike() -> None:
    network = SpikingNetwork(
        (Input("x", (4,)),),
        (Population("a", (6,), Threshold(0.5), Dropout(0.5)), Population("b", (5,), Threshold(0.5))),
        (
            Connection("x", "a", Dense(torch.randn(6, 4))),
            Connection("a", "b", Dense(torch.randn(5, 6))),
            Connection("b", "readout", Dense(torch.randn(2, 5))),
        ),
        Readout((2,)),
    )
    spiking, classical = count(network, torch.randn(3, 4), samples=4)
    assert classical.nonzero_macs == 3 * 4 * 6 + spiking.synaptic_events


def test_the_rates_of_neurons_count_as_not_zero() -> None:
    model = nn.Sequential(dense(4, 7), Permadrop(0.4), nn.Linear(7, 2))
    spiking, classical = count(convert(model, torch.zeros(1, 4)), torch.ones(3, 4), samples=2, steps=5, burn_in=0)
    assert classical.nonzero_macs == classical.kept_macs
    assert spiking.awake_updates == spiking.neuron_updates


def test_what_all_samples_share_is_counted_for_every_row() -> None:
    """A layer between two that no mask comes before, in a block of several rows and one row at a time."""
    model = nn.Sequential(dense(4, 7), dense(7, 5), Permadrop(0.4), nn.Linear(5, 2))
    network, x = convert(model, torch.zeros(1, 4)), torch.ones(3, 4)
    found = [count(network, x, samples=2, steps=5, burn_in=0, batch_size=size)[1] for size in (None, 1)]
    assert found[0] == found[1]
    assert found[0].nonzero_macs == found[0].kept_macs


# -- joules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [LOIHI, SPINNAKER2], ids=lambda d: d.name)
@pytest.mark.parametrize("code", [sb.FirstSpike(32), sb.Radix(8), sb.Digits(4, 4), sb.Graded(8)], ids=str)
def test_the_energy_law(code: Any, device: Device) -> None:
    """J / classical = s + (u/e) ticks N / E: within 3 %, since it leaves out inputs and activations."""
    x = torch.randn(200, 4)
    network = convert(nn.Sequential(*relu(4, 300, 300, 300, p=0.1), nn.Linear(300, 1)).eval(), x, code=code)
    x, samples = x[:2], 20
    found = energy(network, x, samples=samples, seed=SEED, meter=Meter(Path("nowhere")))
    told = simulate(network, x, samples=samples, seed=SEED, probe=["numbers"]).numbers
    keep = {p.name: _kept(p, samples, 2).sum(2).double() for p in network.populations}
    fan_out = dict(zip(keep, [*list(keep.values())[1:], torch.ones(samples, 2)], strict=True))
    events = sum((code.spikes(told[name]).sum(2) * fan_out[name]).sum() for name in keep)
    dense_events = sum((keep[name] * fan_out[name]).sum() for name in keep)
    s, price = float(events / dense_events), device.neuron_update_j / device.synaptic_event_j
    ticks = code.ticks * (samples + 3) / samples  # of a sample, its share of the windows at the start
    law = s + price * ticks * network.neurons / float(dense_events / samples / 2)
    dense_j = found.classical_joules(device)
    assert found.spiking_joules(device) / dense_j == pytest.approx(law, rel=0.03)
    assert found.spiking_joules(device, updates="events") / dense_j == pytest.approx(s, rel=0.03)


@pytest.mark.parametrize("code", [sb.Radix(8), sb.Digits(4, 4)], ids=str)
def test_the_law_of_awake_neurons_in_a_run_of_one_sample(code: Any) -> None:
    """Each kept neuron is up for two windows: s + 2 (u/e) (ticks of one) N / E."""
    x = torch.randn(200, 4)
    network = convert(nn.Sequential(*relu(4, 300, 300, 300, p=0.1), nn.Linear(300, 1)).eval(), x, code=code)
    spiking, classical = count(network, x[:4], samples=1, seed=SEED)
    found = Energy(spiking, classical, (LOIHI,), 0)
    kept = sum(int(_kept(p, 1, 4).sum()) for p in network.populations)
    dense_j = found.classical_joules(LOIHI)
    s = found.spiking_joules(LOIHI, updates="events") / dense_j
    law = s + 2 * 81 / 27.1 * code.ticks * kept / classical.kept_macs
    assert found.spiking_joules(LOIHI, updates="awake") / dense_j == pytest.approx(law, rel=0.03)


def test_prices_of_the_three_counts() -> None:
    network, x = made("mlp", sb.Digits(4, 2))
    chip = Device("chip", 2.0, 3.0, True, "here", mac_j=5.0)
    box = Device("box", 2.0, 3.0, False, "here")
    found = energy(network, x, samples=3, devices=(chip, box), meter=Meter(Path("nowhere")))
    s, c = found.spiking, found.classical
    line, dense_line = found.table()[:2]
    rest = 2 * s.synaptic_events + 5 * s.input_macs
    assert line["spiking_j"] == (rest + 3 * s.neuron_updates) / 2
    assert line["spiking_awake_j"] == (rest + 3 * s.awake_updates) / 2
    assert line["spiking_events_j"] == rest / 2
    assert line["classical_sparse_j"] == (5 * c.nonzero_macs + 3 * c.kept_activations) / 2
    assert line["spiking_events_j"] < line["spiking_awake_j"] < line["spiking_j"]
    every_step = 2 * s.dense_synaptic_operations + 3 * s.dense_neuron_updates + 2 * s.input_macs
    for key in ("spiking_j", "spiking_awake_j", "spiking_events_j"):
        assert dense_line[key] == every_step / 2
    assert dense_line["classical_sparse_j"] == dense_line["classical_j"]
    sampling = {"samples": 3, "seed": 0, "mask_scope": "row", "dt": 1e-3}
    coded = {"code": "Digits(radix=4, digits=2)", "ticks": 30, "ticks_per_sample": 6, "windows": 5}
    assert found.settings == sampling | coded


@pytest.mark.parametrize("given", [{"steps": 10}, {"burn_in": 3}, {"redraw": sb.Redraw(10)}])
def test_what_steps_freely_alone_is_refused(given: dict[str, Any]) -> None:
    network, x = made("mlp")
    with pytest.raises(ConfigError, match=r"leave (steps|burn_in|redraw) out"):
        energy(network, x, samples=2, **given)


def test_the_text_of_a_graded_network() -> None:
    network, x = made("mlp", sb.Graded(6))
    found = energy(network, x, samples=4, devices=DEVICES, meter=Meter(Path("nowhere")))
    text = statement(found)
    assert "messages that carry a number, priced as events" in text
    assert f"{found.spiking.awake_updates} without idle ones" in text
    assert f"{found.classical.nonzero_macs} without zeros" in text
    assert max(map(len, text.splitlines())) <= 120
