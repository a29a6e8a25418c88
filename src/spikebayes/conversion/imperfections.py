"""What imperfect hardware does to a network's weights: few bits, gains that differ, devices that vary.

Each function gives a new network and leaves the old one as it is. Only the weights of Dense and Conv operators
change, inside chains too; an operator that several of these connections share is changed once and stays shared.
Constants (biases), pooling and fixed factors, neurons, and the blank-out's scale a_i stay as they are. Those of a
coded network stay on the grids on which its sums are exact. Draws come from torch's CPU generator in double
precision, in the order of the connections: the same seed gives the same draw, whatever the weights' dtype.
Imperfections that are applied one after another should have seeds of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from spikebayes.conversion.number_grids import grids, rounded
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import Connection, SpikingNetwork
from spikebayes.network.operators import Chain, Operator, Shape, size, target_shape
from spikebayes.nn.few_bits import largest_whole
from spikebayes.noise.philox import split_seed

CLIP_RATIOS = 100  # clip = "mse" tries the multiples of max|w|/100


@checked
def quantised(network: SpikingNetwork, bits: int, clip: Literal["mse", "max"] = "mse") -> SpikingNetwork:
    """All weights, the read-out's included, in symmetric fixed point with one scale s per operator.

    In a coded network, where each unit has a step size of its own, there is one scale per unit: a row of weights, or
    a channel.

        w -> s round(w/s) within +- s L,  L = 2^(bits - 1) - 1

    Args:
        network: any.
        bits: 2 (ternary: -s, 0, s) to 16.
        clip: ``"max"``: s L = max|w|, nothing is cut off; ``"mse"``: s L = r max|w| with the r of 0.01, 0.02, ..., 1
            that leaves the least squared error, never more than ``"max"`` does. With few bits it cuts off the tails.
            Where weights have a grid, s is the next multiple of it.

    Raises:
        ConfigError: bits or clip out of range.

    Reference:
        Nagel et al., A White Paper on Neural Network Quantization, arXiv:2106.08295, section 3.1 (MSE range setting).

    Example:
        >>> from spikebayes import Connection, Input, Readout
        >>> from spikebayes.network import Dense
        >>> wires = Connection("x", "readout", Dense(torch.tensor([[0.1, -0.9, 0.4]])))
        >>> ternary = quantised(SpikingNetwork((Input("x", (3,)),), (), (wires,), Readout((1,))), bits=2, clip="max")
        >>> [round(w, 3) for w in ternary.connections[0].operator.weight[0].tolist()]
        [0.0, -0.9, 0.0]
    """
    levels = largest_whole(bits)
    if clip not in ("mse", "max"):
        raise ConfigError(f"clip must be 'mse' or 'max'; got {clip!r}")
    ratios = [1.0] if clip == "max" else [k / CLIP_RATIOS for k in range(CLIP_RATIOS, 0, -1)]
    by_unit, grid = network.code is not None, grids(network)
    new = {
        o: o.with_weight(_rounded(_weight(o), levels, ratios, by_unit, grid.get(o, 0.0)))
        for connection in network.connections
        for o in _weights(connection.operator)
    }
    return _changed(network, network.connections, new)


@checked
def with_row_gains(network: SpikingNetwork, std: float, seed: int) -> SpikingNetwork:
    """Each neuron's incoming weights times one lognormal factor, exp(std N(0, 1)).

    A neuron has one factor for all its connections. Neurons that share weights, in a feature map of a Conv or in
    towers with one operator, share a factor. On a path with several weight operators it is applied to the last one; a
    path without weights is unchanged, and so is the read-out, which has no neurons. A ``Sign`` neuron without a
    constant, all of whose input comes through weights, gives the same output as before.

    Args:
        network: any.
        std: of the factor's logarithm, >= 0.
        seed: of the draw, in [0, 2^64).

    Raises:
        ConfigError: std or seed out of range.

    Reference:
        Neftci 2017, section III.B.
    """
    _check_std(std)
    into = _into_populations(network)
    groups, count = _row_groups(network, into)
    gains = torch.exp(std * torch.randn(count, generator=_generator(seed), dtype=torch.float64))  # [count]

    return _changed(network, into, {o: o.with_scaled_rows(gains[rows].to(_weight(o))) for o, rows in groups.items()})


@checked
def with_device_noise(network: SpikingNetwork, std: float, seed: int) -> SpikingNetwork:
    """Every weight, the read-out's included, with the error of its own device: w max(0, 1 + std N(0, 1)), signs kept.

    Args:
        network: any.
        std: of the relative error, >= 0.
        seed: of the draw, in [0, 2^64).

    Raises:
        ConfigError: std or seed out of range.

    Reference:
        multiplicative conductance variation: Joshi et al., Nature Communications 11:2473, 2020.
    """
    _check_std(std)
    generator = _generator(seed)

    def scattered(w: Tensor) -> Tensor:
        return w * (1 + std * torch.randn(w.shape, generator=generator, dtype=torch.float64)).clamp(min=0).to(w)

    return _with_weights(network, network.connections, _weights, scattered)


@checked
def scaled(network: SpikingNetwork, factor: float) -> SpikingNetwork:
    """All weights into populations times one factor; the read-out's are unchanged.

    On a path with several weight operators only the last one is multiplied, so that the path as a whole is scaled
    once.

    Args:
        network: any.
        factor: > 0; 0.1 in the paper.

    Raises:
        ConfigError: factor out of range.

    Reference:
        Neftci 2017, section III.B.
    """
    if not (factor > 0 and math.isfinite(factor)):
        raise ConfigError(f"a factor on weights must be positive and finite; got {factor}")
    return _with_weights(network, _into_populations(network), _last_weights, lambda w: w * factor)


def _with_weights(
    network: SpikingNetwork,
    connections: Sequence[Connection],
    which: Callable[[Operator], Iterable[Operator]],
    change: Callable[[Tensor], Tensor],
) -> SpikingNetwork:
    """The network after ``change`` to the weights that ``which`` finds in the connections' operators, each once."""
    found = dict.fromkeys(operator for connection in connections for operator in which(connection.operator))
    return _changed(network, connections, {o: o.with_weight(change(_weight(o))) for o in found})


