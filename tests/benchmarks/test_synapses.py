"""Sampling synapses in the bench: the ways agree, figures follow from the times, memory is a process's own."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import synapses as section
from benchmarks.measure import Timing
from benchmarks.synapses import MODULE, SAMPLING, job, memory, prepare, synapses
from benchmarks.synapses_bound import masked_loop, measure_bound, product_loop, word_loop
from benchmarks.synapses_torch import BATCHES, WAYS_TO_DRAW, fastest_batch, sample
from philox_numpy import philox_numpy
from spikebayes.noise.blank_out_sums import LINES
from spikebayes.prediction.predictive import Predictive

WIDTHS = (40, 30, 20, 3)
SYNAPSES = 40 * 30 + 30 * 20
SMALL: dict[str, Any] = {"words": (64,), "sources": (9,), "vectors": (2,), "sizes": ((4, 5, 6),), "amount": 2000}
TIMES = {  # of a run: all six images, two samples each
    "exact": 0.5,
    "gaussian": 1.0,
    "law": 0.25,
    "module": 0.3,
    "torch_bernoulli": 40.0,
    "torch_uniform": 10.0,
    section.DRAWING: 0.1,
    section.ADDING: 0.2,
    section.MULTIPLYING: 0.4,
}


@pytest.mark.slow
@pytest.mark.parametrize("draw", WAYS_TO_DRAW)
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_masks_in_torch_sample_the_same_law_as_exact_sampling(draw: str, batch: int) -> None:
    """Means over 3000 samples; 12 read-outs within 4.5 standard errors, a false alarm in 12 000 runs."""
    given, many = job(4, 3000, widths=WIDTHS), 3000
    ours = prepare("exact", given)()
    assert isinstance(ours, Predictive)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        theirs = sample(given.network, given.images, many, WAYS_TO_DRAW[draw], batch)
    assert theirs.shape == ours.samples.shape == (many, 4, 3)
    error = ((ours.samples.var(0) + theirs.var(0)) / many).sqrt()
    assert bool(((ours.samples.mean(0) - theirs.mean(0)).abs() < 4.5 * error).all())
    assert torch.allclose(ours.samples.std(0), theirs.std(0), rtol=0.1)


def test_a_job_is_a_function_of_its_seed_and_leaves_torchs_generator() -> None:
    state = torch.get_rng_state()
    one, same, other = job(3, 2, widths=WIDTHS), job(3, 2, widths=WIDTHS), job(3, 2, widths=WIDTHS, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    assert torch.equal(one.layers[1].weight, same.layers[1].weight)
    assert one.images.abs().max() <= 1
    assert one.images.min() < 0
    assert (one.synapses, one.products, one.bits) == (SYNAPSES, SYNAPSES + 20 * 3, 1)
    assert torch.equal(one.take(2).images, one.images[:2])


def test_the_papers_network_has_415200_synapses() -> None:
    assert job(1, 1).synapses == 784 * 300 + 2 * 300 * 300


def test_figures_follow_from_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"torch_bernoulli": 2, "torch_uniform": 3}

    def affordable(make: Any, some: Any, count: int, limit: float) -> tuple[Any, int, float]:
        assert (count, limit) == (6, 2.5)
        return make(some), rows.get(names.pop(0), 6), 0.0

    def alternate(runs: Any, repeats: int) -> dict[str, Timing]:
        assert list(runs) == list(TIMES)
        for run in runs.values():
            run()
        return {name: Timing((t, 2 * t, t)) for name, t in TIMES.items()}

    names = [*SAMPLING, MODULE, *WAYS_TO_DRAW]
    monkeypatch.setattr(section, "affordable", affordable)
    monkeypatch.setattr(section, "alternate", alternate)
    said: list[str] = []
    limit = measure_bound(1, **SMALL, repeats=1)
    found = synapses(6, 2, widths=WIDTHS, repeats=3, seconds=2.5, bound=lambda threads: limit, say=said.append)
    table = found["competitors"]
    assert table["exact"]["image_samples_per_second"] == 24
    assert table["exact"]["draws_per_second"] == 24 * SYNAPSES
    assert (table["exact"]["job_seconds"], table["exact"]["extrapolated"]) == (0.5, False)
    assert (table["torch_uniform"]["job_seconds"], table["torch_uniform"]["extrapolated"]) == (20.0, True)
    assert (table["torch_bernoulli"]["rows"], table["torch_bernoulli"]["job_seconds"]) == (2, 120.0)
    assert table["torch_uniform"]["batch"] in BATCHES
    assert found["fastest_torch"] == "torch_uniform"
    assert found["ratios"] == {
        "exact_over_torch": pytest.approx(40),
        "law_over_exact": pytest.approx(2),
        "law_over_torch": pytest.approx(80),
    }
    bound, pairs = found["bound"], 12
    drawing = pairs * SYNAPSES / 32 / (limit.drawing.amount / 0.1)
    adding = pairs * SYNAPSES / (limit.adding.amount / 0.2)
    products = pairs * (SYNAPSES + 60) / (limit.multiplying.amount / 0.4)
    assert bound["drawing_seconds"] == pytest.approx(drawing)
    assert bound["adding_seconds"] == pytest.approx(adding)
    assert bound["multiplying_seconds"] == pytest.approx(products)
    assert bound["exact_fraction"] == pytest.approx((drawing + adding) / 0.5)
    assert bound["law_fraction"] == pytest.approx(products / 0.25)
    assert said == [
        "synapses: the machine's limit",
        "synapses: timing exact, gaussian, law, module, torch_bernoulli, torch_uniform",
    ]


def test_a_small_run_has_a_figure_for_every_way() -> None:
    bound = functools.partial(measure_bound, **SMALL, repeats=1)
    found = synapses(5, 2, widths=WIDTHS, repeats=1, seconds=0.5, bound=bound)
    assert list(found["competitors"]) == [*SAMPLING, MODULE, *WAYS_TO_DRAW]
    for figures in found["competitors"].values():
        assert figures["image_samples_per_second"] == pytest.approx(
            figures["rows"] * 2 / figures["seconds"]["median"]
        )
    assert found["bound"]["exact_fraction"] > 0
    assert found["network"] == "40-30-20-3"


@pytest.mark.parametrize("samples", [1, 5, 100])
def test_no_more_samples_go_together_than_there_are(samples: int) -> None:
    given = job(1, samples, widths=WIDTHS)
    batch = fastest_batch(given.network, given.images, samples, WAYS_TO_DRAW["torch_uniform"])
    assert batch in BATCHES
    assert batch <= samples


def test_loops_do_the_work_that_they_count() -> None:
    assert word_loop(1, 100, 1000).amount == 128 * (1000 // 128)  # whole rounds of eight blocks of four words
    adding = masked_loop(2, 7, 3, 10_000)
    assert adding.amount == 2 * (10_000 // (LINES * 7 * 48)) * LINES * 7 * 48
    assert adding.setting == {"sources": 7, "targets": 48, "lines": LINES}
    product = product_loop(2, 3, 4, 100)
    assert product.amount == 2 * 3 * 4 * 4
    for loop in (word_loop(1, 100, 1000), adding, product):
        loop.run()


def test_the_words_and_sums_of_the_loops_are_the_kernels_own() -> None:
    """On one thread, drawn and added once, against the generator and a product with the masks unpacked."""
    from benchmarks import synapses_bound as loops

    words = np.empty((1, 32), np.uint32)
    loops._draw_on_threads(words, 8, 1)
    counters = np.zeros((8, 4), np.uint32)
    counters[:, 3] = range(8)
    assert (words[0].reshape(8, 4) == philox_numpy(counters, (0, 0))).all()

    rng, sources, vectors = np.random.default_rng(1), 5, 2
    weight = rng.standard_normal((sources, 32)).astype(np.float32)
    values = rng.standard_normal((1, LINES, sources)).astype(np.float32)
    masks = rng.integers(0, 1 << 32, (1, LINES, sources), np.uint32)
    totals = np.zeros((1, LINES, 32), np.float32)
    loops._add_on_threads(totals, values, weight.ravel(), masks, vectors, 1, 1)
    kept = (masks[0, :, :, None] >> np.arange(32, dtype=np.uint32)) & 1  # [LINES, sources, targets]
    np.testing.assert_allclose(totals[0], np.einsum("kj,kji,ji->ki", values[0], kept, weight), atol=1e-5)


@pytest.mark.slow
def test_memory_is_of_a_process_of_its_own() -> None:
    found = memory(2, 2, 1)
    assert 50e6 < found["before"] <= found["peak"] < 2e9
    assert found["seconds"] > 0
    assert "threads must be from 1" in memory(2, 2, 100_000)["failed"]
