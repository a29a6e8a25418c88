"""Currents of inputs over time: a line for each row and step; with masks on inputs for each simulation and step.

All inputs' currents are then worked out so, those of constant ones too. A line is summed as that of constant inputs
is, so that an input that happens to stay the same gives the bits of a constant one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.engine.contract import Work
from spikebayes.engine.cpu.drive import add_currents
from spikebayes.engine.cpu.packing import Drive, Layout
from spikebayes.network.network import Input, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise.bits import dropout_keep


class Moving(NamedTuple):
    """What changes from step to step.

    Args:
        current: ``[b, T, M]`` into the M targets that inputs reach, constants included; nothing where inputs are
            constant.
        column: ``[P + 1]`` where each population's targets begin, and the read-out's; -1 where inputs reach none.
    """

    current: NDArray[Any]
    column: NDArray[np.int64]


def nothing_moves(layout: Layout, dtype: np.dtype[Any]) -> Moving:
    """Of constant inputs."""
    return Moving(np.zeros((0, 0, 0), dtype), np.full(len(layout.size) + 1, -1, np.int64))


def moving(
    network: SpikingNetwork, layout: Layout, drive: Drive, work: Work
) -> tuple[Moving, NDArray[Any], NDArray[np.int64]]:
    """The currents of inputs over time, those of the first step for all targets, and who reads them.

    Without noise on the inputs a row's line serves all its samples; with it every simulation has its own.

    Returns:
        (what changes; ``[b, N + C]`` current in the first step; ``[R]`` line of each simulation)
    """
    noisy = any(i.dropout and i.dropout.acts for i in network.inputs)
    lines = len(work) if noisy else len(work.inputs[0])
    widths = {first: width for _, first, width, _ in drive.wires}
    begin = dict(zip(widths, np.cumsum([0, *widths.values()]).tolist(), strict=False))
    reached = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, a + n) for a, n in widths.items())])

    flat = np.repeat(drive.constant[None, reached], lines * work.steps, axis=0)  # [b * T, M]
    values = [_values(node, work, noisy).astype(drive.constant.dtype, copy=False) for node in network.inputs]
    add_currents(flat, [(source, begin[first], *rest) for source, first, *rest in drive.wires], values)
    current = flat.reshape(lines, work.steps, len(reached))

    base = np.repeat(drive.constant[None], lines, axis=0)
    base[:, reached] = current[:, 0]
    neurons = int(layout.size.sum())
    column = [begin.get(first, -1) for first in (*layout.first.tolist(), neurons)]
    position = np.arange(lines) if noisy else work.position.numpy()
    return Moving(current, np.array(column, np.int64)), base, position


def _values(node: Input, work: Work, noisy: bool) -> NDArray[Any]:
    """One input's values ``[b * T, F]``, masked where it has noise; the mask's 1/(1 - p) is part of the weights."""
    given, noise = work.inputs[node.argument], node.dropout
    lasting = given if node.argument in work.over_time else given[:, None].expand(-1, work.steps, *node.shape)
    x = lasting.flatten(2)
    if noisy:
        x = x[work.position]  # a copy
    if noise is not None and noise.acts:
        keep: Tensor | float = 1.0
        for step in range(work.steps):
            if noise.is_drawn_in(step):
                keep = dropout_keep(noise, work.keys, size(node.shape), step)
            x[:, step] *= keep
    return np.ascontiguousarray(x.reshape(-1, x.shape[2]).numpy())


def mean_over_time(
    moved: Moving,
    base: NDArray[Any],
    position: NDArray[np.int64],
    redrawn: NDArray[np.int64],
    weights: NDArray[Any],
    outputs: int,
) -> NDArray[np.float64]:
    """What inputs and constants alone give the read-out, averaged over time: ``[R, C]``.

    That of the first step after each redraw of masks, as of constant inputs, and what the other steps give more.

    Args:
        position: ``[R]`` line of each simulation.
        redrawn: the steps at which a mask on an input is redrawn, the first step and the end among them.
    """
    shares, column = np.add.reduceat(weights, redrawn[:-1]), moved.column[-1]
    if column < 0:
        direct = np.repeat(base[:, None, base.shape[1] - outputs :], len(weights), axis=1)
    else:
        direct = moved.current[:, :, column : column + outputs]
    direct = direct.astype(np.float64)  # [b, T, C]
    more = np.zeros((len(direct), outputs))
    for first, last in pairwise(redrawn.tolist()):
        for step in range(first + 1, last):  # one after another: a product would sum by how many lines there are
            more += weights[step] * (direct[:, step] - direct[:, first])
    first = np.ascontiguousarray(direct[:, redrawn[:-1]][position])  # [R, E, C]
    return np.einsum("rec,e->rc", first, shares) + more[position]
