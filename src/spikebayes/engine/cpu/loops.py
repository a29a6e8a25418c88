"""The compiled loops of the CPU engine.

A *batch* of simulations (samples of rows) goes through a stretch of time population by population: a population's
spikes over the stretch are known, as lists, before the next one starts. A population is cut into groups of neurons
whose incoming weights fit a core's cache, and a group runs through all simulations and steps of the batch before
the next group's weights are read. A spike adds its weight row to the sums of a group's tiles, in registers.

A linear read-out commutes with the average over time: each spike adds its share of the averaging window to its
neuron, and the read-out's weights are applied once, at the end.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.engine.cpu.instructions import (
    ROWS,
    add_rows,
    add_run,
    filter_current,
    lif_step,
    lif_tile,
    multiply_tile,
    ones,
    threshold_step,
    trailing_zeros,
)
from spikebayes.machine.kernel_cache import compiled
from spikebayes.network.noise import SITES
from spikebayes.noise.bits import fill_row

SILENT = -1e30  # current that no input can lift above threshold
FEW = 4  # spikes of 64 neurons in a step
TINY = 1e-30  # current that no membrane notices


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


@compiled(nogil=True, fastmath={"contract"})
def simulate(
    layout,
    base,
    position,
    change,
    samples,
    rows,
    key,
    stretch,
    window,
    begin,
    end,
    mean,
    counts,
    spikes,
    potentials,
    trace,
):
    """Simulations begin .. end - 1, together, at most ``stretch`` steps at a time.

    base ``[b, N + C]`` current from the inputs, neurons in the network's order; it is constant over the steps
    change[e] .. change[e + 1] - 1 of epoch e, in which simulation r reads line position[r, e] of it; window
    ``[banks into the read-out, T]`` share of the average that a spike in step t has; mean ``[R, C]`` float64, to
    which the average is added; counts ``[R, P]``; spikes and potentials ``[R, T, N]`` and trace ``[R, T, C]``, or of
    length 0 where not asked for.
    """
    populations = layout.size.shape[0]
    batch = end - begin
    total, lines = layout.start[populations], layout.line[layout.bank[populations]]
    want_spikes, want_potentials, want_trace = spikes.shape[0] > 0, potentials.shape[0] > 0, trace.shape[0] > 0

    constant = np.empty(batch * total, base.dtype)
    v, rest = np.zeros(batch * total, base.dtype), np.zeros(batch * total, base.dtype)
    x, y = np.zeros(batch * lines, base.dtype), np.zeros(batch * lines, base.dtype)
    scratch = np.zeros((2, layout.widest + layout.longest), base.dtype)
    found = np.empty(0, np.int32)
    found_start = np.empty((layout.most_groups, batch, stretch + 1), np.int64)
    spike, earlier = np.empty(0, np.int32), np.empty(0, np.int32)
    spike_start = np.zeros((populations, batch, stretch + 2), np.int64)  # entry t + 1 is step t, 0 the step before
    weighted = np.zeros((batch, layout.weighted))
    outputs = mean.shape[1]
    read_banks = layout.bank[populations + 1] - layout.bank[populations]
    traced = batch if want_trace else 0
    read_x, read_y = np.zeros((traced, read_banks, outputs)), np.zeros((traced, read_banks, outputs))
    kept = np.empty(layout.size.max() if populations else 0, np.bool_)
    watched = np.empty((stretch if want_potentials else 0, layout.widest), base.dtype)

    now, past, epoch = 0, 0, 0
    while epoch + 1 < change.shape[0]:
        if past == change[epoch]:
            for r in range(batch):
                line = base[position[begin + r, epoch]]
                keep_and_base(constant, r * total, layout, line, samples[begin + r], rows[begin + r], key)
        before, now = now, min(stretch, change[epoch + 1] - past)
        spike, earlier = earlier, spike
        used = np.int64(0)
        for p in range(populations):
            hold = layout.hold[p, 0]
            groups, found_used = layout.group[p + 1] - layout.group[p], np.int64(0)
            for g in range(groups):
                group = layout.group[p] + g
                left, width = layout.group_at[group], layout.group_vectors[group] * layout.lanes
                for r in range(batch):
                    found = with_room(found, found_used, found_used + now * width + FEW)
                    found_used = run_group(
                        p,
                        group,
                        r,
                        now,
                        r * total + layout.start[p] + left,
                        r * lines,
                        layout,
                        constant,
                        v,
                        rest,
                        x,
                        y,
                        scratch[0],
                        scratch[1],
                        spike,
                        spike_start,
                        found,
                        found_start[g, r],
                        found_used,
                        watched,
                    )
                    if want_potentials and layout.is_lif[p]:
                        for j in range(min(width, layout.size[p] - left)):
                            unit = layout.first[p] + layout.unit[layout.start[p] + left + j]
                            for t in range(now):
                                potentials[begin + r, past + t, unit] = watched[t, j]

            # one list per simulation and step, from one per group; first the last step's of the stretch before
            carried = 0
            for r in range(batch):
                carried += spike_start[p, r, before + 1] - spike_start[p, r, before]
            spike = with_room(spike, used, used + carried + found_used)
            for r in range(batch):
                start, stop = spike_start[p, r, before], spike_start[p, r, before + 1]
                spike_start[p, r, 0] = used
                for k in range(start, stop):
                    spike[used] = earlier[k]
                    used += 1
                first = used
                for t in range(now):
                    spike_start[p, r, t + 1] = used
                    if hold > 0:  # a neuron that the mask drops now goes on, but nobody hears it
                        since = past + t - layout.hold[p, 1]
                        if t == 0 or (since > 0 and since % hold == 0):
                            draw_kept(kept, layout, p, samples[begin + r], rows[begin + r], key, past + t)
                        for g in range(groups):
                            for k in range(found_start[g, r, t], found_start[g, r, t + 1]):
                                if kept[found[k]]:
                                    spike[used] = found[k]
                                    used += 1
                        continue
                    for g in range(groups):
                        for k in range(found_start[g, r, t], found_start[g, r, t + 1]):
                            spike[np.uint64(used)] = found[np.uint64(k)]
                            used += 1
                spike_start[p, r, now + 1] = used
                counts[begin + r, p] += used - first
                if want_spikes:
                    for t in range(now):
                        for k in range(spike_start[p, r, t + 1], spike_start[p, r, t + 2]):
                            unit = layout.first[p] + layout.unit[layout.start[p] + spike[k]]
                            spikes[begin + r, past + t, unit] = True

        for r in range(batch):
            weigh(weighted[r], layout, window, past, now, spike, spike_start, r)
            if want_trace:
                constants = base[position[begin + r, epoch], base.shape[1] - outputs :]
                part = trace[begin + r, past : past + now]
                follow(part, read_x[r], read_y[r], layout, constants, spike, spike_start, r)

        past += now
        if past == change[epoch + 1]:
            epoch += 1

    for r in range(batch):
        read(mean[begin + r], layout, weighted[r])


@compiled(nogil=True, fastmath={"contract"})
def run_group(
    p,
    group,
    r,
    now,
    at,
    line,
    layout,
    constant,
    v,
    rest,
    x,
    y,
    sums,
    current,
    spike,
    spike_start,
    found,
    found_start,
    used,
    watched,
):
    """One group of neurons of one simulation over a stretch; its spikes go to ``found`` from ``used`` on.

    ``sums`` is zero before and after. Returns how much of ``found`` is used then.
    """
    one, zero = v.dtype.type(1), v.dtype.type(0)
    lanes, left, vectors = layout.lanes, layout.group_at[group], layout.group_vectors[group]
    is_lif = layout.is_lif[p]
    tiny = v.dtype.type(TINY if is_lif else 0)  # a threshold may lie as near to 0 as it likes
    threshold, decay, full, after = layout.neuron[p]
    first_bank, last_bank = layout.bank[p], layout.bank[p + 1]
    first_tile, last_tile = layout.tile[group], layout.tile[group + 1]
    driven = first_bank < last_bank
    words = (vectors * lanes + 63) // 64
    bits = np.zeros(words, np.uint64)

    # locals: taking an array out of the layout counts a reference to it
    wires, order, line_at, coefficient = layout.wire, layout.order, layout.line, layout.coefficient
    sources, dense, offsets, patch, size = layout.source, layout.dense, layout.offset, layout.patch, layout.size
    tile_at, tile_vectors, weight = layout.tile_at, layout.tile_vectors, layout.weight
    pointer, column, run, value = layout.pointer, layout.column, layout.run, layout.value

    first_wire = wires[first_bank]
    alone = (
        is_lif and last_bank - first_bank == 1 and wires[last_bank] - first_wire == 1 and last_tile - first_tile == 1
    )
    alone = alone and dense[first_wire]
    only, only_weight, state = 0, 0, 0
    if alone:
        only, state = sources[first_wire], line + line_at[first_bank] + left
        only_weight = offsets[first_wire] + size[only] * left

    for t in range(now):
        found_start[t] = used
        if alone:
            slot = t + 1 if order[first_bank] == 0 else t
            begin, end = spike_start[only, r, slot], spike_start[only, r, slot + 1]
            lif_tile(
                vectors, weight, only_weight, spike, begin, end, constant, v, rest, at, x, y, state, bits,
                coefficient, first_bank, tiny, decay, full,
            )  # fmt: skip
        for bank in range(last_bank if alone else first_bank, last_bank):
            slot = t + 1 if order[bank] == 0 else t
            for w in range(wires[bank], wires[bank + 1]):
                source, offset = sources[w], offsets[w]
                begin, end = spike_start[source, r, slot], spike_start[source, r, slot + 1]
                if begin == end:
                    continue
                if dense[w]:
                    for tile in range(first_tile, last_tile):
                        here, n = tile_at[tile], tile_vectors[tile]
                        add_rows(sums, here - left, n, weight, offset + size[source] * here, spike, begin, end)
                else:
                    n = patch[w]
                    for k in range(begin, end):
                        i = offset + spike[k]
                        for e in range(pointer[i], pointer[i + 1]):
                            if n == 0:
                                sums[column[e]] += value[run[e]]
                            else:
                                add_run(sums, column[e], n, value, run[e])
            state = line + line_at[bank] + left
            if bank == first_bank:
                filter_current(current, constant, at, x, y, state, sums, vectors, coefficient, bank, tiny)
            else:
                filter_current(current, current, 0, x, y, state, sums, vectors, coefficient, bank, tiny)

        if alone:
            pass
        elif is_lif:
            if driven:
                lif_step(v, rest, at, current, 0, bits, vectors, decay, full)
            else:
                lif_step(v, rest, at, constant, at, bits, vectors, decay, full)
        elif driven:
            threshold_step(current, 0, bits, vectors, threshold)
        else:
            threshold_step(constant, at, bits, vectors, threshold)

        first = used
        for k in range(words):
            word, place = bits[k], left + 64 * k
            after_word = used + ones(word)
            for i in range(FEW):  # most words have no more, and a loop of fixed length is never mispredicted
                found[np.uint64(used + i)] = place + trailing_zeros(word)
                word &= word - np.uint64(1)
            used += FEW
            while word != 0:
                found[used] = place + trailing_zeros(word)
                word &= word - np.uint64(1)
                used += 1
            used = after_word
        if is_lif:
            for k in range(first, used):
                j = found[np.uint64(k)] - left
                i = np.uint64(at + j)  # an index that cannot be negative is not checked for it
                if alone:
                    drawn = constant[i] + y[np.uint64(state + j)]
                elif driven:
                    drawn = current[j]
                else:
                    drawn = constant[i]
                rest[i] = (one - (v[i] - one) / (drawn - one)) * after
                v[i] = zero
        if watched.shape[0] > 0:
            for j in range(vectors * lanes):
                watched[t, j] = v[at + j]
    found_start[now] = used
    return used


@compiled(nogil=True)
def with_room(array, used, least):
    """The array, or a larger one that begins with its ``used`` entries, so that it has room for ``least``."""
    if array.shape[0] >= least:
        return array
    more = np.empty(max(2 * array.shape[0], least), array.dtype)
    for i in range(used):
        more[i] = array[i]
    return more


@compiled(nogil=True)
def keep_and_base(constant, at, layout, base, sample, row, key):
    """Constant current of one simulation's neurons, SILENT where a held mask drops one and in the padding."""
    populations = layout.size.shape[0]
    for j in range(layout.start[populations]):
        constant[at + j] = SILENT
    for p in range(populations):
        here, first, n = at + layout.start[p], layout.first[p], layout.size[p]
        noise = layout.dropout[p]
        if noise[0] == 0 or layout.hold[p, 0] > 0:
            for j in range(n):
                constant[here + j] = base[first + layout.unit[layout.start[p] + j]]
            continue
        offset, repeat = np.int64(noise[4]), layout.repeat[p]
        keep = np.empty(offset + (n + repeat - 1) // repeat, np.bool_)
        fill_row(keep, sample, noise[3], row, key[0], key[1], np.int64(noise[1]), noise[2])
        for j in range(n):
            if keep[offset + layout.unit[layout.start[p] + j] // repeat]:
                constant[here + j] = base[first + layout.unit[layout.start[p] + j]]


@compiled(nogil=True)
def draw_kept(kept, layout, p, sample, row, key, step):
    """Which neurons of a population the mask keeps in a step, in the engine's order, where masks are redrawn."""
    noise, offset, repeat = layout.dropout[p], np.int64(layout.dropout[p, 4]), layout.repeat[p]
    hold, start, successive = layout.hold[p]
    redraws = np.uint64(max(0, step - start) // hold)
    word = noise[3]
    if successive != 0:
        sample = sample + redraws
    else:
        word = word + redraws * np.uint64(SITES)
    n, at = layout.size[p], layout.start[p]
    keep = np.empty(offset + (n + repeat - 1) // repeat, np.bool_)
    fill_row(keep, sample, word, row, key[0], key[1], np.int64(noise[1]), noise[2])
    for j in range(n):
        kept[j] = keep[offset + layout.unit[at + j] // repeat]


@compiled(nogil=True)
def weigh(weighted, layout, window, past, now, spike, spike_start, r):
    """Adds to every neuron that the read-out reads the window's share of each of its spikes of a stretch."""
    target = layout.size.shape[0]
    for bank in range(layout.bank[target], layout.bank[target + 1]):
        share = window[bank - layout.bank[target]]
        for w in range(layout.wire[bank], layout.wire[bank + 1]):
            source, at = layout.source[w], layout.weighted_at[w]
            for t in range(now):
                part = share[past + t]
                for k in range(spike_start[source, r, t + 1], spike_start[source, r, t + 2]):
                    weighted[at + spike[k]] += part


@compiled(nogil=True)
def read(out, layout, weighted):
    """Adds the spikes' part of the read-out's average: the sum over neurons of their share times their weight row."""
    outputs = out.shape[0]
    target = layout.size.shape[0]
    for w in range(layout.wire[layout.bank[target]], layout.wire[layout.bank[target + 1]]):
        source, offset = layout.source[w], layout.offset[w]
        for i in range(layout.size[source]):
            share = weighted[layout.weighted_at[w] + i]
            if share != 0:
                if layout.dense[w]:
                    for c in range(outputs):
                        out[c] += share * layout.weight[offset + i * outputs + c]
                else:
                    for e in range(layout.pointer[offset + i], layout.pointer[offset + i + 1]):
                        out[layout.column[e]] += share * layout.value[layout.run[e]]


@compiled(nogil=True)
def follow(trace, x, y, layout, constant, spike, spike_start, r):
    """The read-out step by step, for those who want to look at it. ``[now, C]``; x, y ``[banks, C]``."""
    outputs = trace.shape[1]
    target = layout.size.shape[0]
    sums = np.empty(outputs)
    for t in range(trace.shape[0]):
        for c in range(outputs):
            trace[t, c] = constant[c]
        for bank in range(layout.bank[target], layout.bank[target + 1]):
            b = bank - layout.bank[target]
            ca, cb, cc, cd = layout.coefficient[bank]
            for c in range(outputs):
                sums[c] = 0
            for w in range(layout.wire[bank], layout.wire[bank + 1]):
                source, offset = layout.source[w], layout.offset[w]
                for k in range(spike_start[source, r, t + 1], spike_start[source, r, t + 2]):
                    i = spike[k]
                    if layout.dense[w]:
                        for c in range(outputs):
                            sums[c] += layout.weight[offset + i * outputs + c]
                    else:
                        for e in range(layout.pointer[offset + i], layout.pointer[offset + i + 1]):
                            sums[layout.column[e]] += layout.value[layout.run[e]]
            for c in range(outputs):
                if layout.order[bank] == 0:
                    trace[t, c] += sums[c]
                    continue
                trace[t, c] += y[b, c]
                y[b, c] = ca * y[b, c] + cc * x[b, c] + cd * sums[c]
                x[b, c] = ca * x[b, c] + cb * sums[c]
