"""Threshold networks in the bench: 8-bit weights are what they say, figures follow from the times."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import thresholds as section
from benchmarks.command import ALONE
from benchmarks.measure import Timing
from benchmarks.thresholds import (
    FLOAT,
    INTEGER,
    LAST,
    NETWORKS,
    TORCH,
    classes,
    integer_loop,
    job,
    module_classes,
    of_8_bits,
    products,
    thresholds,
)
from benchmarks.thresholds_page import thresholds_section

SMALL: dict[str, Any] = {"sizes": ((32, 16, 8),), "amount": 1 << 14}


def test_it_can_be_measured_alone() -> None:
    assert "thresholds" in ALONE


@pytest.mark.parametrize(
    ("name", "with_inputs", "with_spikes"),
    [("DNN", 784 * 512, 512 * 512 + 512 * 100 + 100 * 10), ("VGG", 27 * 64 * 1024, None)],
)
def test_products_of_an_image(name: str, with_inputs: int, with_spikes: int | None) -> None:
    found = products(job(name, 2).network())
    assert found[0] == with_inputs
    assert found[1] == with_spikes or with_spikes is None


def test_a_job_is_a_function_of_its_seed_and_leaves_torchs_generator() -> None:
    state = torch.get_rng_state()
    one, same, other = job("CNN restricted", 3), job("CNN restricted", 3), job("CNN restricted", 3, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    assert torch.equal(one.module[0].weight, same.module[0].weight)  # pyright: ignore
    assert torch.equal(classes(one.network(), one.images), module_classes(one.module, one.images))


def test_weights_of_8_bits_are_integers_of_a_power_of_two() -> None:
    network = job("CNN restricted", 2).network()
    eight = of_8_bits(network)
    for old, new in zip(network.connections, eight.connections, strict=True):
        before, after = old.operator.weight_rows(), new.operator.weight_rows()
        assert before is not None
        assert after is not None
        weight, rounded = before.weight, after.weight
        peak = float(weight.abs().max())
        step = next(2.0**e for e in range(-40, 20) if 127 * 2.0**e >= peak)
        whole = rounded / step
        assert torch.equal(whole, whole.round())
        assert 63 <= whole.abs().max() <= 127
        assert (rounded - weight).abs().max() <= step / 2


def test_figures_follow_from_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {FLOAT: 0.5, INTEGER: 0.25, TORCH: 2.0, LAST: 1.0, "float products": 0.1, "integer products": 0.2}

    def alternate(runs: Any, repeats: int) -> dict[str, Timing]:
        assert list(runs) == list(times)
        return {name: Timing((t, 2 * t, t)) for name, t in times.items()}

    monkeypatch.setattr(section, "affordable", lambda make, some, rows, limit: (make(some), rows, 0.0))
    monkeypatch.setattr(section, "alternate", alternate)
    said: list[str] = []
    found = thresholds(20, names=["CNN restricted"], repeats=3, **SMALL, say=said.append)
    case = found["networks"]["CNN restricted"]
    table = case["competitors"]
    assert {n: figures["images_per_second"] for n, figures in table.items()} == {
        FLOAT: 40,
        INTEGER: 80,
        TORCH: 10,
        LAST: 20,
    }
    assert table[INTEGER]["ratio"] == 4
    inputs, spikes = case["products_with_inputs"], case["products_with_spikes"]
    assert table[FLOAT]["products_per_second"] == 40 * (inputs + spikes)
    amount = 32 * 16 * 8 * 4
    least = 20 * (inputs * 0.1 + spikes * 0.2) / amount
    assert table[FLOAT]["of_limit"] == pytest.approx(least / 0.5)
    assert case["float_rate"] == pytest.approx(amount / 0.1)
    assert said == [
        "thresholds: the machine's limit",
        "thresholds, CNN restricted: timing float, integer, torch, torch_channels_last",
    ]


def test_a_small_run_has_a_figure_for_every_way_and_a_section() -> None:
    found = thresholds(8, names=["DNN"], repeats=1, seconds=0.5, **SMALL)
    case = found["networks"]["DNN"]
    assert list(case["competitors"]) == [FLOAT, INTEGER, TORCH]
    assert 0 < case["as_torch"] <= 1
    text = "\n".join(thresholds_section(found))
    assert text.startswith("## Networks of threshold units")
    assert "| DNN | this engine, 8-bit weights |" in text
    assert not list(thresholds_section(None))


def test_networks_are_the_studys() -> None:
    assert set(NETWORKS) == {"DNN", "CNN restricted", "CNN unrestricted", "VGG"}
    loop = integer_loop(4, 8, 16, 2000)
    assert loop.amount == 4 * 8 * 16 * 3
    loop.run()
