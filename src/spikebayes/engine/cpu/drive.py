"""The current that a network's inputs make, compiled."""

# pyright: reportMissingParameterType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikebayes.engine.cpu.instructions import ROWS, multiply_tile
from spikebayes.engine.cpu.masking import SILENT
from spikebayes.machine.kernel_cache import compiled
from spikebayes.machine.threads import share_out, threads_here

LINES = 60  # whose currents are computed together
QUIET = SILENT / 2  # a current below it is that of a dropped neuron


def add_currents(out: NDArray[Any], wires: Sequence[tuple[Any, ...]], values: Sequence[NDArray[Any]]) -> None:
    """Adds to each line of ``out`` ``[b, N]`` what the inputs give it.

    Args:
        wires: (input, first target, targets, weights), see ``packing.Drive``.
        values: of each input ``[b, F]``, contiguous.
    """

    def add(begin: int, end: int) -> None:
        for source, first, width, weight in wires:
            if isinstance(weight, tuple):
                drive_sparse(out, values[source], begin, end, first, *weight)
            else:
                drive_dense(out, values[source], begin, end, first, width, weight)

    share_out(add, len(out), max(1, min(LINES, -(-len(out) // threads_here()))))


@compiled(nogil=True)
def drive_dense(out, x, begin, end, first, width, weight):
    """out[r, first + j] += sum_i x[r, i] weight[i, j] for j < width and r in [begin, end).

    Args:
        x: ``[rows, N]``, contiguous.
        weight: ``[tiles, N, columns]``, weights in tiles of columns, the last one filled up by zeros.
    """
    tiles, sources, columns = weight.shape
    part, flat, values = np.empty(ROWS * columns, out.dtype), weight.ravel(), x.ravel()
    for tile in range(tiles):
        left = tile * columns
        for row in range(begin, end, ROWS):
            multiply_tile(part, values, row, end, sources, flat, tile * sources * columns)
            for k in range(min(ROWS, end - row)):
                for j in range(min(columns, width - left)):
                    out[row + k, first + left + j] += part[k * columns + j]


@compiled(nogil=True)
def drive_sparse(out, x, begin, end, first, pointer, column, weight):
    """The same with weights in CSR."""
    for r in range(begin, end):
        for i in range(x.shape[1]):
            value = x[r, i]
            if value != 0:
                for k in range(pointer[i], pointer[i + 1]):
                    out[r, first + column[k]] += value * weight[k]


@compiled(nogil=True)
def fill_currents(out, steps, width, constant, at, current, line, past, column, unit, first):
    """out[t width + j] = the current of a group's neuron j in step past + t, or SILENT where ``constant`` is.

    Args:
        constant: of the neurons, from ``at`` on, in the first step.
        current: ``[b, T, M]``, of which this simulation reads ``line``, its population from ``column`` on.
        unit: which of its population's neurons each one is, from ``first`` on.
    """
    for t in range(steps):
        for j in range(width):
            own = constant[at + j]
            out[t * width + j] = own if own < QUIET else current[line, past + t, column + unit[first + j]]
