"""The study from data to results/neftci2017.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from studies.neftci2017.figures import figures
from studies.neftci2017.hardware import AFTERWARDS, DEVICES, NONE, robustness
from studies.neftci2017.judging import DETERMINISTIC, JUDGED, judge
from studies.neftci2017.learning import Digits, train
from studies.neftci2017.networks import S2M, TUNED, Run, Trained, runs
from studies.neftci2017.page import render
from studies.neftci2017.sampling import SCALE, last_epochs, law, samplings
from studies.neftci2017.settings import PUBLISHED, Settings
from studies.neftci2017.tuning import chosen
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.scoring import compared
from studies.stages import Stages

NAME = "neftci2017"
LEARNING = ("training", "choosing")  # how the stages of training begin


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
    digits = Digits.load(data, settings.learning.images, seed)
    loading = time.perf_counter() - started
    sizes = {"train": len(digits.y), "validation": len(digits.y_validation), "test": len(digits.y_test)}
    sizes["unknown"] = len(digits.unknown)
    key = {"seed": seed, "images": sizes, "learning": asdict(settings.learning)}
    learned = Stages(work / "learning", key, origin["commit"], say)
    judged = Stages(work / "judging", key | {"settings": asdict(settings)}, origin["commit"], say)
    trained, choosing, training = _learn(data, learned, settings, seed)
    found = _judge(digits, judged, trained, settings, seed, progress=progress)

    stages = {"data": {"seconds": loading}, **learned.told(), **judged.told()}
    commits = list(dict.fromkeys([*learned.commits(), *judged.commits()]))
    origin |= {"settings": asdict(settings), "commits": commits}
    seconds = sum(told["seconds"] for stage, told in stages.items() if not stage.startswith(LEARNING))
    found = {
        **origin,
        "images": sizes,
        "seconds": seconds,
        "stages": stages,
        "choosing": choosing,
        "training": training,
        **found,
    }
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _learn(
    data: Path, stages: Stages, settings: Settings, seed: int
) -> tuple[Trained, dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Every network trained, those that are not yet side by side, each with what validation images chose for it."""
    s, count = settings.learning, torch.get_num_threads()
    choices, tries = chosen(data, stages, s, seed, count)
    trained = Trained(s, choices, stages.folder)
    jobs = {
        run: Job(
            stages,
            f"training, {run.name}",
            train,
            (run, trained.choice(run), data, seed, s, stages.folder / run.name),
            (trained.weights(run),),
        )
        for run in runs(s, seed)
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for run, history in side_by_side(jobs, count).items():
        found.setdefault(run.network, []).append(history)
    chose = {
        kind: asdict(choice) | {"spans": {str(bits): span for bits, span in choice.spans.items()}}
        for kind, choice in choices.items()
    }
    return trained, {"chosen": chose, "tried": tries}, found


def _judge(
    digits: Digits, stages: Stages, trained: Trained, s: Settings, seed: int, *, progress: bool
) -> dict[str, Any]:
    first = Run(S2M, seed)
    found: dict[str, Any] = {
        "law": stages.run("erf law", lambda: {"lines": law(s.fan_ins, s.law_draws, seed)})["lines"],
        "samplings": stages.run(
            "samplings", lambda: samplings(trained, digits, seed, s.samples), lambda: (trained.weights(first),)
        ),
    }
    lines = {"s2m": (S2M, 1.0), "sigmoid": (TUNED[1], 1.0), "scaled": (S2M, SCALE)}
    seeds = range(seed, seed + s.learning.seeds)

    def tabled(name: str, run: Run, factor: float) -> dict[str, Any]:
        return stages.run(
            f"table I, {name}, seed {run.seed}",
            lambda: last_epochs(trained, run, digits, s.samples, s.spaced, factor=factor, progress=progress),
            lambda: (trained.weights(run),),
        )

    found["table"] = {
        name: [tabled(name, Run(kind, k), factor) for k in seeds] for name, (kind, factor) in lines.items()
    }
    judged = {
        name: stages.run(
            f"uncertainty, {name}",
            lambda n=name: judge(n, digits, trained, seed, s.samples, s.resamples),
            lambda kind=kind: (trained.weights(Run(kind, seed)),),
        )
        for name, kind in JUDGED.items()
    }
    found["against_deterministic"] = stages.run(
        "comparison", lambda: compared(judged, DETERMINISTIC, s.resamples, seed)
    )
    found["uncertainty"] = {
        kind: {k: v for k, v in scores.items() if k != "log_losses"} for kind, scores in judged.items()
    }

    def worse(run: Run) -> list[dict[str, Any]]:
        changes = (NONE, *DEVICES) if run.bits else AFTERWARDS
        draws = range(s.draws) if run.bits else range(run.seed, run.seed + 1)
        return stages.run(
            f"robustness, {run.name}",
            lambda: {"lines": robustness(trained, run, changes, digits, s.imperfect_samples, draws)},
            lambda: (trained.weights(run),),
        )["lines"]

    found["robustness"] = {kind: [worse(Run(kind, k)) for k in seeds] for kind in TUNED}
    found["few_bits"] = {
        str(bits): {kind: worse(Run(kind, seed, bits)) for kind in TUNED} for bits in s.learning.bits
    }
    return found
