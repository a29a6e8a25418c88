"""The data, the network trained on it, and how well it predicts beside boosted trees."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, r2_score
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from spikebayes import fit, predict
from spikebayes.data.combo import ComboData, ComboScaling, ComboTables, PairSplit, SplitBy, split_pairs
from spikebayes.machine.files import atomic
from spikebayes.nn import SoftLIF, zoo
from spikebayes.training import LAST_CHECKPOINT, Fitted, Scaling
from studies.wycoff2019.settings import Learning

COMPONENTS = 40  # principal components of each table that the trees see
WITH_NOISE = "network-with-noise.safetensors"
COUNTED = 10  # steps in which the noise of training counts spikes
DT = 1e-3


@dataclass(frozen=True, eq=False)
class Task:
    """Scaled data and which rows train, validate and test.

    Args:
        data: as loaded.
        split: of its rows, each part in an order of its own: its first rows are a sample of it.
        scaling: learned on the training rows.
        tables: the data scaled.
    """

    data: ComboData
    split: PairSplit
    scaling: ComboScaling
    tables: ComboTables

    @classmethod
    def prepare(cls, data: ComboData, seed: int, by: SplitBy = SplitBy.RANDOM, **shares: float) -> Task:
        """A split of the rows, a tenth each to validate and to test unless ``shares`` say otherwise."""
        split = split_pairs(data, by, seed=seed, **shares)
        order = np.random.default_rng(seed)
        parts = {
            name: rows[torch.from_numpy(order.permutation(len(rows)))]
            for name, rows in (("train", split.train), ("validation", split.validation), ("test", split.test))
        }
        split = replace(split, **parts)
        scaling = ComboScaling.learn(data, split.train)
        return cls(data, split, scaling, scaling.apply(data))

    def describe(self) -> dict[str, Any]:
        """Counts for the page."""
        both = {"cell": self.scaling.cells, "drug": self.scaling.drugs}
        return {
            "target": self.data.target_name,
            "rows": len(self.data),
            "unused": self.data.unused,
            "cells": len(self.data.cells),
            "drugs": len(self.data.drugs),
            "train": len(self.split.train),
            "validation": len(self.split.validation),
            "test": len(self.split.test),
            "features": {name: len(scaling.kept) for name, scaling in both.items()},
            "missing_columns": {name: scaling.all_missing for name, scaling in both.items()},
            "constant_columns": {name: scaling.constant for name, scaling in both.items()},
            "both_orders": both_orders(self.data),
            "target_mean": self.scaling.target_mean,
            "target_std": self.scaling.target_std,
        }


def both_orders(data: ComboData) -> dict[str, Any]:
    """How far a cell line's score of two drugs agrees with that of the same two named the other way round."""
    rows = {tuple(case): row for row, case in enumerate(data.index.tolist())}
    turned = ((row, rows.get((cell, two, one))) for (cell, one, two), row in rows.items() if one < two)
    pairs = [(row, other) for row, other in turned if other is not None]
    if len(pairs) < 3:
        return {"cases": len(pairs), "correlation": None}
    a, b = data.target[:, 0].double().numpy()[np.array(pairs).T]
    return {"cases": len(pairs), "correlation": float(np.corrcoef(a, b)[0, 1])}


def network(task: Task, settings: Learning, seed: int) -> zoo.Combo:
    """The untrained network for the data."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell, drug = task.tables.cells.shape[1], task.tables.drugs.shape[1]
        width, dropout, spread = settings.width, settings.dropout, settings.spread
        return zoo.combo(cell, drug, width, dropout, activation=partial(unit, settings), spread=spread)


def unit(settings: Learning) -> SoftLIF:
    """An activation of the network."""
    s = settings
    return SoftLIF(gamma=s.gamma[1], amplitude=s.amplitude, gain=s.gain, bias=s.bias)


def stage_of(by: SplitBy, drawn: int) -> str:
    """Name of a training's stage."""
    return f"training, {by} split, seed {drawn}"


def weights_of(by: SplitBy, drawn: int) -> str:
    """File name of a training's weights."""
    return f"{by}-{drawn}.safetensors"


