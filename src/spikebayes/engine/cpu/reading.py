"""Compiled: what the read-out makes of spikes.

A linear read-out commutes with the average over time: each spike adds its share of the averaging window to its
neuron, and the read-out's weights are applied once, at the end.
"""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.machine.kernel_cache import compiled


@compiled(nogil=True)
def weigh(weighted, layout, share, past, now, spike, spike_start, r, heard):
    """Adds to every neuron that the read-out reads the window's share of each of its spikes of a stretch.

    They are summed up in ``heard``, which is zero before and after, as ``lif_run_read`` sums them: the bits are the
    same whether spikes were listed or not.
    """
    target = layout.size.shape[0]
    for bank in range(layout.bank[target], layout.bank[target + 1]):
        line = share[bank - layout.bank[target]]
        for w in range(layout.wire[bank], layout.wire[bank + 1]):
            source, at = layout.source[w], layout.weighted_at[w]
            if spike_start[source, r, 1] == spike_start[source, r, now + 1]:  # no spikes, or read as they were told
                continue
            for t in range(now):
                part = line[past + t]
                for k in range(spike_start[source, r, t + 1], spike_start[source, r, t + 2]):
                    heard[spike[k]] += part
            for i in range(layout.size[source]):
                weighted[at + i] += heard[i]
                heard[i] = 0


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
def follow(trace, x, y, layout, constant, moves, spike, spike_start, r):
    """The read-out step by step, for those who want to look at it. ``[now, C]``; x, y ``[banks, C]``.

    constant ``[1, C]`` what it is without spikes; with moves = 1 ``[now, C]``, in each step.
    """
    outputs = trace.shape[1]
    target = layout.size.shape[0]
    sums = np.empty(outputs)
    for t in range(trace.shape[0]):
        for c in range(outputs):
            trace[t, c] = constant[t * moves, c]
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
