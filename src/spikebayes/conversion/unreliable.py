"""A posterior for a network that has none, by making its synapses unreliable."""

from __future__ import annotations

from dataclasses import replace

from spikebayes.conversion.exact_sums import on_grid
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.noise import BlankOut, Exact, Gaussian, check_keep


@checked
def with_blank_out(
    network: SpikingNetwork, keep: float, *, sampling: Exact | Gaussian | None = None, inputs: bool = False
) -> SpikingNetwork:
    """Every synapse between neurons transmits with a probability, drawn anew in every step.

    Weights become w/keep, so that every neuron's mean input stays what it was, on the grid
    (``exact_sums.on_grid``) where sums over spikes are exact; a threshold network that was trained without noise then
    samples networks around itself, one per step.

    Args:
        network: any. Connections onto the read-out stay reliable, and those through anything that does not end in a
            Dense operator or an ungrouped Conv: grouped convolutions, pooling.
        keep: probability in (0, 1) that a synapse transmits.
        sampling: :class:`Exact` by default, or :class:`Gaussian`.
        inputs: make the synapses of the network's inputs unreliable too.

    Raises:
        ConfigError: keep outside (0, 1), a network that has such synapses already, or none that could become so.

    Reference:
        Neftci 2017, eq. 2 without a_i; as DropConnect: Wan et al. 2013, ICML.

    Example:
        >>> import torch
        >>> from spikebayes import Connection, Input, Population, Readout
        >>> from spikebayes.network import Dense, Threshold
        >>> layers = Input("x", (3,)), Population("hidden", (4,), Threshold()), Readout((2,))
        >>> wires = (Connection("x", "hidden", Dense(torch.ones(4, 3))),
        ...     Connection("hidden", "readout", Dense(torch.ones(2, 4))))
        >>> net = SpikingNetwork(layers[:1], layers[1:2], wires, layers[2])
        >>> noisy = with_blank_out(net, 0.8, inputs=True)
        >>> noisy.connections[0].blank_out.keep, noisy.connections[1].blank_out
        (0.8, None)
    """
    check_keep(keep)
    if keep == 1:
        raise ConfigError("keep must be below 1: synapses that always transmit add no randomness")
    if any(c.blank_out for c in network.connections):
        raise ConfigError("the network has synapses that blank out already; give one without")
    populations = {p.name for p in network.populations}
    sources = populations | ({i.name for i in network.inputs} if inputs else set())
    site = network.free_site
    made = []
    for c in network.connections:
        if c.source in sources and c.target in populations and c.operator.weight_rows():
            last = c.operator.parts[-1]
            assert last.weight is not None
            heavier = last.with_weight(on_grid(last.weight / keep))
            noise = BlankOut(keep, 0.0, 1, site, sampling or Exact(), successive=True)
            c = replace(c, operator=c.operator.ending_in(heavier), blank_out=noise)
            site += 1
        made.append(c)
    if all(c.blank_out is None for c in made):
        raise ConfigError("the network has no dense or convolutional synapses between neurons")
    return replace(network, connections=tuple(made))
