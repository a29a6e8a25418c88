"""A network is laid out once by an engine, dtype and device, for as long as it and its tensors are what they were."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor

from spikebayes.engine.contract import Result, Work
from spikebayes.network.network import SpikingNetwork

Simulate = Callable[[Work], Result]


def prepared(network: SpikingNetwork, key: Hashable, prepare: Callable[[], Simulate]) -> Simulate:
    """What ``prepare`` gives, or gave for this network under this key.

    It is kept with the network and goes with it. Tensors are known again by a checksum, since not every way to change
    one in place is counted by torch: a network of 50 MB is read in 30 ms.

    Example:
        >>> import torch, spikebayes as sb
        >>> network = sb.convert(torch.nn.Sequential(torch.nn.Linear(2, 3), sb.nn.SoftLIF()), torch.zeros(1, 2))
        >>> laid_out = iter("ab")
        >>> prepared(network, "key", lambda: next(laid_out)), prepared(network, "key", lambda: next(laid_out))
        ('a', 'a')
        >>> network.populations[0].constant.data[0] += 1
        >>> prepared(network, "key", lambda: next(laid_out))
        'b'
    """
    checksums = [_checksum(tensor) for tensor in _tensors(network)]
    if key not in network.laid_out or network.laid_out[key][0] != checksums:
        network.laid_out[key] = checksums, prepare()
    return network.laid_out[key][1]


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _tensors(network: SpikingNetwork) -> Iterator[Tensor]:
    """Every one that the network is made of."""
    parts = [*network.populations, *(p.neuron for p in network.populations), network.readout]
    parts += [noise for c in network.connections if (noise := c.blank_out)]
    for part in parts:
        yield from (value for value in vars(part).values() if isinstance(value, Tensor))
    for connection in network.connections:
        yield from connection.operator.parameters()
        yield from connection.operator.buffers()
