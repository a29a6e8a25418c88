"""What happens inside one time step of the CPU engine: spikes are summed, filtered, and neurons stepped.

The membrane update runs over all neurons without branches; neurons in their refractory time, few at any moment,
are put right afterwards from a list.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import math

import numba


@numba.njit(cache=True, nogil=True)
def add_rows(total, n, weight, offset, spike, k, end):
    """total[j] += sum over the sources i = spike[k:end] of weight[offset + i n + j], four rows at a time."""
    while k + 4 <= end:  # a quarter of the loads and stores of the sum
        a = weight[offset + spike[k] * n : offset + spike[k] * n + n]
        b = weight[offset + spike[k + 1] * n : offset + spike[k + 1] * n + n]
        c = weight[offset + spike[k + 2] * n : offset + spike[k + 2] * n + n]
        d = weight[offset + spike[k + 3] * n : offset + spike[k + 3] * n + n]
        for j in range(n):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])
        k += 4
    while k < end:
        a = weight[offset + spike[k] * n : offset + spike[k] * n + n]
        for j in range(n):
            total[j] += a[j]
        k += 1


@numba.njit(cache=True, nogil=True)
def add_entries(total, pointer, column, value, offset, spike, begin, end):
    """The same for weights in CSR."""
    for k in range(begin, end):
        at = offset + spike[k]
        for e in range(pointer[at], pointer[at + 1]):
            total[column[e]] += value[e]


@numba.njit(inline="always")
def scatter(total, n, layout, bank, time, spike, spike_start):
    """total[:n] = sum of the weight rows of every neuron that spiked in this step, over a bank's wires."""
    total[:n] = 0
    for w in range(layout.wire[bank], layout.wire[bank + 1]):
        source = layout.source[w]
        begin, end = spike_start[source, time], spike_start[source, time + 1]
        if begin == end:
            continue
        if layout.dense[w]:
            add_rows(total, n, layout.weight, layout.offset[w], spike, begin, end)
        else:
            add_entries(total, layout.pointer, layout.column, layout.value, layout.offset[w], spike, begin, end)


@numba.njit(cache=True, nogil=True)
def filter_step(x, y, bank, n, total, order, a, b, c, d):
    """One step of a bank's filter on n targets; y is what it delivers in the next step."""
    if order == 1:
        for j in range(n):
            y[bank, j] = a * y[bank, j] + b * total[j]
    else:
        for j in range(n):
            y[bank, j] = a * y[bank, j] + c * x[bank, j] + d * total[j]
            x[bank, j] = a * x[bank, j] + b * total[j]


@numba.njit(cache=True, nogil=True)
def lif_step(n, v, current, refractory, resting, rest, tau_rc, tau_ref, full, dt, crossed, crossed8, fired):
    """One step of n LIF neurons; writes those that fire to ``fired`` and returns (how many, how many rest).

    ``resting`` lists the ``rest`` neurons that have refractory time left; their voltage is 0 before the step.
    ``crossed`` and ``crossed8`` are one buffer as bytes and as words of eight.
    """
    zero, one = v.dtype.type(0), v.dtype.type(1)  # an integer literal would make float32 arithmetic float64
    for j in range(n):
        risen = v[j] + (current[j] - v[j]) * full
        v[j] = risen if risen > zero else zero
        crossed[j] = risen > one

    left = 0
    for k in range(rest):  # put right those that were refractory for the step or a part of it
        j = resting[k]
        time = refractory[j] - dt
        refractory[j] = time
        if time > 0:
            free = dt - time
            risen = -current[j] * math.expm1(-free / tau_rc) if free > 0 else zero
            v[j] = risen if risen > zero else zero
            crossed[j] = risen > one
            resting[left] = j
            left += 1

    count = 0
    for word in range((n + 7) // 8):
        if crossed8[word] != 0:
            for j in range(8 * word, min(8 * word + 8, n)):
                if crossed[j]:
                    crossing = dt + tau_rc * math.log1p(-(v[j] - one) / (current[j] - one))
                    v[j] = 0
                    if refractory[j] <= 0:  # else it is listed already (a refractory time below one step)
                        resting[left] = j
                        left += 1
                    refractory[j] = tau_ref + crossing
                    fired[count] = j
                    count += 1
    return count, left
