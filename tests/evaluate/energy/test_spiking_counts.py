"""Counts of a run against the same run counted naively: loops over recorded spikes and dense matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from modules import Net, act, dense
from networks import feed_forward, neurons
from spikebayes import (
    LIF,
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    DataError,
    Dropout,
    Input,
    Population,
    Readout,
    Redraw,
    Sign,
    SpikingNetwork,
    Threshold,
    convert,
    simulate,
)
from spikebayes.evaluate.energy import spiking_counts
from spikebayes.evaluate.energy.random_bits import drawn_nodes
from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
from spikebayes.network.noise import Gaussian, Law
from spikebayes.network.operators import Chain, Dense, Place, size
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, Permadrop, SigmoidSign
from spikebayes.nn.encoders import NoisySign
from spikebayes.nn.zoo import s2m
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys


def naive(network: SpikingNetwork, x: Any, samples: int, steps: int, seed: int, scope: Any) -> dict[str, int]:
    """Events and updates, counted pair by pair, step by step and spike by spike."""
    run = simulate(network, x, samples=samples, steps=steps, seed=seed, mask_scope=scope, probe=["spikes"])
    rows = next(iter(run.counts.values())).shape[1]
    found = {"spikes": 0, "events": 0, "updates": 0}
    patterns = {c: pattern(c.operator, network.shape(c.source)) for c in network.connections}
    for s in range(samples):
        for b in range(rows):
            pair = torch.tensor([s]), torch.tensor([b if scope == "row" else 0])
            alive = {}
            for p in network.populations:
                alive[p.name] = torch.ones(size(p.shape), dtype=torch.bool)
                if p.dropout and p.dropout.p and p.dropout.redraws(steps - 1) == 0:
                    alive[p.name] = dropout_keep(p.dropout, Keys(seed, *pair), size(p.shape))[0]
            for step in range(steps):
                for p in network.populations:
                    found["updates"] += int(alive[p.name].sum())
                    fired = run.spikes[p.name][s, b, step]
                    found["spikes"] += int(fired.sum())
                    for c in network.connections:
                        if c.source == p.name:
                            targets = patterns[c] & alive.get(c.target, torch.tensor(True))
                            found["events"] += int(targets[fired].sum())
    return found


def pattern(operator: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """``[N, M]`` where a spike arrives; weights are random, so none is 0 and no two paths cancel."""
    dtype = next(iter(operator.buffers()), torch.zeros(0)).dtype
    return operator(torch.eye(size(shape), dtype=dtype).reshape(-1, *shape)).reshape(size(shape), -1) != 0


def agrees(network: SpikingNetwork, x: Any, scope: Any = "row", samples: int = 3, steps: int = 25) -> SpikingCounts:
    spiking, _ = count(network, x, samples=samples, steps=steps, burn_in=0, seed=5, mask_scope=scope)
    expected = naive(network, x, samples, steps, 5, scope)
    assert {
        "spikes": sum(spiking.spikes.values()),
        "events": spiking.synaptic_events,
        "updates": spiking.neuron_updates,
    } == expected
    assert expected["events"] > 0
    assert spiking.dense_neuron_updates == network.neurons * spiking.simulations * steps
    populations = {p.name for p in network.populations}
    patterns = [pattern(c.operator, network.shape(c.source)) for c in network.connections if c.source in populations]
    assert spiking.synapses == sum(int(p.sum()) for p in patterns)
    return spiking


def images(*shape: int) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def _added(layer: nn.Module, h: Tensor) -> Tensor:
    return layer(h) + h


def _both(h: Tensor, m: Any) -> Tensor:
    return m.one(m.drop(h)) + m.other(m.drop(h))


MODELS = {
    "mlp": ((4,), lambda: nn.Sequential(dense(4, 7), Permadrop(0.4), dense(7, 6), Permadrop(0.5), nn.Linear(6, 2))),
    "mlp, a layer without mask": (
        (4,),
        lambda: nn.Sequential(dense(4, 7), Permadrop(0.4), dense(7, 6, 5), nn.Linear(5, 2)),
    ),
    "masked input": ((4,), lambda: nn.Sequential(nn.Dropout(0.5), dense(4, 7), Permadrop(0.4), nn.Linear(7, 2))),
    "conv, padding, stride, pooling": (
        (2, 7, 7),
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, stride=2, padding=1), act(), Permadrop(0.3)),
            *(nn.Conv2d(3, 4, 3, padding=1), act(), nn.Dropout2d(0.5), nn.AvgPool2d(2, 1, 1)),
            *(nn.Conv2d(4, 2, 2), act(), nn.Dropout(0.2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 2)),
        ),
    ),
    "conv over one axis": (
        (2, 9),
        lambda: nn.Sequential(
            *(nn.Conv1d(2, 4, 3, dilation=2), act(), Permadrop(0.3), nn.Conv1d(4, 4, 2, groups=2), act()),
            *(nn.Dropout(0.5), nn.AvgPool1d(3, 1, 1), nn.Flatten(), nn.Linear(16, 3)),
        ),
    ),
    "residual": (
        (4,),
        lambda: Net(
            lambda m, x: m.out(_added(m.b, m.drop(m.a(x)))),
            a=dense(4, 5),
            b=dense(5, 5),
            drop=nn.Dropout(0.4),
            out=nn.Linear(5, 2),
        ),
    ),
    "one activation under two masks": (
        (4,),
        lambda: Net(
            lambda m, x: _both(m.a(x), m),
            a=dense(4, 5),
            drop=nn.Dropout(0.4),
            one=nn.Linear(5, 2),
            other=nn.Linear(5, 2),
        ),
    ),
    "concatenation": (
        (4,),
        lambda: Net(
            lambda m, x: m.out(m.drop(m.c(torch.cat([m.drop(m.a(x)), m.drop(m.b(x))], 1)))),
            a=dense(4, 3),
            b=dense(4, 5),
            c=dense(8, 6),
            drop=nn.Dropout(0.4),
            out=nn.Linear(6, 2),
        ),
    ),
}


@pytest.mark.parametrize("scope", ["row", "pass"])
@pytest.mark.parametrize("name", MODELS)
def test_events_and_updates_are_those_of_the_run(name: str, scope: Any) -> None:
    shape, make = MODELS[name]
    spiking = agrees(convert(make(), torch.zeros(1, *shape)), images(*shape), scope)
    assert 0 < spiking.neuron_updates < spiking.dense_neuron_updates


@settings(max_examples=15)
@given(feed_forward(neurons(), redraws=True))
def test_any_dense_network(case: tuple[SpikingNetwork, Tensor]) -> None:
    network, x = case
    spiking, _ = count(network, x, samples=2, steps=20, burn_in=5, seed=1)
    expected = naive(network, x, 2, 20, 1, "row")
    assert [sum(spiking.spikes.values()), spiking.synaptic_events, spiking.neuron_updates] == list(expected.values())


def test_batches_and_their_size_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, make = MODELS["conv, padding, stride, pooling"]
    network, x = convert(make(), torch.zeros(1, *shape)), images(*shape)
    whole = count(network, x, samples=5, steps=20, burn_in=0)
    monkeypatch.setattr(spiking_counts, "NUMBERS", 100)
    assert count(network, x, samples=5, steps=20, burn_in=0, batch_size=1) == whole
    assert count(network, x, samples=5, steps=20, burn_in=0, engine="reference") == whole


# -- what does not depend on spikes -------------------------------------------------------------------------


def sandwich(hold: int | None = None, **noise: Any) -> SpikingNetwork:
    """3 inputs, 6 neurons, 5 neurons and 2 outputs, all but the outputs with dropout."""
    drop = {"hold": hold, **noise}
    neuron, alpha = LIF(gain=2.0, bias=1.5), Alpha(0.005)
    return SpikingNetwork(
        (Input("x", (3,), Dropout(0.5, site=0, **drop)),),
        (
            Population("a", (6,), neuron, Dropout(0.5, site=1, **drop)),
            Population("b", (5,), neuron, Dropout(0.3, site=2, **drop)),
        ),
        (
            Connection("x", "a", Dense(torch.randn(6, 3))),
            Connection("a", "b", Dense(torch.randn(5, 6)), alpha),
            Connection("a", "readout", Dense(torch.randn(2, 6)), alpha),
            Connection("b", "readout", Dense(torch.randn(2, 5)), alpha),
        ),
        Readout((2,)),
    )


def test_input_currents_are_computed_anew_only_where_they_change() -> None:
    plain = convert(nn.Sequential(dense(4, 7), Permadrop(0.4), nn.Linear(7, 2)), torch.zeros(1, 4))
    x, settings = torch.randn(3, 4), {"samples": 5, "steps": 30, "burn_in": 0}
    assert count(plain, x, **settings)[0].input_macs == 3 * 4 * 7
    x = torch.randn(3, 3)
    assert count(sandwich(), x, **settings)[0].input_macs == 5 * 3 * 3 * 6
    assert count(sandwich(hold=10), x, **settings)[0].input_macs == 3 * 5 * 3 * 3 * 6


@pytest.mark.parametrize(
    ("noise", "scope", "bits"),
    [
        ({}, "row", 5 * 3 * 14),
        ({}, "pass", 5 * 14),
        ({"hold": 10}, "row", 3 * 5 * 3 * 14),
        ({"hold": 30}, "row", 5 * 3 * 14),
        ({"hold": 7, "start": 3}, "pass", 4 * 5 * 14),
    ],
)
def test_mask_bits(noise: dict[str, Any], scope: Any, bits: int) -> None:
    settings: dict[str, Any] = {"samples": 5, "steps": 30, "burn_in": 0, "mask_scope": scope}
    spiking, classical = count(sandwich(**noise), torch.randn(3, 3), **settings)
    assert spiking.mask_bits == bits
    assert classical.mask_bits == bits


def test_mask_bits_of_whole_channels_and_of_shared_sites() -> None:
    maps = nn.Sequential(nn.Conv2d(1, 3, 2), act(), nn.Dropout2d(0.5), nn.Flatten(), nn.Linear(27, 1))
    spiking, _ = count(convert(maps, torch.zeros(1, 1, 4, 4)), torch.randn(2, 1, 4, 4), samples=4, steps=5, burn_in=0)
    assert spiking.mask_bits == 4 * 2 * 3
    both = Net(
        lambda m, x: m.out(m.drop(torch.cat([m.a(x), m.b(x)], 1))) + m.out2(m.drop2(m.a(x) + m.b(x))),
        a=dense(4, 5),
        b=dense(4, 5),
        drop=nn.Dropout(0.5),
        drop2=nn.Dropout(0.5),
        out=nn.Linear(10, 1),
        out2=nn.Linear(5, 1),
    )
    network = convert(both, torch.zeros(1, 4))
    spiking, _ = count(network, torch.randn(2, 4), samples=4, steps=5, burn_in=0)
    assert spiking.mask_bits == 4 * 2 * (10 + 5)  # one mask over the concatenation, one over the sum


def test_every_synapse_works_in_every_step_where_nothing_is_event_driven() -> None:
    shape, make = MODELS["conv, padding, stride, pooling"]
    spiking, _ = count(convert(make(), torch.zeros(1, *shape)), images(*shape), samples=3, steps=20, burn_in=0)
    second = 3 * 4 * 10 * 10  # 3 x 3 kernels over 4 x 4 places, of which 100 lie inside
    third = 4 * 8 * 8 + 4 * 2 * 4 * 16  # windows of 1, 2, 2, 2, 1 on either axis; 2 x 2 kernels over 4 x 4 places
    last = 2 * 4 * 4 + 8 * 2
    assert spiking.dense_synaptic_operations == 3 * 2 * 20 * (second + third + last)


def test_a_run_of_redrawn_masks_pays_for_all_neurons() -> None:
    network = convert(nn.Sequential(dense(4, 7), Permadrop(0.4), nn.Linear(7, 2)), torch.zeros(1, 4))
    x, redraw = torch.randn(3, 4), Redraw(hold=10, gap=5, lead=20)
    spiking, classical = count(network, x, samples=6, redraw=redraw)
    assert (spiking.simulations, spiking.steps, classical.passes) == (3, 80, 6)
    assert spiking.neuron_updates == spiking.dense_neuron_updates == 3 * 80 * 7
    assert spiking.mask_bits == classical.mask_bits == 3 * 6 * 7
    heard = simulate(redraw.apply(network), x, steps=80).counts["layer0_1"].sum()
    assert spiking.synaptic_events == 2 * heard
    apart, same = count(network, x, samples=6)[1], classical
    assert (apart.kept_macs, apart.kept_activations) == (same.kept_macs, same.kept_activations)


def test_units_that_nothing_reaches_take_no_events() -> None:
    gaps = Chain((Dense(torch.ones(2, 3)), Place(1, 1, 2)))  # units 0, 3 and 4 of five have no synapse
    network = SpikingNetwork(
        (Input("x", (3,)),),
        (Population("a", (3,), Threshold(0.5), Dropout(0.5)), Population("b", (5,), Threshold(0.5))),
        (
            Connection("x", "a", Chain(())),
            Connection("a", "b", gaps),
            Connection("b", "readout", Dense(torch.ones(1, 5))),
        ),
        Readout((1,)),
    )
    spiking, _ = count(network, torch.ones(2, 3), samples=4, steps=1, burn_in=0)
    assert spiking.synaptic_events == 2 * spiking.spikes["a"] + spiking.spikes["b"]


@pytest.mark.parametrize(("hold", "taken"), [(None, True), (30, True), (29, False)])
def test_neurons_are_taken_out_where_a_mask_lasts_for_the_run(hold: int | None, taken: bool) -> None:
    spiking, _ = count(sandwich(hold=hold), torch.randn(3, 3), samples=5, steps=30, burn_in=0)
    assert (spiking.neuron_updates < spiking.dense_neuron_updates) == taken


def test_blanked_synapses_are_reached_and_drawn() -> None:
    network = SpikingNetwork(
        (Input("x", (3,)),),
        (Population("z", (4,), Sign()),),
        (
            Connection("x", "z", Dense(torch.randn(4, 3)), blank_out=BlankOut(0.5, site=0)),
            Connection("z", "readout", Dense(torch.randn(2, 4)), blank_out=BlankOut(0.5, hold=4, site=1)),
        ),
        Readout((2,)),
    )
    x = torch.randn(2, 3)
    spiking, classical = count(network, x, samples=3, steps=10, burn_in=0)
    assert spiking.mask_bits == 6 * (10 * 12 + 3 * 8)
    assert spiking.synaptic_events == 2 * sum(spiking.spikes.values()) > 0
    assert spiking.input_macs == 6 * 10 * 12  # a new current in every step
    assert classical.mask_bits == spiking.mask_bits
    assert classical.passes == 3 * 10  # each with synapses of its own


# -- units and synapses that draw ----------------------------------------------------------------------------


def test_a_synaptic_sampling_machine_by_hand() -> None:
    """4 noisy signs, 5 and 6 units behind synapses that blank out, 2 outputs; every step is a sample."""
    network, x = convert(s2m(4, 2, (5, 6)), torch.zeros(1, 4)), torch.randn(3, 4)
    assert drawn_nodes(network) == {p.name for p in network.populations}
    spiking, classical = count(network, x, samples=7, seed=1)
    assert (spiking.steps, spiking.simulations, spiking.dense_neuron_updates) == (1, 21, 21 * 15)
    spikes = simulate(network, x, samples=7, seed=1, steps=1).counts
    targets = dict(zip(spikes, (5, 6, 2), strict=True))
    assert spiking.spikes == {name: int(n.sum()) for name, n in spikes.items()}
    assert spiking.synaptic_events == sum(targets[name] * int(n.sum()) for name, n in spikes.items())
    assert spiking.mask_bits == classical.mask_bits == 21 * (4 + 4 * 5 + 5 * 6)
    assert spiking.input_macs == classical.macs - 21 * (20 + 30 + 12) == 3 * 4  # the noise's scale, once a row
    assert classical.passes == 7
    assert classical.kept_macs == classical.macs
    assert classical.activations == classical.kept_activations == 21 * 15


def test_under_the_law_units_are_drawn_in_place_of_synapses() -> None:
    network, x = convert(s2m(4, 2, (5, 6)), torch.zeros(1, 4), sampling=Law()), torch.randn(3, 4)
    spiking, classical = count(network, x, samples=7, mask_scope="pass")
    assert spiking.mask_bits == classical.mask_bits == 7 * (4 + 5 + 6)
    assert classical.macs == 3 * 4 + 21 * (20 + 5 + 30 + 6 + 12)  # a factor for each unit, too


def test_synapses_that_stick_out_of_an_image_are_not_drawn() -> None:
    layers = [
        NoisySign(0.0),
        BlankOutConv2d(2, 3, 3, padding=1),
        nn.Flatten(),
        BlankOutLinear(48, 5),
        nn.Linear(5, 1),
    ]
    network = convert(nn.Sequential(*layers), torch.zeros(1, 2, 4, 4))
    spiking, classical = count(network, torch.randn(2, 2, 4, 4), samples=3)
    maps = 2 * 3 * (3 * 4 - 2) ** 2  # windows of 2, 3, 3, 2 on either axis
    assert spiking.mask_bits == classical.mask_bits == 6 * (maps + 48 * 5)
    expected = naive(network, torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(1)), 3, 1, 5, "row")
    again, _ = count(network, torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(1)), samples=3, seed=5)
    assert [sum(again.spikes.values()), again.synaptic_events, again.neuron_updates] == list(expected.values())


def test_steps_of_a_network_that_draws_are_passes() -> None:
    network, x = convert(s2m(4, 2, (5,)), torch.zeros(1, 4)), torch.randn(3, 4)
    once, many = (count(network, x, samples=s, steps=t) for s, t in ((30, 1), (3, 10)))
    assert many[0].mask_bits == once[0].mask_bits
    assert many[1] == replace(once[1], passes=30)


def test_units_that_share_a_site_draw_once() -> None:
    """One layer under two masks is two populations with the draws of one; its synapses, too."""
    both = Net(
        lambda m, x: _both(m.layer(m.sign(x)), m) + _both(m.sigmoid(x), m),
        sign=NoisySign(0.0),
        layer=BlankOutLinear(4, 5),
        sigmoid=nn.Sequential(nn.Linear(4, 5), SigmoidSign()),
        drop=nn.Dropout(0.4),
        one=nn.Linear(5, 2),
        other=nn.Linear(5, 2),
    )
    network = convert(both, torch.zeros(1, 4))
    assert [p.shape for p in network.populations] == [(4,), (5,), (5,), (5,), (5,)]
    spiking, classical = count(network, torch.randn(3, 4), samples=2)
    assert spiking.mask_bits == classical.mask_bits == 6 * (4 * 5 + 5 + 4 * 5)
    assert classical.activations == 3 * 4 + 6 * (5 + 5)  # the signs are the same in every pass


def test_units_that_draw_on_an_input_without_noise() -> None:
    model = nn.Sequential(nn.Linear(4, 5), SigmoidSign(), nn.Linear(5, 2))
    network = convert(model, torch.zeros(1, 4))
    _, classical = count(network, torch.randn(3, 4), samples=2)
    assert classical.macs == classical.kept_macs == 3 * 20 + 6 * 10  # what they see is computed once a row
    assert classical.activations == classical.kept_activations == 6 * 5  # and whether they fire, in every pass


def test_gaussian_sums_are_not_counted() -> None:
    network = convert(s2m(4, 2, (5,)), torch.zeros(1, 4), sampling=Gaussian())
    with pytest.raises(
        ConfigError, match=r"connection layer0 -> layer1 draws sums of synapses.*sampling=Exact\(\), or Law"
    ):
        count(network, torch.randn(3, 4), samples=2)


def test_a_network_without_populations_is_refused() -> None:
    read = Connection("x", "readout", Dense(torch.ones(2, 4)))
    network = SpikingNetwork((Input("x", (4,), Dropout(0.5)),), (), (read,), Readout((2,)))
    with pytest.raises(ConfigError, match="without populations sends no spikes"):
        count(network, torch.randn(3, 4), samples=2)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"samples": 0}, ConfigError),
        ({"steps": 0}, ConfigError),
        ({"burn_in": 300}, ConfigError),
        ({"mask_scope": "batch"}, ConfigError),
        ({"engine": "abacus"}, ConfigError),
        ({"x": torch.ones(2, 9)}, DataError),
        ({"x": torch.full((2, 3), torch.nan)}, DataError),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        count(sandwich(), **({"x": torch.ones(2, 3)} | settings))
