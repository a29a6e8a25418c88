"""What a training tells of each epoch, to Lightning's loggers or to a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

Told = Callable[[dict[str, float]], Any]


class Telling(Callback):
    """Tells the trainer's loggers, once an epoch, its number and losses and the learning rate at its end."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        values |= {"epoch": trainer.current_epoch, "learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
            logger.save()


class _Function(Logger):
    """A function of what is logged, as a logger of Lightning's."""

    def __init__(self, function: Told) -> None:
        super().__init__()
        self.function = function

    @property
    def name(self) -> str:
        return "told"

    @property
    def version(self) -> int:
        return 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.function({**metrics, "step": -1 if step is None else step})

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """There are none."""


def as_loggers(logger: Logger | Sequence[Logger] | Told | None) -> list[Logger]:
    """Lightning's loggers as they are, and a function as one of them."""
    if logger is None:
        return []
    if isinstance(logger, Logger):
        return [logger]
    return list(logger) if isinstance(logger, Sequence) else [_Function(logger)]
