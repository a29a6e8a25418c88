"""Units that fire by chance: the draw, from the counter-based generator, on any device.

The curves' tails are computed in float32 by formulas that use nothing but sums, products, a division and for the
sigmoid an exponential; the erf is that of Abramowitz & Stegun 1964, 7.1.28, whose error is at most 3e-7. In float32
the probability is within 1e-6 of (1 + erf(x)) / 2.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from spikebayes.machine.kernel_cache import compiled
from spikebayes.network.neurons import Curve
from spikebayes.noise.bits import draw_words
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import site_word, split_seed
from spikebayes.noise.philox_simd import TOGETHER, fill_words

ERF = tuple(
    np.float32(a) for a in (0.0705230784, 0.0422820123, 0.0092705272, 0.0001520143, 0.0002765672, 0.0000430638)
)
WORDS = np.float32(1 << 32)
CURVES = (Curve.ERF, Curve.SIGMOID, Curve.LINEAR)


def fired(x: Tensor, curve: Curve, site: int, keys: Keys) -> Tensor:
    """Which of a population's units are on: unit n of pair r by word n of its site's stream.

    Args:
        x: ``[R, *shape]``, the input.
        curve: of the probability of being on.
        site: the units' place.
        keys: R pairs.

    Returns:
        ``[R, *shape]`` bool.

    Example:
        >>> one = torch.zeros(1, dtype=torch.int64)
        >>> fired(torch.tensor([[-9.0, 9.0]]), Curve.SIGMOID, 0, Keys(0, one, one)).tolist()
        [[False, True]]
    """
    if x.device.type != "cpu":
        return _fired_anywhere(x, curve, site, keys.to(x.device))
    units = math.prod(x.shape[1:])
    out = torch.empty(x.shape, dtype=torch.bool)
    values = x.detach().to(torch.float32).reshape(len(x), units).contiguous().numpy()
    key = np.array([site_word(site), *split_seed(keys.seed)], np.uint64)
    pairs = keys.samples.numpy().astype(np.uint64), keys.rows.numpy().astype(np.uint64)
    _fire(out.view(len(x), units).numpy(), values, CURVES.index(curve), *pairs, key)
    return out


def _fired_anywhere(x: Tensor, curve: Curve, site: int, keys: Keys) -> Tensor:
    """The same by torch operations alone."""
    words = draw_words(keys, math.prod(x.shape[1:]), site=site).reshape(x.shape)
    x = x.detach().float()
    if curve is Curve.LINEAR:
        return words < (x.clamp(0, 1).double() * (1 << 32)).long()
    size = x.abs()
    if curve is Curve.ERF:
        a1, a2, a3, a4, a5, a6 = (float(a) for a in ERF)
        sum_ = (((((size * a6 + a5) * size + a4) * size + a3) * size + a2) * size + a1) * size + 1
        for _ in range(4):
            sum_ = sum_ * sum_
        tail = 0.5 / sum_
    else:
        tail = 1 / (1 + size.exp())
    return (words < (tail * float(WORDS)).long()) ^ (x >= 0)


@compiled(nogil=True, error_model="numpy")
def _fire(out, x, curve, samples, rows, key):
    """The words of a pair first, then its units without a branch, so that LLVM takes several at a time."""
    units = x.shape[1]
    words = np.empty(((units + 3) // 4 + TOGETHER) * 4, np.uint32)
    a1, a2, a3, a4, a5, a6 = ERF
    one, half = np.float32(1), np.float32(0.5)
    for r in range(x.shape[0]):
        fill_words(words, (units + 3) // 4, samples[r], key[0], rows[r], np.uint64(0), key[1], key[2])
        line, drive = out[r], x[r]
        if curve == 0:
            for n in range(units):
                v = abs(drive[n])
                s = (((((v * a6 + a5) * v + a4) * v + a3) * v + a2) * v + a1) * v + one
                s = s * s
                s = s * s
                s = s * s
                s = s * s
                line[n] = (words[n] < np.uint32(half / s * WORDS)) != (drive[n] >= 0)
        elif curve == 1:
            for n in range(units):
                tail = one / (one + np.exp(abs(drive[n])))
                line[n] = (words[n] < np.uint32(tail * WORDS)) != (drive[n] >= 0)
        else:
            for n in range(units):
                p = min(max(np.float64(drive[n]), 0.0), 1.0)
                line[n] = np.uint64(words[n]) < np.uint64(p * 4294967296.0)
