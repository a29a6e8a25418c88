"""The compiled inner loops of the CPU engine.

One simulation (a sample of a row) at a time, population by population with time inside: a population's whole spike
train is known before the next one starts, so its weights stay in cache and only spikes are passed on, as lists.
A linear read-out commutes with the average over time, so each spike adds its share of the window directly and the
read-out is never stepped.

numba's cache on disk watches this file alone: whoever edits ``inner.py``, ``noise.py`` or ``philox.py`` must save
this one too.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numba
import numpy as np

from spikebayes.engine.inner import filter_step, lif_step, scatter
from spikebayes.noise import fill_row

COMPACT_BELOW = 0.75  # share of kept neurons below which only they are simulated
SILENT = -1e30  # current that no input can lift above threshold


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
    v, refractory = np.empty(widest, real), np.empty(widest, real)
    resting, fired, kept = np.empty(widest, np.int64), np.empty(widest, np.int64), np.empty(widest, np.int64)
    crossed8 = np.zeros((widest + 7) // 8, np.uint64)
    crossed = crossed8.view(np.uint8)

    for r in range(begin, end):
        draw_masks(keep, layout, samples[r], rows[r], key)
        line = position[r]
        used = 0
        for p in range(populations):
            first, n = layout.start[p], layout.start[p + 1] - layout.start[p]
            threshold, tau_rc, tau_ref, full, dt = layout.neuron[p]
            bank_begin, bank_end = layout.bank[p], layout.bank[p + 1]

            # Dropped neurons are left out of the state when they are many. When they are few it costs less to hold
            # them below threshold than to gather every sum: SILENT is a current that no input can lift.
            m = 0
            for j in range(n):
                if keep[first + j]:
                    kept[m] = j
                    m += 1
            compact = m < COMPACT_BELOW * n
            if not compact:
                m = n
            for j in range(m):
                if compact:
                    constant[j] = base[line, first + kept[j]]
                else:
                    kept[j] = j
                    constant[j] = base[line, first + j] if keep[first + j] else SILENT
                v[j] = 0
                refractory[j] = 0
            x[:, :m] = 0
            y[:, :m] = 0
            crossed8[:] = 0
            rest = 0
            for t in range(steps):
                spike_start[p, t] = used
                for j in range(m):
                    current[j] = constant[j]
                for bank in range(bank_begin, bank_end):
                    order, b = layout.order[bank], bank - bank_begin
                    if order > 0:
                        for j in range(m):
                            current[j] += y[b, j]
                    scatter(sums, n, layout, bank, t, spike, spike_start)
                    if compact:
                        for j in range(m):
                            sums[j] = sums[kept[j]]  # kept increases, so nothing is overwritten before it is read
                    if order == 0:
                        for j in range(m):
                            current[j] += sums[j]
                    else:
                        ca, cb, cc, cd = layout.coefficient[bank]
                        filter_step(x, y, b, m, sums, order, ca, cb, cc, cd)

                if layout.is_lif[p]:
                    count, rest = lif_step(
                        m, v, current, refractory, resting, rest, tau_rc, tau_ref, full, dt, crossed, crossed8, fired
                    )
                else:
                    count = 0
                    for j in range(m):
                        if current[j] >= threshold:
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
                        potentials[r, t, first + kept[j]] = v[j]
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
        x, y = np.zeros((1, outputs), trace.dtype), np.zeros((1, outputs), trace.dtype)
        for t in range(steps):
            scatter(sums, outputs, layout, bank, t, spike, spike_start)
            if order == 0:
                trace[t] += sums
            else:
                trace[t] += y[0]
                ca, cb, cc, cd = layout.coefficient[bank]
                filter_step(x, y, 0, outputs, sums, order, ca, cb, cc, cd)
