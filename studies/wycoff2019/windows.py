"""The trained network in windows of ticks: neural codes in place of neurons that step freely."""

from __future__ import annotations

import time
from typing import Any

from spikebayes import Code, Digits, FirstSpike, Graded, Radix
from studies.wycoff2019.methods import Bench, Method
from studies.wycoff2019.protocols import STD_RATIO
from studies.wycoff2019.search import MARGIN, error

CODES: tuple[tuple[str, Code, float], ...] = (  # a name, the code, and the headroom of its tops
    ("first spike, 64 levels", FirstSpike(64), 1.0),
    ("8 bits", Radix(8), 2.0),
    ("4 digits of radix 4", Digits(4, 4), 2.0),
    ("5 digits of radix 3", Digits(3, 5), 2.0),
    ("3 digits of radix 6", Digits(6, 3), 2.0),
    ("payload of 8 bits", Graded(8), 2.0),
)


def windows(bench: Bench, rows: int, samples: int) -> dict[str, Any]:
    """Errors of every code on validation rows, and the name of the one to judge by.

    That is the one of the fewest ticks among those that keep the distribution with spikes that are all alike: a
    payload is more than a spike.
    """
    lines = [_line(bench, method, rows, samples) for method in _methods()]
    kept = [line for line in lines if line["kept"] and not line["payload"]]
    best = min(kept, key=lambda line: line["ticks"])["name"] if kept else None
    return {"rows": rows, "samples": samples, "margin": MARGIN, "codes": lines, "best": best}


def chosen(found: dict[str, Any]) -> Method | None:
    """The code that was found the best."""
    return next((method for method in _methods() if method.name == found["best"]), None)


def _methods() -> list[Method]:
    return [Method(name, code=code, headroom=headroom) for name, code, headroom in CODES]


def _line(bench: Bench, method: Method, rows: int, samples: int) -> dict[str, Any]:
    which = bench.search_rows(rows)
    truth = bench.classical(which, samples).samples[..., 0].double()
    started = time.perf_counter()
    made = bench.spiking(method, which, samples)
    low, high = STD_RATIO
    off = error(truth, made.samples[..., 0].double())
    return {
        "name": method.name,
        "headroom": method.headroom,
        "payload": isinstance(method.code, Graded),
        "ticks": made.settings["ticks_per_sample"],
        "spikes_per_neuron_sample": sum(made.settings["spikes_per_prediction"].values())
        / bench.network(method).neurons,
        "seconds": time.perf_counter() - started,
        "kept": off["paired_rmse"] <= MARGIN and low <= off["std_ratio"] <= high,
        **off,
    }
