"""Equal mixtures of normals: what a new observation is distributed as, given samples of the network's output.

    p(y) = (1/S) sum_s prod_c N(y_c; mean_sc, noise_sc^2)

Everything is float64. ``means`` is ``[S, B, C]`` and ``noise`` ``[C]``, ``[B, C]`` or ``[S, B, C]``, in y's units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

AT_ONCE = 1 << 16  # numbers that are worked on together
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
    total, some = torch.zeros_like(y), max(1, AT_ONCE // y.numel())  # samples at a time, to bound memory
    for mean, each in zip(means.split(some), noise.expand(means.shape).split(some), strict=True):
        for below in torch.special.ndtr((y - mean.double()) / each.double()):  # one by one: bits apart from B
            total += below
    return total / len(means)


def quantile(means: Tensor, noise: Tensor, q: float) -> Tensor:
    """``[B, C]``, where :func:`cdf` is q in (0, 1): by bisection, to 1e-6 of the (largest) noise."""
    largest = (noise.amax(0) if noise.ndim == 3 else noise).double()
    low = means.amin(0).double() - 10 * largest
    high = means.amax(0).double() + 10 * largest
    halvings = torch.log2((high - low) / (PRECISION * largest)).ceil()  # each row its own, whatever the others need
    for done in range(int(halvings.max())):
        middle = (low + high) / 2
        below, goes_on = cdf(means, noise, middle) < q, done < halvings
        low, high = torch.where(below & goes_on, middle, low), torch.where(~below & goes_on, middle, high)
    return (low + high) / 2


def crps(means: Tensor, noise: Tensor, y: Tensor) -> Tensor:
    """``[B, C]``, continuous ranked probability score of each output, E abs(Y - y) - E abs(Y - Y') / 2.

    With A(m, v) = E abs(N(m, v)) = m (2 Phi(m/sqrt(v)) - 1) + 2 sqrt(v) phi(m/sqrt(v)), it is
    (1/S) sum_s A(y - mean_s, noise_s^2) - (1/(2 S^2)) sum_st A(mean_s - mean_t, noise_s^2 + noise_t^2).

    Reference:
        Grimit et al. 2006, eq. 5.

    Example:
        >>> round(crps(torch.zeros(1, 1, 1), torch.ones(1), torch.zeros(1, 1)).item(), 4)  # (sqrt(2) - 1) / sqrt(pi)
        0.2337
    """
    means, variance = means.double(), noise.double().square().expand(means.shape)
    samples = len(means)
    found = _mean_size(y.double() - means, variance).mean(0)
    for s in range(samples):  # each pair once, one sample at a time, to bound memory
        with_others = _mean_size(means[s] - means[s + 1 :], variance[s] + variance[s + 1 :]).sum(0)
        itself = _mean_size(torch.zeros_like(means[s]), 2 * variance[s])
        found -= (with_others + itself / 2) / samples**2
    return found


def _mean_size(mean: Tensor, variance: Tensor) -> Tensor:
    """E abs(X) of X ~ N(mean, variance)."""
    std = variance.sqrt()
    z = mean / std
    return mean * (2 * torch.special.ndtr(z) - 1) + 2 * std * (-0.5 * z**2).exp() / math.sqrt(2 * math.pi)
