"""Workloads: what they are, that every population fires at its rate, and that they leave no trace in torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch

from benchmarks.workloads import Workload, settle, workload
from spikebayes import LIF, Alpha, simulate
from spikebayes.errors import ConfigError
from spikebayes.network.operators import size


def rates(made: Workload, rows: int) -> dict[str, float]:
    """Spikes per neuron and step on the workload's own rows, which its rates were not set on."""
    run = simulate(made.network, made.take(rows).inputs, steps=made.steps, seed=1)
    return {
        p.name: float(run.counts[p.name].double().mean()) / (made.steps * size(p.shape))
        for p in made.network.populations
    }


@pytest.mark.parametrize(("name", "rate", "rows"), [("A", 0.0175, 32), ("B", 0.0175, 64), ("B", 0.1, 64)])
def test_every_population_fires_at_the_rate(name: str, rate: float, rows: int) -> None:
    found = rates(workload(name, rate=rate), rows)
    assert all(value == pytest.approx(rate, rel=0.05) for value in found.values()), found


def test_what_they_are() -> None:
    made = workload("B", rows=3)
    assert [p.shape for p in made.network.populations] == [(300,)] * 3
    assert made.network.readout.shape == (10,)
    assert [x.shape for x in made.inputs] == [(3, 784)]
    assert all(x.dtype == torch.float32 and bool(((x >= 0) & (x <= 1)).all()) for x in made.inputs)
    for p in made.network.populations:
        assert isinstance(p.neuron, LIF)
        assert p.dropout is not None
        assert p.dropout.p == 0.1
    assert {c.synapse for c in made.network.connections if c.source != made.network.inputs[0].name} == {Alpha(0.02)}
    assert (made.rows, made.steps, made.burn_in, made.network.dt) == (3, 300, 200, 1e-3)
    assert workload("A", rows=2, width=20).network.neurons == 60


def test_the_convolutional_one() -> None:
    made = workload("C", rows=2)
    assert [p.shape for p in made.network.populations] == [(32, 32, 32), (64, 16, 16), (256,)]
    assert made.inputs[0].shape == (2, 3, 32, 32)
    assert all(value == pytest.approx(0.0175, rel=0.05) for value in rates(made, 2).values())


def test_neurons_differ_and_do_not_fire_in_step() -> None:
    made = workload("A", rows=4, width=200)
    run = simulate(made.network, made.inputs, steps=300, probe=["spikes"])
    for spikes in run.spikes.values():
        by_neuron = spikes[0].float().mean(1)
        assert 0.1 < float((by_neuron == 0).float().mean()) < 0.8
        assert float(by_neuron.std()) > 0.5 * float(by_neuron.mean())
        assert float(spikes[0].float().mean((0, 2)).max()) < 4 * made.rate


def test_a_seed_says_which_and_torch_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (workload("A", rows=2, width=10, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = workload("A", rows=2, width=10, seed=3)
    for twin in (same, again):
        assert torch.equal(one.inputs[0], twin.inputs[0])
        for a, b in zip(one.network.connections, twin.network.connections, strict=True):
            for one_weight, twin_weight in zip(a.operator.buffers(), b.operator.buffers(), strict=True):
                assert torch.equal(one_weight, twin_weight)
    assert not torch.equal(one.inputs[0], other.inputs[0])


def test_the_network_does_not_depend_on_the_rows() -> None:
    few, many = workload("A", rows=1, width=10), workload("A", rows=50, width=10)
    for a, b in zip(few.network.populations, many.network.populations, strict=True):
        assert a.constant is not None
        assert b.constant is not None
        assert torch.equal(a.constant, b.constant)
    taken = many.take(7)
    assert taken.rows == 7
    assert torch.equal(taken.inputs[0], many.inputs[0][:7])
    for rows in (0, 51):
        with pytest.raises(ConfigError, match="50 rows"):
            many.take(rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "E"}, "no workload 'E'; there are A, B, C, D"),
        ({"name": "B", "width": 10}, "width"),
        ({"name": "A", "width": 0}, "width"),
        ({"name": "A", "rows": 0}, "rows"),
        ({"name": "A", "rate": 0.0}, "rate"),
        ({"name": "A", "rate": 0.7}, "rate"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        workload(**settings)


def test_shifts_are_found_where_each_rate_depends_on_those_before() -> None:
    def measure(shifts: Mapping[str, float]) -> dict[str, float]:
        first = 0.3 / (1 + math.exp(-4 * shifts["first"]))
        second = 0.3 / (1 + math.exp(-2 * (shifts["second"] - 10 * first)))
        return {"first": first, "second": second}

    shifts = settle(measure, {"first": 2.0, "second": -3.0}, 0.02, aim=1e-3)
    assert all(math.log(rate / 0.02) == pytest.approx(0, abs=1e-3) for rate in measure(shifts).values())
    wanted = {"first": 0.1, "second": 0.02}
    found = measure(settle(measure, {"first": 2.0, "second": -3.0}, wanted, aim=1e-3))
    assert found == {name: pytest.approx(rate, rel=1e-2) for name, rate in wanted.items()}


def test_rates_out_of_reach_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.02 spikes per neuron and step were not reached within 20%"):
        settle(lambda shifts: {"only": 0.01}, {"only": 0.0}, 0.02, aim=0.05)
