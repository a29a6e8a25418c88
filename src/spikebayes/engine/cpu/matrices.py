"""A network laid out as flat arrays: one matrix per connection, rows by source unit, for event-driven engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.network.network import SpikingNetwork, output_scale
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Permute,
    Place,
    Reshape,
    Scale,
    Shape,
    Slice,
    parts,
    size,
    target_shape,
)
from spikebayes.network.synapses import Synapse

Matrix = NDArray[Any] | sparse.csr_array
DENSE_FROM = 0.25  # share of nonzeros above which a product is stored dense


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
            patches = conv_patches(c.operator, source) if patched else None
            dense = _dense_weight(c.operator, source)
            shared[key] = patches or (operator_matrix(c.operator, source) if dense is None else dense)
        made.append(Wire(c.source, c.target, shared[key], scales[c.source], c.synapse))
    return made


def _dense_weight(operator: nn.Module, source: Shape) -> NDArray[Any] | None:
    """The weights of a dense operator themselves, ``[N_source, N_target]``, not copied; None for anything else."""
    found = [part for part in parts(operator) if not isinstance(part, Reshape)]
    if len(found) == 1 and isinstance(found[0], Dense) and found[0].weight.shape[1] == size(source):
        return found[0].weight.detach().numpy().T
    return None


def _channels(network: SpikingNetwork) -> dict[str, set[int]]:
    """For each population, how many channels the convolutions into it have; patches need them to agree."""
    found: dict[str, set[int]] = {p.name: set() for p in network.populations}
    for c in network.connections:
        if c.target in found:
            found[c.target] |= {part.weight.shape[0] for part in parts(c.operator) if isinstance(part, Conv)}
    return found


def conv_patches(operator: nn.Module, source: Shape) -> Patches | None:
    """A convolution (and what scales its channels) as patches; None for anything else."""
    conv, space, scale = None, source, 1.0
    for part in parts(operator):
        if isinstance(part, Conv) and conv is None:
            conv, space = part, source
        elif (
            isinstance(part, Scale) and conv is not None and part.factor.numel() == len(torch.atleast_1d(part.factor))
        ):
            scale = scale * part.factor.double().numpy().ravel()
        elif not isinstance(part, Reshape):
            return None
        source = target_shape(part, source)
    if conv is None or np.size(scale) not in (1, conv.weight.shape[0]):
        return None
    weight = conv.weight.double().numpy()
    out_channels, group_in = weight.shape[:2]
    group_out = out_channels // conv.groups
    weight = weight * np.reshape(scale, (-1,) + (1,) * (weight.ndim - 1))
    # value[i, position, o within its group]
    value = weight.reshape(conv.groups, group_out, group_in, -1).transpose(0, 2, 3, 1)
    positions = value.shape[2]

    units, columns, runs = [], [], []
    channel = np.arange(space[0])
    for k, (where_in, where_out) in enumerate(_meetings(conv, space)):
        unit = channel[:, None] * size(space[1:]) + where_in
        units.append(unit.ravel())
        columns.append((where_out * out_channels + (channel // group_in * group_out)[:, None]).ravel())
        runs.append(np.repeat((channel * positions + k) * group_out, len(where_in)))
    unit, column, run = (np.concatenate(part) for part in (units, columns, runs))
    order = np.argsort(unit, kind="stable")
    pointer = np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=size(space)))])
    return Patches(pointer, column[order], run[order], value.ravel(), group_out, out_channels)


def _per_channel(factor: torch.Tensor, shape: Shape) -> bool:
    return factor.numel() == 1 or (factor.ndim == len(shape) and factor.numel() == factor.shape[0])


def operator_matrix(operator: nn.Module, source: Shape) -> Matrix:
    """The matrix M with ``operator(x).flatten() = x.flatten() @ M``, float64, dense or CSR.

    Example:
        >>> operator_matrix(Slice(1, 1, 3), (3,)).toarray().tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    product: Matrix | None = None
    for part in parts(operator):
        matrix = _matrix(part, source)
        source = target_shape(part, source)
        if matrix is not None:
            product = matrix if product is None else _tidy(product @ matrix)
    return sparse.csr_array(sparse.eye_array(size(source))) if product is None else product


def _tidy(matrix: Any) -> Matrix:
    if isinstance(matrix, np.ndarray):
        return matrix
    if matrix.nnz > DENSE_FROM * matrix.shape[0] * matrix.shape[1]:
        return matrix.toarray()
    return sparse.csr_array(matrix)


