"""Networks as users of the library have them: trained by ``fit`` on real or simulated data, converted and tuned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import make_friedman1
from torch import Tensor, nn

from spikebayes import SpikingNetwork, Task, convert, fit, load_network, save_network, tune
from spikebayes.data import load_images
from spikebayes.data.combo import load_almanac
from spikebayes.machine.files import atomic, make_folder
from spikebayes.nn import Permadrop, SoftLIF, zoo
from spikebayes.training import Scaling
from studies.wycoff2019.learning import Task as DrugPairs

DROPOUT, ERROR = 0.1, 0.03
TUNED_ON = 100  # rows


@dataclass(frozen=True, eq=False)
class Rows:
    """What one network is trained and measured on.

    Args:
        x: for each argument ``[B, *shape]``, scaled. y: targets, or classes.
    """

    x: tuple[Tensor, ...]
    y: Tensor

    def take(self, first: int, last: int) -> Rows:
        """Rows first .. last - 1."""
        return Rows(tuple(part[first:last] for part in self.x), self.y[first:last])


@dataclass(frozen=True)
class Recipe:
    """How a network comes to be.

    Args:
        title: for a reader.
        build: the untrained module for such rows.
        load: from the folder of the data sets and a seed to rows, in an order in which the last are kept out.
        task: of the read-out.
        train, kept_out: rows of both kinds; as many again as are kept out validate.
        epochs, batch_size: of the training.
    """

    title: str
    build: Callable[[Rows], nn.Module]
    load: Callable[[Path, int], Rows]
    task: Task
    train: int
    kept_out: int
    epochs: int
    batch_size: int


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained module, its network with the timing that ``tune`` found, and rows that neither has seen."""

    title: str
    task: Task
    module: nn.Module
    network: SpikingNetwork
    x: tuple[Tensor, ...]


def trained(name: str, data: Path, folder: Path, seed: int) -> Trained:
    """One of ``RECIPES``, from ``folder`` if it was trained there before.

    Args:
        name: of the recipe.
        data: folder of the data sets.
        folder: for what is learned; made if it is not there.
        seed: of data that are drawn, weights, batches and masks.
    """
    recipe = RECIPES[name]
    rows = recipe.load(data, seed)
    last = recipe.train + 2 * recipe.kept_out
    bounds = (0, recipe.train, last - recipe.kept_out, last)
    train, validation, out = (rows.take(*pair) for pair in pairwise(bounds))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = recipe.build(rows)
    weights, stored = folder / f"{name}-{seed}.safetensors", folder / f"{name}-{seed}.network"
    make_folder(folder)
    if not weights.exists():
        _fit(module, recipe, train, validation, seed)
        with atomic(weights) as partial:
            save_file(module.state_dict(), partial)
    module.load_state_dict(load_file(weights))
    module.eval()
    if not stored.exists():
        first, *others = some = validation.take(0, TUNED_ON).x
        network = convert(module, list(some))
        save_network(tune(network, module, some if others else first, error=ERROR, task=recipe.task), stored)
    return Trained(recipe.title, recipe.task, module, load_network(stored), out.x)


def _fit(module: nn.Module, recipe: Recipe, train: Rows, validation: Rows, seed: int) -> None:
    shapes = [tuple(part.shape[1:]) for part in train.x]
    learner = module if len(shapes) == 1 else _Joined(module, shapes)
    x, x_validation = (_joined(rows.x) for rows in (train, validation))
    fit(
        learner,
        x,
        train.y,
        validation=(x_validation, validation.y),
        task=recipe.task,
        scaling=Scaling.identity(tuple(x.shape[1:])),  # rows are scaled already
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=1e-3,
        seed=seed,
        spiking=False,  # what is trained may join several arguments in one
        calibration=0.0,
    )


def _joined(x: tuple[Tensor, ...]) -> Tensor:
    return x[0] if len(x) == 1 else torch.cat([part.flatten(1) for part in x], 1)


class _Joined(nn.Module):
    """A module of several arguments, fed with all of them side by side."""

    def __init__(self, module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.module, self.shapes = module, shapes

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split([math.prod(shape) for shape in self.shapes], 1)
        return self.module(*(part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)))


def _friedman(_data: Path, seed: int) -> Rows:
    x, y = make_friedman1(3000, 10, noise=1.0, random_state=seed)
    x, y = ((part - part.mean(0)) / part.std(0) for part in (x, y))
    return Rows((torch.tensor(x).float(),), torch.tensor(y).float()[:, None])


def _digits(data: Path, seed: int, *shape: int) -> Rows:
    found = load_images(data, "mnist")
    order = torch.randperm(len(found.x_train), generator=torch.Generator().manual_seed(seed))[:6000]
    return Rows((((found.x_train[order] - 0.1307) / 0.3081).reshape(-1, *shape),), found.y_train[order])


def _drug_pairs(data: Path, seed: int) -> Rows:
    task = DrugPairs.prepare(load_almanac(data), seed)
    some = task.split.train[:5000]
    cell, one, two = task.tables.index[some].long().unbind(1)
    x = task.tables.cells[cell], task.tables.drugs[one], task.tables.drugs[two]
    return Rows(x, task.tables.target[some].reshape(-1, 1))


def _convolutional(_: Rows) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), SoftLIF(), Permadrop(DROPOUT)),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), SoftLIF(), Permadrop(DROPOUT)),
        nn.Flatten(),
        *(nn.Linear(1568, 64), SoftLIF(), Permadrop(DROPOUT)),
        nn.Linear(64, 10),
    )


CLASSES = Task.CLASSIFICATION
RECIPES = {
    "tabular": Recipe(
        "MLP 10-100-100-1, Friedman's first function",
        lambda _: zoo.mlp(10, 1, [100, 100], DROPOUT),
        _friedman,
        Task.REGRESSION,
        *(2000, 100, 60, 64),
    ),
    "wide": Recipe(
        "MLP 784-1000-1000-1000-10, MNIST",
        lambda _: zoo.mlp(784, 10, [1000] * 3, DROPOUT),
        lambda data, seed: _digits(data, seed, 784),
        CLASSES,
        *(5000, 100, 4, 64),
    ),
    "conv": Recipe(
        "Conv 1x28x28: 16/2-32/2-64-10, MNIST",
        _convolutional,
        lambda data, seed: _digits(data, seed, 1, 28, 28),
        CLASSES,
        *(5000, 100, 6, 64),
    ),
    "Combo": Recipe(
        "Combo, drug pairs",
        lambda rows: zoo.combo(rows.x[0].shape[1], rows.x[1].shape[1], dropout=DROPOUT),
        _drug_pairs,
        Task.REGRESSION,
        *(4000, 100, 3, 64),
    ),
}
