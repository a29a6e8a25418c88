"""One step of a network without memory, as a pass over its nodes: what every node is given and what it gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from spikebayes.network.network import Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Passed:
    """A node in a pass.

    Args:
        node: of the network.
        drive: ``[L, *shape]`` what it was given; None for an input.
        output: ``[L, *shape]`` what it gave before its mask.
        value: ``[L, *shape]`` what it gave, under its mask.
    """

    node: Input | Population | Readout
    drive: Tensor | None
    output: Tensor
    value: Tensor


def one_pass(network: SpikingNetwork, inputs: Sequence[Tensor], keys: Keys) -> Iterator[Passed]:
    """The nodes in order.

    Args:
        network: without memory, stochastic units or synapses that blank out.
        inputs: ``[L, *shape]`` of each argument; or fewer, each for several lines one after another, which part with
            the first mask: what comes before it is given once.
        keys: of the L lines' masks.
    """
    values: dict[str, Tensor] = {}
    for node in network.nodes():
        if isinstance(node, Input):
            drive, output = None, inputs[node.argument]
        else:
            drive = drive_of(network, node, values)
            output = node.neuron.step(drive, (), network.dt)[1] if isinstance(node, Population) else drive
        values[node.name] = output if isinstance(node, Readout) else masked(output, node, keys)
        yield Passed(node, drive, output, values[node.name])


def drive_of(network: SpikingNetwork, node: Population | Readout, values: dict[str, Tensor]) -> Tensor:
    """The sum of a node's connections and its constant, on its grid."""
    parts = [c.operator(values[c.source]) for c in network.into(node.name)]
    return on_grid_of(node, added(node, parts, max(map(len, values.values()))))


def added(node: Population | Readout, parts: Sequence[Tensor], lines: int) -> Tensor:
    """What arrives at a node and its constant; in so many lines where nothing arrives."""
    lines = max(map(len, parts), default=lines)
    parts = [part.repeat_interleave(lines // len(part), 0) if len(part) < lines else part for part in parts]
    if node.constant is not None or not parts:
        constant = torch.zeros(node.shape) if node.constant is None else node.constant
        parts.append(constant.expand(lines, *node.shape))
    return reduce(torch.add, parts)


def on_grid_of(node: Population | Readout, drive: Tensor) -> Tensor:
    """A node's input, rounded to multiples of its grid.

    Averages over n units end on k/n of it, and halves would be ties, which the order of a sum decides. The golden
    ratio is far from all such fractions.
    """
    return drive if not node.grid else ((drive.double() / node.grid + GOLDEN).floor() * node.grid).to(drive)


def masked(output: Tensor, node: Input | Population, keys: Keys) -> Tensor:
    """A node's output under its mask."""
    if node.dropout is None or not node.dropout.acts:
        return output
    if len(output) < len(keys):
        output = output.repeat_interleave(len(keys) // len(output), 0)
    keep = dropout_keep(node.dropout, keys.to(output.device), size(node.shape)).reshape(output.shape)
    return torch.where(keep, output * node.dropout.factor, 0.0)
