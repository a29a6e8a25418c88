"""The study from data to results/neftci2017.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from studies.neftci2017 import learning
from studies.neftci2017.figures import figures
from studies.neftci2017.hardware import robustness
from studies.neftci2017.judging import NETWORKS, judge
from studies.neftci2017.page import render
from studies.neftci2017.sampling import SCALE, last_epochs, law, samplings
from studies.neftci2017.settings import PUBLISHED, Settings
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.scoring import compared
from studies.stages import Stages

NAME = "neftci2017"
TRAINED = (*learning.STOCHASTIC, *learning.PLAIN)


def run_neftci2017(
    data: Path,
    results: Path,
    docs: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run every stage that is not done yet; write the JSON file, the figures and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. docs: folder for the page and its figures.
        work: folder for what is kept on the way.
        settings: sizes and budgets.
        seed: of the split, the training and the imperfections.
        progress: show progress bars.
        say: is told the stages.

    Returns:
        What the JSON file holds; its ``seconds`` are those of all stages but the training.

    Raises:
        DataError: files that are missing or torn.
        StoreError: a stage that is torn.
    """
    origin, started = provenance(f"python -m studies.{NAME}", seed), time.perf_counter()
    digits = learning.Digits.load(data, settings.learning.images, seed)
    loading = time.perf_counter() - started
    sizes = {"train": len(digits.y), "validation": len(digits.y_validation), "test": len(digits.y_test)}
    sizes["unknown"] = len(digits.unknown)
    key = {"seed": seed, "images": sizes, "learning": asdict(settings.learning)}
    learned = Stages(work / "learning", key, origin["commit"], say)
    judged = Stages(work / "judging", key | {"settings": asdict(settings)}, origin["commit"], say)
    training = _learn(data, learned, settings, seed)
    found = _judge(digits, judged, learned.folder, settings, seed, progress=progress)

    stages = {"data": {"seconds": loading}, **learned.told(), **judged.told()}
    commits = list(dict.fromkeys([*learned.commits(), *judged.commits()]))
    origin |= {"settings": asdict(settings), "commits": commits}
    seconds = sum(told["seconds"] for stage, told in stages.items() if not stage.startswith("training"))
    found = {
        **origin,
        "images": sizes,
        "seconds": seconds,
        "stages": stages,
        "training": training,
        **found,
    }
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _learn(data: Path, stages: Stages, settings: Settings, seed: int) -> dict[str, dict[str, Any]]:
    """Every network trained, those that are not yet side by side."""
    jobs = {
        kind: Job(stages, f"training, {kind}", learning.train, (kind, data, settings.learning, seed, stages.folder))
        for kind in TRAINED
    }
    return side_by_side(jobs, torch.get_num_threads())


def _judge(
    digits: learning.Digits, stages: Stages, folder: Path, s: Settings, seed: int, *, progress: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "law": stages.run("erf law", lambda: {"lines": law(s.fan_ins, s.law_draws, seed)})["lines"],
        "samplings": stages.run("samplings", lambda: samplings(digits, s.learning, folder, s.samples)),
    }
    lines = {"s2m": ("s2m", 1.0), "sigmoid": ("sigmoid", 1.0), "scaled": ("s2m", SCALE)}
    found["table"] = {
        name: stages.run(
            f"table I, {name}",
            lambda k=kind, f=factor: last_epochs(
                k, digits, s.learning, folder, s.samples, s.spaced, factor=f, progress=progress
            ),
        )
        for name, (kind, factor) in lines.items()
    }
    judged = {
        kind: stages.run(
            f"uncertainty, {kind}",
            lambda k=kind: judge(k, digits, s.learning, folder, s.samples, s.resamples, seed),
        )
        for kind in NETWORKS
    }
    found["against_deterministic"] = stages.run(
        "comparison", lambda: compared(judged, "deterministic", s.resamples, seed)
    )
    found["uncertainty"] = {
        kind: {k: v for k, v in scores.items() if k != "log_losses"} for kind, scores in judged.items()
    }
    found["robustness"] = {
        kind: stages.run(
            f"robustness, {kind}",
            lambda k=kind: {"lines": robustness(k, digits, s.learning, folder, s.imperfect_samples, s.draws)},
        )["lines"]
        for kind in ("s2m", "sigmoid")
    }
    return found
