"""What of a network is drawn: which nodes differ between samples, and how many Bernoulli bits that takes."""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.network.network import Connection, Input, Population, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise import Dropout, dropout_keep


def masked(node: Input | Population) -> bool:
    """Whether a mask can drop units of a node."""
    return node.dropout is not None and node.dropout.p > 0


def blanked(connection: Connection) -> bool:
    """Whether a connection's synapses can fail."""
    return connection.blank_out is not None and connection.blank_out.keep < 1


def drawn_nodes(network: SpikingNetwork) -> frozenset[str]:
    """Names of inputs and populations whose output differs between the samples of a row.

    Example:
        >>> from spikebayes import convert, zoo
        >>> sorted(drawn_nodes(convert(zoo.mlp(2, 1, [5, 4], 0.5), torch.zeros(1, 2))))
        ['layer1', 'layer4']
    """
    found = {i.name for i in network.inputs if masked(i)}
    for p in network.populations:
        if masked(p) or any(c.source in found or blanked(c) for c in network.into(p.name)):
            found.add(p.name)
    return frozenset(found)


def kept(node: Input | Population, seed: int, samples: Tensor, rows: Tensor, step: int = 0) -> Tensor:
    """``[R, N]`` bool: which units of a masked node are kept in a step, for R (sample, row) pairs."""
    assert node.dropout is not None
    return dropout_keep(node.dropout, seed, samples, rows, size(node.shape), step)


def fresh_steps(network: SpikingNetwork, steps: int) -> list[int]:
    """The steps, of T, in which some mask is new: the first, and those that redraw one."""
    noises = [n.dropout for n in (*network.inputs, *network.populations) if n.dropout and masked(n)]
    return [t for t in range(steps) if t == 0 or any(d.redraws(t) > d.redraws(t - 1) for d in noises)]


def mask_bits(network: SpikingNetwork, steps: int) -> int:
    """Bernoulli draws of the masks of one simulation of T steps; nodes that share draws of a site draw them once."""
    units: dict[Dropout, Tensor] = {}
    for node in (*network.inputs, *network.populations):
        d = node.dropout
        if d is None or not masked(node):
            continue
        span = torch.arange(d.offset, d.offset + -(-size(node.shape) // d.repeat))
        place = Dropout(d.p, d.hold, d.site, start=d.start, successive=d.successive)
        units[place] = torch.cat([units[place], span]) if place in units else span
    return sum(len(span.unique()) * (1 + d.redraws(steps - 1)) for d, span in units.items())


def blank_bits(network: SpikingNetwork, steps: int | None = None) -> int:
    """Bernoulli draws of blanked synapses, of one simulation of T steps; without steps, of all once."""
    return sum(
        size(network.shape(c.source)) * size(network.shape(c.target)) * (1 if steps is None else _blanks(c, steps))
        for c in network.connections
        if blanked(c)
    )


def currents(network: SpikingNetwork, connection: Connection, steps: int) -> int:
    """How many currents an input's connection gives in a simulation of T steps: one, and one for every redraw."""
    source = next(i for i in network.inputs if i.name == connection.source)
    redraws = source.dropout.redraws(steps - 1) if source.dropout and masked(source) else 0
    return max(1 + redraws, _blanks(connection, steps) if blanked(connection) else 1)


def _blanks(connection: Connection, steps: int) -> int:
    """How many times a blanked connection's synapses are drawn in T steps."""
    hold = connection.blank_out.hold if connection.blank_out else None
    return 1 if hold is None else -(-steps // hold)
