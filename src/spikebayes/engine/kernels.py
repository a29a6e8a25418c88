"""The compiled inner loops of the CPU engine.

One simulation (a sample of a row) at a time, population by population with time inside: a population's whole spike
train is known before the next one starts, so its weights stay in cache and only spikes are passed on, as lists.
The membrane update runs over all neurons without branches; neurons in their refractory time, few at any moment,
are put right afterwards from a list. A linear read-out commutes with the average over time, so each spike adds its
share of the window directly and the read-out is never stepped.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import math

import numba
import numpy as np

from spikebayes.noise import fill_row

CHUNK = 64  # neurons whose threshold crossings are counted together before any is looked at


@numba.njit(cache=True, nogil=True, parallel=True)
def drive_dense(out, x, first, weight):
    """out[r, first + j] += sum_i x[r, i] weight[i, j], summed in the order of i whatever the number of rows."""
    for r in numba.prange(x.shape[0]):
        target = out[r, first : first + weight.shape[1]]
        for i in range(x.shape[1]):
            value = x[r, i]
            if value != 0:
                row = weight[i]
                for j in range(row.shape[0]):
                    target[j] += value * row[j]


@numba.njit(cache=True, nogil=True, parallel=True)
def drive_sparse(out, x, first, pointer, column, weight):
    """The same with weights in CSR."""
    for r in numba.prange(x.shape[0]):
        for i in range(x.shape[1]):
            value = x[r, i]
            if value != 0:
                for k in range(pointer[i], pointer[i + 1]):
                    out[r, first + column[k]] += value * weight[k]


@numba.njit(inline="always")
def scatter(total, layout, bank, time, spike, spike_start):
    """total[j] = sum of the weight rows of every neuron that spiked in this step, over a bank's wires."""
    total[:] = 0
    size = total.shape[0]
    for w in range(layout.wire[bank], layout.wire[bank + 1]):
        source = layout.source[w]
        begin, end = spike_start[source, time], spike_start[source, time + 1]
        offset = layout.offset[w]
        if layout.dense[w]:
            k = begin
            while k + 4 <= end:  # four rows at once: a quarter of the loads and stores of the sum
                a = layout.weight[offset + spike[k] * size : offset + spike[k] * size + size]
                b = layout.weight[offset + spike[k + 1] * size : offset + spike[k + 1] * size + size]
                c = layout.weight[offset + spike[k + 2] * size : offset + spike[k + 2] * size + size]
                d = layout.weight[offset + spike[k + 3] * size : offset + spike[k + 3] * size + size]
                for j in range(size):
                    total[j] += (a[j] + b[j]) + (c[j] + d[j])
                k += 4
            while k < end:
                a = layout.weight[offset + spike[k] * size : offset + spike[k] * size + size]
                for j in range(size):
                    total[j] += a[j]
                k += 1
        else:
            for k in range(begin, end):
                at = offset + spike[k]
                for e in range(layout.pointer[at], layout.pointer[at + 1]):
                    total[layout.column[e]] += layout.value[e]


@numba.njit(inline="always")
def filter_step(x, y, total, order, coefficient):
    """One step of a bank's filter; y is what it delivers in the next step."""
    a, b, c, d = coefficient[0], coefficient[1], coefficient[2], coefficient[3]
    if order == 1:
        for j in range(y.shape[0]):
            y[j] = a * y[j] + b * total[j]
    else:
        for j in range(y.shape[0]):
            y[j] = a * y[j] + c * x[j] + d * total[j]
            x[j] = a * x[j] + b * total[j]


