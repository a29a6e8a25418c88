"""The rows of a training: checked, without those that weigh nothing, and told apart by what they are for."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.calibration import MOST_ROWS
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.evenly import evenly
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.task import Task
from spikebayes.training.calibration_rows import set_apart
from spikebayes.training.checks import check_rows
from spikebayes.training.weighting import check_weights, that_count

Part = tuple[Tensor, ...]  # inputs [B, *shape] and targets [B, C] or [B], and perhaps weights [B]


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs and targets in data units, and weights of rows, of mean 1, if any row was given one.

    Args:
        learned: training rows.
        choosing: validation rows that choose the weights of the network, and measure the noise.
        calibrating: validation rows that calibrate, without weights; None if they would be too few.
        held_out: all validation rows, without weights.
    """

    learned: Part
    choosing: Part
    calibrating: Part | None
    held_out: Part

    @classmethod
    def told_apart(
        cls,
        training: tuple[Values, Values, Values | None],
        validation: Sequence[Values],
        task: Task,
        calibration: float,
    ) -> Rows:
        """Of what ``fit`` was given.

        Args:
            training: inputs, targets, and weights or None.
            validation: inputs, targets, and perhaps weights.
            task: what the targets are.
            calibration: share of the validation rows that calibrate.

        Raises:
            DataError: rows, targets or weights that are not as :func:`~spikebayes.fit` says.
            ConfigError: a share that is none.
        """
        (x, y, weights), (x_held, y_held, *others) = training, validation
        x, y = check_rows(x, y, task, "training")
        x_held, y_held = check_rows(x_held, y_held, task, "validation")
        learned: Part = x, y
        held: Part = x_held, y_held
        if weights is not None or others:
            learned = _weighed(x, y, weights, "training")
            held = _weighed(x_held, y_held, others[0] if others else None, "validation")
        if any(here.shape[1:] != there.shape[1:] for here, there in zip(held[:2], learned[:2], strict=True)):
            raise DataError("validation rows must have the shapes of the training rows")
        if not 0 <= calibration < 1:
            raise ConfigError(f"calibration must be a share of the validation rows, in [0, 1); got {calibration}")
        (x, y, *counts), apart = set_apart(held, calibration)
        if apart is not None:
            counts = [part / part.mean() for part in counts]
        return cls(learned, (x, y, *counts), None if apart is None else apart[:2], held[:2])

    def targets(self) -> Tensor:
        """Of all rows, ``[B, C]`` or ``[B]``."""
        return torch.cat([self.learned[1], self.held_out[1]])

    def some(self) -> Tensor:
        """Inputs of training rows, evenly spaced: as many as a conversion looks at."""
        x = self.learned[0]
        return x[evenly(len(x), MOST_ROWS)]

    def told(self) -> dict[str, Any]:
        """For a checkpoint: the rows that a training that goes on from it must be given again."""
        return {"training rows": _numbered(self.learned), "validation rows": _numbered(self.choosing)}


def _weighed(x: Tensor, y: Tensor, weights: Values | None, what: str) -> Part:
    """Rows with their weights, of 1 if they were given none; those of weight 0 are left out."""
    found = torch.ones(len(x)) if weights is None else check_weights(weights, len(x), what)
    return that_count(x, y, found)


def _numbered(part: Part) -> str:
    return f"{len(part[0])}, {checksum(*part)}"


def checksum(*parts: Tensor) -> str:
    """Of all their values, in words."""
    found = 0
    for part in parts:
        found = zlib.crc32(part.detach().cpu().contiguous().numpy().data, found)
    return f"checksum {found:08x}"
