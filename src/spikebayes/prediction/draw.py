"""Which masks made the samples of a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spikebayes.machine.arguments import checked
from spikebayes.machine.kinds import Indices


@checked
@dataclass(frozen=True, eq=False)
class Draw:
    """Which masks made the samples: two predictions with equal draws are paired, sample by sample.

    Args:
        seed: key of the generator.
        scope: ``"row"`` (each observation its own masks) or ``"pass"`` (one mask per sample for all).
        rows: ``[B]`` int64, the observations' indices in the whole data set.
    """

    seed: int
    scope: str
    rows: Indices

    def same_masks(self, other: Draw) -> bool:
        """Whether sample s of observation b had the same masks in both predictions."""
        if self.seed != other.seed or self.scope != other.scope:
            return False
        return torch.equal(self.rows, other.rows)
