"""Philox4x32-10 in NumPy, from the paper's constants: what the library's own versions are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def philox_numpy(counter: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Output words of counters ``[..., 4]``, same shape."""
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    (k0, k1), low, shift = key, 0xFFFFFFFF, np.uint64(32)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & np.uint64(low)
        c2, c3 = (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & np.uint64(low)
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)
