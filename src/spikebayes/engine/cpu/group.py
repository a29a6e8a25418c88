"""Compiled: one group of a population's neurons, of one simulation, through a stretch of time.

Step by step the weights of all spikes are summed up first, then filters and neurons go through these steps with their
state in registers, and at last the spikes are listed.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.engine.cpu.drive import fill_currents
from spikebayes.engine.cpu.instructions import (
    AT_ONCE,
    add_run,
    filter_current,
    lif_run,
    lif_run_read,
    ones,
    sum_steps,
    threshold_step,
    trailing_zeros,
)
from spikebayes.machine.kernel_cache import compiled

FEW = 4  # spikes of 64 neurons in a step
TINY = 1e-30  # current that no membrane notices


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
    given,
    moving,
    entry,
    since,
    inlet,
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

    Where inputs change (inlet >= 0), ``given`` is filled with what they give in each step: the line ``entry`` of
    ``moving`` from its step ``since`` on, its columns from ``inlet`` on; constant is that of the first step.
    """
    zero = v.dtype.type(0)
    lanes, left, vectors = layout.lanes, layout.group_at[group], layout.group_vectors[group]
    is_lif = layout.is_lif[p]
    tiny = v.dtype.type(TINY if is_lif else 0)  # a threshold may lie as near to 0 as it likes
    threshold, decay, full, after, most = layout.neuron[p]
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
    moves, own = inlet >= 0, layout.own_current[p]
    base, base_at, base_step = constant, at, 0
    if several:
        base, base_at, base_step = current, 0, width
    elif moves and not own:
        base, base_at, base_step = given, 0, width
    bits[: min(now, chunk) * words] = 0
    if not driven:
        sums[: min(now, chunk) * width] = zero
    told = 0
    for past in range(0, now, chunk):
        steps = min(chunk, now - past)
        if moves:
            first = layout.start[p] + left
            fill_currents(given, steps, width, constant, at, moving, entry, since + past, inlet, layout.unit, first)
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
            if moves and own:  # the neurons' own filter takes in what changes; where it began is in its state
                for t in range(steps):
                    for j in range(width):
                        sums[t * width + j] += given[t * width + j] - constant[at + j]
            if several and (bank + 1 < last_bank or not is_lif):
                state = line + line_at[bank] + left
                for t in range(steps):
                    here = t * width
                    before, before_at = current, here
                    if bank == first_bank:
                        before, before_at = (given, here) if moves else (constant, at)
                    filter_current(
                        current, here, before, before_at, x, y, state, sums, here, vectors, coefficient, bank, tiny
                    )

        if is_lif:
            bank = last_bank - 1 if driven else no_filter(layout)
            state = line + line_at[bank] + left if driven else no_line
            if reads:
                lif_run_read(
                    sums, steps, vectors, base, base_at, base_step, v, rest, at, x, y, state, bits, words,
                    coefficient, bank, tiny, decay, full, after, share, share_at + past, heard, threshold, most,
                )  # fmt: skip
            else:
                lif_run(
                    sums, steps, vectors, base, base_at, base_step, v, rest, at, x, y, state, bits, words,
                    coefficient, bank, tiny, decay, full, after, share, share_at + past, heard, threshold, most,
                )  # fmt: skip
        else:
            for t in range(steps):
                if driven:
                    threshold_step(current, t * width, bits, t * words, vectors, threshold)
                elif moves:
                    threshold_step(given, t * width, bits, t * words, vectors, threshold)
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
