"""The study from data to results/codes.json, its figure and its page; what is done is kept on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import FirstSpike, Task, convert
from spikebayes.nn import SoftLIF
from studies.codes import networks
from studies.codes.combo import drug_pairs
from studies.codes.figures import figures
from studies.codes.measure import measure
from studies.codes.page import render
from studies.codes.settings import ONE, OTHERS, PUBLISHED, TWELVE, Coding, Settings
from studies.results import provenance, write_page, write_results
from studies.stages import Stages

NAME = "codes"
SOFTLIF = Coding(FirstSpike(64), 1.0)


def run_codes(
    data: Path,
    results: Path,
    docs: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run every stage that is not done yet; write the JSON file, the figure and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. docs: folder for the page and its figure.
        work: folder for what is kept on the way.
        settings: sizes and budgets.
        seed: of trainings, and of the first of three masks.
        say: is told the stages.

    Returns:
        What the JSON file holds.
    """
    origin = provenance(f"python -m studies.{NAME}", seed)
    stages = Stages(work / NAME, {"seed": seed, "settings": asdict(settings)}, origin["commit"], say)
    cases = [
        stages.run(name, lambda made=made, name=name: {"name": name} | made())
        for name, made in _cases(data, work, stages.folder, settings, seed)
    ]
    found = {
        **origin,
        "settings": asdict(settings),
        "one": ONE.name,
        "commits": stages.commits(),
        "stages": stages.told(),
        "seconds": sum(stages.seconds().values()),
        "cases": cases,
    }
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _cases(
    data: Path, work: Path, folder: Path, s: Settings, seed: int
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    for name in s.sets:
        for p in s.dropout:
            yield f"{name}, dropout {p:g}", lambda name=name, p=p: _uci(data, name, p, s, seed)
    yield "SoftLIF, trained for LIF neurons", lambda: _softlif(data, s, seed)
    yield f"wide, {s.wide[0]} x {len(s.wide)}", lambda: _wide(data, s, seed, 0.0)
    yield f"wide, {s.wide[0]} x {len(s.wide)}, activity penalised", lambda: _wide(data, s, seed, s.penalty)
    yield "MNIST, convolutional", lambda: _images(data, s, seed)
    if s.combo_epochs:
        yield "drug pairs, ReLU", lambda: drug_pairs(data, work, folder, s, seed, nn.ReLU)
        yield "drug pairs, SoftLIF", lambda: drug_pairs(data, work, folder, s, seed, SoftLIF)


def _uci(data: Path, name: str, p: float, s: Settings, seed: int) -> dict[str, Any]:
    task = networks.regression(data, name)
    model = networks.uci(task, p, s, seed)
    rows, train = task.x_test[: s.test_rows], _some(task.x, s.calibration_rows)
    others = OTHERS if p == 0.1 else ()
    given: dict[str, Any] = {"samples": s.samples, "scaled": True}
    lines = [measure(model, ONE, rows, train, s, seed, timed=p == 0.1, **given)]
    lines += [measure(model, other, rows, train, s, seed, **given) for other in others]
    return {"group": "uci", "set": name, "dropout": p, "r_squared": networks.r_squared(model, task), "codes": lines}


def _softlif(data: Path, s: Settings, seed: int) -> dict[str, Any]:
    """The network that LIF neurons were made for, as free-running neurons and by codes."""
    task = networks.regression(data, (*s.sets, *s.sets, *s.sets)[2])
    model = networks.uci(task, 0.1, s, seed, lambda: SoftLIF(gamma=1e-3))
    rows, train = task.x_test[: s.test_rows], _some(task.x, s.calibration_rows)
    lines = [measure(model, None, rows, train, s, seed, samples=s.samples, network=convert(model, train))]
    lines += [
        measure(model, coding, rows, train, s, seed, samples=s.samples) for coding in (ONE, SOFTLIF, *OTHERS[:3])
    ]
    return {"group": "softlif", "r_squared": networks.r_squared(model, task), "codes": lines}


def _wide(data: Path, s: Settings, seed: int, penalty: float) -> dict[str, Any]:
    task = networks.regression(data, s.widest)
    model = networks.wide(task, s, seed, penalty)
    rows, train = task.x_test[: s.test_rows], _some(task.x, s.calibration_rows)
    given: dict[str, Any] = {"samples": s.samples, "scaled": True}
    lines = [measure(model, TWELVE, rows, train, s, seed, timed=True, **given)]
    lines += [measure(model, coding, rows, train, s, seed, **given) for coding in (ONE, *OTHERS[1:])]
    return {"group": "wide", "penalty": penalty, "r_squared": networks.r_squared(model, task), "codes": lines}


def _images(data: Path, s: Settings, seed: int) -> dict[str, Any]:
    task = networks.images(data, s)
    model = networks.convolutional(task, s, seed)
    train, rows = _some(task.x, s.calibration_rows), task.x_test[: s.test_rows]
    given: dict[str, Any] = {"samples": s.image_samples, "task": Task.CLASSIFICATION}
    lines = [measure(model, coding, rows, train, s, seed, **given) for coding in (ONE, *OTHERS)]
    timed = measure(
        model, ONE, task.x_test[: s.image_rows], train, replace(s, energy_rows=2), seed, timed=True, **given
    )
    return {
        "group": "images",
        "accuracy": _accuracies(model, TWELVE, task, train, s, seed),
        "timed": timed,
        "codes": lines,
    }


def _accuracies(
    model: nn.Module, coding: Coding, task: networks.Images, train: Tensor, s: Settings, seed: int
) -> dict[str, float]:
    """Of the mean class probabilities of some samples, on all test images."""
    from spikebayes import predict

    network = convert(model, train, code=coding.code, headroom=coding.headroom)
    found = {}
    for name, m in (("classical", model), ("spiking", network)):
        predictive = predict(m, task.x_test, samples=min(10, s.image_samples), seed=seed, task=Task.CLASSIFICATION)
        found[name] = float((predictive.mean.argmax(1) == task.y_test).double().mean())
    return found


def _some(rows: Tensor, count: int) -> Tensor:
    """Rows spread over all of them."""
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).round().long()]
