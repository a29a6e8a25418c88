"""The trained networks that are rounded: four kinds of neurons, on one set of numbers and one of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from spikebayes import Alpha, Digits, SpikingNetwork, Task, Timing, convert, fit
from spikebayes.data import load_images, load_split, split_rows
from spikebayes.nn import zoo
from spikebayes.training import Scaling

DROPOUT = 0.1
LIF, DIGITS, STEPS, TRAINED = "LIF", "digits 4 x 4", "threshold", "threshold, trained with 8 bits"
KINDS = (LIF, DIGITS, STEPS, TRAINED)


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        set: UCI set of the regression. images: set of the classes.
        hidden: widths of hidden layers. epochs: of training. train_rows: most rows that are trained on.
        rows, samples: of each prediction.
        looked_at: rows whose neurons are looked at one by one.
        bits: of weights.
        fan_in: of a chip, for the threshold network of the classes.
        tau: of LIF networks' filters, s. steps, burn_in: of their samples.
    """

    set: str = "kin8nm"
    images: str = "mnist"
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 30
    train_rows: int = 10_000
    rows: int = 100
    samples: int = 60
    looked_at: int = 20
    bits: tuple[int, ...] = (4, 8, 16)
    fan_in: int = 256
    tau: float = 0.01
    steps: int = 200
    burn_in: int = 120


PUBLISHED = Settings()
QUICK = Settings(
    set="yacht", hidden=(12, 10), epochs=6, train_rows=500, rows=20, samples=20, looked_at=5, bits=(4, 8), steps=60,
    burn_in=30,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to train on, to choose weights by and to judge on, in units of their data.

    Args:
        task: what the targets are.
        train, held, test: inputs ``[B, F]`` and targets.
        outputs: of a network.
    """

    task: Task
    train: tuple[Tensor, Tensor]
    held: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    outputs: int


@dataclass(frozen=True, eq=False)
class Case:
    """A network, and the inputs that it is judged on.

    Args:
        network: made of a trained module.
        x: ``[B, F]`` as the network takes them. largest: magnitude of any such input.
        y: targets in the network's units, or classes.
    """

    network: SpikingNetwork
    x: Tensor
    y: Tensor
    largest: float


def numbers(data: Path, settings: Settings, seed: int) -> Rows:
    """A UCI set."""
    split = load_split(data, settings.set)
    train, held = split_rows(len(split.x_train), 0.1, seed)
    return Rows(
        Task.REGRESSION,
        (split.x_train[train], split.y_train[train]),
        (split.x_train[held], split.y_train[held]),
        (split.x_test, split.y_test),
        1,
    )


def classes(data: Path, settings: Settings, seed: int) -> Rows:
    """Images, pixel by pixel."""
    found = load_images(data, settings.images)
    x, y = found.x_train[: settings.train_rows].flatten(1), found.y_train[: settings.train_rows]
    train, held = split_rows(len(x), 0.1, seed)
    test = found.x_test.flatten(1), found.y_test
    return Rows(Task.CLASSIFICATION, (x[train], y[train]), (x[held], y[held]), test, 10)


def case(rows: Rows, kind: str, settings: Settings, seed: int) -> Case:
    """The network of a kind, trained."""
    features = rows.train[0].shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS[kind](features, rows.outputs, settings.hidden)
    pixels = rows.task is Task.CLASSIFICATION
    fitted = fit(
        model,
        *rows.train,
        validation=rows.held,
        task=rows.task,
        scaling=Scaling.identity((features,)) if pixels else None,
        epochs=settings.epochs,
        noise="constant",
        seed=seed,
        calibration=0.0,
        error=None,
    )
    inputs, seen = fitted.scaling.inputs(rows.test[0]), fitted.scaling.inputs(rows.train[0])
    x, y = inputs[: settings.rows], rows.test[1][: settings.rows]
    if kind == DIGITS:
        network = convert(fitted.model, x[:1], code=Digits(4, 4), calibrate=seen)
    else:
        network = convert(fitted.model, x[:1], synapse=Alpha(settings.tau))
    if kind == LIF:
        network = replace(network, timing=Timing(settings.steps, settings.burn_in))
    largest = 1.0 if pixels else float(max(inputs.abs().max(), seen.abs().max()))
    return Case(network, x, y if pixels else fitted.scaling.targets(y), largest)


def _steps(bits: int | None) -> Callable[[int, int, tuple[int, ...]], nn.Module]:
    def made(features: int, outputs: int, hidden: tuple[int, ...]) -> nn.Module:
        return zoo.sharpened((features,), outputs, hidden=hidden, width=None, dropout=DROPOUT, bits=bits)

    return made


MODELS: dict[str, Callable[[int, int, tuple[int, ...]], nn.Module]] = {
    LIF: lambda features, outputs, hidden: zoo.mlp(features, outputs, hidden, DROPOUT),
    DIGITS: lambda features, outputs, hidden: zoo.mlp(features, outputs, hidden, DROPOUT, activation=nn.ReLU),
    STEPS: _steps(None),
    TRAINED: _steps(8),
}
