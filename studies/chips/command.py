"""The study from data to results/chips.json, its picture and its page."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spikebayes import (
    Digits,
    FirstSpike,
    Graded,
    Predictive,
    Radix,
    SpikingNetwork,
    convert,
    predict,
    quantised,
    with_spike_noise,
)
from studies.chips.figures import figures
from studies.chips.page import render
from studies.codes import networks
from studies.codes.measure import paired_error, spread_ratio
from studies.codes.settings import PUBLISHED as TRAINED
from studies.codes.settings import QUICK as TRAINED_QUICKLY
from studies.codes.settings import Coding
from studies.codes.settings import Settings as Training
from studies.results import provenance, write_page, write_results
from studies.stages import Stages

NAME = "chips"
CODES = (
    Coding(FirstSpike(64), 1.0),
    Coding(Digits(4, 4), 4.0),
    Coding(Digits(3, 6), 6.0),
    Coding(Radix(8), 4.0),
    Coding(Graded(8), 4.0),
)


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        training: of the networks, as the study of codes trains them.
        narrow: the set of the narrow network.
        rows, samples: of each prediction of the narrow network; the wide one has half of each.
        jitter: standard deviations in ticks. loss: probabilities that a spike gets lost. bits: of weights.
    """

    training: Training = TRAINED
    narrow: str = "kin8nm"
    rows: int = 100
    samples: int = 100
    jitter: tuple[float, ...] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 2.0, 4.0)
    loss: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    bits: tuple[int, ...] = (3, 4, 5, 6, 7, 8, 10)


PUBLISHED = Settings()
QUICK = Settings(TRAINED_QUICKLY, "yacht", 12, 20, (0.1, 0.15, 0.25, 0.5, 1.0), (1e-3, 1e-2, 1e-1), (4, 6, 8))


def run_chips(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run both stages if they are not done yet; write the JSON file, the picture and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown file to write.
        work: folder for what is kept on the way.
        settings: sizes and budgets.
        seed: of trainings and masks.
        say: is told the stages.

    Returns:
        What the JSON file holds.
    """
    origin = provenance(f"python -m studies.{NAME}", seed)
    stages = Stages(work, {"seed": seed, "settings": asdict(settings)}, origin["commit"], say)
    wide = f"wide, {settings.training.wide[0]} x {len(settings.training.wide)}"
    cases = [
        {"name": name} | stages.run(name, lambda make=make: make(data, settings, seed))
        for name, make in ((f"{settings.narrow}, {' x '.join(_sizes(settings))}", _narrow), (wide, _wide))
    ]
    found = {
        **origin,
        "settings": asdict(settings),
        "commits": stages.commits(),
        "stages": stages.told(),
        "seconds": sum(stages.seconds().values()),
        "cases": cases,
    }
    write_results(found, results)
    write_page(render(found), page, figures(found))
    return found


def _sizes(s: Settings) -> tuple[str, str]:
    return str(s.training.hidden[0]), str(len(s.training.hidden))


def _narrow(data: Path, s: Settings, seed: int) -> dict[str, Any]:
    task = networks.regression(data, s.narrow)
    return _curves(networks.uci(task, 0.1, s.training, seed), task, s, seed)


def _wide(data: Path, s: Settings, seed: int) -> dict[str, Any]:
    task = networks.regression(data, s.training.widest)
    model = networks.wide(task, s.training, seed)
    return _curves(model, task, replace(s, rows=s.rows // 2, samples=s.samples // 2), seed)


def _curves(model: nn.Module, task: networks.Task, s: Settings, seed: int) -> dict[str, Any]:
    """Of each code, by what is wrong with the chip: lines of (how much, error, ratio of spreads)."""
    rows = task.x_test[: s.rows]
    given: dict[str, Any] = {"samples": s.samples, "seed": seed}
    classical = predict(model, rows, **given)
    calibrate = task.x[:: max(1, len(task.x) // s.training.calibration_rows)]
    codes = []
    for coding in CODES:
        network = convert(model, calibrate, code=coding.code, headroom=coding.headroom)

        def line(amount: float, chip: SpikingNetwork) -> list[float]:
            return [amount, *_distance(classical, chip, rows, given)]

        codes.append(
            {
                "code": coding.name,
                "ticks": coding.code.ticks,
                "perfect": _distance(classical, network, rows, given),
                "jitter": [line(j, with_spike_noise(network, jitter=j)) for j in s.jitter if not coding.code.graded],
                "loss": [line(p, with_spike_noise(network, loss=p)) for p in s.loss],
                "bits": [line(b, quantised(network, b)) for b in s.bits],
            }
        )
    return {"r_squared": networks.r_squared(model, task), "codes": codes}


def _distance(classical: Predictive, chip: SpikingNetwork, rows: Tensor, given: dict[str, Any]) -> list[float]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*lie above its highest level")  # of what is received too much
        spiking = predict(chip, rows, **given)
    return [paired_error(classical, spiking), spread_ratio(classical, spiking)]
