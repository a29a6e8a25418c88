"""The digits, and the networks trained on them: each in a process of its own, resumable after any epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from spikebayes import Task, fit
from spikebayes.data import load_images
from spikebayes.machine.files import atomic, make_folder
from spikebayes.nn import BlankOutLinear
from spikebayes.training import LAST_CHECKPOINT, RandomState, Scaling, check_checkpoint, quiet, trainer_settings
from studies.neftci2017.networks import DROPOUT, RELU, WEIGHTS, Choice, Run, network, rows
from studies.neftci2017.settings import Learning

PERCENTILES = (15.0, 50.0, 85.0)  # of the last hidden layer's inputs, as in the paper's figure 2
SPREAD = (2.5, 16.0, 50.0, 84.0, 97.5)  # percentiles of the weights, figure 4
EVERY, PROBES = 100, 500  # mini-batches between two probes of the inputs, and test images that probe them
TRIED = 20  # samples of an averaged prediction on validation images


@dataclass(frozen=True, eq=False)
class Digits:
    """Images in [-1, 1], ``[N, 1, 28, 28]``, and their classes ``[N]``; ``unknown`` are no digits."""

    x: Tensor
    y: Tensor
    x_validation: Tensor
    y_validation: Tensor
    x_test: Tensor
    y_test: Tensor
    unknown: Tensor

    @classmethod
    def load(cls, folder: Path, images: int, seed: int) -> Digits:
        """MNIST split at random into training and validation, and Fashion-MNIST's test images."""
        mnist, fashion = load_images(folder, "mnist"), load_images(folder, "fashion-mnist")
        order = torch.randperm(len(mnist.y_train), generator=torch.Generator().manual_seed(seed))
        train, held = order[:images], order[images:][:10_000]
        x, y = 2 * mnist.x_train - 1, mnist.y_train
        tests = 2 * mnist.x_test - 1, mnist.y_test
        return cls(x[train], y[train], x[held], y[held], *tests, 2 * fashion.x_test - 1)


def train(run: Run, choice: Choice, data: Path, split: int, s: Learning, home: Path) -> dict[str, Any]:
    """Train one network, going on from a checkpoint if there is one, and leave its weights in ``home``.

    Args:
        run: the network. choice: its noise, learning rate and range of weights.
        data: folder of the data sets. split: seed by which training images and validation images are told apart.
        s: the training. home: folder of the weights.
    """
    with _Denormals():
        digits, net = Digits.load(data, s.images, split), network(run, choice, s)
        make_folder(home)
        plain = run.kind in (DROPOUT, RELU)
        history = _fit(run, net, digits, s, home) if plain else _train(run, net, choice, digits, s, home)
    with atomic(home / WEIGHTS) as partial:
        save_file(net.state_dict(), partial)
    return {"parameters": sum(p.numel() for p in net.parameters()), "seed": run.seed, **history}


def tried(run: Run, choice: Choice, epochs: int, data: Path, split: int, s: Learning) -> dict[str, Any]:
    """A short training, judged on validation images: error and log loss (nats) of averaged predictions."""
    with _Denormals():
        digits, net = Digits.load(data, s.images, split), network(run, choice, s)
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(run.seed)
            options: dict[str, Any] = {"enable_progress_bar": False, "enable_checkpointing": False}
            trainer = Trainer(max_epochs=epochs, accelerator="auto", **options, **trainer_settings([]))
            trainer.fit(_Learner(net, choice.learning_rate, s), _batches(run, digits, s))
            net.cpu().eval()
            x = rows(run.kind, digits.x_validation)
            with torch.no_grad():
                draws = [torch.cat([net(part) for part in x.split(1000)]).softmax(-1) for _ in range(TRIED)]
        mean, y = torch.stack(draws).mean(0), digits.y_validation
    loss = F.nll_loss(mean.clamp(min=torch.finfo(mean.dtype).tiny).log(), y)
    return {"log_loss": float(loss), "error": float((mean.argmax(-1) != y).double().mean())}


def _fit(run: Run, net: nn.Module, digits: Digits, s: Learning, home: Path) -> dict[str, Any]:
    """The library's own training: the epoch with the lowest validation loss is kept."""
    x = rows(run.kind, digits.x)
    return fit(
        net,
        x,
        digits.y,
        validation=(rows(run.kind, digits.x_validation), digits.y_validation),
        task=Task.CLASSIFICATION,
        scaling=Scaling.identity(tuple(x.shape[1:])),
        epochs=s.epochs,
        patience=s.epochs,
        batch_size=s.batch_size,
        learning_rate=s.plain_learning_rate,
        weight_decay=0.0,
        seed=run.seed,
        spiking=False,  # a network of ReLUs, to compare with, stays as it is
        calibration=0.0,
        checkpoints=home,
        resume=(home / LAST_CHECKPOINT).exists(),
    ).history


