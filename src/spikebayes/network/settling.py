"""Settling: how long a network's filters remember that a simulation began with nothing.

A low-pass filter answers a step as the distribution function of an exponential variable with its time constant as
mean; filters in a row answer as that of the sum. So the start has died away to 1 % at the 99 % quantile of the sum:
with L Alpha filters of one time constant that of Gamma(2 L), times tau.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq

from spikebayes.errors import ConfigError
from spikebayes.network.network import Population, SpikingNetwork

SETTLED = 0.99  # share of a step that has come through
STEADY = 1e-6  # of the longest time constant: what is faster adds nothing to it
Chain = tuple[float, ...]  # time constants on one way, s, longest first


def settling_steps(network: SpikingNetwork) -> int | None:
    """Steps until 99 % of a step at the inputs has come through the slowest chain of filters; None without filters.

    Raises:
        ConfigError: a filter that never forgets.

    Example:
        >>> from torch import nn, zeros
        >>> from spikebayes import Alpha, convert
        >>> from spikebayes.nn import SoftLIF
        >>> model = nn.Sequential(nn.Linear(2, 3), SoftLIF(), nn.Linear(3, 3), SoftLIF(), nn.Linear(3, 1))
        >>> settling_steps(convert(model, zeros(1, 2), synapse=Alpha(0.02)))  # 10.045, of Gamma(4), x 20
        200
    """
    own = (p.neuron.time_constants(network.dt) for p in network.populations)
    if all(c.synapse is None for c in network.connections) and not any(own):
        return None
    return int(max(map(quantile, chains(network))) / network.dt)


def chains(network: SpikingNetwork) -> set[Chain]:
    """The filters on every way to the read-out, but for ways that no filter is slower on than on another; those of
    neurons are among them."""
    ways: dict[str, set[Chain]] = {i.name: {()} for i in network.inputs}
    for node in (*network.populations, network.readout):
        inside = node.neuron.time_constants(network.dt) if isinstance(node, Population) else ()
        found: set[Chain] = {inside}
        for c in network.into(node.name):
            own = () if c.synapse is None else c.synapse.time_constants(network.dt)
            found |= {tuple(sorted((*way, *own, *inside), reverse=True)) for way in ways[c.source]}
        ways[node.name] = {w for w in found if not any(_slower(other, w) for other in found if other != w)}
    return ways[network.readout.name]


def _slower(first: Chain, second: Chain) -> bool:
    """Whether a chain has a filter as slow for each of another's."""
    return len(first) >= len(second) and all(a >= b for a, b in zip(first, second, strict=False))


@cache
def quantile(chain: Chain) -> float:
    """The 99 % quantile of a sum of exponential variables with these means, s: a phase-type distribution.

    Reference:
        Neuts 1981, Matrix-geometric solutions in stochastic models, ch. 2.

    Example:
        >>> from scipy.stats import gamma
        >>> bool(abs(quantile((3.0,) * 12) - 3 * gamma.ppf(0.99, 12)) < 1e-6)
        True
    """
    if not chain:
        return 0.0
    longest = chain[0]
    if not math.isfinite(longest):
        raise ConfigError(
            "a filter of the network never forgets, so its start never dies away; give steps and burn_in"
        )
    rates = [longest / tau for tau in chain if tau > STEADY * longest]
    generator = np.diag([-r for r in rates]) + np.diag(rates[:-1], 1)

    def left(t: float) -> float:
        return float(expm(t * generator)[0].sum()) - (1 - SETTLED)

    return longest * float(brentq(left, 0.0, 5 * len(rates) + 5, xtol=1e-9))  # pyright: ignore[reportArgumentType]
