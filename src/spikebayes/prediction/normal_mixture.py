"""Equal mixtures of normals: what a new observation is distributed as, given samples of the network's output.

    p(y) = (1/S) sum_s prod_c N(y_c; mean_sc, noise_sc^2)

Everything is float64. ``means`` is ``[S, B, C]`` and ``noise`` ``[C]``, ``[B, C]`` or ``[S, B, C]``, in y's units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PRECISION = 1e-6  # of a quantile, in units of the noise


def log_density(means: Tensor, noise: Tensor, y: Tensor) -> Tensor:
    """``[B]``, log p(y) in nats of ``[B, C]`` values.

    Example:
        >>> one = torch.ones(1, 1, 1)
        >>> round(log_density(one, torch.ones(1), one[0]).item(), 4)  # -log(2 pi) / 2
        -0.9189
    """
    noise = noise.double()
    z = (y.double() - means.double()) / noise  # [S, B, C]
    density = (-0.5 * z**2 - noise.log() - 0.5 * math.log(2 * math.pi)).sum(-1)  # [S, B]
    return torch.logsumexp(density, 0) - math.log(len(means))


def cdf(means: Tensor, noise: Tensor, y: Tensor) -> Tensor:
    """``[B, C]``, P(Y_c <= y_c) for each output: (1/S) sum_s Phi((y - mean_s) / noise_s)."""
    total = torch.zeros_like(y)
    for mean, each in zip(means, noise.expand(means.shape), strict=True):  # one sample at a time, to bound memory
        total += torch.special.ndtr((y - mean.double()) / each.double())
    return total / len(means)


def quantile(means: Tensor, noise: Tensor, q: float) -> Tensor:
    """``[B, C]``, where :func:`cdf` is q in (0, 1): by bisection, to 1e-6 of the (largest) noise."""
    largest = (noise.amax(0) if noise.ndim == 3 else noise).double()
    low = means.amin(0).double() - 10 * largest
    high = means.amax(0).double() + 10 * largest
    widest = float(((high - low) / largest).max())
    for _ in range(max(1, math.ceil(math.log2(widest / PRECISION)))):
        middle = (low + high) / 2
        below = cdf(means, noise, middle) < q
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
