"""Lightning callbacks: the threshold's width is annealed, and a model counts only once it has reached its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn

from spikebayes.nn import SoftLIF


def annealed_gamma(start: float, end: float, progress: float) -> float:
    """Geometric interpolation: start at progress 0, end from progress 1 on.

    Example:
        >>> [round(annealed_gamma(0.02, 0.001, p), 4) for p in (0, 0.5, 1, 2)]
        [0.02, 0.0045, 0.001, 0.001]
    """
    return start * (end / start) ** min(1.0, max(0.0, progress))


def annealing_epochs(share: float, epochs: int) -> int:
    """How many epochs gamma falls for: a share of all, and at least one is left at its end.

    Example:
        >>> annealing_epochs(0.3, 200), annealing_epochs(0.01, 10), annealing_epochs(0.99, 10)
        (60, 1, 9)
    """
    return min(epochs - 1, max(1, round(share * epochs)))


class GammaAnnealing(Callback):
    """Narrows every SoftLIF's threshold epoch by epoch, so that the curve that is learned becomes the LIF curve.

    Args:
        start, end: gamma in the first epoch, and from epoch ``epochs`` on.
        epochs: how many epochs the way takes.
    """

    def __init__(self, start: float, end: float, epochs: int) -> None:
        self.start, self.end, self.epochs = start, end, epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gamma = annealed_gamma(self.start, self.end, trainer.current_epoch / max(1, self.epochs))
        for module in pl_module.modules():
            if isinstance(module, SoftLIF):
                module.gamma.fill_(gamma)

    def done(self, trainer: Trainer) -> bool:
        """Whether gamma has reached its end in the current epoch."""
        return trainer.current_epoch >= self.epochs


class _OnceAnnealed:
    """Holds a callback back while gamma is still on its way: losses before and after do not compare."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        annealing = [c for c in trainer.callbacks if isinstance(c, GammaAnnealing)]  # pyright: ignore[reportAttributeAccessIssue]
        if all(c.done(trainer) for c in annealing):
            super().on_validation_end(trainer, pl_module)  # pyright: ignore[reportAttributeAccessIssue]


class Patience(_OnceAnnealed, EarlyStopping):
    """Early stopping that starts counting when gamma has reached its end."""


class Best(_OnceAnnealed, ModelCheckpoint):
    """Keeps the weights with the lowest validation loss since gamma reached its end."""

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


def has_softlif(model: nn.Module) -> bool:
    """Whether there is a threshold to anneal."""
    return any(isinstance(m, SoftLIF) for m in model.modules())


def trainer_settings(callbacks: list[Callback]) -> dict[str, Any]:
    """Trainer arguments that keep Lightning quiet and write nothing but our checkpoints."""
    return {
        "callbacks": callbacks,
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
