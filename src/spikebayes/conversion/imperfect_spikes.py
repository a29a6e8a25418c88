"""Chips whose spikes arrive early or late, or get lost."""

from __future__ import annotations

from dataclasses import replace

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.noise import SpikeNoise


@checked
def with_spike_noise(network: SpikingNetwork, *, jitter: float = 0.0, loss: float = 0.0) -> SpikingNetwork:
    """A coded network on a chip whose spikes arrive early, late or never, anew in every window.

    A spike counts for the tick in which it arrives; :class:`spikebayes.network.SpikeNoise` says what happens to those
    that would leave their window. What is drawn depends on the prediction's seed, the sample and the row, as masks
    do. Counts of spikes, and so the energy, are those of the spikes sent. For weights of few bits use
    :func:`spikebayes.quantised`.

    Args:
        network: one that was converted with a code. Spike noise that it has is replaced.
        jitter: standard deviation of a spike's displacement, in ticks.
        loss: probability in [0, 1) that a spike gets lost. With both 0 spikes are perfect.

    Raises:
        ConfigError: jitter or loss out of range; jitter where spikes carry payloads; a network that steps freely.

    Reference:
        Goeltz et al. 2021, Nat. Mach. Intell. 3:823 (first spikes on BrainScaleS-2, with such noise).

    Example:
        >>> import torch
        >>> from spikebayes import Digits, convert
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> network = convert(model, torch.rand(100, 2), code=Digits(4, 4))
        >>> with_spike_noise(network, jitter=0.5, loss=0.01).populations[0].spike_noise
        SpikeNoise(jitter=0.5, loss=0.01, site=1)
    """
    if network.code is None:
        raise ConfigError(
            "the network's neurons step freely: only in windows of ticks does the time of a spike tell a number. "
            "Convert with a code, as Digits(4, 4); or make synapses unreliable, by with_blank_out"
        )
    network = replace(network, populations=tuple(replace(p, spike_noise=None) for p in network.populations))
    races = {p.name for p in network.populations if p.neuron.pools}
    heard = {c.source for c in network.connections if c.target not in races}
    site, made = network.free_site, []
    for p in network.populations:
        noise = SpikeNoise(float(jitter), float(loss), site)
        if p.name in heard and noise.acts:
            p, site = replace(p, spike_noise=noise), site + 1
        made.append(p)
    return replace(network, populations=tuple(made))
