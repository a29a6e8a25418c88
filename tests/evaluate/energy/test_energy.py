"""Joules are counts times prices; break-even is where two of them meet; what is shown is what was counted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import spikebayes as sb
from modules import dense
from spikebayes import ConfigError, Redraw, convert
from spikebayes.evaluate.energy.classical_counts import ClassicalCounts
from spikebayes.evaluate.energy.devices import (
    ARITHMETIC,
    ARM,
    CPU,
    DEVICES,
    GPU,
    HOROWITZ,
    LOIHI,
    SPINNAKER,
    SPINNAKER2,
    Device,
    Memory,
)
from spikebayes.evaluate.energy.energy import Energy, energy
from spikebayes.evaluate.energy.in_words import in_words
from spikebayes.evaluate.energy.meter import Meter
from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
from spikebayes.evaluate.energy.text import in_joules, statement
from spikebayes.network.noise import Gaussian
from spikebayes.nn import Permadrop
from spikebayes.nn.zoo import s2m

SPIKING = SpikingCounts(
    simulations=20,
    rows=2,
    steps=100,
    neurons=10,
    synapses=50,
    spikes={"a": 400, "b": 600},
    synaptic_events=4_000,
    neuron_updates=15_000,
    dense_synaptic_operations=100_000,
    dense_neuron_updates=20_000,
    input_macs=60,
    mask_bits=200,
)
CLASSICAL = ClassicalCounts(
    passes=10, macs=1_060, kept_macs=900, activations=200, kept_activations=150, mask_bits=200
)
CHIP = Device("chip", 2.0, 3.0, True, "here", mac_j=5.0, mask_bit_j=0.5)
BOX = Device("box", 2.0, 3.0, False, "here", weight_memory=Memory(((math.inf, 0.25),), "there"))


def found(*devices: Device, **counts: Any) -> Energy:
    return Energy(replace(SPIKING, **counts), CLASSICAL, devices, weights=40)


def network() -> sb.SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(dense(3, 20), Permadrop(0.5), dense(20, 20), Permadrop(0.5), nn.Linear(20, 1))
    return convert(model, torch.zeros(1, 3))


# -- prices ------------------------------------------------------------------------------------------------


def test_an_event_driven_device_pays_for_events_and_kept_neurons() -> None:
    assert found().spiking_joules(CHIP) == 4_000 * 2 + 15_000 * 3 + 60 * 5 + 200 * 0.5
    assert found().classical_joules(CHIP) == 900 * 5 + 150 * 3 + 200 * 0.5


def test_updates_are_paid_for_in_one_of_three_ways() -> None:
    with pytest.raises(ConfigError, match=r"updates.*'sometimes'"):
        found().spiking_joules(CHIP, updates="sometimes")  # pyright: ignore[reportArgumentType]


def test_any_other_pays_for_everything_in_every_step() -> None:
    assert found().spiking_joules(BOX) == 100_000 * 2 + 20_000 * 3 + 60 * 2
    assert found().classical_joules(BOX) == 1_060 * 2 + 200 * 3


def test_weights_are_read_once_for_every_operation() -> None:
    """Each weight has 4 bytes at 0.25 J."""
    plain, read = found(), 4 * 0.25
    assert plain.spiking_joules(BOX, memory=True) - plain.spiking_joules(BOX) == read * (100_000 + 60)
    assert plain.classical_joules(BOX, memory=True) - plain.classical_joules(BOX) == read * 1_060
    assert plain.spiking_joules(CHIP, memory=True) == plain.spiking_joules(CHIP)  # it is in the figures


def test_the_cited_figures() -> None:
    figures = {d.name: (d.synaptic_event_j, d.neuron_update_j, d.event_driven) for d in DEVICES}
    assert figures == {
        "Loihi": (27.1e-12, 81e-12, True),
        "TrueNorth": (26e-12, 0.0, True),
        "SpiNNaker": (13.3e-9, 26e-9, True),
        "SpiNNaker 2": (450e-12, 2.19e-9, True),
        "CPU": (8.6e-9, 8.6e-9, False),
        "GPU": (0.3e-9, 0.3e-9, False),
        "ARM": (0.9e-9, 0.9e-9, False),
        "45 nm arithmetic": (0.9e-12, 5.5e-12, True),
    }
    assert ARITHMETIC.mac == 4.6e-12
    assert [d.weight_memory for d in (LOIHI, SPINNAKER, SPINNAKER2, CPU, GPU, ARM)] == [None] * 3 + [HOROWITZ] * 3
    assert all(d.source for d in DEVICES)


def test_weights_lie_in_the_smallest_memory_that_holds_them() -> None:
    sizes = (100, 8 << 10, (8 << 10) + 1, 32 << 10, 1 << 20, (1 << 20) + 1)
    prices = [8 * HOROWITZ.joules_per_byte(n) for n in sizes]  # of 64 bits
    assert prices == pytest.approx([10e-12, 10e-12, 20e-12, 20e-12, 100e-12, 1.3e-9])
    assert GPU.fetch(2_000) == pytest.approx(5e-12)
    assert GPU.fetch(1_000_000) == pytest.approx(650e-12)
    assert replace(GPU, weight_bytes=1).fetch(2_000) == pytest.approx(1.25e-12)


@pytest.mark.parametrize("price", [-1e-12, math.nan, math.inf])
@pytest.mark.parametrize("name", ["synaptic_event_j", "neuron_update_j", "mac_j", "mask_bit_j"])
def test_prices_out_of_range(name: str, price: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} of chip"):
        replace(CHIP, **{name: price})


@pytest.mark.parametrize("levels", [(), ((100, 1.0),), ((math.inf, 1.0), (100, 1.0)), ((math.inf, -1.0),)])
def test_a_memory_holds_everything(levels: Any) -> None:
    with pytest.raises(ConfigError, match="memory"):
        Memory(levels, "nowhere")


# -- break-even --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
def test_at_the_break_even_rate_both_cost_the_same(memory: bool) -> None:
    cheap = Device("cheap", 2.0, 0.01, True, "here", mac_j=5.0, weight_memory=Memory(((math.inf, 0.1),), "there"))
    rate = found().break_even(cheap, memory=memory)
    assert rate is not None
    assert found().spiking.spike_rate == 0.05
    there = found(synaptic_events=round(4_000 * rate / 0.05))
    assert there.spiking_joules(cheap, memory=memory) == pytest.approx(
        there.classical_joules(cheap, memory=memory), rel=1e-3
    )


def test_break_even_with_the_classical_network_elsewhere() -> None:
    """45000 + 300 + 100 J without spikes, 2 J for each of 4 events per spike; 20000 neuron steps."""
    dear = Device("dear", 100.0, 0.0, False, "here")
    rate = found().break_even(CHIP, classical_on=dear)
    assert rate == pytest.approx((1_060 * 100 - 45_400) / (2 * 4 * 20_000))


@pytest.mark.parametrize("joules", [44.0, 45.3, 45.401, 60.0, 91.0, 200.0])
def test_no_rate_pays_once_a_silent_network_costs_more(joules: float) -> None:
    """A silent network costs 45400 J here, the classical one 1000 times so many joules."""
    other = Device("other", 1000 * joules / 1_060, 0.0, False, "here")
    assert found().classical_joules(other) == pytest.approx(1000 * joules)
    rate = found().break_even(CHIP, classical_on=other)
    assert rate == (None if joules < 45.4 else pytest.approx((1000 * joules - 45_400) / (2 * 4 * 20_000)))


def test_a_silent_network_may_cost_more() -> None:
    assert found().break_even(CHIP) is None
    assert found(CHIP).table()[0]["break_even_rate"] == "none"


def test_where_spikes_cost_nothing_any_rate_or_none_will_do() -> None:
    dear = Device("dear", 1e6, 0.0, False, "here")
    assert found().break_even(BOX) is None
    assert found().break_even(BOX, classical_on=dear) == math.inf
    assert found().break_even(replace(CHIP, synaptic_event_j=0.0), classical_on=dear) == math.inf


def test_a_silent_run_has_the_fan_out_of_its_synapses() -> None:
    dear, silent = Device("dear", 100.0, 0.0, False, "here"), {"spikes": {"a": 0}, "synaptic_events": 0}
    assert found(**silent).break_even(CHIP, classical_on=dear) == pytest.approx(
        (1_060 * 100 - 45_400) / (2 * 5 * 20_000)
    )


# -- in words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "prices", "says"),
    [
        (
            {},  # 8000 + 45000 + 300 + 100 J, without updates 8400 J; the classical passes take 5050 J
            {},
            "On chip the spiking network is 10.6 times dearer than the classical passes: 84% of its joules go into "
            "updating neurons in the 100 steps of a simulation. It is 1.66 times dearer than them if updates cost "
            "nothing.",
        ),
        (
            {"idle_updates": 9_000},
            {},
            "On chip the spiking network is 10.6 times dearer than the classical passes: 51% of its joules go into "
            "updating idle neurons while a run so short fills and empties a network so deep. It is 5.23 times dearer "
            "than them if only neurons at work are updated, 1.66 times dearer than them if updates cost nothing.",
        ),
        (
            {"neuron_updates": 100},
            {"synaptic_event_j": 0.5},
            "On chip the spiking network is 1.87 times cheaper than the classical passes: 74% of its joules go into "
            "synaptic events. It is 2.1 times cheaper than them if updates cost nothing.",
        ),
        (
            {"neuron_updates": 0, "synaptic_events": 2_325},
            {},
            "On chip the spiking network is as dear as the classical passes: 92% of its joules go into synaptic "
            "events. It is as dear as them if updates cost nothing.",
        ),
        (
            {"input_macs": 20_000},
            {"neuron_update_j": 0.0},
            "On chip the spiking network is 23.5 times dearer than the classical passes: 93% of its joules go into "
            "its inputs' currents and its masks. It is 23.5 times dearer than them if updates cost nothing.",
        ),
    ],
)
def test_the_verdict_in_words(counts: dict[str, Any], prices: dict[str, Any], says: str) -> None:
    made = found(BOX, replace(CHIP, **prices), **counts)
    assert in_words(made) == says
    assert " ".join(statement(made).splitlines()).startswith(says)


def test_passes_that_skip_zeros_are_named_where_they_win() -> None:
    """Without 700 of their 900 products they take 1000 + 450 + 100 J, and spikes alone 8400 J."""
    made = replace(found(CHIP), classical=replace(CLASSICAL, zero_macs=700))
    assert in_words(made).endswith(
        " Classical passes that skip zeros beat it in any case: it is 5.42 times dearer than them at best."
    )
    few = replace(made, spiking=replace(SPIKING, synaptic_events=500))  # 1400 J, and 45000 J for updates
    assert in_words(few).endswith(
        " Classical passes that skip zeros beat it unless updates cost nothing: it is 29.9 times dearer than them at "
        "best."
    )
    assert "skip zeros" not in in_words(replace(few, spiking=replace(few.spiking, neuron_updates=10)))


def test_a_machine_that_works_in_every_step() -> None:
    assert in_words(found(BOX)) == (
        "On box the spiking network is 95.6 times dearer than the classical passes: every synapse and neuron works "
        "in each of its 100 steps."
    )


def test_nothing_is_said_where_nothing_costs() -> None:
    free = Device("free", 0.0, 0.0, True, "here")
    assert in_words(found(free)) == in_words(found()) == ""
    assert statement(found(free)).startswith("spiking: 20 simulations")


# -- a run -------------------------------------------------------------------------------------------------


def test_a_run_is_counted_and_priced() -> None:
    net, x = network(), torch.randn(4, 3)
    settings: dict[str, Any] = {"samples": 5, "steps": 40, "burn_in": 20, "seed": 3, "mask_scope": "pass"}
    made = energy(net, x, **settings, devices=[LOIHI, GPU], meter=Meter(Path("nowhere")))
    spiking, classical = count(net, x, **settings)
    assert (made.spiking, made.classical) == (spiking, classical)
    assert made.weights == 3 * 20 + 20 * 20 + 20
    assert made.settings == settings | {"dt": 1e-3}
    first, second, *rest = made.table()
    assert first["spiking_j"] == pytest.approx(made.spiking_joules(LOIHI) / 4)
    assert second["classical_j_memory"] == pytest.approx(made.classical_joules(GPU, memory=True) / 4)
    assert first["ratio"] == pytest.approx(first["classical_j"] / first["spiking_j"])
    assert (first["memory"], second["memory"]) == ("included", "added")
    assert first["break_even_rate_vs_gpu"] in ("none", made.break_even(LOIHI, classical_on=GPU))
    assert [line["device"] for line in rest] == ["this machine, RAPL", "this machine, NVML"]
    assert all(line["spiking_j"] is None and line["source"].startswith("not measured: ") for line in rest)
    assert sb.energy is energy
    assert sb.Device is Device


def test_a_device_of_ones_own_is_a_line_of_the_table() -> None:
    mine = Device("mine", 1e-12, 1e-12, True, "my data sheet")
    table = energy(network(), torch.randn(2, 3), samples=2, steps=20, burn_in=10, devices=(mine,)).table()
    assert (table[0]["device"], table[0]["source"]) == ("mine", "my data sheet")
    assert "break_even_rate_vs_gpu" not in table[0]


def test_samples_out_of_one_run() -> None:
    redraw = Redraw(hold=10, gap=5, lead=20)
    made = energy(network(), torch.randn(2, 3), samples=3, redraw=redraw)
    assert made.spiking.simulations == 2
    assert made.classical.passes == 3
    assert made.settings["redraw"] == {"hold": 10, "gap": 5, "lead": 20, "stagger": 0, "carry_over": 0.0}


@pytest.mark.parametrize("stagger", [0, 3])
def test_the_classical_passes_are_the_same_however_samples_are_simulated(stagger: int) -> None:
    x = torch.randn(2, 3)
    apart = energy(network(), x, samples=4, seed=2).classical
    assert energy(network(), x, samples=4, seed=2, redraw=Redraw(10, 5, 20, stagger)).classical == apart


def test_it_is_json_and_text() -> None:
    made = energy(network(), torch.randn(2, 3), samples=2, steps=20, burn_in=10)
    stored = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert stored == made.to_dict()
    text = statement(made)
    for device in DEVICES:
        assert sum(line.startswith(device.name) for line in text.splitlines()) >= 2
    for number in (made.spiking.synaptic_events, made.spiking.neuron_updates, made.classical.kept_macs):
        assert str(number) in text
    assert "not measured: " in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_text_says_rates_that_cannot_be_reached_as_any() -> None:
    dear = replace(GPU, synaptic_event_j=1e6)
    line = next(line for line in statement(found(CHIP, dear)).splitlines() if line.startswith("chip"))
    assert line.split()[-2:] == ["none", "any"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9.994e-4, "999 µJ"),
        (9.9996e-4, "1 mJ"),
        (9.999e-7, "1 µJ"),
        (1e-3, "1 mJ"),
        (1e-15, "0.001 pJ"),
        (0.0, "0 J"),
    ],
)
def test_joules_just_below_a_thousand_take_the_next_prefix(value: float, text: str) -> None:
    assert in_joules(value) == text


def test_counters_of_the_machine_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RAPL zone whose count grows by 2 J at every look."""
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for name, text in (("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "100000000")):
        (zone / name).write_text(text)
    read = Path.read_text

    def grow(path: Path, *given: Any) -> str:
        now = read(path, *given)
        if path == zone / "energy_uj":
            path.write_text(str(int(now) + 2_000_000))
        return now

    monkeypatch.setattr(Path, "read_text", grow)
    model = nn.Sequential(dense(3, 5), Permadrop(0.5), nn.Linear(5, 1))
    net, x = convert(model, torch.zeros(1, 3)), torch.randn(4, 3)
    settings: dict[str, Any] = {"samples": 2, "steps": 20, "burn_in": 10, "meter": Meter(tmp_path)}
    made = energy(net, x, model=model, **settings)
    line = next(line for line in made.table() if line["device"] == "this machine, RAPL package-0")
    assert (line["spiking_j"], line["classical_j"], line["source"]) == (0.5, 0.5, "measured")
    assert made.measured.seconds["spiking"] > 0
    assert made.measured.seconds["classical"] > 0
    assert "package-0: 500 mJ spiking, 500 mJ classical, measured" in statement(made)
    alone = next(line for line in energy(net, x, **settings).table() if line["device"].endswith("package-0"))
    assert (alone["spiking_j"], alone["classical_j"]) == (0.5, None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"samples": 1}, "samples"), ({"seed": -1}, "seed"), ({"burn_in": 300}, "burn_in"), ({"engine": "x"}, "engine")],
)
def test_settings_out_of_range(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        energy(network(), torch.randn(2, 3), **settings)


def test_a_network_in_which_nothing_is_random() -> None:
    plain = convert(nn.Sequential(dense(3, 4), nn.Linear(4, 1)), torch.zeros(1, 3))
    with pytest.raises(ConfigError, match="nothing in the model is random"):
        energy(plain, torch.randn(2, 3))


def test_of_a_network_whose_steps_are_samples() -> None:
    torch.manual_seed(0)
    made, x = convert(s2m(4, 2, (5,)), torch.zeros(1, 4)), torch.randn(3, 4)
    result = energy(made, x, samples=6, seed=1)
    assert (result.settings["steps"], result.settings["burn_in"]) == (1, 0)
    assert (result.spiking, result.classical) == count(made, x, samples=6, seed=1)
    assert result.spiking_joules(CHIP) == pytest.approx(
        2 * result.spiking.synaptic_events + 3 * 18 * 9 + 5 * 3 * 4 + 0.5 * 18 * (4 + 4 * 5)
    )


def test_the_default_steps_of_a_network_with_memory() -> None:
    result = energy(network(), torch.randn(2, 3), samples=2)
    assert (result.settings["steps"], result.settings["burn_in"], result.spiking.steps) == (300, 200, 300)


def test_gaussian_sums_have_no_price() -> None:
    made = convert(s2m(4, 2, (5,)), torch.zeros(1, 4), sampling=Gaussian())
    with pytest.raises(ConfigError, match="Bernoulli draws to count"):
        energy(made, torch.randn(3, 4), samples=2)
