"""What Lightning trains: a module with its loss and its optimiser, many batches at a time.

Lightning's loop costs more than a step of a small network. So its "batch" is up to ``STRIDE`` of ours, which are gone
through here; it looks after epochs, validation, checkpoints, callbacks and devices. Where a callback wants to see
each batch, each is one of Lightning's, at its price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler, TensorDataset

from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks
from spikebayes.prediction.heads import LEAST, LOGITS, kind_of, log_probabilities
from spikebayes.prediction.task import Task
from spikebayes.training.activity import Activity
from spikebayes.training.fitted import VALIDATION_SEED
from spikebayes.training.likelihood import gaussian_loss
from spikebayes.training.optimizers import make_optimizer
from spikebayes.training.recipe import Recipe
from spikebayes.training.schedules import make_schedule
from spikebayes.training.sharpening import ManyBatches, Sharpening
from spikebayes.training.weighting import weighted_mean

STRIDE = 64  # batches that Lightning takes for one
VALIDATION_SAMPLES, VALIDATION_BATCH = 8, 512  # masks, and rows: all masks of a row are in one pass
LOOKED_AT = 32  # rows by which it is found what outputs are
MOST_KEPT = 1 << 24  # factors of the masks of validation that are kept in memory
BATCH_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
)
Batch = tuple[Tensor, ...]  # inputs, targets, and perhaps weights of the rows


class Learner(ManyBatches):
    """Loss and optimiser.

    Args:
        model: to be trained.
        recipe: how.
        batches: of one epoch.
        activity: of the model's units, if it is penalised.

    Attributes:
        steps: that the optimiser has taken.
    """

    model: nn.Module
    recipe: Recipe
    batches: int
    activity: Activity | None
    steps: int

    def __init__(self, model: nn.Module, recipe: Recipe, batches: int, activity: Activity | None = None) -> None:
        super().__init__()
        self.model, self.recipe, self.batches, self.activity = model, recipe, batches, activity
        self.automatic_optimization = False
        self.steps = 0
        self._sums: dict[str, Tensor] = {}
        self._kept: dict[Any, Tensor] = {}
        self._kind: str | None = None

    def training_step(self, batch: Any, _index: int) -> Tensor:
        """One batch, or a list of them, each with a step of the optimiser."""
        several = isinstance(batch, list)
        batches: list[Batch] = batch if several else [batch]
        optimizer, schedule = self.optimizers(use_pl_optimizer=not several), self.lr_schedulers()
        dials = [c for c in self.trainer.callbacks if isinstance(c, Sharpening)]  # pyright: ignore
        weights, losses = list(self.parameters()), []
        for x, *of_rows in batches:
            share = self.steps % self.batches / self.batches
            for dial in dials:
                dial.before_batch(self, self.current_epoch, share)
            loss = self._loss(x, *of_rows)
            for weight in weights:  # what zero_grad does, but for its hooks
                weight.grad = None
            if several:
                loss.backward()
            else:
                self.manual_backward(loss)
            optimizer.step()  # pyright: ignore[reportAttributeAccessIssue]
            schedule.step()  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess, reportCallIssue]
            self.steps += 1
            losses.append(loss.detach())
            for dial in dials:
                dial.after_batch(losses[-1])
        self._add("loss", torch.stack(losses), torch.tensor([len(x) for x, *_ in batches], device=self.device))
        if self.steps % self.batches == 0:
            self._tell("loss")
        return losses[-1]

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss of the averaged prediction, and the penalty; the same masks every time, so that epochs compare."""
        x, y, *weights = batch
        kind = self._outputs(x)
        rows = torch.arange(len(x), device=x.device) + index * VALIDATION_BATCH
        samples = torch.arange(VALIDATION_SAMPLES, device=x.device).repeat_interleave(len(x))
        with self._precision():
            masks = _SameMasks(Keys(VALIDATION_SEED, samples, rows.repeat(VALIDATION_SAMPLES)), self._kept)
            with self._recorded(), masks:
                output = self.model(torch.cat([x] * VALIDATION_SAMPLES)).float()
            stacked = output.unflatten(0, (VALIDATION_SAMPLES, len(x)))  # [S, B, C]
            if self.recipe.row_noise:
                losses = gaussian_loss(stacked, y)
            elif self.recipe.task is Task.REGRESSION:
                losses = F.mse_loss(stacked.mean(0), y, reduction="none")
            else:
                of_samples = stacked.softmax(-1) if kind == LOGITS else log_probabilities(stacked, kind).exp()
                likely = of_samples.mean(0).clamp(min=LEAST).log()
                losses = F.nll_loss(likely, y, reduction="none")
            loss = self._penalised(weighted_mean(losses, *weights))
        self._add("val_loss", loss[None], torch.tensor([len(x)], device=x.device))

    def on_validation_epoch_end(self) -> None:
        self._tell("val_loss")

    def configure_optimizers(self) -> Any:
        r = self.recipe
        optimizer = make_optimizer(r.optimizer, self.parameters(), r.learning_rate, r.weight_decay)
        steps = int(self.trainer.max_epochs or 1) * self.batches
        return {"optimizer": optimizer, "lr_scheduler": make_schedule(r.scheduler, optimizer, steps)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps = checkpoint["global_step"]

    def _loss(self, x: Tensor, y: Tensor, *weights: Tensor) -> Tensor:
        if self.recipe.augment is not None:
            x = self.recipe.augment(x)
        kind = self._outputs(x)
        with self._precision():
            with self._recorded():
                output = self.model(x).float()
            if self.recipe.row_noise:
                losses = gaussian_loss(output[None], y)
            elif self.recipe.task is Task.REGRESSION:
                losses = F.mse_loss(output, y, reduction="none")
            elif kind == LOGITS:
                losses = F.cross_entropy(output, y, reduction="none")
            else:
                losses = F.nll_loss(log_probabilities(output, kind), y, reduction="none")
            return self._penalised(weighted_mean(losses, *weights))

    def _outputs(self, x: Tensor) -> str:
        """What a classifier's outputs are, found once, so that the loss takes them as ``predict`` does."""
        if self._kind is None:
            classes = self.recipe.task is Task.CLASSIFICATION
            self._kind = kind_of(self.model, x[:LOOKED_AT]) if classes else LOGITS
        return self._kind

    def _recorded(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.activity is None else self.activity.recorded()

    def _penalised(self, loss: Tensor) -> Tensor:
        return loss if self.activity is None else loss + self.recipe.rate_penalty * self.activity.mean()

    def _precision(self) -> AbstractContextManager[Any]:
        """Of one pass: what is cast once within it must not outlive a step of the optimiser."""
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _add(self, name: str, losses: Tensor, rows: Tensor) -> None:
        """To the sum over rows, and their number."""
        part = torch.stack([(losses.float() * rows).sum(), rows.sum()])
        self._sums[name] = part if name not in self._sums else self._sums[name] + part

    def _tell(self, name: str) -> None:
        """The mean over rows, once an epoch."""
        total, rows = self._sums.pop(name)
        self.log(name, total / rows, on_step=False, on_epoch=True, prog_bar=True, logger=False, batch_size=1)


class _SameMasks(Masks):
    """Masks that are asked for epoch after epoch: to draw them takes longer than a layer, so some are kept.

    Args:
        keys: what they are drawn from.
        kept: those that were drawn before, factors of 0 or 1/(1 - p), as far as ``MOST_KEPT`` numbers go.
    """

    def __init__(self, keys: Keys, kept: dict[Any, Tensor]) -> None:
        super().__init__(keys)
        self.kept, self.first = kept, int(keys.rows[0])

    def _drop(self, x: Tensor, p: float, per_channel: bool) -> Tensor:
        name = self.first, self.sites, p, per_channel, x.shape, x.dtype
        factors = self.kept.get(name)
        if factors is None:
            if sum(map(Tensor.numel, self.kept.values())) + x.numel() > MOST_KEPT:
                return super()._drop(x, p, per_channel)
            factors = self.kept[name] = super()._drop(torch.ones_like(x), p, per_channel)
        else:
            self.sites += 1
        return x * factors


class Steps(Trainer):
    """A trainer whose steps are the optimiser's."""

    @property
    def global_step(self) -> int:
        return getattr(self.lightning_module, "steps", 0)


def loaders(
    training: Batch, validation: Batch, batch_size: int, callbacks: Sequence[Callback]
) -> tuple[DataLoader[Any], DataLoader[Any], int]:
    """Of training and of validation, and the number of batches in an epoch; see :data:`STRIDE`."""
    rows = len(training[0])
    alone = rows > batch_size > 1 and rows % batch_size == 1  # batch norm cannot learn from one row
    order = BatchSampler(RandomSampler(range(rows)), batch_size, drop_last=alone)
    held = BatchSampler(SequentialSampler(range(len(validation[0]))), VALIDATION_BATCH, drop_last=False)
    each = any(getattr(type(c), hook) is not getattr(Callback, hook) for c in callbacks for hook in BATCH_HOOKS)
    train = _loader(TensorDataset(*training), order) if each else _loader(_Batches(*training), _Strides(order))
    return train, _loader(TensorDataset(*validation), held), len(order)


def _loader(data: TensorDataset, order: Sampler[Any]) -> DataLoader[Any]:
    return DataLoader(data, sampler=order, batch_size=None, collate_fn=_as_they_are)


def _as_they_are(batches: Any) -> Any:
    return batches


class _Batches(TensorDataset):
    """Several batches at once, each indexed out of whole tensors."""

    def __getitem__(self, index: list[list[int]]) -> list[Batch]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [super(_Batches, self).__getitem__(torch.tensor(rows)) for rows in index]  # pyright: ignore


class _Strides(Sampler[list[list[int]]]):
    """Lists of batches."""

    def __init__(self, batches: BatchSampler) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[list[int]]]:
        left = iter(self.batches)
        while some := list(islice(left, STRIDE)):
            yield some

    def __len__(self) -> int:
        return -(-len(self.batches) // STRIDE)
