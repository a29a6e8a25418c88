"""Dropout during the simulation: how often masks may be redrawn in one run, and what keeps the distribution."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from spikebayes import Alpha, Flat, Hann, Predictive, Redraw, Window, estimate_carry_over, simulate
from studies.wycoff2019.methods import Bench, Method
from studies.wycoff2019.protocols import STD_RATIO
from studies.wycoff2019.search import MARGIN, error

HOLDS = (4, 8, 12, 16, 20, 30, 40, 60, 80, 120, 160)
GAPS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LEAD = 60
VARIANTS = ((0.005, 0), (0.002, 0), (0.005, 8), (0.002, 4))  # Alpha (s), stagger (steps)


def redraws(bench: Bench, rows: int, samples: int, like: Method) -> dict[str, Any]:
    """Errors over hold for several synapses and staggers: naive, with a gap, with what is carried over taken out.

    Args:
        bench: judged on its search rows.
        rows, samples: of each line.
        like: how a sample is simulated by itself, whose neurons are these.
    """
    lines = []
    for tau, stagger in VARIANTS:
        said = f", staggered by {stagger}" if stagger else ""
        method = Method(f"Alpha {1000 * tau:g} ms{said}", Alpha(tau), None, like.speed, gains=like.gains)
        lines += [_line(bench, method, Redraw(hold, 0, LEAD, stagger), rows, samples) for hold in HOLDS]
    kept = [line for line in lines if line["kept"]]
    best = min(kept, key=lambda line: line["hold"]) if kept else None
    return {"rows": rows, "samples": samples, "lead": LEAD, "apart": like.steps, "lines": lines, "best": best}


def chosen(found: dict[str, Any], like: Method) -> Method | None:
    """The method that keeps the distribution with the shortest hold, of neurons as those of another."""
    best = found["best"]
    if best is None:
        return None
    window: Window = Hann() if best["best"]["window"] == "Hann" else Flat()
    redraw = Redraw(best["hold"], best["best"]["gap"], LEAD, best["stagger"], best["best"]["carry_over"])
    name = f"{best['name']}, redrawn every {best['hold']} steps"
    return Method(name, Alpha(best["tau"]), None, like.speed, window=window, redraw=redraw, gains=like.gains)


def neighbours(bench: Bench, method: Method, rows: int, samples: int) -> dict[str, float]:
    """How a sample depends on the one before it: correlation of the spiking samples beyond the classical ones'."""
    which = bench.rows(rows)
    classical, spiking = bench.classical(which, samples), bench.spiking(method, which, samples)

    def correlation(made: Predictive) -> float:
        y = made.samples[..., 0].double()
        y = y - y.mean(0)
        return float(((y[1:] * y[:-1]).mean(0) / y.var(0)).mean())

    return {"classical": correlation(classical), "spiking": correlation(spiking)}


def _line(bench: Bench, method: Method, redraw: Redraw, rows: int, samples: int) -> dict[str, Any]:
    which = bench.search_rows(rows)
    truth = bench.classical(which, samples).samples[..., 0].double()
    plain = bench.network(method)
    network, steps = redraw.apply(plain), redraw.steps(samples, plain)
    started = time.perf_counter()
    run = simulate(network, bench.inputs(which), seed=bench.seed, steps=steps, rows=which, probe=["trace"])
    seconds = time.perf_counter() - started
    assert run.trace is not None
    trace = run.trace[0, :, redraw.delays(plain)[plain.readout.name] :].double()
    gaps = sorted({min(redraw.hold - 1, round(share * redraw.hold)) for share in GAPS})
    tried = [
        line
        for gap in gaps
        for window in (Flat(), Hann())
        for line in _read(truth, trace, replace(redraw, gap=gap), window)
    ]
    best = min(tried, key=lambda line: line["paired_rmse"])
    with_gap = min((line for line in tried if not line["carry_over"]), key=lambda line: line["paired_rmse"])
    low, high = STD_RATIO
    return {
        "name": method.name,
        "tau": getattr(method.synapse, "tau", None),
        "stagger": redraw.stagger,
        "hold": redraw.hold,
        "naive": tried[0],
        "with_gap": with_gap,
        "best": best,
        "kept": best["paired_rmse"] <= MARGIN and low <= best["std_ratio"] <= high,
        "seconds": seconds,
    }


def _read(truth: Tensor, trace: Tensor, redraw: Redraw, window: Window) -> Sequence[dict[str, Any]]:
    """One run read with and without its carry-over taken out."""
    read = redraw.average(trace, window)
    share = round(estimate_carry_over(read), 4)
    lines = []
    for carry_over in dict.fromkeys((0.0, min(share, 0.45))):
        samples = replace(redraw, carry_over=carry_over).average(trace, window)[..., 0]
        found = {"gap": redraw.gap, "window": type(window).__name__, "carry_over": carry_over}
        lines.append(found | error(truth, samples))
    return lines
