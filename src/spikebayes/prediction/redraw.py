"""Masks redrawn during one simulation: all samples of a row out of a single run (Wycoff 2019, section 4).

The start of a simulation, when every filter still rises from 0, is then paid for once instead of once a sample.
After a redraw the network remembers the last mask for a while, in its filters and membranes; what is read then is a
mixture of two samples, and averaging mixtures narrows the distribution. ``gap`` leaves such steps out; ``stagger``
redraws deeper layers later, by as much as a change needs to reach them, so that the read-out hears all masks change
at about the same time, and a hold need not be as long as the way through the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import is_whole
from spikebayes.network.network import Input, Population, SpikingNetwork
from spikebayes.network.timing import Flat, Window

BY_ITSELF = "is drawn anew in every step: redraw is for networks with dropout only; leave it out"


@checked
@dataclass(frozen=True)
class Redraw:
    """How samples follow one another in one run: sample s is the average over the last hold - gap of its steps.

    Args:
        hold: steps for which each mask is held.
        gap: steps left out after each redraw.
        lead: steps before the first sample's ``hold``, under its mask, in which the initial transient decays.
        stagger: steps by which redraws lag from one filter to the next on the longest way from the inputs.
        carry_over: share in [0, 1/2) of a sample that comes from the previous mask; it is removed,
            ``(y_s - carry_over y_{s-1}) / (1 - carry_over)``. See :func:`estimate_carry_over`.

    Raises:
        ConfigError: a number of steps that is not whole or out of range, a carry_over outside [0, 1/2).

    Example:
        >>> Redraw(hold=40, gap=20, lead=60).steps(samples=100)
        4060
    """

    hold: int
    gap: int = 0
    lead: int = 0
    stagger: int = 0
    carry_over: float = 0.0

    def __post_init__(self) -> None:
        if not is_whole(self.hold) or self.hold < 1:
            raise ConfigError(f"hold must be a whole number of steps, at least 1; got {self.hold!r}")
        if not is_whole(self.gap) or not 0 <= self.gap < self.hold:
            raise ConfigError(f"gap must be a whole number in [0, hold); got {self.gap!r} with hold={self.hold}")
        for name, value in (("lead", self.lead), ("stagger", self.stagger)):
            if not is_whole(value) or value < 0:
                raise ConfigError(f"{name} must be a whole number of steps, 0 or more; got {value!r}")
        for name in ("hold", "gap", "lead", "stagger"):
            object.__setattr__(self, name, int(getattr(self, name)))  # NumPy's integers are no JSON
        if not 0 <= self.carry_over < 0.5:
            raise ConfigError(f"carry_over must lie in [0, 1/2); got {self.carry_over}")

    def steps(self, samples: int, network: SpikingNetwork | None = None) -> int:
        """Steps of a run that gives this many samples; a network is needed where redraws are staggered."""
        delay = 0 if network is None else self.delays(network)[network.readout.name]
        return self.lead + delay + samples * self.hold

    def delays(self, network: SpikingNetwork) -> dict[str, int]:
        """Steps by which each node's redraws, and the read-out's windows, lag behind the inputs' redraws."""
        filters = {i.name: 0 for i in network.inputs}
        for node in (*network.populations, network.readout):
            own = isinstance(node, Population) and bool(node.neuron.time_constants(network.dt))
            ways = (filters[c.source] + (own or c.synapse is not None) for c in network.into(node.name))
            filters[node.name] = max(ways, default=0)
        return {name: self.stagger * count for name, count in filters.items()}

    def apply(self, network: SpikingNetwork) -> SpikingNetwork:
        """The network with its masks redrawn in this way: a run of sample s goes through the masks of s, s + 1, ...

        Raises:
            ConfigError: noise on synapses or stochastic units, which are drawn anew in every step already, or a coded
                network, whose masks are drawn anew in every window.
        """
        if network.code is not None:
            raise ConfigError("a coded network draws new masks in every window anyway; leave redraw out")
        if any(c.blank_out for c in network.connections):
            raise ConfigError(f"noise on synapses {BY_ITSELF}")
        if any(p.neuron.random for p in network.populations):
            raise ConfigError(f"a stochastic unit {BY_ITSELF}")
        delays = self.delays(network)
        inputs = tuple(self._redrawn(i, delays[i.name]) for i in network.inputs)
        populations = tuple(self._redrawn(p, delays[p.name]) for p in network.populations)
        return replace(network, inputs=inputs, populations=populations)

    def average(self, trace: Tensor, window: Window = Flat()) -> Tensor:
        """Samples ``[S, B, C]`` from the read-outs ``[B, T, C]`` of a run, without the first :meth:`delays` steps."""
        periods = trace[:, self.lead :].unflatten(1, (-1, self.hold))[:, :, self.gap :].double()  # [B, S, read, C]
        read = torch.zeros_like(periods[:, :, 0])
        for step, weight in enumerate(window.weights(self.hold - self.gap).tolist()):
            read += (
                weight * periods[:, :, step]
            )  # one after another: a product's order depends on how many rows there are
        read = read.transpose(0, 1)
        if not self.carry_over:
            return read.to(trace.dtype)
        before = torch.cat([read[:1], read[:-1]])
        return ((read - self.carry_over * before) / (1 - self.carry_over)).to(trace.dtype)

    def _redrawn(self, node: Any, delay: int) -> Input | Population:
        if node.dropout is None:
            return node
        dropout = replace(node.dropout, hold=self.hold, start=self.lead + delay, successive=True)
        return replace(node, dropout=dropout)


@checked
def estimate_carry_over(samples: Tensor) -> float:
    """The share of a sample that comes from the previous mask, estimated from the correlation of successive samples.

    With y_s = (1 - a) f_s + a f_{s-1} and independent f, successive samples have the correlation a (1 - a) / (a^2 +
    (1 - a)^2).

    Args:
        samples: ``[S, B, C]`` in the order in which they were drawn, S >= 3.

    Returns:
        a in [0, 1/2); 0 where successive samples are not positively correlated.

    Raises:
        ConfigError: fewer than 3 samples, or samples of another shape.

    Example:
        >>> f = torch.randn(2000, 5, 1, generator=torch.Generator().manual_seed(0))
        >>> round(estimate_carry_over(0.9 * f[1:] + 0.1 * f[:-1]), 1)
        0.1
    """
    if samples.ndim != 3:
        raise ConfigError(f"samples must be [S, B, C]; got {list(samples.shape)}")
    if len(samples) < 3:
        raise ConfigError(f"a correlation of neighbours needs at least 3 samples; got {len(samples)}")
    centred = samples.double() - samples.double().mean(0)
    variance = centred.pow(2).mean(0)
    correlation = float(((centred[1:] * centred[:-1]).mean(0) / variance)[variance > 0].mean())
    correlation += 1 / len(samples)  # what centring on the samples' own mean takes away
    if not correlation > 0:
        return 0.0
    # the smaller root of (2 r + 1) a^2 - (2 r + 1) a + r = 0
    share = correlation / (2 * correlation + 1)
    return min(0.5 * (1 - max(0.0, 1 - 4 * share) ** 0.5), 0.49)
