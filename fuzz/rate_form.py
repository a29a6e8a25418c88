"""A converted network with the rate curve of each LIF population in place of its spikes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikebayes.network import Input, Population, SpikingNetwork, size
from spikebayes.nn import SoftLIF
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys


def rates(network: SpikingNetwork, inputs: Sequence[Tensor], keys: Keys, gamma: float) -> Tensor:
    """``[R, *readout]`` in float64: what the module gives under the same masks, to rounding.

    That a LIF population fires at that rate is shown in ``tests/network/test_neurons.py``.

    Args:
        network: of LIF neurons.
        inputs: ``[R, *shape]`` of each argument.
        keys: of the masks of R (sample, row) pairs.
        gamma: width of the threshold of the module's SoftLIF units.
    """
    values: dict[str, Tensor] = {}

    def masked(node: Input | Population, value: Tensor) -> Tensor:
        if node.dropout is None:
            return value
        keep = dropout_keep(node.dropout, keys, size(node.shape)).reshape(value.shape)
        return keep * value / (1 - node.dropout.p)

    def driven(name: str, constant: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        total = torch.zeros(len(keys.samples), *shape, dtype=torch.float64) + (0 if constant is None else constant)
        return total + sum(c.operator(values[c.source]) for c in network.into(name))

    for node in network.inputs:
        values[node.name] = masked(node, inputs[node.argument])
    for p in network.populations:
        n = p.neuron
        curve = SoftLIF(gamma, n.tau_rc, n.tau_ref, n.amplitude, n.gain, n.bias)  # pyright: ignore
        values[p.name] = masked(p, curve(driven(p.name, p.constant, p.shape)))
    return driven(network.readout.name, network.readout.constant, network.readout.shape)
