"""A network whose units all stand in a line: every connection is the matrix that it is."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.network.discrete import Discrete
from spikebayes.network.network import Population, SpikingNetwork
from spikebayes.network.operators import Dense, Operator, Shape, size


def flattened(network: SpikingNetwork) -> SpikingNetwork:
    """The same network, for readers that know neither feature maps nor the axes of Flatten.

    Masks and what is drawn besides are the same: units keep their numbers. A convolution has as many weights as its
    matrix has entries, so this is for small ones. A network with max pooling stays as it is.

    Example:
        >>> from spikebayes.network import Connection, Input, Readout, Reshape
        >>> wires = (Connection("x", "readout", Reshape((4,))),)
        >>> maps = SpikingNetwork((Input("x", (2, 2)),), (), wires, Readout((4,)))
        >>> flattened(maps).inputs[0].shape, flattened(maps).connections[0].operator.weight.shape
        ((4,), torch.Size([4, 4]))
    """

    if any(p.neuron.pools for p in network.populations):
        return network

    def lined(node: Any) -> Any:
        changed: dict[str, Any] = {"shape": (size(node.shape),)}
        if getattr(node, "constant", None) is not None:
            changed["constant"] = node.constant.flatten()
        if isinstance(node, Population) and isinstance(node.neuron, Discrete):
            numbers = {f.name: getattr(node.neuron, f.name) for f in fields(node.neuron)}  # pyright: ignore[reportArgumentType]
            own = {k: v.expand(node.shape).flatten() for k, v in numbers.items() if isinstance(v, Tensor)}
            changed["neuron"] = replace(node.neuron, **own)  # pyright: ignore[reportArgumentType]
        return replace(node, **changed)

    return replace(
        network,
        inputs=tuple(map(lined, network.inputs)),
        populations=tuple(map(lined, network.populations)),
        connections=tuple(
            replace(c, operator=dense(c.operator, network.shape(c.source))) for c in network.connections
        ),
        readout=lined(network.readout),
    )


def dense(operator: Operator, source: Shape) -> Dense:
    """The matrix of an operator as weights from all units to all targets, of the operator's dtype."""
    matrix: Any = operator.matrix(source)
    weight = torch.from_numpy(matrix if isinstance(matrix, np.ndarray) else matrix.toarray()).T
    return Dense(weight.to(dtype_of(operator)).contiguous())


def dtype_of(operator: Operator) -> torch.dtype:
    """float64 if any numbers of an operator are, else float32."""
    return torch.float64 if any(b.dtype == torch.float64 for b in operator.buffers()) else torch.float32