def _train(run: Run, net: nn.Sequential, choice: Choice, digits: Digits, s: Learning, home: Path) -> dict[str, Any]:
    """The paper's protocol: RMSprop on the negative log-likelihood, and nothing stops it early."""
    epochs = run.epochs(s)
    curves = _Curves(rows(run.kind, digits.x_test), digits.y_test, s)
    callbacks: list[Callback] = [
        curves,
        _LastWeights(home, epochs - s.averaged),
        RandomState(),
        ModelCheckpoint(home, Path(LAST_CHECKPOINT).stem, enable_version_counter=False),
    ]
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(run.seed)
        learner = _Learner(net, choice.learning_rate, s)
        resume = (home / LAST_CHECKPOINT).exists()
        if resume:
            check_checkpoint(home / LAST_CHECKPOINT, learner)
        trainer = Trainer(
            max_epochs=epochs, accelerator="auto", enable_progress_bar=False, **trainer_settings(callbacks)
        )
        trainer.fit(
            learner,
            _batches(run, digits, s),
            ckpt_path=home / LAST_CHECKPOINT if resume else None,
            weights_only=True,
        )
    net.cpu().eval()
    return {"epochs": trainer.current_epoch, **curves.found}


def _batches(run: Run, digits: Digits, s: Learning) -> DataLoader[Any]:
    """Up to ``EVERY`` batches at a time: Lightning's loop takes a fifth of a step of these networks."""
    data = TensorDataset(rows(run.kind, digits.x), digits.y)
    order = BatchSampler(RandomSampler(data), EVERY * s.batch_size, drop_last=False)
    return DataLoader(data, sampler=order, batch_size=None)


class _Denormals:
    """Flushed to zero, on one thread: sign units far from their threshold have next to no gradient."""

    def __enter__(self) -> None:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)

    def __exit__(self, *_: object) -> None:
        torch.set_flush_denormal(False)


class _Learner(LightningModule):
    """Loss and optimiser; batches come many at a time."""

    net: nn.Sequential

    def __init__(self, net: nn.Sequential, learning_rate: float, s: Learning) -> None:
        super().__init__()
        self.net, self.learning_rate, self.settings = net, learning_rate, s
        self.automatic_optimization = False

    def training_step(self, batches: tuple[Tensor, Tensor], _index: int) -> None:
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        for x, y in zip(*(part.split(self.settings.batch_size) for part in batches), strict=True):
            optimizer.zero_grad()  # pyright: ignore[reportAttributeAccessIssue]
            F.cross_entropy(self.net(x), y).backward()
            optimizer.step()  # pyright: ignore[reportAttributeAccessIssue]
            schedule.step()  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess, reportCallIssue]

    def configure_optimizers(self) -> Any:
        s, epochs = self.settings, int(self.trainer.max_epochs or 1)
        optimizer = torch.optim.RMSprop(self.parameters(), self.learning_rate, momentum=s.momentum)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-s.images // s.batch_size))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}


class _Curves(Callback):
    """What the paper's figures show over training; carried through checkpoints."""

    def __init__(self, x: Tensor, y: Tensor, settings: Learning) -> None:
        self.x, self.y, self.samples = x, y, settings.curve_samples
        names = ("test_error", "average_error", "inputs", "weights", "beta", "seconds")
        self.found: dict[str, list[Any]] = {name: [] for name in names}
        self.scale: float | None = None
        self.started = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"found": self.found, "scale": self.scale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.found, self.scale = state_dict["found"], state_dict["scale"]

    def on_train_start(self, trainer: Trainer, pl_module: _Learner) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.x, self.y = self.x.to(pl_module.device), self.y.to(pl_module.device)
        weight = _last_hidden(pl_module.net)[0].weight
        self.scale = self.scale or float(weight.detach().std())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()

    @torch.no_grad()
    def on_train_batch_start(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: Trainer, pl_module: _Learner, batch: Any, batch_idx: int
    ) -> None:
        layer, before = _last_hidden(pl_module.net)
        z = before(self.x[:PROBES])
        inputs = layer.law(z) if isinstance(layer, BlankOutLinear) else layer(z)
        self.found["inputs"].append(_percentiles(inputs, PERCENTILES))

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.found["seconds"].append(round(time.perf_counter() - self.started, 3))
        outputs = torch.stack(
            [torch.cat([pl_module.net(x) for x in self.x.split(1000)]) for _ in range(self.samples)]
        )
        self.found["test_error"].append(float((outputs.argmax(-1) != self.y).double().mean()))
        mean = outputs.softmax(-1).mean(0)
        self.found["average_error"].append(float((mean.argmax(-1) != self.y).double().mean()))
        layer, _ = _last_hidden(pl_module.net)
        self.found["weights"].append(_percentiles(layer.weight / (self.scale or 1.0), SPREAD))
        betas = [float(p.mean()) for name, p in pl_module.net.named_parameters() if name.endswith("beta")]
        self.found["beta"].append(betas)


class _LastWeights(Callback):
    """Keeps the weights after each epoch from ``first`` on."""

    def __init__(self, folder: Path, first: int) -> None:
        self.folder, self.first = folder, first

    def on_train_epoch_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if trainer.current_epoch >= self.first:
            with atomic(self.folder / f"{trainer.current_epoch}.safetensors") as partial:
                save_file({k: v.cpu() for k, v in pl_module.net.state_dict().items()}, partial)


def _last_hidden(net: nn.Sequential) -> tuple[Any, nn.Sequential]:
    """The last layer of synapses before the read-out, and all that comes before it."""
    layers = list(net)
    at = max(i for i, layer in enumerate(layers[:-1]) if isinstance(layer, nn.Linear | BlankOutLinear))
    return layers[at], nn.Sequential(*layers[:at])


def _percentiles(values: Tensor, levels: Sequence[float]) -> list[float]:
    """Linear between order statistics."""
    q = torch.tensor(levels, dtype=values.dtype, device=values.device) / 100
    return [round(float(v), 5) for v in torch.quantile(values.flatten()[: 1 << 24], q)]