def train(task: Task, settings: Learning, seed: int, folder: Path, name: str) -> dict[str, Any]:
    """Train, going on from a checkpoint in ``folder`` if there is one, and leave the weights there."""
    net = network(task, settings, seed)
    checkpoints = folder / f"training of {name}"
    options: dict[str, Any] = {"epochs": settings.epochs, "gamma": settings.gamma, "annealing": settings.annealing}
    options |= {"checkpoints": checkpoints, "resume": (checkpoints / LAST_CHECKPOINT).exists()}
    started = time.process_time()
    fitted = _fit(task, net, settings, seed, **options)
    took = time.process_time() - started
    _keep(net, folder / name)
    parameters = sum(p.numel() for p in net.parameters())
    told = {"parameters": parameters, "precision": quicker_precision(), "processor_seconds": took}
    return told | fitted.history


def learned(
    load: Callable[[], ComboData], by: SplitBy, settings: Learning, seed: int, drawn: int, folder: Path
) -> dict[str, Any]:
    """A training in a process of its own, scored; beside boosted trees where it is the split's first.

    Args:
        load: gives the data. by: what is held out together.
        seed: of the split. drawn: of the first weights and the training.
        folder: for the weights.
    """
    torch.set_num_threads(1)
    task = Task.prepare(load(), seed, by)
    name = weights_of(by, drawn)
    found = {"training": train(task, settings, drawn, folder, name)}
    net = trained(task, settings, drawn, folder, name)
    found["accuracy"] = accuracy(task, net, settings, seed)
    return found if drawn != seed else found | {"trees": boosted_trees(task, settings, seed)}


def _keep(net: nn.Module, path: Path) -> None:
    with atomic(path) as part:
        save_file(net.state_dict(), part)


def train_with_noise(
    task: Task, net: zoo.Combo, settings: Learning, seed: int, folder: Path, *, progress: bool
) -> dict[str, Any]:
    """Train a trained network on for two epochs, its activations read as from few spikes; leave the weights too."""
    net = copy.deepcopy(net)
    units = [module for module in net.modules() if isinstance(module, SoftLIF)]
    hooks = [unit.register_forward_hook(_spike_noise) for unit in units]
    gamma = float(units[0].gamma)
    slow = replace(settings, learning_rate=settings.learning_rate / 5)
    fitted = _fit(task, net, slow, seed, epochs=2, gamma=(gamma, gamma), progress=progress)
    for hook in hooks:
        hook.remove()
    _keep(net, folder / WITH_NOISE)
    return fitted.history


def _fit(task: Task, net: zoo.Combo, settings: Learning, seed: int, **options: Any) -> Fitted:
    """The training rows learned, in place."""
    rows, target = task.tables.index.float(), task.tables.target
    train, held = task.split.train, task.split.validation[: settings.validation_rows]
    return fit(
        zoo.ComboRows(net, task.tables.cells, task.tables.drugs),
        rows[train],
        target[train],
        validation=(rows[held], target[held]),
        scaling=Scaling.identity((3,)),
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=0.0,
        calibration=0.0,
        precision=quicker_precision(),
        scheduler=partial(_cycle, settings),
        seed=seed,
        spiking=False,  # it picks rows out of tables; the network inside is converted
        **options,
    )


def _cycle(settings: Learning, optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, settings.learning_rate, total_steps=steps + 1, pct_start=settings.warming)


@functools.cache
def quicker_precision() -> Literal["float32", "bfloat16"]:
    """In which this processor trains faster: without instructions for it bfloat16 is fifty times slower."""
    times = {}
    for name in ("float32", "bfloat16"):
        a = torch.ones(256, 500, dtype=getattr(torch, name))
        b = torch.ones(500, 500, dtype=a.dtype)
        torch.mm(a, b)
        started = time.perf_counter()
        torch.mm(a, b)
        times[name] = time.perf_counter() - started
    return "bfloat16" if times["bfloat16"] < times["float32"] else "float32"


