"""Timing: how long a simulation runs, and with which weights the read-outs of the steps after burn-in are averaged.

A regular spike train that is cut off anywhere has up to one spike more or less: a flat average over n steps is off by
an error of order 1/n. With a window that rises and falls smoothly it is of order 1/n^3, as in spectral analysis.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count, is_whole
from spikebayes.network.synapses import MOST_STEPS
from spikebayes.network.vocabulary import stored


@stored
@dataclass(frozen=True)
class Flat:
    """All steps count alike, as in the papers.

    Example:
        >>> Flat().weights(4).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def weights(self, steps: int) -> Tensor:
        """``[steps]`` float64 that add up to 1."""
        return torch.full((steps,), 1 / steps, dtype=torch.float64)


@stored
@dataclass(frozen=True)
class Hann:
    """A raised cosine over the averaged steps: sin^2(pi (t + 1) / (n + 1)), t = 0 .. n - 1, divided by its sum.

    Reference:
        Harris 1978, On the use of windows for harmonic analysis with the discrete Fourier transform, eq. 27.

    Example:
        >>> [round(w, 3) for w in Hann().weights(3).tolist()]
        [0.25, 0.5, 0.25]
    """

    def weights(self, steps: int) -> Tensor:
        """``[steps]`` float64 that add up to 1."""
        t = torch.arange(1, steps + 1, dtype=torch.float64)
        rise = (torch.pi * t / (steps + 1)).sin() ** 2
        return rise / rise.sum()


Window = Flat | Hann


@stored
@checked
@dataclass(frozen=True)
class Timing:
    """How long a simulation runs, and which steps are averaged. A network may carry its own timing.

    Args:
        steps: T, time steps, including the burn-in.
        burn_in: steps left out of the average at the start.
        window: weights of the other steps in the average.

    Raises:
        ConfigError: nothing is left to average, or the window is not one.

    Example:
        >>> Timing(5, 3).weights().tolist()
        [0.0, 0.0, 0.0, 0.5, 0.5]
    """

    steps: int
    burn_in: int = 0
    window: Window = field(default_factory=Flat)

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1, MOST_STEPS, "take more samples of fewer steps, or a larger dt")
        if not is_whole(self.burn_in) or not 0 <= self.burn_in < self.steps:
            raise ConfigError(
                f"burn_in must be a whole number in [0, steps); got {self.burn_in!r} with steps={self.steps}: "
                "take more steps, or give a burn_in below them"
            )
        object.__setattr__(self, "steps", int(self.steps))  # NumPy's integers are no JSON
        object.__setattr__(self, "burn_in", int(self.burn_in))
        if not isinstance(self.window, Flat | Hann):
            raise ConfigError(f"a window must be Flat() or Hann(); got {self.window!r}")

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.burn_in} left out, {type(self.window).__name__} window"

    def weights(self) -> Tensor:
        """``[T]`` float64, the share of each step in the average."""
        return torch.cat([torch.zeros(self.burn_in), self.window.weights(self.steps - self.burn_in)])
