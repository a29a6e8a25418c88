"""Philox4x32-10: random words as a pure function of a key and a counter.

One counter-based generator, written twice so that torch (any device) and compiled kernels give the same bits
(``philox_simd.py`` is a third, for many blocks at once). Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers:
as easy as 1, 2, 3".

The layout, for every random bit in the library:

    key     = (seed & 0xffffffff, seed >> 32)                     seed in [0, 2^64)
    counter = (sample, draw * 4096 + site, row, block)            four 32-bit words

* ``sample``  index of the Monte Carlo sample
* ``site``    stable index of the place where the noise sits, in [0, 4096): the n-th dropout call of the model
* ``draw``    how many times the mask was redrawn before, in [0, 2^20): 0 for a mask held for the whole simulation,
              ``step // hold`` for a mask redrawn every ``hold`` steps
* ``row``     index of the observation in the whole data set (0 when one mask serves all rows)
* ``block``   the 128-bit output block; which of its bits belong to which unit is said in ``bits.py``
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.noise import DRAWS, SITES, check_site

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
_LOW = 0xFFFFFFFF


def split_seed(seed: int) -> tuple[int, int]:
    """The two 32-bit key words of a seed.

    Raises:
        ConfigError: the seed is not an integer in [0, 2^64).

    Example:
        >>> split_seed((7 << 32) + 3)
        (3, 7)
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= int(seed) < 1 << 64:
        raise ConfigError(f"a seed must be an integer in [0, 2^64); got {seed!r}")
    return int(seed) & _LOW, int(seed) >> 32


def site_word(site: int, draw: int = 0) -> int:
    """The second counter word: site and redraw index in one.

    Raises:
        ConfigError: more sites or redraws than the layout has room for.
    """
    check_site(site)
    if not 0 <= draw < DRAWS:
        raise ConfigError(f"a mask may be redrawn {DRAWS} times in a run; redraw {draw} was asked for")
    return draw * SITES + site


def philox_torch(counter: Tensor, key: tuple[int, int]) -> Tensor:
    """Philox4x32-10 on counters ``[..., 4]`` int64 holding 32-bit words, on any device; same shape and dtype.

    torch has no full unsigned arithmetic: products wrap modulo 2^64, and masking after the arithmetic shift gives
    the high word all the same.

    Example:
        >>> [hex(w) for w in philox_torch(torch.zeros(4, dtype=torch.int64), (0, 0)).tolist()]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = ((p1 >> 32) & _LOW) ^ c1 ^ k0, p1 & _LOW, ((p0 >> 32) & _LOW) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    return torch.stack([c0, c1, c2, c3], dim=-1)


@numba.njit(inline="always")
def philox_numba(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Philox4x32-10 on uint64 scalars that hold 32-bit words; returns four such. For use inside kernels."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    for _ in range(10):  # what lies above 32 bits is cut off where it would count: before a product, and at the end
        p0 = (c0 & low) * np.uint64(0xD2511F53)
        p1 = (c2 & low) * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ k0, p1, (p0 >> shift) ^ c3 ^ k1, p0
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return c0 & low, c1 & low, c2 & low, c3 & low
