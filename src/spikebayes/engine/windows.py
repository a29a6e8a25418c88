"""Averaging windows: with which weights the read-outs of the steps after burn-in are averaged.

A regular spike train that is cut off anywhere has up to one spike more or less: a flat average over n steps is off by
the order of 1/n. A window that rises and falls smoothly leaves 1/n^3, as in spectral analysis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.errors import ConfigError


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


def check_window(window: object) -> None:
    """Refuse what is no window (ConfigError)."""
    if not isinstance(window, Flat | Hann):
        raise ConfigError(f"a window must be Flat() or Hann(); got {window!r}")
