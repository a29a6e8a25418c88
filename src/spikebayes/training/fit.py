"""fit(): train a permanent-dropout network, with Lightning's Trainer."""

from __future__ import annotations

import logging
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

from spikebayes.blocks import as_inputs
from spikebayes.errors import ConfigError, DataError, SpikebayesError
from spikebayes.masks import Masks
from spikebayes.predictive import Task
from spikebayes.training.callbacks import Best, GammaAnnealing, Patience, has_softlif, trainer_settings
from spikebayes.training.fitted import VALIDATION_SEED, Fitted, residual_noise
from spikebayes.training.scaling import Scaling

VALIDATION_SAMPLES = 8
LAST = "last.ckpt"


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    validation: tuple[Tensor, Tensor],
    task: Task = Task.REGRESSION,
    epochs: int = 200,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 3e-4,
    gamma: tuple[float, float] = (0.02, 0.001),
    annealing: float = 0.3,
    patience: int = 30,
    seed: int = 0,
    checkpoints: Path | None = None,
    resume: bool = False,
    names: tuple[str, ...] = (),
    progress: bool = False,
) -> Fitted:
    """Train a module with its dropout on, and its SoftLIF thresholds sharpening into LIF ones.

    Adam under a one-cycle learning rate; mean squared error on standardised targets, or cross-entropy on logits.
    gamma falls geometrically over the first ``annealing`` share of the epochs; from then on the weights with the
    lowest validation loss (of the prediction averaged over 8 fixed masks) are kept, and training stops after
    ``patience`` epochs without a better one. Inputs and targets are standardised on the training rows alone.

    Args:
        model: module from ``[B, *shape]`` to ``[B, C]``; trained in place.
        x: ``[B, *shape]`` training inputs in data units.
        y: ``[B, C]`` targets in data units, or ``[B]`` int64 classes.
        validation: the same two for the rows that choose the weights and measure the residual noise.
        task: regression or classification.
        epochs, batch_size, learning_rate, weight_decay: of the optimisation; learning_rate is the cycle's highest.
        gamma: first and last width of SoftLIF's threshold.
        annealing: share of the epochs over which gamma falls, in (0, 1).
        patience: epochs.
        seed: of weights already drawn it says nothing; of batches, masks and whatever else is drawn here.
        checkpoints: folder for a checkpoint after every epoch; None keeps them in a temporary one.
        resume: go on from the checkpoint in ``checkpoints``.
        names: one name per output.
        progress: show Lightning's progress bar.

    Returns:
        :class:`Fitted`: the module, its scaling and residual noise.

    Raises:
        DataError: mis-shaped, empty, NaN or infinite data.
        ConfigError: a setting out of range, or no checkpoint to resume from.
        SpikebayesError: the loss became NaN.
        KeyboardInterrupt: on Ctrl-C; the checkpoint of the last whole epoch is kept in ``checkpoints``.

    Reference:
        Hunsberger & Eliasmith 2015 (SoftLIF); Wycoff 2019, section 2.
    """
    check_training(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        gamma=gamma,
        annealing=annealing,
        patience=patience,
    )
    x, y = _check_rows(x, y, task, "training")
    x_val, y_val = _check_rows(*validation, task, "validation")
    scaling = Scaling.learn(x, y if task is Task.REGRESSION else None)
    learner = _Learner(model, task, learning_rate, weight_decay)
    annealed = GammaAnnealing(*gamma, epochs=max(1, round(annealing * epochs)) if has_softlif(model) else 0)
    loaders = (
        _loader(scaling.inputs(x), scaling.targets(y), batch_size, shuffle=True),
        _loader(scaling.inputs(x_val), scaling.targets(y_val), 4096, shuffle=False),
    )
    started = time.perf_counter()
    with _folder(checkpoints) as folder, _quiet(), torch.random.fork_rng():
        last = folder / LAST
        if resume and not last.exists():
            raise ConfigError(f"there is no checkpoint to resume from in {folder}")
        seed_everything(seed, verbose=False)
        best = Best(
            folder,
            "best",
            monitor="val_loss",
            enable_version_counter=False,
            save_weights_only=True,
            save_on_train_epoch_end=False,
        )
        callbacks: list[Callback] = [
            annealed,
            best,
            Patience(monitor="val_loss", patience=patience, check_on_train_epoch_end=False),
            ModelCheckpoint(folder, Path(LAST).stem, enable_version_counter=False),
            *([RichProgressBar()] if progress else []),
        ]
        trainer = Trainer(max_epochs=epochs, enable_progress_bar=progress, **trainer_settings(callbacks))
        with _interruptible():
            trainer.fit(learner, *loaders, ckpt_path=last if resume else None, weights_only=True)
        loss = float(best.best_model_score) if best.best_model_score is not None else float("nan")
        if not loss < float("inf"):
            raise SpikebayesError(
                f"training diverged: the validation loss is {loss}; try a lower learning_rate than {learning_rate}"
            )
        state = torch.load(best.best_model_path, weights_only=True)["state_dict"]
        learner.load_state_dict(state)
    model.cpu().eval()
    history = {
        "epochs": trainer.current_epoch,
        "validation_loss": loss,
        "seconds": time.perf_counter() - started,
        "training_rows": len(x),
        "validation_rows": len(x_val),
    }
    fitted = Fitted(model, scaling, task, None, names, history)
    if task is Task.REGRESSION:
        unscaled = fitted.predict(x_val, samples=50, seed=VALIDATION_SEED)
        fitted = replace(fitted, noise_std=residual_noise(unscaled, y_val))
    return fitted


