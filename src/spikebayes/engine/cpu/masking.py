"""Compiled: which neurons a mask hides, from a simulation's start or for a while."""

# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np

from spikebayes.machine.kernel_cache import compiled
from spikebayes.network.noise import SITES
from spikebayes.noise.bits import fill_row

SILENT = -1e30  # current that no input can lift above threshold


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
def begin_currents(y, line, constant, at, layout):
    """Where neurons have a current of their own, constants go through its filter too: it begins at minus them.

    For c + y, with y <- a y + (1 - a) x from -c on, is what c + x come to when they go through the filter together.
    """
    for p in range(layout.size.shape[0]):
        if layout.own_current[p]:
            here, first = line + layout.line[layout.bank[p]], at + layout.start[p]
            for j in range(layout.start[p + 1] - layout.start[p]):
                y[here + j] = -constant[first + j]


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
