"""A network laid out as flat arrays: one matrix per connection, rows by source unit, for event-driven engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikebayes.network.network import SpikingNetwork, output_scale
from spikebayes.network.operators import Conv, Dense, Operator, Shape, size
from spikebayes.network.synapses import Synapse

if TYPE_CHECKING:
    from spikebayes.network.operators.operator import Matrix


@dataclass(frozen=True, eq=False)
class Patches:
    """A convolution as the runs of targets that each source unit reaches, targets numbered with channels last.

    Entry e of source unit i, ``pointer[i] <= e < pointer[i + 1]``, adds ``value[run[e] :][:length]`` to the targets
    ``column[e] :``. Units at one distance share their weights.

    Args:
        pointer: ``[N_source + 1]``. column, run: one for each entry. value: weights. length: targets in a run.
        channels: of the target.
    """

    pointer: NDArray[np.int64]
    column: NDArray[np.int64]
    run: NDArray[np.int64]
    value: NDArray[np.float64]
    length: int
    channels: int


@dataclass(frozen=True)
class Wire:
    """One connection as a matrix: input units' values, or spikes, times ``scale * matrix``.

    Args:
        matrix: ``[N_source, N_target]``. Connections that share an operator share it.
        scale: of the source's output (spike area over dt, 1/(1 - p)).
    """

    source: str
    target: str
    matrix: Matrix | Patches
    scale: float
    synapse: Synapse | None

    @property
    def dense(self) -> bool:
        """Whether every source unit has a weight to every target."""
        return isinstance(self.matrix, np.ndarray)

    @property
    def patches(self) -> Patches | None:
        """The matrix, where it is a convolution's."""
        return self.matrix if isinstance(self.matrix, Patches) else None


def wires(network: SpikingNetwork) -> list[Wire]:
    """Every connection of the network as a matrix, convolutions between populations as patches."""
    shared: dict[tuple[int, Shape, bool], Matrix | Patches] = {}
    scales = {node.name: output_scale(node, network.dt) for node in (*network.inputs, *network.populations)}
    channels = _channels(network)
    made = []
    for c in network.connections:
        source = network.shape(c.source)
        spikes = c.source not in {i.name for i in network.inputs}
        patched = spikes and len(channels.get(c.target, ())) == 1
        key = (id(c.operator), source, patched)
        if key not in shared:
            shared[key] = _laid_out(c.operator, source, SHARED if patched else PLAIN)
        made.append(Wire(c.source, c.target, shared[key], scales[c.source], c.synapse))
    return made


def _channels(network: SpikingNetwork) -> dict[str, set[int]]:
    """For each population, how many channels the convolutions into it have; patches need them to agree."""
    found: dict[str, set[int]] = {p.name: set() for p in network.populations}
    for c in network.connections:
        if c.target in found:
            found[c.target] |= {len(p.weight) for p in c.operator.parts if type(p) is Conv and p.weight is not None}
    return found


Parts = tuple[tuple[Operator, Shape], ...]
Builder = Callable[[Any, Shape, Parts], "Matrix | Patches | None"]


def _laid_out(operator: Operator, source: Shape, builders: dict[type[Operator], Builder]) -> Matrix | Patches:
    """An operator in the form that its first working part has here, where this does for all; else as a matrix."""
    working = operator.working(source)
    if working:
        (first, shape), *rest = working
        build = builders.get(type(first))
        found = build(first, shape, tuple(rest)) if build else None
        if found is not None:
            return found
    return operator.matrix(source)


def _weights_themselves(operator: Dense, source: Shape, rest: Parts) -> NDArray[Any] | None:
    """The weights of a dense operator, ``[N_source, N_target]``, in their own dtype and not copied."""
    alone = not rest and operator.weight.shape[1] == size(source)
    return operator.weight.detach().numpy().T if alone else None


def conv_patches(operator: Conv, space: Shape, rest: Parts = ()) -> Patches | None:
    """A convolution, and what scales its channels, as patches; None where something else is in the rest."""
    weight = operator.weight.double().numpy()
    out_channels, group_in = weight.shape[:2]
    group_out = out_channels // operator.groups
    scale = np.ones(out_channels)
    for part, shape in rest:
        factors = part.factors(shape)
        if factors is None:
            return None
        by_channel = factors.double().reshape(out_channels, -1)  # units in a line are still channel by channel
        if not bool((by_channel == by_channel[:, :1]).all()):
            return None
        scale = scale * by_channel[:, 0].numpy()
    weight = weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
    # value[i, position, o within its group]
    value = weight.reshape(operator.groups, group_out, group_in, -1).transpose(0, 2, 3, 1)
    positions = value.shape[2]

    units, columns, runs = [], [], []
    channel = np.arange(space[0])
    for k, (where_in, where_out) in enumerate(operator.meetings(space)):
        unit = channel[:, None] * size(space[1:]) + where_in
        units.append(unit.ravel())
        columns.append((where_out * out_channels + (channel // group_in * group_out)[:, None]).ravel())
        runs.append(np.repeat((channel * positions + k) * group_out, len(where_in)))
    unit, column, run = (np.concatenate(part) for part in (units, columns, runs))
    order = np.argsort(unit, kind="stable")
    pointer = np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=size(space)))])
    return Patches(pointer, column[order], run[order], value.ravel(), group_out, out_channels)


#: operators that have a form of their own here, by exact type; every other one is its matrix
PLAIN: dict[type[Operator], Builder] = {Dense: _weights_themselves}
SHARED: dict[type[Operator], Builder] = PLAIN | {Conv: conv_patches}