class _Learner(LightningModule):
    """Loss and optimiser."""

    def __init__(self, model: nn.Module, task: Task, learning_rate: float, weight_decay: float) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        x, y = batch
        output = self.model(x)
        loss = F.mse_loss(output, y) if self.task is Task.REGRESSION else F.cross_entropy(output, y)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Loss of the averaged prediction; the same masks every time, so that epochs compare."""
        x, y = batch
        rows = torch.arange(len(x), device=x.device) + index * 4096
        outputs = []
        for sample in range(VALIDATION_SAMPLES):
            with Masks(VALIDATION_SEED, torch.full_like(rows, sample), rows):
                outputs.append(self.model(x))
        stacked = torch.stack(outputs)
        if self.task is Task.REGRESSION:
            loss = F.mse_loss(stacked.mean(0), y)
        else:
            loss = F.nll_loss(stacked.softmax(-1).mean(0).clamp(min=1e-12).log(), y)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(x))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=max(2, steps + 1))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _loader(x: Tensor, y: Tensor, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Batches indexed out of whole tensors at once: no per-row collating."""
    data = TensorDataset(x, y)
    order = RandomSampler(data) if shuffle else SequentialSampler(data)
    return DataLoader(data, sampler=BatchSampler(order, batch_size, drop_last=False), batch_size=None)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    temporary = Path(tempfile.mkdtemp(prefix="spikebayes-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C comes out as KeyboardInterrupt; Lightning turns it into an exit and leaves the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's tips and advice on data loaders say nothing about these small, in-memory tables."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        try:
            yield
        finally:
            logger.setLevel(level)


def check_training(
    *,
    epochs: int = 200,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 3e-4,
    gamma: tuple[float, float] = (0.02, 0.001),
    annealing: float = 0.3,
    patience: int = 30,
) -> None:
    """Refuse settings of the training that are out of range (ConfigError)."""
    for name, value, least in (("epochs", epochs, 2), ("batch_size", batch_size, 1), ("patience", patience, 1)):
        if value < least:
            raise ConfigError(f"{name} must be at least {least}; got {value}")
    if not 0 < learning_rate < float("inf"):
        raise ConfigError(f"learning_rate must be positive; got {learning_rate}")
    if not 0 <= weight_decay < float("inf"):
        raise ConfigError(f"weight_decay must be 0 or more; got {weight_decay}")
    if not 0 < gamma[1] <= gamma[0]:
        raise ConfigError(f"gamma must fall from its first to its last value, both positive; got {gamma}")
    if not 0 < annealing < 1:
        raise ConfigError(f"annealing must lie in (0, 1); got {annealing}")


def _check_rows(x: Tensor, y: Tensor, task: Task, what: str) -> tuple[Tensor, Tensor]:
    (x,) = as_inputs(x)
    if len(y) != len(x):
        raise DataError(f"{len(x)} {what} rows of inputs, {len(y)} of targets")
    if task is Task.CLASSIFICATION:
        if y.ndim != 1 or y.is_floating_point():
            raise DataError(f"{what} classes must be [B] integers; got {y.dtype} {list(y.shape)}")
        return x, y.long()
    (y,) = as_inputs(y if y.ndim > 1 else y[:, None])
    return x, y.float()
