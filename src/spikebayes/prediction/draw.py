"""Which masks made the samples of a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import unknown
from spikebayes.machine.kinds import Indices

SCOPES = ("row", "pass")


@checked
@dataclass(frozen=True, eq=False)
class Draw:
    """Which masks made the samples: two predictions with equal draws are paired, sample by sample.

    Args:
        seed: key of the generator.
        scope: ``"row"`` (each observation its own masks) or ``"pass"`` (one mask per sample for all).
        rows: ``[B]`` int64, the observations' indices in the whole data set.

    Raises:
        ConfigError: another scope. DataError: rows of another shape.
    """

    seed: int
    scope: str
    rows: Indices

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ConfigError(unknown("scope", self.scope, SCOPES))
        if self.rows.ndim != 1:
            raise DataError(f"rows must be [B], an index for each observation; got {list(self.rows.shape)}")

    def same_masks(self, other: Draw) -> bool:
        """Whether sample s of observation b had the same masks in both predictions."""
        if self.seed != other.seed or self.scope != other.scope:
            return False
        return torch.equal(self.rows, other.rows)
