"""Currents that inputs over time make: one line for each row and step, or under masks on inputs each simulation's own.

All inputs' currents are then worked out so, those of constant ones too. A line is summed as that of constant inputs
is, so that an input that happens to stay the same gives the bits of a constant one.
"""

from __future__ import annotations

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
        (what changes; ``[b, N + C]`` current in the first step; ``[R, 1]`` line of each simulation)
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
    return Moving(current, np.array(column, np.int64)), base, np.ascontiguousarray(position[:, None])


def _values(node: Input, work: Work, noisy: bool) -> NDArray[Any]:
    """One input's values ``[b * T, F]``, masked where it has noise; the mask's 1/(1 - p) is part of the weights."""
    given, noise = work.inputs[node.argument], node.dropout
    if node.argument in work.over_time:
        x = given.flatten(2)
    else:
        x = given.flatten(1)[:, None].expand(-1, work.steps, -1)
    if noisy:
        x = x[work.position]  # a copy
    if noise is not None and noise.acts:
        keep: Tensor | float = 1.0
        for step in range(work.steps):
            if noise.is_drawn_in(step):
                keep = dropout_keep(noise, work.keys, size(node.shape), step)
            x[:, step] *= keep
    return np.ascontiguousarray(x.reshape(-1, x.shape[2]).numpy())


def add_mean(
    mean: NDArray[np.float64], moved: Moving, position: NDArray[np.int64], weights: NDArray[Any]
) -> None:
    """Adds to the average ``[R, C]`` by what inputs give the read-out more than in the first step."""
    first = moved.column[-1]
    if first < 0:
        return
    direct = moved.current[:, :, first : first + mean.shape[1]]  # [b, T, C]
    more = np.zeros((len(direct), mean.shape[1]))
    for step, weight in enumerate(weights):  # one after another: a product's order depends on how many lines there are
        more += weight * (direct[:, step].astype(np.float64) - direct[:, 0])
    mean += more[position]

