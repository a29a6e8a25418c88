"""The networks' training: an original and a sharpened one that share their first epochs."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from spikebayes import folded
from spikebayes.machine.files import atomic, make_folder
from spikebayes.nn import Sharpened, zoo
from spikebayes.training import (
    LAST_CHECKPOINT,
    BottomUpSharpening,
    FrozenNorms,
    RandomState,
    Revival,
    ScheduledSharpening,
    Sharpening,
    check_checkpoint,
    make_optimizer,
    quiet,
    trainer_settings,
)
from studies.whetstone2018.images import Rows, taken, vary
from studies.whetstone2018.recipe import Recipe

ORIGINAL, SPIKING = "original", "spiking"
WEIGHTS, FORK = "weights.safetensors", "fork.ckpt"
BATCH, LOOK = 500, 1000  # rows side by side while testing, and rows that show which units are dead
WARM = 0.2  # share of the original network's steps over which the learning rate rises
LEAST = 1 / 25  # of the highest learning rate, to begin with
TEMPERATURE = 2.0  # at which a network learns another's probabilities


def network(recipe: Recipe, shape: tuple[int, ...], classes: int, seed: int) -> nn.Sequential:
    """An untrained network for rows of a shape."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return zoo.sharpened(
            shape if recipe.convolutions else (torch.Size(shape).numel(),),
            classes,
            convolutions=recipe.convolutions,
            padding=recipe.padding,
            hidden=recipe.hidden,
            width=recipe.width,
            scale=recipe.scale,
            dropout=recipe.dropout,
            bits=recipe.bits,
            activation=lambda: Sharpened(recipe.kind, learnable=recipe.learnable, noise=recipe.noise),
        )


def rows(recipe: Recipe, x: Tensor) -> Tensor:
    """Rows as the network takes them."""
    x = taken(x, recipe.inputs)
    return x if recipe.convolutions else x.flatten(1)


def train(recipe: Recipe, data: Rows, seed: int, home: Path) -> dict[str, Any]:
    """Train the original network and the sharpened one into ``home``, going on from checkpoints if there are any."""
    torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)
    try:
        found = {ORIGINAL: _train(recipe, data, seed, home / ORIGINAL, None)}
        found[SPIKING] = _train(recipe, data, seed, home / SPIKING, home / ORIGINAL)
    finally:
        torch.set_flush_denormal(False)
    return found


def _train(recipe: Recipe, data: Rows, seed: int, home: Path, original: Path | None) -> dict[str, Any]:
    make_folder(home)
    shape, classes = tuple(data.x.shape[1:]), len(data.classes)
    net = network(recipe, shape, classes, seed)
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    examples = TensorDataset(data.x, data.y)
    sampler = BatchSampler(RandomSampler(examples), recipe.batch_size, drop_last=True)
    look = rows(recipe, data.x[:LOOK])
    curves = _Curves(rows(recipe, data.x_validation), data.y_validation, rows(recipe, data.x_test), data.y_test, look)
    revival = Revival(net, look, until=round(recipe.frozen * recipe.epochs), seed=seed)
    callbacks: list[Callback] = [curves, revival, RandomState()]
    if original is None:
        callbacks += [_Fork(home / FORK, recipe.fork)]
    else:
        callbacks += [_sharpening(recipe)]
    callbacks += [FrozenNorms(round(recipe.frozen * recipe.epochs))]
    callbacks += [ModelCheckpoint(home, Path(LAST_CHECKPOINT).stem, enable_version_counter=False)]
    last = home / LAST_CHECKPOINT
    begin = next((path for path in (last, original / FORK if original else last) if path.exists()), None)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        teacher = trained(recipe, shape, classes, original) if original is not None and recipe.distil else None
        learner = _Learner(net, recipe, teacher)
        if begin is not None:
            check_checkpoint(begin, learner)
        trainer = Trainer(
            max_epochs=recipe.epochs if original is None else recipe.all_epochs,
            accelerator="auto",
            enable_progress_bar=False,
            **trainer_settings(callbacks, recipe.precision),
        )
        trainer.fit(
            learner, DataLoader(examples, sampler=sampler, batch_size=None), ckpt_path=begin, weights_only=True
        )
    net.to("cpu", memory_format=torch.contiguous_format).eval()  # pyright: ignore[reportCallIssue]
    with atomic(home / WEIGHTS) as partial:
        save_file(net.state_dict(), partial)
    return {"epochs": trainer.current_epoch, "revived": revival.revived, **curves.found}


def _sharpening(recipe: Recipe) -> Sharpening:
    length = recipe.sharpening * recipe.epochs
    if recipe.bottom_up:
        layers = len(recipe.convolutions) + len(recipe.hidden) + 1
        return BottomUpSharpening(recipe.fork, length / layers)
    return ScheduledSharpening(recipe.fork, length)


