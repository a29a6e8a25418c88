"""The simulations: every case and budget judged many times, by the judge and by the rule before it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from spikebayes import Draw, Outcome, Predictive, Task, compare
from spikebayes.evaluate import Decision, Margins, decide
from studies.command_line import DOCS
from studies.judge.cases import GROUPS, Case, Floats
from studies.judge.old_rule import accepted
from studies.judge.page import render
from studies.results import provenance, write_page, write_results

#: budgets at which one distribution is undecided, judged again at the budget that the judge names
FOLLOWED = ((5, 5), (5, 100), (20, 100), (100, 5), (100, 20))


def run_judge(results: Path, page: Path, *, runs: int = 1000, seed: int = 0, progress: bool = True) -> dict[str, Any]:
    """Judge every case ``runs`` times, write the JSON file and the table of the page.

    Args:
        results: JSON file to write. page: Markdown page with a place for the table, or one that is not there yet.
        runs: of every case and budget.
        seed: of everything.
        progress: show a progress bar.

    Returns:
        What the JSON file holds.
    """
    origin = provenance("python -m studies.judge", seed)  # the code that runs, not what is there when it ends
    started = time.perf_counter()
    todo = [(group, case, size) for group, cases in GROUPS.items() for case in cases for size in case.sizes]
    lines = [
        {"group": group, **judged(case, size, runs, (seed, i))}
        for i, (group, case, size) in enumerate(track(todo, "cases", disable=not progress))
    ]
    found = {
        **origin,
        "runs": runs,
        "lines": [*lines, *followed(lines, runs, seed)],
        "compare_seconds": compare_seconds(seed),
        "seconds": time.perf_counter() - started,
    }
    write_results(found, results)
    written = page if page.exists() else DOCS / page.name  # a folder of the user's own gets the text of the project's
    write_page(render(written.read_text("utf-8"), found), page)
    return found


def judged(case: Case, size: tuple[int, int], runs: int, seed: tuple[int, ...]) -> dict[str, Any]:
    """Shares of outcomes over runs, the old rule's share of acceptance, and the budget that undecided runs name."""
    outcomes: Counter[str] = Counter()
    old, needed = 0, []
    for run in range(runs):
        rng = np.random.default_rng((*seed, run))
        first, second = (x if x.ndim == 3 else x[..., None] for x in case.make(rng, *size))
        decision = decided(case, first, second)
        outcomes[decision.outcome.value] += 1
        old += accepted(case, first, second, rng)
        if decision.needed is not None:
            needed.append(decision.needed)
    return {
        "case": case.name,
        "right": case.right,
        "samples": size[0],
        "rows": size[1],
        **{str(outcome): outcomes[outcome] / runs for outcome in Outcome},
        "old_accepted": old / runs,
        "needed": [int(n) for n in np.median(needed, axis=0)] if needed else None,
    }


def decided(case: Case, first: Floats, second: Floats) -> Decision:
    """The judge's decision, with the default margins and tolerance."""
    margins, outputs = Margins(), first.shape[2]
    if case.classes:
        tolerance = [margins.tolerance] * outputs
    else:
        tolerance = (margins.tolerance * ((first.mean(0) + second.mean(0)) / 2).std(0)).tolist()
    return decide(
        first,
        second,
        [str(i) for i in range(outputs)],
        tolerance,
        classes=case.classes,
        paired=case.paired,
        by_row=case.by_row,
        margins=margins,
    )


def followed(lines: list[dict[str, Any]], runs: int, seed: int) -> list[dict[str, Any]]:
    """One distribution again, at the budgets that undecided comparisons asked for."""
    found = []
    case = GROUPS["one distribution"][0]
    for i, (samples, rows) in enumerate(FOLLOWED):
        line = next(x for x in lines if (x["case"], x["samples"], x["rows"]) == (case.name, samples, rows))
        if line["needed"] is not None:
            more_rows, more_samples = line["needed"]
            again = judged(case, (more_samples, more_rows), runs, (seed, 1000 + i))
            found.append({"group": "asked for", **again, "case": f"normal, asked for by {samples} x {rows}"})
    return found


def compare_seconds(seed: int, samples: int = 1000, rows: int = 400) -> float:
    """Seconds of one core that ``compare`` takes for 1,000 samples of 400 rows, the best of three."""
    rng = np.random.default_rng(seed)
    sides = [
        Predictive(
            torch.from_numpy(rng.normal(size=(samples, rows, 1))).float(),
            Draw(side, "row", torch.arange(rows)),
            Task.REGRESSION,
        )
        for side in (1, 2)
    ]
    best = []
    for _ in range(3):
        clock = time.process_time()
        compare(sides[0], sides[1])
        best.append(time.process_time() - clock)
    return min(best)
