"""The compiled loops of the roofline: weight rows added, LIF states updated, nothing else.

Some are plain loops that the compiler makes vector code of, others use the engine's vector operations; the roofline
takes the faster.
"""

# pyright: reportMissingParameterType=false, reportCallIssue=false

from __future__ import annotations

import numba
import numpy as np

from spikebayes.engine.cpu import instructions
from spikebayes.machine.kernel_cache import compiled
from spikebayes.machine.llvm import VECTOR_BYTES

LANES = VECTOR_BYTES // 4
TILES = tuple(
    LANES * vectors for vectors in instructions.ROW_VECTORS
)  # widths that vector operations add in registers
IN_REGISTERS = 0  # stands for them where others give the number of rows added in one pass over the sums
FUSED, SPLIT, REGISTERS = 0, 1, 2  # an update in one loop, the filter apart, the engine's way through many steps


@compiled(nogil=True)
def add_one(total, weight, n, stride, order):
    """total[:n] += weight row i, for i in order."""
    for k in range(order.shape[0]):
        a = weight[order[k] * stride : order[k] * stride + n]
        for j in range(n):
            total[j] += a[j]


@compiled(nogil=True)
def add_four(total, weight, n, stride, order):
    """The same, four rows in one pass over the sums."""
    for k in range(0, order.shape[0], 4):
        a = weight[order[k] * stride : order[k] * stride + n]
        b = weight[order[k + 1] * stride : order[k + 1] * stride + n]
        c = weight[order[k + 2] * stride : order[k + 2] * stride + n]
        d = weight[order[k + 3] * stride : order[k + 3] * stride + n]
        for j in range(n):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])


@compiled(nogil=True)
def add_eight(total, weight, n, stride, order):
    """The same, eight rows in one pass over the sums."""
    for k in range(0, order.shape[0], 8):
        a = weight[order[k] * stride : order[k] * stride + n]
        b = weight[order[k + 1] * stride : order[k + 1] * stride + n]
        c = weight[order[k + 2] * stride : order[k + 2] * stride + n]
        d = weight[order[k + 3] * stride : order[k + 3] * stride + n]
        e = weight[order[k + 4] * stride : order[k + 4] * stride + n]
        f = weight[order[k + 5] * stride : order[k + 5] * stride + n]
        g = weight[order[k + 6] * stride : order[k + 6] * stride + n]
        h = weight[order[k + 7] * stride : order[k + 7] * stride + n]
        for j in range(n):
            total[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))


@compiled(nogil=True)
def add_tile(total, weight, n, order):
    """The same for the widths of ``TILES``; the sums stay in registers."""
    bounds = np.zeros(2, np.int64)
    bounds[1] = order.shape[0]
    instructions.sum_steps(total, 0, n, 1, n // LANES, weight, 0, order, bounds, 0, True)


@compiled(nogil=True, parallel=True)
def add_on_threads(totals, weight, n, stride, order, times, rows):
    """One thread for each line of ``totals [threads, stride]``; order: ``[threads, visits]``, visits in eights."""
    for thread in numba.prange(totals.shape[0]):
        for _ in range(times):
            if rows == IN_REGISTERS:
                add_tile(totals[thread], weight, n, order[thread])
            elif rows == 1:
                add_one(totals[thread], weight, n, stride, order[thread])
            elif rows == 4:
                add_four(totals[thread], weight, n, stride, order[thread])
            else:
                add_eight(totals[thread], weight, n, stride, order[thread])


@compiled(nogil=True)
def restart(state, crossed, full):
    """Filters and voltages well above the subnormal numbers and below threshold; crossings forgotten."""
    state[1:3], state[3], state[4], state[5] = 0.5, 0, 1, full
    crossed[:] = 0


@compiled(nogil=True, fastmath={"contract"})
def update_fused(state, crossed, n, steps, reset, coefficients):
    """One step of an Alpha filter, the refractory factor, the membrane and the threshold, in one loop.

    state: ``[6, n]`` constant current, x and y of the filter, its input s, refractory factor g, voltage v.
    """
    current, x, y, s, g, v = state[0], state[1], state[2], state[3], state[4], state[5]
    a, b, c, d, decay, full = coefficients
    zero, one = np.float32(0), np.float32(1)
    found = 0
    for step in range(steps):
        if step % reset == 0:
            restart(state, crossed, full)
        for j in range(n):
            into = current[j] + y[j]
            y[j] = a * y[j] + c * x[j] + d * s[j]
            x[j] = a * x[j] + b * s[j]
            s[j] = zero
            g[j] *= decay
            free = one - g[j]
            free = free if free < full else full
            free = free if free > zero else zero
            risen = v[j] + (into - v[j]) * free
            v[j] = risen if risen > zero else zero
            crossed[j] = risen > one
        found += crossed[step % n]
    return found


@compiled(nogil=True, fastmath={"contract"})
def update_split(state, crossed, n, steps, reset, coefficients):
    """The same in two loops, the membrane first."""
    current, x, y, s, g, v = state[0], state[1], state[2], state[3], state[4], state[5]
    a, b, c, d, decay, full = coefficients
    zero, one = np.float32(0), np.float32(1)
    found = 0
    for step in range(steps):
        if step % reset == 0:
            restart(state, crossed, full)
        for j in range(n):
            g[j] *= decay
            free = one - g[j]
            free = free if free < full else full
            free = free if free > zero else zero
            risen = v[j] + (current[j] + y[j] - v[j]) * free
            v[j] = risen if risen > zero else zero
            crossed[j] = risen > one
        for j in range(n):
            y[j] = a * y[j] + c * x[j] + d * s[j]
            x[j] = a * x[j] + b * s[j]
            s[j] = zero
        found += crossed[step % n]
    return found


@compiled(nogil=True)
def update_registers(state, crossed, n, steps, reset, coefficients):
    """The same by the engine's operation for many steps, which no spike comes into; n in whole vectors."""
    base, x, y, _, g, v = state[0], state[1], state[2], state[3], state[4], state[5]
    a, b, c, d, decay, full = coefficients
    table, tiny, after = np.array([[a, b, c, d]], np.float32), np.float32(0), np.float32(1)
    together, words = max(1, min(reset, instructions.AT_ONCE // n)), (n + 63) // 64
    drive, bits = np.zeros(together * n, np.float32), np.zeros(together * words, np.uint64)
    found, since = 0, reset
    for step in range(0, steps, together):
        if since >= reset:
            restart(state, crossed, full)
            since = 0
        now = min(together, steps - step)
        instructions.lif_run(
            drive, now, n // LANES, base, 0, 0, v, g, 0, x, y, 0, bits, words, table, 0, tiny, decay, full, after,
            base, 0, base, np.float32(0), np.float32(0),
        )  # fmt: skip
        since += now
        found += np.int64(bits[step % words])
    return found


@compiled(nogil=True, parallel=True)
def update_on_threads(state, crossed, n, steps, reset, coefficients, variant):
    """One thread for each of ``state [threads, 6, stride]``; the number of crossings seen (there are none)."""
    found = 0
    for thread in numba.prange(state.shape[0]):
        if variant == FUSED:
            found += update_fused(state[thread], crossed[thread], n, steps, reset, coefficients)
        elif variant == SPLIT:
            found += update_split(state[thread], crossed[thread], n, steps, reset, coefficients)
        else:
            found += update_registers(state[thread], crossed[thread], n, steps, reset, coefficients)
    return found
