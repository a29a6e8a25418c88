"""Poisson events: how many a unit has in a step, by the counter-based generator.

A place and a redraw stand for them that no mask of a network comes to, and the step stands in the place of the
sample: masks and events are independent under one seed.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikebayes.machine.kernel_cache import compiled
from spikebayes.machine.threads import share_out
from spikebayes.network.noise import DRAWS, SITES
from spikebayes.noise.philox import site_word, split_seed
from spikebayes.noise.philox_simd import TOGETHER, fill_words


def poisson_counts(mean: NDArray[np.float64], seed: int, rows: NDArray[np.uint64], out: NDArray[np.float32]) -> None:
    """Fills ``out`` ``[B, T, N]``: numbers of events, each by one word of 32 bits through the inverse of the law.

    Args:
        mean: ``[B, N]`` events in a step.
        seed: key. rows: ``[B]`` numbers of the rows.

    Example:
        >>> out = np.empty((1, 4, 2), np.float32)
        >>> poisson_counts(np.array([[0.0, 1.5]]), 0, np.zeros(1, np.uint64), out)
        >>> out[0].T.tolist()
        [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 3.0, 0.0]]
    """
    key = np.array([site_word(SITES - 1, DRAWS - 1), *split_seed(seed)], np.uint64)
    silence = np.exp(-mean)  # probability of no event

    def draw(begin: int, end: int) -> None:
        some = slice(begin, end)
        _draw(out[some], mean[some], silence[some], rows[some], key)

    share_out(draw, len(out), 1)


@compiled(nogil=True)
def _draw(out, mean, silence, rows, key):
    units = out.shape[2]
    words = np.empty(((units + 3) // 4 + TOGETHER) * 4, np.uint32)
    for r in range(out.shape[0]):
        for t in range(out.shape[1]):
            fill_words(words, (units + 3) // 4, np.uint64(t), key[0], rows[r], np.uint64(0), key[1], key[2])
            for n in range(units):
                share = (np.float64(words[n]) + 0.5) / 4294967296.0
                count, part, reached = 0, silence[r, n], silence[r, n]
                while share >= reached and part > 0:
                    count += 1
                    part *= mean[r, n] / count
                    reached += part
                out[r, t, n] = count
