"""The roofline's loops: that they do the work they are credited with, and the bound's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import loops
from benchmarks.operations import operations
from benchmarks.roofline import VARIANTS, Rates, add_loop, aligned, roofline, update_loop
from benchmarks.workloads import workload
from spikebayes.prediction.simulate import simulate

SUMS = [(width, loops.IN_REGISTERS) for width in loops.TILES]


@pytest.mark.parametrize(("width", "rows"), [(64, 1), (40, 4), (200, 8), *SUMS])
def test_loops_add_the_rows_they_are_given(width: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    stride = -(-width // 16) * 16
    weight = aligned(24 * stride)
    weight[:] = rng.standard_normal(24 * stride)
    order = rng.integers(0, 24, (2, 32), np.int32)
    totals = aligned(2 * stride).reshape(2, stride)
    loops.add_on_threads(totals, weight, width, stride, order, 3, rows)
    expected = 3 * weight.reshape(24, stride)[order].sum(1)
    np.testing.assert_allclose(totals[:, :width], expected[:, :width], rtol=1e-3, atol=1e-4)
    assert not totals[:, width:].any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_updates_alike(variant: int) -> None:
    n, steps = 64, 7
    a, _, c, _, decay, full = coefficients = tuple(np.float32(z) for z in (0.95, 0.05, 0.04, 0.001, 0.9, 0.05))
    state, crossed = aligned(2 * 6 * n).reshape(2, 6, n), np.zeros((2, n), np.uint8)
    state[:, 0] = np.linspace(-0.5, 0.3, n)
    found = loops.update_on_threads(state, crossed, n, steps, 100, coefficients, variant)

    current = np.linspace(-0.5, 0.3, n)
    x, y, g, v = np.full(n, 0.5), np.full(n, 0.5), np.ones(n), np.full(n, float(full))
    for _ in range(steps):
        before, y, x = y, a * y + c * x, a * x
        into = current + (
            y if variant == loops.REGISTERS else before
        )  # the engine's filter runs ahead of its neurons
        g = g * decay
        v = np.maximum(v + (into - v) * np.clip(1 - g, 0, full), 0)
    assert found == 0
    for thread in state:
        np.testing.assert_allclose(thread[1:], [x, y, np.zeros(n), g, v], rtol=1e-4, atol=1e-6)


def test_loops_are_credited_with_what_they_do() -> None:
    adding = add_loop(2, 40, 64, 4, 100_000)
    adding.run()
    assert adding.amount % (2 * 40 * 4096) == 0
    assert adding.setting == {"width": 40, "kib": 64, "way": "4 rows at once"}
    updating = update_loop(2, 128, loops.FUSED, 50_000)
    updating.run()
    assert updating.amount == 2 * 128 * (50_000 // 128)


def test_arrays_start_a_cache_line() -> None:
    assert all(aligned(n).ctypes.data % 64 == 0 and len(aligned(n)) == n for n in range(1, 40))


def test_the_roofline_is_the_best_of_its_loops() -> None:
    limit = roofline(1, widths=(64,), kibibytes=(64, 256), neurons=(128,), repeats=1, amount=20_000)
    assert limit.best.events == max(limit.by_size.values())
    assert limit.best.second == limit.by_size[256]
    assert limit.adding_second.setting["kib"] == 256
    assert limit.best.updates > 0
    rates = limit.rates(0.5, 0.25, 2.0)
    assert rates.events == 2 * limit.adding.amount
    assert rates.second == 4 * limit.adding_second.amount
    assert rates.updates == limit.updating.amount / 2
    assert set(limit.figures()["event_rate_by_kib"]) == {"64", "256"}


def test_the_bound_is_the_sum_of_both_times() -> None:
    rates = Rates(events=1e9, second=4e8, updates=2e9)
    assert rates.bound(3e9, 1e9) == pytest.approx(3.5)
    assert rates.second_bound(3e9, 1e9) == pytest.approx(8.0)


# -- synaptic events and updates, counted ------------------------------------------------------------------


def test_a_dense_network_is_counted_by_hand() -> None:
    load = workload("A", rows=3, width=40)
    costs = operations(load.network, load.inputs)
    first, second, third = costs.neurons
    spikes = {first: 100.0, second: 10.0, third: 1.0}
    assert costs.events(spikes) == pytest.approx(110 * 40)
    assert costs.readout_events(spikes) == pytest.approx(1.0)
    assert costs.kept_events(spikes) == pytest.approx(110 * 36)
    assert costs.updates(7) == 7 * 120
    assert costs.kept_updates(7) == pytest.approx(7 * 108)


def test_a_convolution_counts_the_places_that_spikes_reach() -> None:
    """Against every spike's own fan-out: the columns of the operator that a spike there changes."""
    load = workload("C", rows=2)
    costs = operations(load.network, load.inputs, rows=2, steps=30)
    run: Any = simulate(load.network, load.inputs, steps=30, probe=["spikes"])
    source = load.network.populations[0]
    target = load.network.populations[1]
    per_place = _reached(load, source.shape[1:])
    spikes = run.spikes[source.name].sum((0, 1, 2)).reshape(source.shape).sum(0).double().numpy()
    events = (spikes * per_place).sum() * target.shape[0]
    assert costs.events({**dict.fromkeys(costs.neurons, 0.0), source.name: spikes.sum()}) == pytest.approx(events)


def _reached(load: Any, space: tuple[int, int]) -> np.ndarray:
    """How many output places of the 3 x 3 kernel, stride 2, padding 1, each input place reaches."""
    along = [
        sum(0 <= (i + 1 - k) // 2 < n // 2 and (i + 1 - k) % 2 == 0 for k in range(3))
        for n in space[:1]
        for i in range(n)
    ]
    return np.outer(along, along)