class _Learner(LightningModule):
    """Loss, variation of the images, and optimiser.

    Args:
        net: learns. recipe: how.
        teacher: the finished original network, whose probabilities it learns too; no part of what is kept.
    """

    def __init__(self, net: nn.Sequential, recipe: Recipe, teacher: nn.Module | None = None) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self._teacher = () if teacher is None else (folded(teacher).to(memory_format=torch.channels_last),)  # pyright: ignore[reportCallIssue]

    def on_fit_start(self) -> None:
        for teacher in self._teacher:
            teacher.to(self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        x = rows(self.recipe, vary(batch[0], self.recipe.augmentation))
        with self.products():
            logits = self.net(x).float()
            loss = F.cross_entropy(logits, batch[1])
            for teacher in self._teacher:
                with torch.no_grad():
                    taught = teacher(x).float()
                loss = (1 - self.recipe.distil) * loss + self.recipe.distil * divergence(logits, taught)
        return loss

    def products(self) -> AbstractContextManager[Any]:
        """The precision of matrix products in this epoch."""
        exact = self.current_epoch >= round((1 - self.recipe.exact) * int(self.trainer.max_epochs or 1))
        return torch.autocast(self.device.type, enabled=False) if exact else nullcontext()

    def configure_optimizers(self) -> Any:
        r = self.recipe
        optimizer = make_optimizer(r.optimizer, self.parameters(), r.learning_rate, r.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        warm = WARM * steps * r.epochs / int(self.trainer.max_epochs or 1)  # the same for both networks
        cycle = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cycled(step, warm, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def cycled(step: int, warm: float, steps: int) -> float:
    """Share of the highest learning rate: half a cosine from 1/25 up to 1 over ``warm`` steps, then one down to 0.

    Reference:
        Smith & Topin 2019, arXiv:1708.07120 (one cycle), as torch anneals it; no state but the step.

    Example:
        >>> [round(cycled(step, 10, 50), 3) for step in (0, 5, 10, 30, 50)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if step < warm:
        return 1 + (LEAST - 1) / 2 * (1 + math.cos(math.pi * step / warm))
    done = min(1.0, (step - warm) / max(1e-9, steps - warm))
    return (1 + math.cos(math.pi * done)) / 2


def divergence(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence from a teacher's probabilities at a temperature T, times T squared.

    Args:
        logits, taught: ``[B, C]``, the learner's and the teacher's.

    Reference:
        Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2.
    """
    ours, theirs = (F.log_softmax(part / TEMPERATURE, 1) for part in (logits, taught))
    return F.kl_div(ours, theirs, log_target=True, reduction="batchmean") * TEMPERATURE**2


class _Fork(Callback):
    """Keeps the state from which the sharpened network goes its own way."""

    def __init__(self, path: Path, epoch: int) -> None:
        self.path, self.epoch = path, epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 == self.epoch:
            trainer.save_checkpoint(self.path)


class _Curves(Callback):
    """Accuracies after every epoch, and the layers' sharpness; carried through checkpoints."""

    def __init__(self, x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, look: Tensor) -> None:
        self.x, self.y, self.x_test, self.y_test, self.look = x, y, x_test, y_test, look
        names = ("loss", "validation", "test", "sharpness", "between", "seconds")
        self.found: dict[str, list[Any]] = {name: [] for name in names}
        self.started, self.losses = 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"found": self.found}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.found = state_dict["found"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.losses = time.perf_counter(), 0.0

    def on_train_batch_end(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses = self.losses + outputs["loss"].detach()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        found, net = self.found, pl_module.net
        found["seconds"].append(round(time.perf_counter() - self.started, 2))
        found["loss"].append(round(float(self.losses) / trainer.num_training_batches, 6))
        net.eval()
        with (
            trainer.precision_plugin.forward_context(),
            pl_module.products(),
        ):  # float32 would double the time of large networks
            found["validation"].append(accuracy(net, self.x, self.y))
            found["test"].append(accuracy(net, self.x_test, self.y_test))
        found["between"].append([round(share, 5) for share in between(net, self.look)])
        net.train()
        sharpenings = [c for c in trainer.callbacks if isinstance(c, Sharpening)]  # pyright: ignore[reportAttributeAccessIssue]
        found["sharpness"].append([round(p, 4) for c in sharpenings for p in c.progress])


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of rows ``[N, *shape]`` whose class ``[N]`` has the largest output."""
    device = next(net.parameters()).device
    right = [
        (net(a.to(device)).argmax(1).cpu() == b).sum() for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True)
    ]
    return float(torch.stack(right).sum()) / len(y)


@torch.no_grad()
def between(net: nn.Module, x: Tensor) -> list[float]:
    """Of each sharpened layer, the share of activations that are neither off nor on, within 5 %."""
    device = next(net.parameters()).device
    shares: list[float] = []
    hooks = [
        m.register_forward_hook(lambda _m, _x, y: shares.append(float(((y > 0.05) & (y < 0.95)).double().mean())))
        for m in net.modules()
        if isinstance(m, Sharpened)
    ]
    net(x.to(device))
    for hook in hooks:
        hook.remove()
    return shares


def trained(recipe: Recipe, shape: tuple[int, ...], classes: int, home: Path) -> nn.Sequential:
    """A network with the weights that :func:`train` left in a folder."""
    net = network(recipe, shape, classes, 0)
    net.load_state_dict(load_file(home / WEIGHTS))
    return net.eval()
