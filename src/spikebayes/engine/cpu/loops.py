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
    AT_ONCE,
    ROWS,
    add_run,
    filter_current,
    lif_run,
    lif_run_read,
    multiply_tile,
    ones,
    sum_steps,
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
    order,
    mean,
    counts,
    spikes,
    potentials,
    trace,
):
    """The simulations ``order``, together, at most ``stretch`` steps at a time.

    base ``[b, N + C]`` current from the inputs, neurons in the network's order; it is constant over the steps
    change[e] .. change[e + 1] - 1 of epoch e, in which simulation r reads line position[r, e] of it; window
    ``[banks into the read-out, T]`` share of the average that a spike in step t has; mean ``[R, C]`` float64, to
    which the average is added; counts ``[R, P]``; spikes and potentials ``[R, T, N]`` and trace ``[R, T, C]``, or of
    length 0 where not asked for.

    Neurons that inputs alone drive do the same in all samples of a row until a mask hides them: where simulations of
    one row follow each other, the first of them *leads*, and the others take its spikes.
    """
    populations = layout.size.shape[0]
    batch = order.shape[0]
    total, lines = layout.start[populations], layout.line[layout.bank[populations]]
    want_spikes, want_potentials, want_trace = spikes.shape[0] > 0, potentials.shape[0] > 0, trace.shape[0] > 0
    shares = not want_potentials
    lead = np.arange(batch)
    for r in range(1, batch):
        if shares and position[order[r], 0] == position[order[r - 1], 0]:
            lead[r] = lead[r - 1]

    constant = np.empty(batch * total, base.dtype)
    v, rest = np.zeros(batch * total, base.dtype), np.zeros(batch * total, base.dtype)
    # behind the filters' states those of no filter
    x, y = np.zeros(batch * lines + layout.widest, base.dtype), np.zeros(batch * lines + layout.widest, base.dtype)
    room = max(layout.widest, AT_ONCE)
    scratch = np.zeros((2, room + layout.longest), base.dtype)
    bits = np.zeros(room // 8 + 1, np.uint64)
    shared = window.astype(base.dtype)
    heard = np.zeros(layout.widest, base.dtype)
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
                line = base[position[order[r], epoch]]
                keep_and_base(constant, r * total, layout, line, samples[order[r]], rows[order[r]], key, shares)
        before, now = now, min(stretch, change[epoch + 1] - past)
        spike, earlier = earlier, spike
        used = np.int64(0)
        for p in range(populations):
            hold, alike = layout.hold[p, 0], shares and layout.bank[p] == layout.bank[p + 1]
            masked = hold > 0 or (alike and layout.dropout[p, 0] != 0)
            bank = layout.heard_by[p]  # of the read-out, if nobody else hears this population's spikes
            reads = bank >= 0 and not alike and not want_spikes and not want_trace and not want_potentials
            groups, found_used = layout.group[p + 1] - layout.group[p], np.int64(0)
            for g in range(groups):
                group = layout.group[p] + g
                left, width = layout.group_at[group], layout.group_vectors[group] * layout.lanes
                for r in range(batch):
                    if alike and lead[r] != r:
                        continue
                    if not reads:
                        found = with_room(found, found_used, found_used + now * width + FEW)
                    found_used = run_group(
                        p,
                        group,
                        r,
                        now,
                        r * total + layout.start[p] + left,
                        r * lines,
                        batch * lines,
                        layout,
                        constant,
                        v,
                        rest,
                        x,
                        y,
                        scratch[0],
                        scratch[1],
                        bits,
                        spike,
                        spike_start,
                        found,
                        found_start[g, r],
                        found_used,
                        watched,
                        reads,
                        shared,
                        bank * shared.shape[1] + past,
                        heard,
                    )
                    if reads:
                        counts[order[r], p] += found_start[g, r, now]
                        at = layout.heard_at[p] + left
                        for j in range(width):
                            if left + j < layout.size[p]:
                                weighted[r, at + j] += heard[j]
                            heard[j] = 0
                    if want_potentials and layout.is_lif[p]:
                        for j in range(min(width, layout.size[p] - left)):
                            unit = layout.first[p] + layout.unit[layout.start[p] + left + j]
                            for t in range(now):
                                potentials[order[r], past + t, unit] = watched[t, j]
            if reads:
                continue

            # one list per simulation and step, from one per group; first the last step's of the stretch before
            carried, most = 0, np.int64(0)
            for r in range(batch):
                carried += spike_start[p, r, before + 1] - spike_start[p, r, before]
                for g in range(groups):
                    most += found_start[g, lead[r] if alike else r, now] - found_start[g, lead[r] if alike else r, 0]
            spike = with_room(spike, used, used + carried + most + 1)
            for r in range(batch):
                leader = lead[r] if alike else r
                start, stop = spike_start[p, r, before], spike_start[p, r, before + 1]
                spike_start[p, r, 0] = used
                for k in range(start, stop):
                    spike[used] = earlier[k]
                    used += 1
                first = used
                for t in range(now):
                    spike_start[p, r, t + 1] = used
                    if masked:  # a neuron that the mask drops goes on, but nobody hears it
                        since = past + t - layout.hold[p, 1]
                        if t == 0 or (hold > 0 and since > 0 and since % hold == 0):
                            draw_kept(kept, layout, p, samples[order[r]], rows[order[r]], key, past + t)
                        for g in range(groups):
                            for k in range(found_start[g, leader, t], found_start[g, leader, t + 1]):
                                one = found[np.uint64(k)]
                                spike[np.uint64(used)] = one
                                used += np.int64(kept[np.uint64(one)])
                        continue
                    for g in range(groups):
                        for k in range(found_start[g, leader, t], found_start[g, leader, t + 1]):
                            spike[np.uint64(used)] = found[np.uint64(k)]
                            used += 1
                spike_start[p, r, now + 1] = used
                counts[order[r], p] += used - first
                if want_spikes:
                    for t in range(now):
                        for k in range(spike_start[p, r, t + 1], spike_start[p, r, t + 2]):
                            unit = layout.first[p] + layout.unit[layout.start[p] + spike[k]]
                            spikes[order[r], past + t, unit] = True

        for r in range(batch):
            weigh(weighted[r], layout, window, past, now, spike, spike_start, r)
            if want_trace:
                constants = base[position[order[r], epoch], base.shape[1] - outputs :]
                part = trace[order[r], past : past + now]
                follow(part, read_x[r], read_y[r], layout, constants, spike, spike_start, r)

        past += now
        if past == change[epoch + 1]:
            epoch += 1

    for r in range(batch):
        read(mean[order[r]], layout, weighted[r])


@compiled(nogil=True, fastmath={"contract"})
def run_group(
    p,
    group,
    r,
    now,
    at,
    line,
    no_line,
    layout,
    constant,
    v,
    rest,
    x,
    y,
    sums,
    current,
    bits,
    spike,
    spike_start,
    found,
    found_start,
    used,
    watched,
    reads,
    share,
    share_at,
    heard,
):
    """One group of neurons of one simulation over a stretch; its spikes go to ``found`` from ``used`` on.

    With ``reads`` there are no lists: neurons gain their shares in ``heard``, and found_start[now] is how many spikes
    there were. Returns how much of ``found`` is used then.
    """
    zero = v.dtype.type(0)
    lanes, left, vectors = layout.lanes, layout.group_at[group], layout.group_vectors[group]
    is_lif = layout.is_lif[p]
    tiny = v.dtype.type(TINY if is_lif else 0)  # a threshold may lie as near to 0 as it likes
    threshold, decay, full, after = layout.neuron[p]
    first_bank, last_bank = layout.bank[p], layout.bank[p + 1]
    first_tile, last_tile = layout.tile[group], layout.tile[group + 1]
    driven = first_bank < last_bank
    width, batch, entries = vectors * lanes, spike_start.shape[1], spike_start.shape[2]
    words = (width + 63) // 64
    chunk = 1 if watched.shape[0] > 0 else max(1, AT_ONCE // width)

    # locals: taking an array out of the layout counts a reference to it
    wires, order, line_at, coefficient = layout.wire, layout.order, layout.line, layout.coefficient
    sources, dense, offsets, patch, size = layout.source, layout.dense, layout.offset, layout.patch, layout.size
    tile_at, tile_vectors, weight = layout.tile_at, layout.tile_vectors, layout.weight
    pointer, column, run, value = layout.pointer, layout.column, layout.run, layout.value

    several = last_bank - first_bank > 1 or not is_lif  # currents are summed before the neurons see them
    bits[: min(now, chunk) * words] = 0
    if not driven:
        sums[: min(now, chunk) * width] = zero
    told = 0
    for past in range(0, now, chunk):
        steps = min(chunk, now - past)
        for bank in range(first_bank, last_bank):
            first = past + 1 if order[bank] == 0 else past
            added = False
            for w in range(wires[bank], wires[bank + 1]):
                source, offset = sources[w], offsets[w]
                begins = (source * batch + r) * entries + first
                if dense[w]:
                    for tile in range(first_tile, last_tile):
                        here = tile_at[tile]
                        sum_steps(
                            sums, here - left, width, steps, tile_vectors[tile], weight, offset + size[source] * here,
                            spike, spike_start, begins, added,
                        )  # fmt: skip
                else:
                    if not added:
                        sums[: steps * width] = zero
                    n = patch[w]
                    for t in range(steps):
                        line_of_sums = t * width
                        for k in range(spike_start[source, r, first + t], spike_start[source, r, first + t + 1]):
                            i = offset + spike[k]
                            for e in range(pointer[i], pointer[i + 1]):
                                if n == 0:
                                    sums[line_of_sums + column[e]] += value[run[e]]
                                else:
                                    add_run(sums, line_of_sums + column[e], n, value, run[e])
                added = True
            if several and (bank + 1 < last_bank or not is_lif):
                state = line + line_at[bank] + left
                for t in range(steps):
                    here = t * width
                    if bank == first_bank:
                        filter_current(
                            current, here, constant, at, x, y, state, sums, here, vectors, coefficient, bank, tiny
                        )
                    else:
                        filter_current(
                            current, here, current, here, x, y, state, sums, here, vectors, coefficient, bank, tiny
                        )

        if is_lif:
            bank = last_bank - 1 if driven else no_filter(layout)
            state = line + line_at[bank] + left if driven else no_line
            if reads:
                lif_run_read(
                    sums, steps, vectors, current if several else constant, 0 if several else at,
                    width if several else 0, v, rest, at, x, y, state, bits, words, coefficient, bank,
                    tiny, decay, full, after, share, share_at + past, heard,
                )  # fmt: skip
            else:
                lif_run(
                    sums, steps, vectors, current if several else constant, 0 if several else at,
                    width if several else 0, v, rest, at, x, y, state, bits, words, coefficient, bank,
                    tiny, decay, full, after, share, share_at + past, heard,
                )  # fmt: skip
        else:
            for t in range(steps):
                if driven:
                    threshold_step(current, t * width, bits, t * words, vectors, threshold)
                else:
                    threshold_step(constant, at, bits, t * words, vectors, threshold)

        if reads:
            for k in range(steps * words):
                told += ones(bits[k])
            continue
        for t in range(steps):
            found_start[past + t] = used
            for k in range(words):
                word, place = bits[t * words + k], left + 64 * k
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
        if watched.shape[0] > 0:
            for j in range(width):
                watched[past, j] = v[at + j]
    found_start[now] = told if reads else used
    return used


@compiled(nogil=True)
def no_filter(layout):
    """The bank that lets everything through."""
    return layout.coefficient.shape[0] - 1


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
def keep_and_base(constant, at, layout, base, sample, row, key, shares):
    """Constant current of one simulation's neurons, SILENT where a held mask drops one and in the padding.

    With ``shares`` the mask leaves neurons alone that inputs alone drive.
    """
    populations = layout.size.shape[0]
    for j in range(layout.start[populations]):
        constant[at + j] = SILENT
    for p in range(populations):
        here, first, n = at + layout.start[p], layout.first[p], layout.size[p]
        noise = layout.dropout[p]
        if noise[0] == 0 or layout.hold[p, 0] > 0 or (shares and layout.bank[p] == layout.bank[p + 1]):
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
    """Which neurons of a population the mask keeps in a step, in the engine's order."""
    noise, offset, repeat = layout.dropout[p], np.int64(layout.dropout[p, 4]), layout.repeat[p]
    hold, start, successive = layout.hold[p]
    redraws = np.uint64(max(0, step - start) // hold if hold > 0 else 0)
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
            if spike_start[source, r, 1] == spike_start[source, r, now + 1]:  # no spikes, or read as they were told
                continue
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
