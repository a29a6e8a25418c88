"""The study from data to results/uci.json and its page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spikebayes.data import load_split
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.stages import Stages
from studies.uci.judging import judge
from studies.uci.page import render
from studies.uci.settings import PUBLISHED, Settings


def run_uci(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    count: int = 2,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Judge every split of every set; write the JSON file and the page.

    Args:
        data: folder of the data sets; what is missing is downloaded into it.
        results: JSON file to write. page: Markdown page to write.
        work: folder of finished splits, from which a stopped study goes on.
        settings: sets and budgets.
        count: splits at a time.
        say: is told what begins.

    Returns:
        What the JSON file holds.
    """
    origin, started = provenance("python -m studies.uci", 0), time.perf_counter()
    for name in settings.sets:
        load_split(data, name)  # a missing set is reported before any work
    key = {"seed": 0, **asdict(settings)} | {"sets": None, "splits": None}  # more of either goes on
    stages = Stages(work, key, origin["commit"], say)
    jobs = {
        (name, split): Job(stages, f"{name} {split}", judge, (name, split, settings, data))
        for name in settings.sets
        for split in range(settings.count(name))
    }
    done = side_by_side(jobs, count)
    found = {
        **origin,
        "settings": asdict(settings),
        "sets": [{"name": n, "splits": [done[n, k] for k in range(settings.count(n))]} for n in settings.sets],
        "commits": stages.commits(),
        "stages": stages.told(),
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found