def _matrix(operator: nn.Module, source: Shape) -> Matrix | None:
    """Matrix of one operator; None for the identity."""
    match operator:
        case Dense():
            weight = operator.weight.double().numpy().T  # [in, out]
            lead = size(source[:-1])
            return weight if lead == 1 else sparse.csr_array(sparse.kron(sparse.eye_array(lead), weight))
        case Conv():
            return _tidy(_conv_matrix(operator, source))
        case AvgPool() | AdaptiveAvgPool():
            return _pool_matrix(operator, source)
        case Scale():
            return sparse.csr_array(sparse.diags_array(operator.factor.double().expand(source).flatten().numpy()))
        case Permute() | Place() | Slice():
            return _selection_matrix(operator, source)
        case Reshape():
            return None
        case Chain() if not len(operator.operators):
            return None
        case _:
            raise ConfigError(f"no matrix is known for the operator {type(operator).__name__}")


def _selection_matrix(operator: nn.Module, source: Shape) -> sparse.csr_array:
    """For operators that move units or put zeros between them: send the units' numbers through it."""
    numbers = torch.arange(1, size(source) + 1, dtype=torch.float64).reshape(1, *source)
    origin = operator(numbers).flatten().long().numpy()  # 0 where a zero was put
    targets = np.flatnonzero(origin)
    ones = np.ones(len(targets))
    return sparse.csr_array((ones, (origin[targets] - 1, targets)), shape=(size(source), len(origin)))


def _pool_matrix(operator: nn.Module, source: Shape, chunk: int = 512) -> sparse.csr_array:
    """For operators that act on each channel alike: probe one channel's positions, a chunk at a time."""
    channels, space = source[0], source[1:]
    positions = size(space)
    rows = []
    for start in range(0, positions, chunk):
        probe = torch.zeros(min(chunk, positions - start), positions, dtype=torch.float64)
        probe[range(len(probe)), range(start, start + len(probe))] = 1
        rows.append(sparse.csr_array(operator(probe.reshape(-1, 1, *space)).flatten(1).numpy()))
    return sparse.csr_array(sparse.kron(sparse.eye_array(channels), sparse.vstack(rows), format="csr"))


def _meetings(operator: Conv, source: Shape) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For every kernel position, the places of the input and of the output that it joins.

    in = out * stride - padding + position * dilation.
    """
    kernel = operator.weight.shape[2:]
    space, target = source[1:], target_shape(operator, source)[1:]
    if operator.padding == "same":
        padding = tuple(d * (k - 1) // 2 for d, k in zip(operator.dilation, kernel, strict=True))
    else:
        padding = (0,) * len(kernel) if isinstance(operator.padding, str) else operator.padding
    outputs = np.indices(target).reshape(len(target), -1)  # [dims, P]
    for position in np.ndindex(*kernel):
        at = [
            axis * s - p + k * d
            for axis, s, p, k, d in zip(outputs, operator.stride, padding, position, operator.dilation, strict=True)
        ]
        inside = np.logical_and.reduce([(a >= 0) & (a < n) for a, n in zip(at, space, strict=True)])
        yield np.asarray(np.ravel_multi_index([a[inside] for a in at], space)), np.flatnonzero(inside)


def _conv_matrix(operator: Conv, source: Shape) -> sparse.csr_array:
    """One block of entries for every kernel position."""
    weight = operator.weight.double().numpy()
    out_channels, group_in, *kernel = weight.shape
    space, target = source[1:], target_shape(operator, source)[1:]

    # channels that meet: every output channel with the inputs of its group
    group_out = out_channels // operator.groups
    o = np.repeat(np.arange(out_channels), group_in)
    i = (o // group_out) * group_in + np.tile(np.arange(group_in), out_channels)

    entries: list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]] = []
    positions = zip(np.ndindex(*kernel), _meetings(operator, source), strict=True)
    for position, (where_in, where_out) in positions:
        values = weight[(o, np.tile(np.arange(group_in), out_channels), *position)]
        row = i[:, None] * size(space) + where_in
        column = o[:, None] * size(target) + where_out
        entries.append((np.repeat(values, len(where_in)), row.ravel(), column.ravel()))
    data, row, column = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (size(source), out_channels * size(target))
    return sparse.csr_array(sparse.coo_array((data, (row, column)), shape=shape))
