"""Lightning callbacks that sharpen activations while a network trains: by a schedule, bottom-up, or adaptively.

A :class:`Dial` defines which layers there are and what a layer's progress from 0 to 1 sets: the sharpness of a
``Sharpened`` activation, or the width of SoftLIF's threshold. Layers are taken in the module's order of definition,
which should be that of the forward pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.nn import Sharpened, SoftLIF

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Dial(Protocol):
    """What is sharpened: its layers, and what their progress means."""

    def layers(self, model: nn.Module) -> list[Any]:
        """The layers, in order."""
        ...

    def turn(self, layer: Any, progress: float) -> None:
        """Set a layer to its progress, 0 (as it begins) to 1 (spiking)."""
        ...


class Sharpness:
    """The sharpness of every :class:`~spikebayes.nn.Sharpened` activation."""

    def layers(self, model: nn.Module) -> list[Sharpened]:
        return [m for m in model.modules() if isinstance(m, Sharpened)]

    def turn(self, layer: Sharpened, progress: float) -> None:
        layer.sharpen(progress)


@checked
class Gamma:
    """The width of every SoftLIF's threshold, geometrically from start to end.

    Args:
        start, end: gamma at progress 0 and 1, both > 0.

    Raises:
        ConfigError: a width <= 0.
    """

    start: float
    end: float

    def __init__(self, start: float = 0.02, end: float = 0.001) -> None:
        if not (end > 0 and 0 < start < float("inf")):
            raise ConfigError(f"gamma must be > 0; got {start} to {end}")
        self.start, self.end = start, end

    def layers(self, model: nn.Module) -> list[SoftLIF]:
        return [m for m in model.modules() if isinstance(m, SoftLIF)]

    def turn(self, layer: SoftLIF, progress: float) -> None:
        layer.gamma.fill_(annealed_gamma(self.start, self.end, progress))


def annealed_gamma(start: float, end: float, progress: float) -> float:
    """Geometric interpolation: start at progress 0, end from progress 1 on.

    Example:
        >>> [round(annealed_gamma(0.02, 0.001, p), 4) for p in (0, 0.5, 1, 2)]
        [0.02, 0.0045, 0.001, 0.001]
    """
    return start * (end / start) ** min(1.0, max(0.0, progress))


class ManyBatches(LightningModule):
    """A module that is given many batches at a time, and calls ``before_batch`` and ``after_batch`` for each."""


class Sharpening(Callback, ABC):
    """Turns a dial, layer by layer, as training goes on; its state is kept in checkpoints.

    Args:
        dial: what is turned; the sharpness of ``Sharpened`` activations unless given.

    Attributes:
        progress: of each layer, 0 to 1.
        history: the layers' progress at the end of every epoch.
    """

    def __init__(self, dial: Dial | None = None) -> None:
        self.dial: Dial = Sharpness() if dial is None else dial
        self.progress: list[float] = []
        self.history: list[list[float]] = []

    @abstractmethod
    def advance(self, epoch: int, share: float) -> None:
        """Update :attr:`progress` before a batch, and after the last; ``share`` of the epoch is done."""

    @property
    def state_key(self) -> str:
        """Two callbacks of a kind may work side by side, each on a dial of its own."""
        return self._generate_state_key(dial=type(self.dial).__qualname__)

    @property
    def done(self) -> bool:
        """Whether every layer is fully sharp."""
        return all(p == 1 for p in self.progress)

    def state_dict(self) -> dict[str, Any]:
        return {"progress": list(self.progress), "history": list(self.history)}  # as they are now

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress, self.history = list(state_dict["progress"]), list(state_dict["history"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Every training begins anew; a checkpoint, which is read after this, says otherwise. A test is none."""
        if stage == "fit":
            self._begin()

    def _begin(self) -> None:
        self.progress, self.history = [], []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        layers = self.dial.layers(pl_module)
        if len(self.progress) != len(layers):
            self.progress = [0.0] * len(layers)

    def on_train_batch_start(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, ManyBatches):
            share = batch_idx / float(trainer.num_training_batches)
            self.before_batch(pl_module, trainer.current_epoch, share)

    def on_train_batch_end(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, ManyBatches):
            self.after_batch(outputs["loss"] if isinstance(outputs, dict) else outputs)

    def before_batch(self, model: nn.Module, epoch: int, share: float) -> None:
        """Advance and turn; ``share`` of the epoch is done."""
        before = list(self.progress)
        self.advance(epoch, share)
        if self.progress != before or share == 0:
            self.turn(model)

    def after_batch(self, loss: Tensor | float) -> None:
        """Receive a batch's loss."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.advance(trainer.current_epoch, 1.0)
        self.turn(pl_module)
        self.history.append([round(p, 6) for p in self.progress])

    def turn(self, model: nn.Module) -> None:
        """Set every layer to its progress."""
        for layer, progress in zip(self.dial.layers(model), self.progress, strict=True):
            self.dial.turn(layer, progress)


@checked
class ScheduledSharpening(Sharpening):
    """All layers at once, from epoch ``start`` on and over ``epochs`` epochs, step by step within them.

    Args:
        start: first epoch that sharpens, counted from 0.
        epochs: how many it takes; with 0 the layers are sharp at once.
        whole_epochs: turn only between epochs.
        dial: what is turned.

    Raises:
        ConfigError: start or epochs negative.
    """

    start: float
    epochs: float
    whole_epochs: bool
    progress: list[float]

    def __init__(self, start: float, epochs: float, *, whole_epochs: bool = False, dial: Dial | None = None) -> None:
        super().__init__(dial)
        if not (start >= 0 and epochs >= 0):
            raise ConfigError(f"start and epochs must be >= 0; got {start} and {epochs}")
        self.start, self.epochs, self.whole_epochs = start, epochs, whole_epochs

    def advance(self, epoch: int, share: float) -> None:
        at = epoch + (0.0 if self.whole_epochs else share) - self.start
        self.progress = [_part(at, self.epochs)] * len(self.progress)


@checked
class BottomUpSharpening(Sharpening):
    """Layer after layer from the input on, each over ``epochs`` epochs, the first from epoch ``start`` on.

    A step has no slope, so layers below a sharp one learn no more: the lowest go first.

    Args:
        start: first epoch that sharpens, counted from 0.
        epochs: how many each layer takes.
        dial: what is turned.

    Raises:
        ConfigError: start or epochs negative.

    Reference:
        Severa et al. 2019, Whetstone (bottom-up sharpening).
    """

    start: float
    epochs: float
    progress: list[float]

    def __init__(self, start: float, epochs: float, *, dial: Dial | None = None) -> None:
        super().__init__(dial)
        if not (start >= 0 and epochs >= 0):
            raise ConfigError(f"start and epochs must be >= 0; got {start} and {epochs}")
        self.start, self.epochs = start, epochs

    def advance(self, epoch: int, share: float) -> None:
        at = epoch + share - self.start
        self.progress = [_part(at - i * self.epochs, self.epochs) for i in range(len(self.progress))]


@checked
class AdaptiveSharpening(Sharpening):
    """Bottom-up with pauses: sharpening stops for a while when the training loss of an epoch has risen.

    Args:
        initial: epochs before sharpening begins.
        rate: progress per epoch of the layer being sharpened.
        late_rate: the same once the layer's progress exceeds ``late``.
        rise: share by which an epoch's mean loss must exceed that of the epoch before for a pause.
        patience: during a pause, epochs without improvement before sharpening continues; an improvement is a fall of
            the loss by the share ``rise``.
        dial: what is turned.

    Raises:
        ConfigError: a number out of range.

    Reference:
        Severa et al. 2019, Whetstone (adaptive sharpener: 10 epochs, 0.25, 0.126 from 0.75 on, 15 %, 1 epoch).
    """

    initial: int
    patience: int
    rate: float
    late_rate: float
    late: float
    rise: float
    pausing: bool
    waited: int

    def __init__(
        self,
        initial: int = 10,
        *,
        rate: float = 0.25,
        late_rate: float = 0.126,
        late: float = 0.75,
        rise: float = 0.15,
        patience: int = 1,
        dial: Dial | None = None,
    ) -> None:
        super().__init__(dial)
        if initial < 0 or patience < 1 or not (rate > 0 and late_rate > 0 and rise > 0 and 0 <= late <= 1):
            raise ConfigError(
                "adaptive sharpening needs initial >= 0, patience >= 1, rates and rise > 0 and late in [0, 1]; got "
                f"{initial}, {patience}, {rate}, {late_rate}, {rise}, {late}"
            )
        self.initial, self.patience = initial, patience
        self.rate, self.late_rate, self.late, self.rise = rate, late_rate, late, rise
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self.pausing, self.waited = False, 0
        self.loss: float | None = None  # of the epoch before
        self.pauses: list[int] = []
        self._at = 0.0
        self._sum, self._batches = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        more = {"pausing": self.pausing, "waited": self.waited, "loss": self.loss, "pauses": list(self.pauses)}
        within = {"at": self._at, "sum": float(self._sum), "batches": self._batches}  # of the epoch, if not whole
        return super().state_dict() | more | within

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.pausing, self.waited = state_dict["pausing"], state_dict["waited"]
        self.loss, self.pauses = state_dict["loss"], list(state_dict["pauses"])
        self._at, self._sum = state_dict.get("at", 0.0), state_dict.get("sum", 0.0)
        self._batches = state_dict.get("batches", 0)

    def advance(self, epoch: int, share: float) -> None:
        moved = share - self._at if share else 0.0
        self._at = share
        if epoch < self.initial or self.pausing:
            return
        turn = next((i for i, p in enumerate(self.progress) if p < 1), None)
        if turn is not None:
            now = self.progress[turn]
            self.progress[turn] = min(1.0, now + moved * (self.late_rate if now > self.late else self.rate))

    def after_batch(self, loss: Tensor | float) -> None:
        self._sum = self._sum + (loss.detach() if isinstance(loss, Tensor) else loss)
        self._batches += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        mean, self._sum, self._batches = float(self._sum) / max(1, self._batches), 0.0, 0
        super().on_train_epoch_end(trainer, pl_module)
        self._at = 0.0
        self.judge(mean, trainer.current_epoch)

    def judge(self, loss: float, epoch: int) -> None:
        """Pause or go on, given an epoch's mean training loss."""
        before, self.loss = self.loss, loss
        if epoch < self.initial or before is None:
            return
        if self.pausing:
            self.waited = 0 if loss < (1 - self.rise) * before else self.waited + 1
            self.pausing = self.waited < self.patience
        elif loss > (1 + self.rise) * before and not all(p == 1 for p in self.progress):
            self.pausing, self.waited = True, 0
            self.pauses.append(epoch)


@checked
class FrozenNorms(Callback):
    """From an epoch on, batch norms use their running statistics and keep them; factors and shifts go on learning.

    An image's empty background gives every unit of a channel the same input. If that input is close to the threshold,
    the slightest difference between a batch's statistics and the running ones turns a whole channel on instead of
    off, and a network that fits its batches fails in prediction. So the statistics should be those of prediction
    before activations become steps.

    Args:
        start: first epoch with frozen statistics, counted from 0.

    Reference:
        freezing the statistics towards the end is usual in quantised training: Krishnamoorthi 2018, arXiv:1806.08342,
        section 4; why sharpened networks need it is our finding.
    """

    def __init__(self, start: int) -> None:
        self.start = start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch >= self.start:
            for module in pl_module.modules():
                if isinstance(module, NORMS):
                    module.eval()


def _part(at: float, length: float) -> float:
    return float(at >= 0) if length == 0 else min(1.0, max(0.0, at / length))
