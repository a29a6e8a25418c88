"""What of a network is drawn: which nodes differ between samples, and how many Bernoulli draws that takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.fan_out import Stages
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.noise import Dropout, Gaussian, Noise
from spikebayes.network.operators import size
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys


def masked(node: Input | Population) -> bool:
    """Whether a mask can drop units of a node."""
    return node.dropout is not None and node.dropout.acts


def blanked(connection: Connection) -> bool:
    """Whether a connection's synapses can fail."""
    return connection.blank_out is not None and connection.blank_out.acts


def stochastic(node: Input | Population | Readout) -> bool:
    """Whether a node's units fire by chance."""
    return isinstance(node, Population) and node.neuron.random


def drawn_nodes(network: SpikingNetwork) -> frozenset[str]:
    """Names of inputs and populations whose output differs between the samples of a row.

    Example:
        >>> from spikebayes import convert
        >>> from spikebayes.nn import zoo
        >>> sorted(drawn_nodes(convert(zoo.mlp(2, 1, [5, 4], 0.5), torch.zeros(1, 2))))
        ['layer1', 'layer4']
    """
    found = {i.name for i in network.inputs if masked(i)}
    for p in network.populations:
        if masked(p) or stochastic(p) or any(c.source in found or blanked(c) for c in network.into(p.name)):
            found.add(p.name)
    return frozenset(found)


def kept(node: Input | Population, keys: Keys, step: int = 0) -> Tensor:
    """``[R, N]`` bool: which units of a masked node are kept in a step, for R (sample, row) pairs."""
    assert node.dropout is not None
    return dropout_keep(node.dropout, keys, size(node.shape), step)


def fresh_steps(network: SpikingNetwork, steps: int) -> list[int]:
    """The steps, of T, in which something is drawn: the first, and those that renew a mask, synapses or units."""
    if any(stochastic(p) for p in network.populations):
        return list(range(steps))
    noises: list[Noise | None] = [n.dropout for n in (*network.inputs, *network.populations)]
    noises += [c.blank_out for c in network.connections]
    acting = [noise for noise in noises if noise is not None and noise.acts]
    return [t for t in range(steps) if t == 0 or any(noise.is_drawn_in(t) for noise in acting)]


def draws(network: SpikingNetwork, steps: int) -> int:
    """Bernoulli draws of one simulation of T steps: of masks, of synapses and of stochastic units.

    Nodes and connections that share the draws of a site draw them once.

    Raises:
        ConfigError: synapses whose sum is drawn from a normal distribution, which is no Bernoulli draw.
    """
    return mask_bits(network, steps) + blank_bits(network, steps) + unit_bits(network, steps)


def mask_bits(network: SpikingNetwork, steps: int) -> int:
    """Of the masks."""
    units: dict[Dropout, Tensor] = {}
    for node in (*network.inputs, *network.populations):
        d = node.dropout
        if d is None or not masked(node):
            continue
        span = torch.arange(d.offset, d.offset + -(-size(node.shape) // d.repeat))
        place = Dropout(d.p, d.hold, d.site, start=d.start, successive=d.successive)
        units[place] = torch.cat([units[place], span]) if place in units else span
    return sum(len(span.unique()) * (1 + d.redraws(steps - 1)) for d, span in units.items())


def blank_bits(network: SpikingNetwork, steps: int) -> int:
    """Of synapses that blank out: all that exist, which at the borders of a convolution are fewer."""
    sites: dict[Any, int] = {}
    for c in network.connections:
        if c.blank_out is None or not blanked(c):
            continue
        if isinstance(c.blank_out.sampling, Gaussian):
            raise ConfigError(
                f"connection {c.source} -> {c.target} draws sums of synapses, not synapses, so there are no "
                "Bernoulli draws to count: use sampling=Exact(), or Law()"
            )
        place = c.blank_out.site, c.blank_out.keep, c.blank_out.hold, c.blank_out.successive
        sites[place] = max(_synapses(c, network) * _blanks(c, steps), sites.get(place, 0))
    return sum(sites.values())


def unit_bits(network: SpikingNetwork, steps: int) -> int:
    """Of stochastic units, one for each and step."""
    sites: dict[int, int] = {}
    for p in network.populations:
        if p.neuron.random:
            sites[p.neuron.site] = max(size(p.shape), sites.get(p.neuron.site, 0))
    return steps * sum(sites.values())


def currents(network: SpikingNetwork, connection: Connection, steps: int) -> int:
    """How many currents an input's connection gives in a simulation of T steps: one, and one for every redraw."""
    source = next(i for i in network.inputs if i.name == connection.source)
    redraws = source.dropout.redraws(steps - 1) if source.dropout and masked(source) else 0
    return max(1 + redraws, _blanks(connection, steps) if blanked(connection) else 1)


def _synapses(connection: Connection, network: SpikingNetwork) -> int:
    """Of a connection's last operator, from places that its others lead to."""
    source = network.shape(connection.source)
    *before, last = Stages().of(connection.operator, source)
    reached = torch.ones(1, *source, dtype=torch.float64)
    for stage in before:
        reached = (stage.pattern.forward(reached) > 0).double()
    return int(last.pattern.forward(reached).sum())


def _blanks(connection: Connection, steps: int) -> int:
    """How many times a blanked connection's synapses are drawn in T steps."""
    return 1 if connection.blank_out is None else 1 + connection.blank_out.redraws(steps - 1)
