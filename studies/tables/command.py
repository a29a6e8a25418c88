"""The study from data to results/tables.json and its page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.stages import Stages
from studies.tables.defaults import try_out
from studies.tables.judging import judge
from studies.tables.page import render
from studies.tables.settings import PUBLISHED, Settings


def run_tables(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    count: int = 2,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Judge every split of every table, and every alternative to a default; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        work: folder of finished stages, from which a stopped study goes on.
        settings: tables and budgets.
        count: trainings at a time.
        say: is told what begins.

    Returns:
        What the JSON file holds.
    """
    origin, started = provenance("python -m studies.tables", 0), time.perf_counter()
    names = (*settings.values, *settings.classes)
    judged = {"splits": settings.splits, "most": settings.most, "test": settings.test, "samples": settings.samples}
    stages = Stages(work, judged, origin["commit"], say)
    todo = {
        (name, split): Job(stages, f"{name} {split}", judge, (name, split, settings, data))
        for name in names
        for split in range(settings.splits)
    }
    changes: list[dict[str, Any]] = [{}]
    changes += [{option: value} for option, values in settings.alternatives.items() for value in values]
    tries = {
        (change, name, attempt): Job(
            stages, f"{changes[change]} {name} {attempt}", try_out, (name, attempt, changes[change], settings, data)
        )
        for change in range(len(changes))
        for name in names
        for attempt in range(settings.tried)
    }
    done, tried = side_by_side(todo, count), side_by_side(tries, count)
    tables = [
        {"name": name, "task": "values" if name in settings.values else "classes", "splits": []} for name in names
    ]
    for table in tables:
        table["splits"] = [done[table["name"], split] for split in range(settings.splits)]
    alternatives = [
        {"change": changed, "loss": {n: [tried[change, n, k]["loss"] for k in range(settings.tried)] for n in names}}
        for change, changed in enumerate(changes)
    ]
    found = {
        **origin,
        "settings": asdict(settings),
        "tables": tables,
        "alternatives": alternatives,
        "commits": stages.commits(),
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    write_page(render(found), page)
    return found
