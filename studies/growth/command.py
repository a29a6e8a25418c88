"""The study from data to results/growth.json and its page; what is done is kept on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from spikebayes.data.combo import load_benchmark
from studies.growth.files import NAMES, write_benchmark
from studies.growth.judging import judge, weights_of
from studies.growth.page import render
from studies.growth.settings import PUBLISHED, Settings
from studies.results import provenance, write_page, write_results
from studies.stages import Stages


def run_growth(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the benchmark's files, judge every split that is not done yet; write the JSON file and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        work: folder for the benchmark's files, weights and finished stages.
        settings: sizes and budgets.
        seed: of the first split, its training and its masks; the others count on from it.
        say: is told what begins.

    Returns:
        What the JSON file holds.

    Raises:
        DataError: tables that are missing or torn.
        StoreError: a stage that is torn.
    """
    origin = provenance("python -m studies.growth", seed)
    stages = Stages(work, {"settings": asdict(settings), "seed": seed}, origin["commit"], say)
    benchmark = stages.folder / "benchmark"
    told = stages.run(
        "the benchmark's files",
        lambda: write_benchmark(data, benchmark),
        lambda: [benchmark / name for name in NAMES],
    )
    pairs = load_benchmark(benchmark)
    found = {}
    for by in settings.held_out:
        found[by.value] = [
            stages.run(
                f"{by} split, seed {drawn}",
                partial(judge, pairs, by, drawn, settings, stages.folder),
                lambda b=by, d=drawn: [stages.folder / weights_of(b, d)],
            )
            for drawn in range(seed, seed + settings.splits)
        ]
    made = {
        **origin,
        "settings": asdict(settings),
        "commits": stages.commits(),
        "seconds": sum(stages.seconds().values()),
        "stages": stages.told(),
        "files": told,
        "rows": len(pairs),
        "pairs": len(pairs.pairs().unique()),
        "unused": pairs.unused,
        "splits": found,
    }
    write_results(made, results)
    write_page(render(made), page)
    return made
