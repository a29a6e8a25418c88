"""How the engine's time grows with the size of its task, with straight lines fitted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from scipy.stats import linregress

from benchmarks.engine import whole
from benchmarks.measure import Run, alternate, threads
from benchmarks.operations import operations
from benchmarks.workloads import Workload, workload
from spikebayes.engine.select import select

STEPS = (100, 300, 600, 1000, 2000, 3000)
SAMPLES = (1, 2, 4, 8, 16, 32)
ROWS = (8, 16, 32, 64, 128, 192)
WIDTHS = (250, 500, 1000, 1500, 2000)
RATES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.14)  # spikes per neuron and step
SOME_ROWS = 16  # where rows are not what is varied


def sweeps(
    names: Sequence[str],
    count: int,
    *,
    repeats: int = 3,
    seed: int = 0,
    shorter: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Vary one quantity after the other.

    Args:
        names: of the workloads; width, rate and threads are varied on A alone.
        count: threads.
        repeats: rounds over the points of a sweep, at least 3.
        seed: of the workloads.
        shorter: only the first four values of each quantity.
        say: told what is being done.

    Returns:
        For each sweep its points and the fit.
    """
    most = 4 if shorter else None
    made = []
    for name in names:
        base = workload(name, rows=ROWS[:most][-1], seed=seed)
        some = base.take(SOME_ROWS)
        run = functools.partial(_run, prepared=_prepare(base))
        for over, values, runs in (
            ("steps", STEPS[:most], {t: run(some, steps=t) for t in STEPS[:most]}),
            ("samples", SAMPLES[:most], {s: run(some, samples=s) for s in SAMPLES[:most]}),
            ("rows", ROWS[:most], {r: run(base.take(r)) for r in ROWS[:most]}),
        ):
            say(f"{name}: sweep over {over}")
            seconds = _time(runs, count, repeats)
            made.append({"workload": name, "over": over, "against": over, **_fitted(values, values, seconds)})
    if "A" in names:
        for over, cases in (
            ("rate", {rate: workload("A", rows=SOME_ROWS, seed=seed, rate=rate) for rate in RATES[:most]}),
            ("width", {width: workload("A", rows=SOME_ROWS, seed=seed, width=width) for width in WIDTHS[:most]}),
        ):
            say(f"A: sweep over {over}")
            events = [_events(case) for case in cases.values()]
            seconds = _time({value: _run(case, _prepare(case)) for value, case in cases.items()}, count, repeats)
            made.append({"workload": "A", "over": over, "against": "synaptic events"})
            made[-1] |= _fitted(list(cases), events, seconds)
    return made


def scaling(name: str, count: int, *, repeats: int = 5, rows: int = 64, seed: int = 0) -> dict[str, Any]:
    """Seconds of one run on one thread, on two, and so on up to ``count``, in alternation."""
    whole_load = workload(name, rows=rows, seed=seed)
    run = _run(whole_load, _prepare(whole_load))

    def on(some: int) -> None:
        with threads(some):
            run()

    counts = [2**k for k in range(count.bit_length()) if 2**k < count] + [count]
    timings = alternate({str(n): functools.partial(on, n) for n in counts}, repeats)
    one = timings["1"].median
    points = [
        {"threads": n, "seconds": timings[str(n)].figures(), "speedup": one / timings[str(n)].median} for n in counts
    ]
    return {"workload": name, "rows": rows, "points": points}


def _prepare(case: Workload) -> Callable[[Any], Any]:
    return select("auto", case.network).prepare(case.network, torch.float32)


def _run(case: Workload, prepared: Callable[[Any], Any], **sizes: int) -> Run:
    work = whole(case, **sizes)
    return lambda: prepared(work)


def _time(runs: dict[Any, Run], count: int, repeats: int) -> list[dict[str, Any]]:
    with threads(count):
        return [timing.figures() for timing in alternate(runs, repeats).values()]


def _events(case: Workload) -> float:
    """Synaptic events of one run."""
    counts = _run(case, _prepare(case))().counts  # pyright: ignore
    return operations(case.network, case.inputs).events({n: float(c.sum()) for n, c in counts.items()})


def _fitted(values: Sequence[float], against: Sequence[float], seconds: list[dict[str, Any]]) -> dict[str, Any]:
    """Points and the least-squares line of their medians."""
    line: Any = linregress(against, [s["median"] for s in seconds])
    points = [{"value": v, "x": x, "seconds": s} for v, x, s in zip(values, against, seconds, strict=True)]
    fit = {"slope": float(line.slope), "intercept": float(line.intercept), "r_squared": float(line.rvalue) ** 2}
    return {"points": points, "fit": fit}
