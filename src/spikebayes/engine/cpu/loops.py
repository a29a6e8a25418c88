"""The compiled loop of the CPU engine.

A *batch* of simulations (samples of rows) goes through a stretch of time population by population: a population's
spikes over the stretch are known, as lists, before the next one starts. A population is cut into groups of neurons
whose incoming weights fit a core's cache, and a group runs through all simulations and steps of the batch before
the next group's weights are read. Neurons that inputs alone drive are simulated once for all samples of a row in the
batch, and a population that the read-out alone hears makes no lists.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.engine.cpu.group import FEW, run_group
from spikebayes.engine.cpu.instructions import AT_ONCE
from spikebayes.engine.cpu.masking import begin_currents, draw_kept, keep_and_base
from spikebayes.engine.cpu.reading import follow, read, weigh
from spikebayes.machine.kernel_cache import compiled


@compiled(nogil=True, fastmath={"contract"})
def simulate(
    layout,
    base,
    position,
    change,
    moving,
    column,
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
    change[e] .. change[e + 1] - 1 of epoch e, in which simulation r reads line position[r, e] of it. moving
    ``[b, T, M]`` is that of inputs over time: population p takes it from column[p] on, the read-out from column[P],
    none where that is negative; then base is that of the first step, in all epochs. window
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
    scratch = np.zeros((3, room + layout.longest), base.dtype)
    bits = np.zeros(room // 8 + 1, np.uint64)
    shared = window.astype(base.dtype)
    heard = np.zeros(layout.start[populations] + 1, base.dtype)
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
                if past == 0:
                    begin_currents(y, r * lines, constant, r * total, layout)
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
                        scratch[2],
                        moving,
                        position[order[r], 0],
                        past,
                        column[p],
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
            weigh(weighted[r], layout, shared, past, now, spike, spike_start, r, heard)
            if want_trace:
                entry, direct = position[order[r], epoch], column[populations]
                part = trace[order[r], past : past + now]
                if direct < 0:
                    constants = base[entry : entry + 1, base.shape[1] - outputs :]
                    follow(part, read_x[r], read_y[r], layout, constants, 0, spike, spike_start, r)
                else:
                    changing = moving[entry, past : past + now, direct : direct + outputs]
                    follow(part, read_x[r], read_y[r], layout, changing, 1, spike, spike_start, r)

        past += now
        if past == change[epoch + 1]:
            epoch += 1

    for r in range(batch):
        read(mean[order[r]], layout, weighted[r])


@compiled(nogil=True)
def with_room(array, used, least):
    """The array, or a larger one that begins with its ``used`` entries, so that it has room for ``least``."""
    if array.shape[0] >= least:
        return array
    more = np.empty(max(2 * array.shape[0], least), array.dtype)
    for i in range(used):
        more[i] = array[i]
    return more
