"""The study from data to results/timing.json and its page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from spikebayes import Alpha, SpikingNetwork, Timing, compare, convert, predict, tune
from studies.results import provenance, write_page, write_results
from studies.timing.networks import Case, drug_pairs, regression
from studies.timing.page import render
from studies.timing.settings import PUBLISHED, Settings

ERROR = 0.03  # asked of tune
#: by hand: time constant, s, and steps of which how many are left out, for two hidden layers
BY_HAND = ((0.01, Timing(150, 100)), (0.005, Timing(100, 50)), (0.002, Timing(40, 20)))
BEFORE = Timing(300, 200)  # whatever the network


def run_timing(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, time and tune every network; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        work: folder in which ``wycoff2019`` holds that study's network.
        settings: networks and budgets.
        seed: of training and masks.
        progress: show a progress bar.

    Returns:
        What the JSON file holds.
    """
    origin, started = provenance("python -m studies.timing", seed), time.perf_counter()
    s, groups = settings, dict[str, list[dict[str, Any]]]()
    deep = [partial(regression, data, f"{d} layers", s.deep, (s.width,) * d, s, seed) for d in s.depths]
    sets = [partial(regression, data, name, name, s.hidden, s, seed) for name in s.sets]
    todo = [*(("depths", make) for make in deep), *(("sets", make) for make in sets)]
    todo += [("combo", partial(drug_pairs, data, work, s, seed))]
    for group, make in track(todo, "networks", console=Console(stderr=True), disable=not progress):
        case = make()
        if case is not None:
            line = {"name": case.name, "lines": list(_lines(case, seed, by_hand=group == "sets"))}
            groups.setdefault(group, []).append(line)
    found = {**origin, "settings": asdict(s), "error": ERROR, **groups, "seconds": time.perf_counter() - started}
    write_results(found, results)
    write_page(render(found), page)
    return found


def _lines(case: Case, seed: int, *, by_hand: bool) -> Iterator[dict[str, Any]]:
    """Each way to time the network, on rows and masks that tune does not see."""
    network = convert(case.model, list(case.calibrate))
    yield judged("default", case, network, seed)
    yield judged("300 steps", case, replace(network, timing=BEFORE), seed)
    for tau, timing in BY_HAND if by_hand else ():
        faster = convert(case.model, list(case.calibrate), synapse=Alpha(tau))
        yield judged("by hand", case, replace(faster, timing=timing), seed)
    yield judged("tuned", case, tune(network, case.model, case.calibrate, error=ERROR, seed=seed), seed)


def judged(way: str, case: Case, network: SpikingNetwork, seed: int) -> dict[str, Any]:
    """Steps and error of a network with its timing."""
    budget = {"samples": case.samples, "seed": seed + 1, "rows": case.indices}
    module, spiking = (predict(m, case.judge, **budget) for m in (case.model, network))
    verdict = compare(module, spiking)
    assert verdict.paired_rmse is not None
    return {
        "way": way,
        "tau": next(c.synapse.tau for c in network.connections if isinstance(c.synapse, Alpha)),
        **{name: spiking.settings[name] for name in ("steps", "burn_in", "window")},
        "error": float(np.median(verdict.paired_rmse)),
        "outcome": verdict.outcome.value,
        "spikes": sum(spiking.settings["spikes_per_prediction"].values()) / network.neurons,
    }
