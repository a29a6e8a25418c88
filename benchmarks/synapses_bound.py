"""The machine's limit for sampling synapses: its best rates of random words, of masked additions, of products.

Exact sampling needs b random bits for each synapse (one at p = 1/2) and adds each weight under a mask, so

    time >= synapses * b / 32 / word rate + synapses / addition rate.

Both rates come from the kernel's own vector code in loops that do nothing else, on all threads at once. Sampling by
the law needs a product for each synapse, whose rate is that of float32 matrix products; its random numbers, one for
each unit, are not in the bound.
"""

# pyright: reportMissingParameterType=false, reportCallIssue=false

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from benchmarks.roofline import Loop, aligned, fastest
from spikebayes.machine.kernel_cache import compiled
from spikebayes.machine.llvm import VECTOR_BYTES
from spikebayes.noise.blank_out import TARGETS
from spikebayes.noise.blank_out_sums import LINES, add_masked
from spikebayes.noise.philox_simd import TOGETHER, fill_words

LANES = VECTOR_BYTES // 4
WORDS = (1024, 8192)  # drawn into a buffer of so many
SOURCES = (128, 300, 784)
VECTORS = (4, 5, 6)  # of a tile of targets
SIZES = ((256, 784, 300), (1024, 784, 300), (1024, 1024, 1024))  # of matrix products
AMOUNT = 1 << 24  # words of a thread in one run of a loop; sixteen times as many additions or products


@dataclass(frozen=True)
class Bound:
    """The loops that were fastest; their amounts are words, additions and products.

    Args:
        drawing, adding, multiplying: the loops.
    """

    drawing: Loop
    adding: Loop
    multiplying: Loop

    def figures(self) -> dict[str, Any]:
        """As results files hold it."""
        return {
            "word_loop": self.drawing.setting,
            "add_loop": self.adding.setting,
            "product_loop": self.multiplying.setting,
        }


def measure_bound(
    threads: int,
    *,
    words: Sequence[int] = WORDS,
    sources: Sequence[int] = SOURCES,
    vectors: Sequence[int] = VECTORS,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
    repeats: int = 5,
    amount: int = AMOUNT,
) -> Bound:
    """Find the fastest loops; torch and numba must be set to ``threads`` threads.

    Args:
        words, sources, vectors, sizes: to try.
        repeats: runs of every loop; the fastest counts.
        amount: words of a thread in one run.
    """
    drawing = (word_loop(threads, count, amount) for count in words)
    adding = (masked_loop(threads, k, n, 16 * amount) for k, n in itertools.product(sources, vectors))
    multiplying = (product_loop(*size, 16 * amount) for size in sizes)
    return Bound(*(fastest(loops, repeats)[1] for loops in (drawing, adding, multiplying)))


def word_loop(threads: int, count: int, amount: int) -> Loop:
    """Each thread fills a buffer of its own with Philox's words, again and again."""
    blocks = -(-count // (4 * TOGETHER)) * TOGETHER
    words = np.empty((threads, 4 * blocks), np.uint32)
    times = max(1, amount // words.shape[1])
    return Loop(lambda: _draw_on_threads(words, blocks, times), words.size * times, {"words": words.shape[1]})


def masked_loop(threads: int, sources: int, vectors: int, amount: int) -> Loop:
    """Each thread adds one tile of weights under masks that lie ready, each with a bit in two set."""
    rng = np.random.default_rng(0)
    width = vectors * LANES
    stride = -(-width // TARGETS)
    weight = aligned(sources * width)
    weight[:] = rng.standard_normal(sources * width)
    values = rng.choice(np.array([-1, 1], np.float32), (threads, LINES, sources))
    masks = rng.integers(0, 1 << 32, (threads, LINES, sources * stride), np.uint32)
    totals = np.zeros((threads, LINES, width), np.float32)
    each = LINES * sources * width
    times = max(1, amount // each)
    setting = {"sources": sources, "targets": width, "lines": LINES}
    return Loop(
        lambda: _add_on_threads(totals, values, weight, masks, vectors, stride, times),
        threads * each * times,
        setting,
    )


def product_loop(rows: int, inner: int, columns: int, amount: int) -> Loop:
    """torch's product of two matrices, on all its threads."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(rows, inner, generator=generator)
    b, out = torch.randn(inner, columns, generator=generator), torch.empty(rows, columns)
    each = rows * inner * columns
    times = max(1, amount // each)

    def run() -> None:
        for _ in range(times):
            torch.mm(a, b, out=out)

    return Loop(run, each * times, {"rows": rows, "inner": inner, "columns": columns})


@compiled(nogil=True, parallel=True)
def _draw_on_threads(words, blocks, times):
    for thread in numba.prange(words.shape[0]):
        for k in range(times):
            zero = np.uint64(0)
            fill_words(words[thread], blocks, np.uint64(k), zero, np.uint64(thread), zero, zero, zero)


@compiled(nogil=True, parallel=True)
def _add_on_threads(totals, values, weight, masks, vectors, stride, times):
    for thread in numba.prange(totals.shape[0]):
        line = np.arange(LINES)
        sources = values.shape[2]
        for _ in range(times):
            add_masked(totals[thread], 0, vectors, values[thread], line, sources, weight, 0, masks[thread], stride)
