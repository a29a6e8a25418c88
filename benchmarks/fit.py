"""What ``fit`` costs beside a plain loop of torch's: ``python -m benchmarks.fit``.

All train the same network on the same rows with the same loss, optimiser (Adam, one cycle of the learning rate),
batches and epochs, and validate once an epoch; ``fit`` also checks, converts, averages over 8 masks, keeps the best
weights and measures the residual noise. Ratios are those within a round, as the machine's pace changes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.figures import seconds as in_words
from benchmarks.measure import Run, threads
from spikebayes import ConfigError, Task, fit
from spikebayes.nn import zoo
from spikebayes.training import Scaling
from studies import command_line
from studies.command_line import OUT

FIT, KEPT, TUNED, SCIKIT, PLAIN = "fit", "fit, checkpoints", "fit, tuned", "scikit-learn", "torch loop"
BATCH, RATE, DROPOUT, HELD = 64, 3e-3, 0.1, 5  # one row is held out for so many to train on
BUSY = 0.5  # processes beside this one


@dataclass(frozen=True)
class Work:
    """A network and how many rows it learns.

    Args:
        sizes: inputs, hidden layers, outputs.
        classes: whether the outputs are classes.
        relu: ``nn.ReLU`` and ``nn.Dropout`` instead of SoftLIF and Permadrop.
    """

    sizes: tuple[int, ...]
    rows: int
    classes: bool = False
    relu: bool = False

    def network(self) -> nn.Module:
        inputs, *hidden, outputs = self.sizes
        with torch.random.fork_rng():
            torch.manual_seed(0)
            if not self.relu:
                return zoo.mlp(inputs, outputs, hidden, DROPOUT)
            layers: list[nn.Module] = []
            for width in hidden:
                layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(DROPOUT)]
                inputs = width
            return nn.Sequential(*layers, nn.Linear(inputs, outputs))

    def data(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs and targets to learn, and those held out: standard normal inputs, a bent function of them."""
        generator = torch.Generator().manual_seed(0)
        count = self.rows + self.rows // HELD
        x = torch.randn(count, self.sizes[0], generator=generator)
        way = torch.randn(self.sizes[0], self.sizes[-1], generator=generator)
        z = (x @ way).sin() + 0.1 * torch.randn(count, self.sizes[-1], generator=generator)
        y = z.argmax(1) if self.classes else z
        return x[: self.rows], y[: self.rows], x[self.rows :], y[self.rows :]


WORK = {
    "10-100-100-1": Work((10, 100, 100, 1), 4000),
    "10-100-100-1, ReLU": Work((10, 100, 100, 1), 4000, relu=True),
    "64-500-500-10": Work((64, 500, 500, 10), 4000, classes=True),
    "64-500-500-10, ReLU": Work((64, 500, 500, 10), 4000, classes=True, relu=True),
}


def plain(work: Work, epochs: int) -> None:
    """The loop that anybody writes."""
    x, y, x_held, y_held = work.data()
    scaling = Scaling.learn(x, None if work.classes else y)
    x, y, x_held, y_held = scaling.inputs(x), scaling.targets(y), scaling.inputs(x_held), scaling.targets(y_held)
    model, loss = work.network(), F.cross_entropy if work.classes else F.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), RATE, weight_decay=3e-4, fused=True)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            found = loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            loss(model(x_held), y_held).item()


def fitted(work: Work, epochs: int, **settings: Any) -> None:
    """The same by the library."""
    x, y, x_held, y_held = work.data()
    task = Task.CLASSIFICATION if work.classes else Task.REGRESSION
    given: dict[str, Any] = {"error": None} | settings
    given = {"task": task, "epochs": epochs, "batch_size": BATCH, "calibration": 0.0} | given
    fit(work.network(), x, y, validation=(x_held, y_held), **given)


def scikit(work: Work, epochs: int) -> None:
    """Its network of ReLUs, without dropout."""
    x, y, _, _ = (part.numpy() for part in work.data())
    kind = MLPClassifier if work.classes else MLPRegressor
    settings: dict[str, Any] = {"batch_size": BATCH, "learning_rate_init": RATE, "alpha": 3e-4, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is told when to stop
        network = kind(hidden_layer_sizes=work.sizes[1:-1], max_iter=epochs, n_iter_no_change=epochs, **settings)
        network.fit(x, y if work.classes else y[:, 0])


def entrants(work: Work, epochs: int, folder: Path) -> dict[str, Run]:
    """By name; the first is what the others are held against."""
    return {
        PLAIN: lambda: plain(work, epochs),
        FIT: lambda: fitted(work, epochs),
        KEPT: lambda: fitted(work, epochs, checkpoints=folder),
        TUNED: lambda: fitted(work, epochs, error=0.03),
        SCIKIT: lambda: scikit(work, epochs),
    }


def rounds(runs: Mapping[str, Run], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each run in each round, by a clock; one round before them warms up."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            started = clock()
            run()
            if repeat:
                found[name].append(clock() - started)
    return found


def bench(*, only: str = "", epochs: int = 20, repeats: int = 5, count: int = 1, wall: bool = False) -> None:
    """Time fit, with and without checkpoints and tuning, and scikit-learn's network beside a plain torch loop.

    Args:
        only: the networks whose name begins so; all by default.
        epochs: of each training.
        repeats: rounds, after one that warms up; medians are taken.
        count: threads of every competitor.
        wall: time on the wall instead of the processor's, which counts waiting for the disk, and for other processes.
    """
    chosen = {name: work for name, work in WORK.items() if name.startswith(only)}
    if not chosen or repeats < 1 or epochs < 2:
        raise ConfigError(
            f"give a name's beginning of {', '.join(WORK)}, 1 repeat and 2 epochs or more; "
            f"got {only!r}, {repeats} and {epochs}"
        )
    busy = os.getloadavg()[0]
    table = Table("network", "competitor", "seconds", "ratio", "from", "to")
    with threads(count), tempfile.TemporaryDirectory() as folder:
        for name, work in chosen.items():
            runs = entrants(work, epochs, Path(folder) / name)
            found = rounds(runs, repeats, time.perf_counter if wall else time.process_time)
            for entrant, taken in found.items():
                ratios = [a / b for a, b in zip(taken, found[PLAIN], strict=True)]
                figures = (statistics.median(ratios), min(ratios), max(ratios))
                table.add_row(name, entrant, in_words(statistics.median(taken)), *(f"{r:.2f}" for r in figures))
    OUT.print(table)
    OUT.print(f"{epochs} epochs, {repeats} rounds, {count} threads, {'wall' if wall else 'processor'} time")
    if busy > BUSY:
        OUT.print(f"the machine was at work for others (load {busy:.1f}): look at ratios, and run it again when idle")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(bench, "benchmarks.fit", arguments)


if __name__ == "__main__":
    sys.exit(main())
