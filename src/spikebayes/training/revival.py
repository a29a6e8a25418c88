"""Revival: units that no longer distinguish inputs get new weights, drawn from the data, while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.operators import patches
from spikebayes.nn import Sharpened
from spikebayes.nn.few_bits import trained_weight
from spikebayes.noise.masks import evaluating

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PATCHED = 64  # rows whose patches are laid out
STILL = 1e-6  # an output that varies by less over all rows is constant


@checked
class Revival(Callback):
    """After every epoch but the last, dead units get new weights: the difference of a row from the rows' mean.

    A unit behind a ``Sharpened`` activation is dead if its output is the same on all rows of a batch (and, for a
    channel of a convolution, at all places): it never fires or always does, and carries no information. Its new
    weights make it respond to inputs like those of a row drawn at random, and are scaled, with its bias or its batch
    norm, so that its input has mean and standard deviation 1/2 over the batch: it fires for about half of the rows.

    This applies to a Linear layer that gives ``[B, F]`` and a Conv2d layer of one group, if the activation directly
    follows it, or follows a batch norm with weights, biases and statistics after it. Without such a norm the layer
    must have biases, which set the mean. Other layers are unchanged, and not counted.

    Args:
        model: the network in training, called as ``model(x)``.
        x: ``[R, *shape]`` rows to judge by, at least two, and enough of them to show every class.
        every: epochs between two checks.
        until: the epoch, counted from 1, from whose end on nothing is drawn any more, >= 0; None for the trainer's
            last (``max_epochs``), after which nothing is drawn in any case. A training that stops for another reason
            may end with a check.
        seed: of the rows that are drawn.

    Attributes:
        revived: for each check, the number of units drawn anew in each layer.

    Raises:
        ConfigError: fewer than two rows, every below 1, or until below 0.

    Reference:
        Sandia 2017, lessons learned ("dead neurons": neurogenesis); the rule is ours.
    """

    model: nn.Module
    x: Tensor
    every: int
    until: int | None
    generator: torch.Generator

    def __init__(
        self, model: nn.Module, x: Tensor, *, every: int = 1, until: int | None = None, seed: int = 0
    ) -> None:
        if len(x) < 2 or every < 1:
            raise ConfigError(f"revival needs at least 2 rows and 1 epoch between looks; got {len(x)} and {every}")
        if until is not None and until < 0:
            raise ConfigError(f"until must be at least 0 epochs, or None; got {until}")
        self.model, self.x, self.every, self.until = model, x, every, until
        self.generator = torch.Generator().manual_seed(seed)
        self.revived: list[list[int]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"revived": self.revived, "generator": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.revived = state_dict["revived"]
        self.generator.set_state(state_dict["generator"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.current_epoch + 1
        late = self.until is not None and done >= self.until  # what is drawn late is hardly trained
        last = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= done
        if done % self.every == 0 and not late and not last:
            self.revived.append(revive(self.model, self.x, self.generator))


@torch.no_grad()
def revive(model: nn.Module, x: Tensor, generator: torch.Generator) -> list[int]:
    """Draw the dead units of every layer anew; how many, layer by layer. See :class:`Revival`."""
    x = x.to(next(model.parameters(), x).device)
    layers, counts = _found(model, x), []
    for i in range(len(layers)):
        dead = layers[i].dead().nonzero()[:, 0].tolist()
        for unit in dead:
            layers[i].draw(unit, int(torch.randint(len(x), (), generator=generator)), generator)
        counts.append(len(dead))
        if dead:
            layers = _found(model, x)  # the layers behind see something else now
    return counts


@checked
def dead_units(model: nn.Module, x: Tensor) -> list[int]:
    """For each layer that :class:`Revival` applies to, how many units give the same on all rows ``[R, *shape]``."""
    with torch.no_grad():
        return [int(layer.dead().sum()) for layer in _found(model, x.to(next(model.parameters(), x).device))]


@dataclass
class _Layer:
    """A Linear or Conv2d, its batch norm if it has one, what it saw and what its activation gave."""

    linear: Any
    norm: Any
    seen: Tensor
    given: Tensor

    def dead(self) -> Tensor:
        """``[O]``, bool."""
        flat = self.given.flatten(2) if self.given.ndim > 2 else self.given[:, :, None]
        return flat.amax((0, 2)) - flat.amin((0, 2)) < STILL

    def draw(self, unit: int, row: int, generator: torch.Generator) -> None:
        linear = self.linear
        if isinstance(linear, nn.Conv2d):
            settings = (linear.kernel_size, linear.stride, _padding(linear), linear.dilation)
            some = (row + torch.arange(min(PATCHED, len(self.seen)))) % len(self.seen)  # the row and the next ones
            places = patches(self.seen[some.to(self.seen.device)], *settings)  # [R, L, K]
            spread = (places[0] - places.mean((0, 1))).square().sum(-1) + 1e-12
            place = int(torch.multinomial(spread.cpu(), 1, generator=generator))
            example, seen = places[0, place], places.flatten(0, 1)
        else:
            seen, example = self.seen, self.seen[row]
        weight = example - seen.mean(0)
        answer = seen @ weight
        scale = 0.5 / float(answer.std().clamp(min=1e-6))
        mean = float(answer.mean()) * scale
        trained_weight(linear)[unit] = (scale * weight).reshape(linear.weight[unit].shape)
        if linear.bias is not None:
            linear.bias[unit] = 0.0 if self.norm else 0.5 - mean
        if self.norm:
            self.norm.running_mean[unit], self.norm.running_var[unit] = mean, 0.25
            self.norm.weight[unit], self.norm.bias[unit] = 0.5, 0.5


def _found(model: nn.Module, x: Tensor) -> list[_Layer]:
    """The layers in the order of the forward pass."""
    found: list[_Layer] = []
    last: dict[str, Any] = {}
    reached: list[Any] = [None]  # the value that the last of them gave

    def linear(module: nn.Module, inputs: Any, output: Tensor) -> None:
        last.update(linear=module, norm=None, seen=inputs[0])
        reached[:] = [output]

    def norm(module: Any, inputs: Any, output: Tensor) -> None:
        if inputs[0] is reached[0] and module.bias is not None and module.track_running_stats:
            last["norm"], reached[:] = module, [output]

    def activation(_module: nn.Module, inputs: Any, output: Tensor) -> None:
        straight = inputs[0] is reached[0]  # nothing else stands between
        if last and straight and _can_draw(last["linear"], last["norm"], output):
            found.append(_Layer(given=output, **last))
        last.clear()

    hooks = []
    for module in model.modules():
        hook = None
        if isinstance(module, nn.Linear | nn.Conv2d):
            hook = linear
        elif isinstance(module, NORMS):
            hook = norm
        elif isinstance(module, Sharpened):
            hook = activation
        if hook is not None:
            hooks.append(module.register_forward_hook(hook))
    try:
        with evaluating(model):
            model(x.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _can_draw(linear: Any, norm: Any, output: Tensor) -> bool:
    """Whether units are on axis 1, see all inputs, and have a bias of their own."""
    axes = 2 if isinstance(linear, nn.Linear) else 4
    mean = norm is not None or linear.bias is not None
    return output.ndim == axes and getattr(linear, "groups", 1) == 1 and mean


def _padding(conv: nn.Conv2d) -> tuple[int, ...]:
    """Zeros on either side; of ``"same"`` the smaller half, which is enough for examples."""
    if conv.padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    return (0, 0) if isinstance(conv.padding, str) else tuple(conv.padding)
