"""The study from data to results/rates.json, its figure and its page; what is done is kept on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikebayes import Timing, compare, energy, fit
from spikebayes.data import Split, load_split, split_rows
from spikebayes.nn import SoftLIF, zoo
from spikebayes.training import Fitted
from studies.rates.figures import figures
from studies.rates.page import render
from studies.rates.settings import CODE, CODING, LIF, PUBLISHED, Settings
from studies.results import provenance, write_page, write_results
from studies.stages import Stages

KINDS: dict[str, Callable[[], nn.Module]] = {LIF: SoftLIF, CODE: nn.ReLU}


def run_rates(
    data: Path,
    results: Path,
    page: Path,
    work: Path,
    *,
    settings: Settings = PUBLISHED,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run every case that is not done yet; write the JSON file, the figure and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. page: Markdown page to write.
        work: folder for what is kept on the way.
        settings: sets, penalties, sizes and budgets.
        seed: of first weights, training and masks.
        say: is told what begins.

    Returns:
        What the JSON file holds.
    """
    sets = {n: [load_split(data, n, k) for k in range(settings.splits)] for n in settings.sets}
    origin = provenance("python -m studies.rates", seed)
    stages = Stages(work, {"seed": seed, "settings": asdict(settings)}, origin["commit"], say)
    cases = []
    for name, splits in sets.items():
        for kind in KINDS:
            for k, split in enumerate(splits):
                done = partial(_lines, split, kind, settings, seed)
                made = stages.run(f"{name}, {kind}, split {k}", done)
                cases += [{"set": name, "kind": kind, "split": k} | line for line in made["lines"]]
    found = {
        **origin,
        "settings": asdict(settings),
        "code": CODING.name,
        "commits": stages.commits(),
        "stages": stages.told(),
        "seconds": sum(stages.seconds().values()),
        "cases": cases,
    }
    write_results(found, results)
    write_page(render(found), page, figures(found))
    return found


def _lines(split: Split, kind: str, s: Settings, seed: int) -> dict[str, Any]:
    """A split under each penalty, from the same first weights."""
    return {"lines": [run_case(split, kind, p, s, seed) for p in s.penalties]}


def run_case(split: Split, kind: str, penalty: float, s: Settings, seed: int) -> dict[str, Any]:
    """Train, sample the module and its spiking network under the same masks, count."""
    x, y = split.x_train, split.y_train
    train, held = split_rows(len(x), 0.1, seed)
    batch = 64 if len(train) < 5000 else 256
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = zoo.mlp(x.shape[1], 1, s.hidden, s.dropout, activation=KINDS[kind])
    epochs = min(200, max(20, s.optimiser_steps * batch // len(train)))
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch, "seed": seed, "error": None, "calibration": 0.0}
    fitted = fit(model, x[train], y[train], validation=(x[held], y[held]), rate_penalty=penalty, **options)
    return {"penalty": penalty, "epochs": fitted.history["epochs"]} | _judged(fitted, split, kind, s, seed)


def _judged(fitted: Fitted, split: Split, kind: str, s: Settings, seed: int) -> dict[str, Any]:
    if kind == LIF:
        network = replace(fitted.network(), timing=Timing(s.steps, s.burn_in))
    else:
        network = fitted.network(code=CODING.code, headroom=CODING.headroom)
    x, y = split.x_test[: s.test_rows], split.y_test[: s.test_rows]
    classical = fitted.predict(x, samples=s.samples, seed=seed)
    spiking = fitted.predict(x, network=network, samples=s.samples, seed=seed)
    verdict = compare(classical, spiking)
    assert verdict.paired_rmse is not None
    made = energy(network, fitted.scaling.inputs(x[: s.energy_rows]), samples=s.energy_samples)
    chip = next(line for line in made.table() if line["device"] == "Loihi")
    counts = made.spiking
    found: dict[str, Any] = {
        "rows": len(x),
        "outcome": verdict.outcome.value,
        "error": float(np.median(verdict.paired_rmse)),
        "std_ratio": float(np.median(verdict.std_ratio)),
        "spikes": counts.spike_rate,
        "operations": counts.synaptic_events / (counts.rows * s.energy_samples),
        "joules": {
            name: chip[key] / chip["classical_j"]
            for name, key in (("all", "spiking_j"), ("awake", "spiking_awake_j"), ("events", "spiking_events_j"))
        },
    }
    for side, p in (("classical", classical), ("spiking", spiking)):
        likely = p.log_likelihood(y).double().flatten()
        found[side] = {
            "rmse": float((p.mean - y).square().mean().sqrt()),
            "log_likelihood": float(likely.mean()),
            "log_likelihood_std": float(likely.std()),
        }
    return found
