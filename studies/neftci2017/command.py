"""The study from data to results/neftci2017.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from studies.neftci2017.figures import figures
from studies.neftci2017.hardware import AFTERWARDS, DEVICES, NONE, robustness
from studies.neftci2017.judging import DETERMINISTIC, JUDGED, judge
from studies.neftci2017.learning import Digits, train
from studies.neftci2017.networks import CONV, DROPOUT, RELU, S2M, SIGMOID, TUNED, Choice, Run, Trained
from studies.neftci2017.page import render
from studies.neftci2017.sampling import SCALE, last_epochs, law, samplings
from studies.neftci2017.settings import PUBLISHED, Settings
from studies.neftci2017.tuning import chosen
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.scoring import compared
from studies.stages import Stages

NAME = "neftci2017"
TABLE = {"s2m": (S2M, 1.0), "sigmoid": (SIGMOID, 1.0), "scaled": (S2M, SCALE)}  # networks, and factors of weights
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
    choices, tries = chosen(data, learned, settings.learning, seed, torch.get_num_threads())
    trained = Trained(settings.learning, choices, learned.folder)
    training = _Trainings(data, learned, trained, seed)
    found = _judge(digits, judged, training, settings, seed, progress=progress)

    stages = {"data": {"seconds": loading}, **learned.told(), **judged.told()}
    commits = list(dict.fromkeys([*learned.commits(), *judged.commits()]))
    origin |= {"settings": asdict(settings), "commits": commits}
    seconds = sum(told["seconds"] for stage, told in stages.items() if not stage.startswith(LEARNING))
    found = {
        **origin,
        "images": sizes,
        "seconds": seconds,
        "stages": stages,
        "choosing": {"chosen": _told(choices), "tried": tries},
        "training": training.histories,
        **found,
    }
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


class _Trainings:
    """Networks trained when they are asked for, those that are not yet side by side.

    Args:
        data: folder of the data sets. stages: of the trainings. trained: where the weights lie. seed: of the split.
    """

    def __init__(self, data: Path, stages: Stages, trained: Trained, seed: int) -> None:
        self.data, self.stages, self.trained, self.seed = data, stages, trained, seed
        self.histories: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, *runs: Run) -> None:
        trained, s = self.trained, self.trained.learning
        jobs = {
            run: Job(
                self.stages,
                f"training, {run.name}",
                train,
                (run, trained.choice(run), self.data, self.seed, s, self.stages.folder / run.name),
                (trained.weights(run),),
            )
            for run in runs
        }
        for run, history in side_by_side(jobs, torch.get_num_threads()).items():
            self.histories.setdefault(run.network, []).append(history)


def _told(choices: Mapping[str, Choice]) -> dict[str, Any]:
    return {
        kind: asdict(choice) | {"spans": {str(bits): span for bits, span in choice.spans.items()}}
        for kind, choice in choices.items()
    }


def _judge(
    digits: Digits, stages: Stages, training: _Trainings, s: Settings, seed: int, *, progress: bool
) -> dict[str, Any]:
    """Everything that is judged, each network as soon as it is trained."""
    trained, first = training.trained, Run(S2M, seed)
    found: dict[str, Any] = {
        "law": stages.run("erf law", lambda: {"lines": law(s.fan_ins, s.law_draws, seed)})["lines"],
        "table": {name: [] for name in TABLE},
        "robustness": {kind: [] for kind in TUNED},
        "few_bits": {str(bits): {} for bits in s.learning.bits},
    }

    def tabled(name: str, run: Run, factor: float) -> dict[str, Any]:
        return stages.run(
            f"table I, {name}, seed {run.seed}",
            lambda: last_epochs(trained, run, digits, s.samples, s.spaced, factor=factor, progress=progress),
            lambda: (trained.weights(run),),
        )

    def worse(run: Run) -> list[dict[str, Any]]:
        changes = (NONE, *DEVICES) if run.bits else AFTERWARDS
        draws = range(s.draws) if run.bits else range(run.seed, run.seed + 1)
        return stages.run(
            f"robustness, {run.name}",
            lambda: {"lines": robustness(trained, run, changes, digits, s.imperfect_samples, draws)},
            lambda: (trained.weights(run),),
        )["lines"]

    for k in range(seed, seed + s.learning.seeds):
        training(*(Run(kind, k) for kind in TUNED))
        for name, (kind, factor) in TABLE.items():
            found["table"][name].append(tabled(name, Run(kind, k), factor))
        for kind in TUNED:
            found["robustness"][kind].append(worse(Run(kind, k)))
    found["samplings"] = stages.run(
        "samplings", lambda: samplings(trained, digits, seed, s.samples), lambda: (trained.weights(first),)
    )
    training(Run(DROPOUT, seed), Run(RELU, seed))
    training(Run(CONV, seed), *(Run(kind, seed, bits) for bits in s.learning.bits for kind in TUNED))
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
    for bits in s.learning.bits:
        for kind in TUNED:
            found["few_bits"][str(bits)][kind] = worse(Run(kind, seed, bits))
    return found