def _changed(
    network: SpikingNetwork, connections: Sequence[Connection], new: dict[Operator, Operator]
) -> SpikingNetwork:
    """The network with other operators in place of some in these connections, on the grids of the old ones."""
    concerned, grid = {id(connection) for connection in connections}, grids(network)
    new = {o: n.with_weight(rounded(_weight(n), grid[o])) if o in grid else n for o, n in new.items()}
    return replace(
        network,
        connections=tuple(
            replace(c, operator=c.operator.replaced(new)) if id(c) in concerned else c for c in network.connections
        ),
    )


def _into_populations(network: SpikingNetwork) -> tuple[Connection, ...]:
    return tuple(c for c in network.connections if c.target != network.readout.name)


def _weights(operator: Operator) -> list[Operator]:
    """The operators with weights on a path, in order."""
    return [part for part in operator.parts if part.weight is not None]


def _last_weights(operator: Operator) -> list[Operator]:
    return _weights(operator)[-1:]


def _weight(operator: Operator) -> Tensor:
    assert operator.weight is not None
    return operator.weight


def _rounded(w: Tensor, levels: int, ratios: Sequence[float], by_row: bool, grid: float) -> Tensor:
    """w in fixed point under the clip ratio of least squared error, of each row or of all; of equals, the first."""
    if not w.numel():
        return w
    exact = w.double().flatten(1) if by_row else w.double().reshape(1, -1)
    peak = exact.abs().amax(1, keepdim=True)
    best, least = exact, torch.full_like(peak, math.inf)
    for ratio in ratios:
        scale = ratio * peak / levels
        scale = (scale / grid).ceil() * grid if grid else scale
        candidate = (exact / scale).round_().clamp_(-levels, levels).mul_(scale)
        error = (candidate - exact).square_().sum(1, keepdim=True)
        better = error < least  # not where all are zeros, or the scale is below the least double: that is no number
        best, least = torch.where(better, candidate, best), torch.where(better, error, least)
    return best.reshape(w.shape).to(w)


def _row_groups(network: SpikingNetwork, connections: Sequence[Connection]) -> tuple[dict[Operator, Tensor], int]:
    """Which factor each row of the paths' last weights takes, ``[rows]`` int64 by operator, and how many there are.

    Rows that reach one neuron take the same factor, and so do neurons that one row reaches: the connected components
    of the graph of rows and neurons.
    """
    starts: dict[Operator | str, int] = {}  # an operator's rows and a population's neurons are vertices in a row
    vertices = 0
    edges = [np.empty((2, 0), np.int64)]
    for connection in connections:
        for last in _last_weights(connection.operator):
            ends: dict[Operator | str, int] = {
                last: len(_weight(last)),
                connection.target: size(network.shape(connection.target)),
            }
            for end, count in ends.items():
                if end not in starts:
                    starts[end], vertices = vertices, vertices + count
            offsets = np.array([[starts[last]], [starts[connection.target]]])
            edges.append(_reached(connection.operator, network.shape(connection.source)) + offsets)
    rows, neurons = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, neurons)), shape=(vertices, vertices))
    count, group = connected_components(graph, directed=False)
    labels = torch.from_numpy(group.astype(np.int64))
    return {o: labels[i : i + len(_weight(o))] for o, i in starts.items() if not isinstance(o, str)}, count


def _reached(operator: Operator, source: Shape) -> np.ndarray:
    """``[2, edges]`` int64: a row of the path's last weights, and a unit of its target that this row reaches."""
    path = operator.parts
    place = max(i for i, part in enumerate(path) if part.weight is not None)
    last, after = path[place], path[place + 1 :]
    rows = last.row_of(target_shape(Chain(path[:place]), source))  # [*shape]
    if not after:
        return np.stack([rows.numpy().ravel(), np.arange(rows.numel())])
    numbers = torch.arange(len(_weight(last))).reshape(-1, *[1] * rows.ndim)
    marks = (rows == numbers).float()  # [rows, *shape], line k is 1 where row k ends
    with torch.no_grad():
        for part in after:
            marks = part(marks)
    return np.stack(np.nonzero(marks.flatten(1).numpy()))


def _check_std(std: float) -> None:
    if not (std >= 0 and math.isfinite(std)):
        raise ConfigError(f"a standard deviation must be a number >= 0; got {std}")


def _generator(seed: int) -> torch.Generator:
    split_seed(seed)  # refuses what is no seed
    return torch.Generator().manual_seed(int(seed))
