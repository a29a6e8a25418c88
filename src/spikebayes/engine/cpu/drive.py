"""Compiled: the constant current that a network's inputs make."""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.engine.cpu.instructions import ROWS, multiply_tile
from spikebayes.machine.kernel_cache import compiled


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
