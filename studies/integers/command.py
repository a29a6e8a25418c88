"""The study from data to results/integers.json and its page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes import (
    ConfigError,
    IntegerNetwork,
    Predictive,
    SpikingNetwork,
    Task,
    compare,
    demand,
    integers,
    predict,
    simulate,
    split_fan_in,
)
from studies.integers.networks import KINDS, PUBLISHED, STEPS, TRAINED, Case, Rows, Settings, case, classes, numbers
from studies.integers.page import render
from studies.results import provenance, write_page, write_results

LEVELS = (255, 127, 63, 31)  # of an input of 1: sums of weights of 16 bits may have room for the fewer ones alone
LOOKED = 2  # masks under which neurons are looked at


def run_integers(
    data: Path, results: Path, page: Path, *, settings: Settings = PUBLISHED, seed: int = 0
) -> dict[str, Any]:
    """Train networks, round them, and judge what is left of their posteriors; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        settings: networks and budgets.
        seed: of training and masks.

    Returns:
        What the JSON file holds.
    """
    origin, started = provenance("python -m studies.integers", seed), time.perf_counter()
    lines, narrow = [], []
    for name, rows in (
        (settings.set, numbers(data, settings, seed)),
        (settings.images, classes(data, settings, seed)),
    ):
        for kind in KINDS:
            made = case(rows, kind, settings, seed)
            lines += [{"set": name, "kind": kind, **line} for line in _lines(made, rows, settings, seed)]
            if rows.task is Task.CLASSIFICATION and kind in (STEPS, TRAINED):
                narrow.append({"set": name, "kind": kind, **_split(made, settings, seed)})
    found = {
        **origin,
        "settings": asdict(settings),
        "lines": lines,
        "fan_in": narrow,
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found


def _lines(made: Case, rows: Rows, s: Settings, seed: int) -> Iterator[dict[str, Any]]:
    """A line for each number of bits."""
    asked: dict[str, Any] = {"samples": s.samples, "seed": seed, "task": rows.task}
    exact = predict(made.network, made.x, **asked)
    for bits in s.bits:
        whole = _whole(made, bits)
        rounded = predict(whole, made.x, **asked)
        verdict = compare(exact, rounded)
        assert verdict.paired_rmse is not None
        yield {
            "bits": bits,
            "levels": whole.levels,
            "widths": whole.widths,
            "outcome": str(verdict.outcome),
            "error": float(np.median(verdict.paired_rmse)),
            "offset": float(verdict.pooled_mean_difference),
            "spread": float(verdict.pooled_spread_ratio),
            "alike": _alike(made.network, whole, made.x[: s.looked_at], seed),
            "scores": [_score(p, made.y) for p in (exact, rounded)],
            "same_class": _same_class(exact, rounded),
        }


def _whole(made: Case, bits: int) -> IntegerNetwork:
    """The network in whole numbers, with as many levels of its inputs as sums have room for."""
    *more, fewest = LEVELS
    for levels in more:
        try:
            return integers(made.network, bits=bits, levels=levels, largest_input=made.largest)
        except ConfigError:
            continue
    return integers(made.network, bits=bits, levels=fewest, largest_input=made.largest)


def _alike(network: SpikingNetwork, whole: IntegerNetwork, x: Tensor, seed: int) -> float:
    """Share of neurons that decide alike: the same spike or number; of LIF, as many spikes, but for one."""
    probe = "spikes" if network.code is None else "numbers"
    steps = None if network.code is not None else 1 if network.timing is None else network.timing.steps
    asked: dict[str, Any] = {"samples": LOOKED, "seed": seed, "steps": steps, "probe": [probe]}
    exact = simulate(network, x, **asked)
    rounded = simulate(whole.network, whole.inputs(x), dtype=whole.dtype, **asked)
    same = []
    for name in getattr(exact, probe):
        first, second = getattr(exact, probe)[name], getattr(rounded, probe)[name]
        if network.is_memoryless:
            same.append((first == second).double().flatten())
        else:
            same.append(((first.sum(2) - second.sum(2)).abs() <= 1).double().flatten())
    return float(torch.cat(same).mean())


def _score(p: Predictive, y: Tensor) -> float:
    """Root mean squared error, or the share of wrong classes."""
    if p.task is Task.CLASSIFICATION:
        return float((p.mean.argmax(1) != y).double().mean())
    return float((p.mean - y).square().mean().sqrt())


def _same_class(exact: Predictive, rounded: Predictive) -> float | None:
    """Share of rows whose class is the same."""
    if exact.task is not Task.CLASSIFICATION:
        return None
    return float((exact.mean.argmax(1) == rounded.mean.argmax(1)).double().mean())


def _split(made: Case, s: Settings, seed: int) -> dict[str, Any]:
    """The threshold network with 8 bits for a chip with a smaller fan-in."""
    whole = _whole(made, 8)
    narrow = split_fan_in(whole, s.fan_in)
    asked: dict[str, Any] = {"samples": LOOKED, "seed": seed, "steps": 1, "probe": ["spikes"]}
    before = simulate(whole.network, whole.inputs(made.x), dtype=whole.dtype, **asked)
    after = simulate(narrow.network, narrow.inputs(made.x), dtype=narrow.dtype, **asked)
    others = sum(int((after.spikes[name] != fired).sum()) for name, fired in before.spikes.items())
    asks = {"before": demand(whole.network), "after": demand(narrow.network)}
    return {
        "fan_in": {when: needed.fan_in for when, needed in asks.items()},
        "neurons": {when: needed.neurons for when, needed in asks.items()},
        "synapses": {when: needed.synapses for when, needed in asks.items()},
        "weight_bits": narrow.widths["weight"],
        "other_spikes": others,
        "same_readout": bool(torch.equal(before.mean, after.mean)),
    }