def trained(task: Task, settings: Learning, seed: int, folder: Path, name: str | None = None) -> zoo.Combo:
    """The network with the weights that :func:`train`, or :func:`train_with_noise`, left."""
    net = network(task, settings, seed)
    net.load_state_dict(load_file(folder / (name or weights_of(SplitBy.RANDOM, seed))))
    return net.eval()


def _spike_noise(unit: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
    """Uniform noise as wide as one spike in ``COUNTED`` steps, on units that fire: what an unlucky phase does."""
    if not unit.training or not isinstance(unit, SoftLIF):
        return None
    spike = unit.neuron.amplitude / (DT * COUNTED)
    return output + (torch.rand_like(output) - 0.5) * output.detach().clamp(max=spike)


def accuracy(task: Task, net: nn.Module, settings: Learning, seed: int) -> dict[str, Any]:
    """R2, MAE and Pearson's r on validation and test rows, of one pass and of the average of several."""
    rows = zoo.ComboRows(net, task.tables.cells, task.tables.drugs).eval()  # pyright: ignore[reportArgumentType]
    found = {}
    for part, which in _scored(task, settings).items():
        started = time.perf_counter()
        index = task.tables.index[which].float()
        made = predict(rows, index, samples=settings.accuracy_samples, seed=seed, rows=which)
        seconds = time.perf_counter() - started
        single, mean = (task.scaling.outputs(y[:, 0]).numpy() for y in (made.samples[0], made.mean))
        truth = task.data.target[which, 0].numpy()
        found[part] = {"mean": scores(truth, mean), "single_pass": scores(truth, single), "seconds": seconds}
    return found


def boosted_trees(task: Task, settings: Learning, seed: int, **more: Any) -> dict[str, Any]:
    """The same figures for gradient-boosted trees on the same rows; ``more`` are other options of theirs.

    On principal components of the features; and on nothing but which cell line and which two drugs a row has: what
    features are worth beyond that, a network has to show.
    """
    train, truth = task.split.train, task.data.target[:, 0].numpy()
    options: dict[str, Any] = {"early_stopping": False, "random_state": seed, "max_leaf_nodes": 127}
    options |= {"max_iter": settings.boosting, **more}
    found: dict[str, Any] = {}
    inputs: dict[str, tuple[Any, Any]] = {
        "components": (_components(task), None),
        "identities": (task.data.index.numpy(), [0, 1, 2]),
    }
    for name, (columns, which) in inputs.items():
        started = time.perf_counter()
        trees = HistGradientBoostingRegressor(**options, categorical_features=which)
        trees.fit(columns[train], truth[train])
        made = {
            part: {"mean": scores(truth[rows], trees.predict(columns[rows]))}
            for part, rows in _scored(task, settings).items()
        }
        found[name] = made | {"features": columns.shape[1], "seconds": time.perf_counter() - started}
    return found | {"iterations": settings.boosting}


def _scored(task: Task, settings: Learning) -> dict[str, Tensor]:
    """Held-out rows that are predicted and scored."""
    return {
        "validation": task.split.validation[: settings.validation_scored],
        "test": task.split.test[: settings.scored],
    }


def scores(truth: NDArray[np.float32], prediction: NDArray[np.float32]) -> dict[str, float]:
    """R2, MAE and Pearson's r."""
    return {
        "r2": float(r2_score(truth, prediction)),
        "mae": float(mean_absolute_error(truth, prediction)),
        "pearson": float(np.corrcoef(truth, prediction)[0, 1]),
    }


def _components(task: Task) -> NDArray[np.float32]:
    """``[N, 3 K]``: the leading components of a row's cell line and drugs, learned on those of the training rows."""
    index = task.data.index[task.split.train]

    def project(table: Tensor, lines: Tensor) -> NDArray[np.float32]:
        kept = min(COMPONENTS, len(lines), table.shape[1])
        return PCA(kept, random_state=0).fit(table[lines].numpy()).transform(table.numpy()).astype(np.float32)

    cells = project(task.tables.cells, index[:, 0].unique())
    drugs = project(task.tables.drugs, index[:, 1:].unique())
    cell, one, two = task.data.index.numpy().T
    return np.hstack([cells[cell], drugs[one], drugs[two]])
