"""What a study of its own adds to a training: callbacks, loggers, schedules, inputs that are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from problems import network, plane, quick_fit, rings
from spikebayes.errors import ConfigError
from spikebayes.nn import Permadrop, Sharpened
from spikebayes.training.fit import LAST_CHECKPOINT
from spikebayes.training.fitted import Fitted
from spikebayes.training.learner import STRIDE, Learner
from spikebayes.training.sharpening import AdaptiveSharpening, ScheduledSharpening, Sharpening


def weights(fitted: Fitted) -> Tensor:
    return torch.cat([value.flatten().double() for value in fitted.model.state_dict().values()])


class Seen(Callback):
    """Notes learning rates, and the losses of each epoch; raises at the end of one that is asked for."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.epochs: list[int] = []
        self.rates: list[float] = []
        self.steps: list[int] = []
        self.losses: list[tuple[float, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs.append(trainer.current_epoch)
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.steps.append(trainer.global_step)
        self.losses.append((float(trainer.callback_metrics["loss"]), float(trainer.callback_metrics["val_loss"])))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.stop_at:
            raise RuntimeError("enough")


class Batches(Callback):
    """Notes what Lightning says of each batch."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int, float]] = []
        self.steps = 0

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.steps += 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append((trainer.global_step, batch_idx, len(batch[0]), float(outputs["loss"])))


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


# -- callbacks ---------------------------------------------------------------------------------------------


def test_a_callback_sees_every_epoch_and_its_losses() -> None:
    seen = Seen()
    fitted = quick_fit(network(), *plane(), callbacks=[seen])
    assert seen.epochs == list(range(6))
    assert seen.steps == [3 * epoch for epoch in range(1, 7)]
    assert fitted.history["validation_loss"] == min(loss for _, loss in seen.losses[2:])  # once gamma has fallen
    assert all(0 < loss < 10 for loss, _ in seen.losses)


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows() -> None:
    """A learning rate that changes nothing, nothing random: the loss is that of the whole training set."""
    x, y = rings(120)
    seen, told = Seen(), []
    model = nn.Linear(2, 3)
    start = [value.clone() for value in model.parameters()]
    settings = {"learning_rate": 1e-30, "weight_decay": 0.0, "spiking": False, "batch_size": 37, "calibration": 0.0}
    fitted = quick_fit(model, x, y, callbacks=[seen], logger=told.append, **settings)
    assert all(torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))
    s = fitted.scaling
    with torch.no_grad():
        losses = F.cross_entropy(model(s.inputs(x)), y, reduction="none")
    expected = float(losses[:96].mean()), float(losses[96:].mean())
    for said in seen.losses + [(line["loss"], line["val_loss"]) for line in told]:
        assert said == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [32, 1])
def test_batches_that_somebody_looks_at_are_the_same(batch_size: int) -> None:
    """With 96 batches in an epoch, which is more than Lightning takes for one; and with three."""
    batches = Batches()
    assert STRIDE < 96
    settings: dict[str, Any] = {"epochs": 2, "batch_size": batch_size, "augment": noisy}
    one = quick_fit(network(), *plane(), **settings)
    two = quick_fit(network(), *plane(), callbacks=[batches], **settings)
    count = 96 // batch_size
    assert torch.equal(weights(one), weights(two))
    assert [step for step, *_ in batches.seen] == list(range(1, 2 * count + 1))
    assert [index for _, index, *_ in batches.seen] == [*range(count)] * 2
    assert {rows for _, _, rows, _ in batches.seen} == {batch_size}
    assert batches.steps == 2 * count


def test_lightning_takes_many_batches_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop costs more than a step of a small network: 96 batches are two of its own."""
    calls: list[int] = []
    step = Learner.training_step
    monkeypatch.setattr(
        Learner, "training_step", lambda s, batch, i: (calls.append(len(batch)), step(s, batch, i))[1]
    )
    quick_fit(network(), *plane(), epochs=2, batch_size=1, callbacks=[Seen()])
    assert calls == [STRIDE, 96 - STRIDE] * 2


@pytest.mark.parametrize("kind", [ScheduledSharpening, AdaptiveSharpening])
def test_sharpening_goes_batch_by_batch_whoever_looks(kind: type[Sharpening]) -> None:
    def trained(*callbacks: Callback) -> tuple[Tensor, list[list[float]], Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), Sharpened(), Permadrop(0.1), nn.Linear(8, 1))
        way = kind(1, 2) if kind is ScheduledSharpening else AdaptiveSharpening(1, rate=0.7, late_rate=0.7)
        fitted = quick_fit(model, *plane(), batch_size=1, sharpening=way, callbacks=callbacks, error=None)
        return weights(fitted), way.history, way.state_dict()

    alone, beside = trained(), trained(Batches())
    assert torch.equal(alone[0], beside[0])
    assert alone[1:] == beside[1:]
    assert alone[1][-1] == [1.0]


def test_an_error_in_a_callback_comes_out_and_the_checkpoint_stays(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"augment": noisy, "scheduler": "cosine", "epochs": 8}
    whole = quick_fit(network(), *plane(), **settings)
    with pytest.raises(RuntimeError, match="enough"):
        quick_fit(network(), *plane(), checkpoints=tmp_path, callbacks=[Seen(stop_at=5)], **settings)
    assert torch.load(tmp_path / LAST_CHECKPOINT, weights_only=True)["epoch"] == 4
    rest = Seen()
    torch.manual_seed(99)
    resumed = quick_fit(network(seed=5), *plane(), checkpoints=tmp_path, resume=True, callbacks=[rest], **settings)
    assert rest.epochs == [5, 6, 7]
    assert rest.steps[-1] == 24
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history["validation_loss"] == whole.history["validation_loss"]


def test_lightnings_own_callbacks_work(tmp_path: Path) -> None:
    stop = EarlyStopping("loss", stopping_threshold=100.0)  # reached at once
    keep = ModelCheckpoint(tmp_path, "mine-{epoch}", monitor="val_loss")
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))
    fitted = quick_fit(model, *plane(160), callbacks=[stop, keep])
    assert fitted.history["epochs"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine-epoch=0.ckpt"]


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [
        (Seen(), "fit: callbacks must be a list, each of it a Callback"),
        ([Seen], "fit: callbacks must be a list, each of it a Callback"),
        ([ModelCheckpoint(monitor="a"), ModelCheckpoint(monitor="a")], "callbacks: Found more than one stateful"),
    ],
)
def test_callbacks_that_are_none_are_refused(callbacks: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        quick_fit(network(), *plane(), callbacks=callbacks)
    assert "\n" not in str(error.value)


# -- loggers -----------------------------------------------------------------------------------------------


def test_a_function_is_told_of_every_epoch() -> None:
    told: list[dict[str, float]] = []
    seen = Seen()
    quick_fit(network(), *plane(), logger=told.append, callbacks=[seen], scheduler="constant")
    expected = [
        {"epoch": e, "step": 3 * (e + 1), "loss": loss, "val_loss": held, "learning_rate": 3e-3}
        for e, (loss, held) in enumerate(seen.losses)
    ]
    assert told == expected


def test_lightnings_loggers_are_told_too(tmp_path: Path) -> None:
    first, second = CSVLogger(tmp_path, "a"), CSVLogger(tmp_path, "b")
    quick_fit(network(), *plane(), logger=[first, second], callbacks=[LearningRateMonitor("epoch")])
    for logger in (first, second):
        lines = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
        at = lines[0].split(",").index("val_loss")
        assert sum(bool(line.split(",")[at]) for line in lines[1:]) == 6


def test_a_logger_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fit: logger must be .*got 'tensorboard'"):
        quick_fit(network(), *plane(), logger="tensorboard")


# -- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("constant", [0.01, 0.01, 0.01, 0.01]),
        ("cosine", [0.01 * (1 + c) / 2 for c in (0.5**0.5, 0.0, -(0.5**0.5), -1.0)]),
        (
            lambda optimizer, steps: ExponentialLR(optimizer, 0.1 ** (1 / steps)),
            [0.01 * 0.1 ** (k / 4) for k in (1, 2, 3, 4)],
        ),
    ],
)
def test_the_learning_rate_moves_as_it_was_told(scheduler: Any, expected: list[float]) -> None:
    seen = Seen()
    quick_fit(network(), *plane(), epochs=4, learning_rate=0.01, scheduler=scheduler, callbacks=[seen])
    assert seen.rates == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("linear", "fit: scheduler must be"),
        (lambda optimizer, steps: 0.1, "scheduler must return one of torch's schedules"),
        (lambda optimizer, steps: ReduceLROnPlateau(optimizer), "scheduler must return one of torch's schedules"),
    ],
)
def test_what_is_no_schedule_is_refused(scheduler: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        quick_fit(network(), *plane(), scheduler=scheduler)


# -- inputs that are varied --------------------------------------------------------------------------------


def test_augment_is_given_scaled_batches_and_the_network_what_it_makes() -> None:
    """Inputs that are made 0 teach nothing but the mean: the weights of the first layer never move."""
    given: list[Tensor] = []

    def blank(x: Tensor) -> Tensor:
        given.append(x.clone())
        return torch.zeros_like(x)

    x, y = plane()
    model = network()
    start = model[0].weight.detach().clone()
    fitted = quick_fit(model, 5 + 3 * x, y, augment=blank, epochs=2, weight_decay=0.0)
    assert torch.equal(model[0].weight, start)
    rows = torch.cat(given[-3:])  # the last epoch
    expected = fitted.scaling.inputs(5 + 3 * x[:96])
    assert torch.equal(rows.sort(0).values, expected.sort(0).values)


def test_the_seed_determines_what_is_varied() -> None:
    one, two, other = (weights(quick_fit(network(), *plane(), augment=noisy, seed=s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert not torch.equal(one, weights(quick_fit(network(), *plane(), seed=1)))


@pytest.mark.parametrize("augment", [lambda x: x[:, :1], lambda x: x.double(), lambda x: None, lambda x: x[:1]])
def test_what_changes_the_shape_of_inputs_is_refused(augment: Any) -> None:
    with pytest.raises(ConfigError, match=r"augment must return what it is given, a tensor, torch.float32 \[2, 2\]"):
        quick_fit(network(), *plane(), augment=augment)
