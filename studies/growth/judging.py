"""One split: the network trained and chosen, predicted classically and by spikes, and its rivals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikebayes import Equivalence, Radix, compare
from spikebayes.data.combo import ComboData, SplitBy
from studies.growth.rivals import rivals
from studies.growth.settings import Settings
from studies.wycoff2019 import learning
from studies.wycoff2019.learning import Task
from studies.wycoff2019.methods import Bench, Method, fitting_filters

NETWORK = "network"
WINDOWS = Method("8 bits", code=Radix(8), headroom=2.0)


def spiking(spikes: str) -> str:
    """The network by spikes, as its scores are named."""
    return f"{NETWORK}, {spikes}"


def weights_of(by: SplitBy, seed: int) -> str:
    """File name of the weights that a split is judged on."""
    return f"{by}-{seed}.safetensors"


def judge(data: ComboData, by: SplitBy, seed: int, settings: Settings, folder: Path) -> dict[str, Any]:
    """Everything of a split.

    Args:
        data: as loaded.
        by: what is held out together. seed: of the split, the training and the masks.
        settings: sizes and budgets.
        folder: for the weights.

    Returns:
        The data's description, the trainings tried, scores of all models on the test rows, and what spikes kept.
    """
    task = Task.prepare(data, seed, by, test=settings.test, validation=settings.validation)
    tried = {epochs: _train(task, settings, by, seed, epochs, folder) for epochs in settings.epochs}
    best = min(tried, key=lambda epochs: tried[epochs]["validation_loss"])
    sizes, name = replace(settings.learning, epochs=best), weights_of(by, seed)
    (folder / _tried(by, seed, best)).replace(folder / name)
    net = learning.trained(task, sizes, seed, folder, name)
    bench = Bench(task, net, seed)
    methods = {"windows of ticks": WINDOWS, "LIF neurons, free-running": fitting_filters(bench)}
    found = {spikes: _spikes(bench, method, settings) for spikes, method in methods.items()}
    return {
        "data": task.describe(),
        "new": _new(task),
        "tried": {str(epochs): told for epochs, told in tried.items()},
        "epochs": best,
        "scores": {
            NETWORK: learning.accuracy(task, net, sizes, seed)["test"]["mean"],
            **{spiking(spikes): one.pop("scores") for spikes, one in found.items()},
            **rivals(task, settings, seed),
        },
        "spikes": found,
    }


def _train(task: Task, settings: Settings, by: SplitBy, seed: int, epochs: int, folder: Path) -> dict[str, Any]:
    sizes = replace(settings.learning, epochs=epochs)
    told = learning.train(task, sizes, seed, folder, _tried(by, seed, epochs))
    return {key: told[key] for key in ("validation_loss", "parameters", "processor_seconds")}


def _tried(by: SplitBy, seed: int, epochs: int) -> str:
    return f"{by}-{seed}-{epochs}.safetensors"


def _new(task: Task) -> dict[str, int]:
    """Of the test rows, how many have a pair of drugs, or a drug, that no training row has."""
    pairs, drugs = task.data.pairs(), task.data.index[:, 1:]
    test, train = task.split.test, task.split.train
    return {
        "pair": int((~torch.isin(pairs[test], pairs[train])).sum()),
        "drug": int((~torch.isin(drugs[test], drugs[train])).any(1).sum()),
    }


def _spikes(bench: Bench, method: Method, settings: Settings) -> dict[str, Any]:
    """Scores of a spiking prediction of all test rows, and whether it is the classical one."""
    rows, samples = bench.rows(len(bench.task.split.test)), settings.compared
    classical, control = bench.classical(rows, samples), bench.classical(rows, samples, shift=1)
    same, other = bench.spiking(method, rows, samples), bench.spiking(method, rows, samples, shift=2)
    pairs, apart = compare(classical, same), compare(classical, other, control=control)
    assert pairs.paired_rmse is not None
    truth = bench.task.data.target[rows, 0].numpy()
    return {
        "method": method.describe(),
        "samples": samples,
        "scores": learning.scores(truth, bench.in_units(same)),
        "paired_rmse": float(np.median(pairs.paired_rmse)),
        "paired_rmse_largest": float(np.max(pairs.paired_rmse)),
        "std_ratio": float(np.median(pairs.std_ratio)),
        "pairs": _verdict(pairs),
        "apart": _verdict(apart),
    }


def _verdict(found: Equivalence) -> dict[str, Any]:
    return {"outcome": found.outcome.value, "reasons": list(found.reasons)}
