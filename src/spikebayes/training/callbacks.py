"""Lightning callbacks: a model counts only once its activations have reached their final form."""

from __future__ import annotations

import io
import math
import time
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from spikebayes.machine.arguments import checked
from spikebayes.machine.files import atomic
from spikebayes.machine.progress import Bar
from spikebayes.training.recipe import PRECISION
from spikebayes.training.sharpening import Sharpening

LATER = 1.0  # s between two writes of a checkpoint of the same training


def annealing_epochs(share: float, epochs: int) -> int:
    """How many epochs gamma falls for: a share of all, and at least one is left at its end.

    Example:
        >>> annealing_epochs(0.3, 200), annealing_epochs(0.01, 10), annealing_epochs(0.99, 10)
        (60, 1, 9)
    """
    return min(epochs - 1, max(1, round(share * epochs)))


def all_sharp(trainer: Trainer) -> bool:
    """Whether every activation has its final form: losses before and after do not compare."""
    return all(c.done for c in trainer.callbacks if isinstance(c, Sharpening))  # pyright: ignore[reportAttributeAccessIssue]


def sharpening_in_words(sharpening: Sharpening) -> str:
    """Its class, and the arguments of that which it keeps as numbers.

    Example:
        >>> from spikebayes.training.sharpening import ScheduledSharpening
        >>> sharpening_in_words(ScheduledSharpening(3, 4.5))
        'ScheduledSharpening(start=3, epochs=4.5, whole_epochs=0)'
    """
    kept = {name: getattr(sharpening, name, None) for name in signature(type(sharpening)).parameters}
    numbers = [f"{name}={value:.12g}" for name, value in kept.items() if isinstance(value, int | float)]
    return f"{type(sharpening).__name__}({', '.join(numbers)})"


class Patience(EarlyStopping):
    """Early stopping that starts counting when every activation has its final form.

    A training that it has stopped stays so: resumed, it would otherwise go on by an epoch, and by more after a better
    one.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.stopped_epoch > 0:  # known from a checkpoint
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if all_sharp(trainer):
            super().on_validation_end(trainer, pl_module)


class EpochBar(Callback):
    """A bar of the epochs, for notebooks: those of Lightning take a new line for each validation there."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._bar: Bar | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar = Bar("training", self._epochs, trainer.current_epoch).__enter__()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None:
            self._bar.advance(1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close(None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close(type(exception))

    def _close(self, error: type[BaseException] | None) -> None:
        if self._bar is not None:
            self._bar.__exit__(error)
            self._bar = None


class Best(Callback):
    """Keeps the weights with the lowest validation loss since every activation has had its final form.

    Attributes:
        loss: theirs; infinite if it was NaN, None before there are any.
        weights: by name, on the CPU.
    """

    def __init__(self) -> None:
        self.loss: float | None = None
        self.weights: dict[str, Any] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        loss = float("inf") if math.isnan(loss) else loss
        if all_sharp(trainer) and (self.loss is None or loss < self.loss):
            self.loss = loss
            self.weights = {name: value.cpu().clone() for name, value in pl_module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loss, self.weights = state_dict["loss"], state_dict["weights"]


class Asked(Callback):
    """Stores the settings of a training in checkpoints, which hold what follows from them: a rate, what is left.

    Args:
        settings: by name, plain numbers and texts.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def state_dict(self) -> dict[str, Any]:
        return dict(self.settings)

    def changed(self, stored: dict[str, Any]) -> list[str]:
        """What a checkpoint's settings are otherwise, in words; it may be from before there was one of ours.

        Example:
            >>> Asked({"epochs": 9, "seed": 0}).changed({"epochs": 5, "seed": 0})
            ['epochs (5, and now 9)']
        """
        names = [name for name in {**self.settings, **stored} if name in stored]
        pairs = [(name, stored[name], self.settings.get(name)) for name in names]
        return [f"{name} ({before}, and now {now})" for name, before, now in pairs if before != now]


class RandomState(Callback):
    """Stores torch's generators in checkpoints: a resumed training draws what an uninterrupted one would have."""

    def state_dict(self) -> dict[str, Any]:
        return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["cpu"])
        if len(state_dict["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state_dict["cuda"])


class Last(Checkpoint):
    """Keeps a checkpoint of the last whole epoch: on the disk at the latest when ``LATER`` seconds have passed and an
    epoch ends, and however the training ends, short of a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.path, storage_options=LATER)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its target and puts it in place when the disk has it.

    Lightning writes it in the system's temporary folder; from there to another file system it is copied, and a kill
    meanwhile left a torn checkpoint where a whole one had been. As the disk's answer takes longer than an epoch of a
    small network, a checkpoint may wait for so many seconds (``storage_options``) after the one before: it is what
    it was when it was saved, and is written by the end, an error or Ctrl-C.
    """

    def __init__(self) -> None:
        self.waiting: tuple[Path, io.BytesIO] | None = None
        self.written: float = -math.inf

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        if storage_options is None:
            self._write(Path(path), content)
            return
        self.waiting = Path(path), content
        if time.monotonic() - self.written >= storage_options:
            self.teardown()
            self.written = time.monotonic()

    def teardown(self) -> None:
        """Write what waits."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            self._write(*waiting)

    @staticmethod
    def _write(path: Path, content: io.BytesIO) -> None:
        with atomic(path) as partial:  # a view (getbuffer) would live on in the traceback of an error
            partial.write_bytes(content.getvalue())


class Alone(LightningEnvironment):
    """One process on one device, whatever a scheduler (SLURM, torchrun, MPI) says of others beside it.

    Lightning would join them to one training, or refuse their number. Here each trains for itself; the folder's lock
    refuses a second one there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_global_rank(0)

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return 0


def has(model: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a model has a module of a kind."""
    return any(isinstance(m, kind) for m in model.modules())


@checked
def trainer_settings(callbacks: list[Callback], precision: str = "float32") -> dict[str, Any]:
    """Trainer arguments that keep Lightning quiet, in one process, and writing nothing but our checkpoints.

    Args:
        callbacks: of the trainer.
        precision: of matrix products, ``"float32"`` or ``"bfloat16"``.

    Example:
        >>> trainer_settings([], "bfloat16")["precision"]
        'bf16-mixed'
    """
    return {
        "callbacks": callbacks,
        "precision": PRECISION[precision],
        "plugins": [WholeCheckpoints(), Alone()],
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