@numba.njit(inline="always")
def lif_step(v, current, refractory, resting, rest, parameters, fired):
    """One step of n LIF neurons; writes those that fire to ``fired`` and returns (how many, how many rest).

    ``resting`` lists the ``rest`` neurons that have refractory time left; their voltage is 0 before the step.
    """
    tau_rc, tau_ref, full, dt = parameters[1], parameters[2], parameters[3], parameters[4]
    n = v.shape[0]
    for j in range(n):
        v[j] = max(v[j] + (current[j] - v[j]) * full, v.dtype.type(0))

    left = 0
    for k in range(rest):  # put right those that were refractory for the step or a part of it
        j = resting[k]
        time = refractory[j] - dt
        refractory[j] = time
        if time > 0:
            free = dt - time
            v[j] = max(-current[j] * math.expm1(-free / tau_rc), v.dtype.type(0)) if free > 0 else v.dtype.type(0)
            resting[left] = j
            left += 1

    count = 0
    for begin in range(0, n, CHUNK):
        end = min(begin + CHUNK, n)
        crossed = 0
        for j in range(begin, end):
            crossed += v[j] > 1
        if crossed:
            for j in range(begin, end):
                if v[j] > 1:
                    crossing = dt + tau_rc * math.log1p(-(v[j] - 1) / (current[j] - 1))
                    v[j] = 0
                    if refractory[j] <= 0:  # else it is listed already (a refractory time below one step)
                        resting[left] = j
                        left += 1
                    refractory[j] = tau_ref + crossing
                    fired[count] = j
                    count += 1
    return count, left


@numba.njit(cache=True, nogil=True, parallel=True)
def simulate(
    layout, base, position, samples, rows, key, steps, window, blocks, mean, counts, spikes, potentials, trace
):
    """R simulations, in blocks that the threads share out.

    base ``[b, total + C]`` constant current; position ``[R]`` which line of it; window ``[banks into the read-out,
    T]`` share of the average that a spike in step t has; mean ``[R, C]`` float64; counts ``[R, P]``; spikes and
    potentials ``[R, T, total]`` and trace ``[R, T, C]``, or of length 0 where not asked for.
    """
    runs = samples.shape[0]
    for block in numba.prange(blocks):
        begin, end = runs * block // blocks, runs * (block + 1) // blocks
        simulate_block(
            layout,
            base,
            position,
            samples,
            rows,
            key,
            steps,
            window,
            begin,
            end,
            mean,
            counts,
            spikes,
            potentials,
            trace,
        )


@numba.njit(cache=True, nogil=True)
def simulate_block(
    layout,
    base,
    position,
    samples,
    rows,
    key,
    steps,
    window,
    begin,
    end,
    mean,
    counts,
    spikes,
    potentials,
    trace,
):
    """Simulations begin .. end - 1, one after another in the same scratch memory."""
    populations = layout.start.shape[0] - 1
    total = layout.start[populations]
    widest, banks = 1, 1
    for p in range(populations):
        widest = max(widest, layout.start[p + 1] - layout.start[p])
        banks = max(banks, layout.bank[p + 1] - layout.bank[p])
    want_spikes, want_potentials, want_trace = (
        spikes.shape[0] > 0,
        potentials.shape[0] > 0,
        trace.shape[0] > 0,
    )

    real = base.dtype
    keep = np.empty(total, np.bool_)
    spike = np.empty(1024, np.int64)
    spike_start = np.zeros((populations, steps + 1), np.int64)
    current, sums, constant = np.empty(widest, real), np.empty(widest, real), np.empty(widest, real)
    x, y = np.empty((banks, widest), real), np.empty((banks, widest), real)
    voltage, refractory = np.empty(widest, real), np.empty(widest, real)
    resting, fired, kept = np.empty(widest, np.int64), np.empty(widest, np.int64), np.empty(widest, np.int64)

    for r in range(begin, end):
        draw_masks(keep, layout, samples[r], rows[r], key)
        used = 0
        for p in range(populations):
            first, n = layout.start[p], layout.start[p + 1] - layout.start[p]

            # a dropped neuron is not simulated: only the m kept ones have a state
            m = 0
            for j in range(n):
                if keep[first + j]:
                    kept[m] = j
                    constant[m] = base[position[r], first + j]
                    m += 1
            voltage[:m] = 0
            refractory[:m] = 0
            x[:, :m] = 0
            y[:, :m] = 0
            rest = 0
            for t in range(steps):
                spike_start[p, t] = used
                current[:m] = constant[:m]
                for bank in range(layout.bank[p], layout.bank[p + 1]):
                    b = bank - layout.bank[p]
                    order = layout.order[bank]
                    if order > 0:
                        for j in range(m):
                            current[j] += y[b, j]
                    scatter(sums[:n], layout, bank, t, spike, spike_start)
                    if m < n:
                        for j in range(m):
                            sums[j] = sums[kept[j]]  # kept increases, so nothing is overwritten before it is read
                    if order == 0:
                        for j in range(m):
                            current[j] += sums[j]
                    else:
                        filter_step(x[b, :m], y[b, :m], sums[:m], order, layout.coefficient[bank])

                if layout.is_lif[p]:
                    v, rate = voltage[:m], layout.neuron[p]
                    count, rest = lif_step(v, current[:m], refractory, resting, rest, rate, fired)
                else:
                    count = 0
                    for j in range(m):
                        if current[j] >= layout.neuron[p, 0]:
                            fired[count] = j
                            count += 1

                if used + count > spike.shape[0]:
                    larger = np.empty(2 * (used + count), np.int64)
                    larger[:used] = spike[:used]
                    spike = larger
                for k in range(count):
                    spike[used + k] = kept[fired[k]]
                used += count
                if want_spikes:
                    for k in range(count):
                        spikes[r, t, first + kept[fired[k]]] = True
                if want_potentials and layout.is_lif[p]:
                    for j in range(m):
                        potentials[r, t, first + kept[j]] = voltage[j]
            spike_start[p, steps] = used
            counts[r, p] = used - spike_start[p, 0]

        constants = base[position[r], total:]
        read(mean[r], layout, constants, window, spike, spike_start, steps)
        if want_trace:
            follow(trace[r], layout, constants, spike, spike_start, steps)


