"""Keys: what every draw is a function of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.network.noise import Noise


@dataclass(frozen=True, eq=False)
class Keys:
    """A seed and R (sample, row) pairs; with a site they determine what is drawn for each pair.

    Args:
        seed: in [0, 2^64).
        samples: ``[R]`` int64, indices of the Monte Carlo samples.
        rows: ``[R]`` int64, indices of the observations in the whole data set; 0 throughout where all rows share
            their draws.
    """

    seed: int
    samples: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.samples)

    def at(self, lines: Tensor | slice) -> Keys:
        """The keys of some of the pairs."""
        return Keys(self.seed, self.samples[lines], self.rows[lines])

    def later(self, samples: int) -> Keys:
        """The keys of so many samples later."""
        return Keys(self.seed, self.samples + samples, self.rows)

    def apart(self, steps: int) -> Keys:
        """The keys with sample s as s times so many: runs of so many steps, a sample each, then share none."""
        return Keys(self.seed, self.samples * steps, self.rows)

    def drawn(self, noise: Noise, step: int) -> tuple[Keys, int]:
        """The keys of what a noise has drawn in a step of a simulation, and how many draws of theirs came before."""
        redraws = noise.redraws(step)
        return (self.later(redraws), 0) if noise.successive else (self, redraws)

    def to(self, device: torch.device) -> Keys:
        """The same on a device."""
        return Keys(self.seed, self.samples.to(device), self.rows.to(device))
