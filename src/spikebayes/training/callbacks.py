"""Lightning callbacks: a model counts only once its activations have reached their final form."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from spikebayes.machine.files import atomic
from spikebayes.training.sharpening import Sharpening

PRECISION: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # ours to Lightning's


def annealing_epochs(share: float, epochs: int) -> int:
    """How many epochs gamma falls for: a share of all, and at least one is left at its end.

    Example:
        >>> annealing_epochs(0.3, 200), annealing_epochs(0.01, 10), annealing_epochs(0.99, 10)
        (60, 1, 9)
    """
    return min(epochs - 1, max(1, round(share * epochs)))


class _OnceSharp:
    """Holds a callback back while activations still sharpen: losses before and after do not compare."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        sharpening = [c for c in trainer.callbacks if isinstance(c, Sharpening)]  # pyright: ignore[reportAttributeAccessIssue]
        if all(c.done for c in sharpening):
            super().on_validation_end(trainer, pl_module)  # pyright: ignore[reportAttributeAccessIssue]


class Patience(_OnceSharp, EarlyStopping):
    """Early stopping that starts counting when every activation has its final form."""


class Best(_OnceSharp, ModelCheckpoint):
    """Keeps the weights with the lowest validation loss since every activation has had its final form."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What was best is known again where its folder was moved too, which Lightning forgets."""
        here = Path(str(self.dirpath))
        best = here / Path(state_dict["best_model_path"]).name if state_dict["best_model_path"] else None
        if best is not None and best.is_file():
            kept = {str(here / Path(path).name): score for path, score in state_dict["best_k_models"].items()}
            moved = {"best_model_path": str(best), "kth_best_model_path": str(best), "best_k_models": kept}
            state_dict = {**state_dict, **moved, "dirpath": self.dirpath}
        super().load_state_dict(state_dict)


class RandomState(Callback):
    """Carries torch's generators through a checkpoint: a resumed training draws what the whole one would have."""

    def state_dict(self) -> dict[str, Any]:
        return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["cpu"])
        if len(state_dict["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state_dict["cuda"])


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its target and puts it in place when the disk has it.

    Lightning writes it in the system's temporary folder; from there to another file system it is copied, and a kill
    meanwhile left a torn checkpoint where a whole one had been.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic(Path(path)) as partial:
            partial.write_bytes(content.getbuffer())


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


def trainer_settings(callbacks: list[Callback], precision: str = "float32") -> dict[str, Any]:
    """Trainer arguments that keep Lightning quiet and to itself, and write nothing but our checkpoints.

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