@numba.njit(inline="always")
def draw_masks(keep, layout, sample, row, key):
    """Which neurons of every population are kept in this simulation."""
    for p in range(layout.start.shape[0] - 1):
        first, n = layout.start[p], layout.start[p + 1] - layout.start[p]
        noise = layout.dropout[p]
        if noise[0] == 0:
            keep[first : first + n] = True
            continue
        offset, repeat = np.int64(noise[4]), layout.repeat[p]
        draws = (n + repeat - 1) // repeat
        bits = np.empty(offset + draws, np.bool_)
        fill_row(bits, sample, noise[3], row, key[0], key[1], np.int64(noise[1]), noise[2])
        for j in range(n):
            keep[first + j] = bits[offset + j // repeat]


@numba.njit(inline="always")
def read(out, layout, constant, window, spike, spike_start, steps):
    """The read-out's average: constant + sum over spikes of window share times weight row."""
    outputs = out.shape[0]
    target = layout.start.shape[0] - 1
    for c in range(outputs):
        out[c] = constant[c]
    for bank in range(layout.bank[target], layout.bank[target + 1]):
        share = window[bank - layout.bank[target]]
        for w in range(layout.wire[bank], layout.wire[bank + 1]):
            source, offset = layout.source[w], layout.offset[w]
            n = layout.start[source + 1] - layout.start[source]
            weighted = np.zeros(n)
            for t in range(steps):
                for k in range(spike_start[source, t], spike_start[source, t + 1]):
                    weighted[spike[k]] += share[t]
            for i in range(n):
                if weighted[i] != 0:
                    if layout.dense[w]:
                        for c in range(outputs):
                            out[c] += weighted[i] * layout.weight[offset + i * outputs + c]
                    else:
                        for e in range(layout.pointer[offset + i], layout.pointer[offset + i + 1]):
                            out[layout.column[e]] += weighted[i] * layout.value[e]


@numba.njit(inline="always")
def follow(trace, layout, constant, spike, spike_start, steps):
    """The read-out step by step, for those who want to look at it."""
    outputs = trace.shape[1]
    target = layout.start.shape[0] - 1
    sums = np.empty(outputs, trace.dtype)
    for t in range(steps):
        trace[t] = constant
    for bank in range(layout.bank[target], layout.bank[target + 1]):
        order = layout.order[bank]
        x, y = np.zeros(outputs, trace.dtype), np.zeros(outputs, trace.dtype)
        for t in range(steps):
            scatter(sums, layout, bank, t, spike, spike_start)
            if order == 0:
                trace[t] += sums
            else:
                trace[t] += y
                filter_step(x, y, sums, order, layout.coefficient[bank])
