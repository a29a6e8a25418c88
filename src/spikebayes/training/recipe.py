"""How a module is trained: the settings of a training in one place, checked before any work."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.numbers import check_count
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.task import Task
from spikebayes.training.optimizers import check_optimizer
from spikebayes.training.schedules import Scheduler

MOST_EPOCHS = 10**6
PRECISION: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # ours to Lightning's


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a module is trained; the fields are arguments of :func:`~spikebayes.fit`, but for ``row_noise``: whether
    the module tells the noise of each row beside its means.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> settings = {"epochs": 9, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.0, "patience": 3}
        >>> Recipe(**settings).told()["epochs"]
        9
        >>> Recipe(**settings | {"epochs": 1})
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: epochs must be a whole number, at least 2; got 1
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    task: Task = Task.REGRESSION
    optimizer: str = "adam"
    scheduler: Scheduler = "onecycle"
    rate_penalty: float = 0.0
    gamma: tuple[float, float] = (0.02, 0.001)
    annealing: float = 0.3
    precision: str = "float32"
    augment: Callable[[Tensor], Tensor] | None = None
    seed: int = 0
    row_noise: bool = False

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, 2, MOST_EPOCHS, "patience stops a training that no longer improves")
        check_count("batch_size", self.batch_size, 1)
        check_count("patience", self.patience, 1)
        check_optimizer(self.optimizer, self.learning_rate, self.weight_decay)
        gamma = self.gamma
        if len(gamma) != 2 or not 0 < gamma[1] <= gamma[0] < math.inf:
            raise ConfigError(f"gamma must fall from its first to its last value, both positive; got {gamma}")
        if not 0 < self.annealing < 1:
            raise ConfigError(f"annealing must lie in (0, 1); got {self.annealing}")
        split_seed(self.seed)
        if self.precision not in PRECISION:
            raise ConfigError(f"precision must be one of {', '.join(PRECISION)}; got {self.precision!r}")

    def told(self) -> dict[str, Any]:
        """For a checkpoint: what a training that goes on from it must be given again, as plain numbers and texts."""
        return {
            "task": self.task.value,
            "epochs": int(self.epochs),
            "batch_size": int(self.batch_size),
            "learning_rate": float(self.learning_rate),
            "weight_decay": float(self.weight_decay),
            "rate_penalty": float(self.rate_penalty),
            "optimizer": self.optimizer,
            "scheduler": self.scheduler if isinstance(self.scheduler, str) else "a function",
            "gamma": [float(width) for width in self.gamma],
            "annealing": float(self.annealing),
            "patience": int(self.patience),
            "precision": self.precision,
            "augment": None if self.augment is None else "a function",
            "seed": int(self.seed),
        }
