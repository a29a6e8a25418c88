"""How the learning rate moves from step to step, by name or by a function of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from spikebayes.errors import ConfigError
from spikebayes.machine.kinds import shown

Scheduler = Literal["onecycle", "cosine", "constant"] | Callable[[Optimizer, int], LRScheduler]


def make_schedule(scheduler: Scheduler, optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """A schedule of torch's that takes a step after each of the optimiser's.

    Args:
        scheduler: ``"onecycle"`` up to the optimiser's learning rate and down to nothing, ``"cosine"`` from it to
            nothing, ``"constant"``, or a function of the optimiser and the number of its steps.
        optimizer: whose learning rate moves.
        total_steps: of the whole training.

    Raises:
        ConfigError: the function gave something else than a schedule, or one that waits for a loss.
    """
    if scheduler == "onecycle":
        momentum = optimizer.defaults.get("momentum", 1) != 0  # RMSprop has none unless it is asked for
        highest, steps = optimizer.param_groups[0]["lr"], max(2, total_steps + 1)
        return OneCycleLR(optimizer, highest, total_steps=steps, cycle_momentum=momentum)
    if scheduler == "cosine":
        return CosineAnnealingLR(optimizer, max(1, total_steps))
    if scheduler == "constant":
        return ConstantLR(optimizer, factor=1.0)
    made: Any = scheduler(optimizer, total_steps)  # pyright: ignore[reportCallIssue]
    if not isinstance(made, LRScheduler) or isinstance(made, ReduceLROnPlateau):
        raise ConfigError(
            "scheduler must return one of torch's schedules that take a step without a loss "
            f"(torch.optim.lr_scheduler); got {shown(made)}"
        )
    return made
