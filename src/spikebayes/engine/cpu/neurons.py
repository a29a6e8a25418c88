"""The neurons and filters that the compiled loops run, each as the numbers that they read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from spikebayes.network.discrete import DiscreteLIF
from spikebayes.network.neurons import LIF, Neuron, Threshold
from spikebayes.network.synapses import Alpha, Lowpass, Synapse


class Compiled(NamedTuple):
    """A neuron as the loops run it.

    Args:
        is_lif: else a threshold unit.
        numbers: threshold (of LIF the lowest voltage), decay of a step, 1 - decay, exp(tau_ref / tau_rc), and the
            most that stays after a spike of what lay over the threshold: 0 resets.
        gain, bias: current per unit of input, and without input.
        current: a, b, c, d of a filter of its own, see ``SYNAPSES``, which delivers in the same step.
    """

    is_lif: bool
    numbers: tuple[float, float, float, float, float]
    gain: float = 1.0
    bias: float = 0.0
    current: tuple[float, float, float, float] | None = None


def _lif(neuron: LIF, dt: float) -> Compiled:
    decay = dt / neuron.tau_rc
    numbers = 0.0, math.exp(-decay), -math.expm1(-decay), math.exp(neuron.tau_ref / neuron.tau_rc), 0.0
    return Compiled(True, numbers, neuron.gain, neuron.bias)


def _discrete_lif(neuron: DiscreteLIF, dt: float) -> Compiled:
    """Of one number for each parameter, threshold 1, 0 at rest, and 0 or what is over 1 after a spike.

    After a spike a neuron is free for the whole next step: 0 in the place of exp(tau_ref / tau_rc).
    """
    r, leak, w_in = float(neuron.r), dt / float(neuron.tau_mem), float(neuron.w_in)
    numbers = -math.inf, 1 - leak, leak, 0.0, math.inf if neuron.v_reset is None else 0.0
    if neuron.tau_syn is None:
        return Compiled(True, numbers, r)
    share = dt / float(neuron.tau_syn)
    return Compiled(True, numbers, r * w_in, current=(1 - share, share, 0.0, share))


def _threshold(neuron: Threshold, dt: float) -> Compiled:
    return Compiled(False, (neuron.threshold, 0.0, 0.0, 0.0, 0.0))


#: the neurons that the loops run, each from its parameters and dt
NEURONS: dict[type[Neuron], Callable[[Any, float], Compiled]] = {
    LIF: _lif,
    DiscreteLIF: _discrete_lif,
    Threshold: _threshold,
}


def _lowpass(synapse: Lowpass, dt: float) -> tuple[float, float, float, float]:
    a, b = synapse.coefficients(dt)
    return a, b, 0.0, b


#: the filters that the loops run, as a, b, c, d of y <- a y + c x + d u, x <- a x + b u
SYNAPSES: dict[type[Synapse], Callable[[Any, float], tuple[float, ...]]] = {
    Lowpass: _lowpass,
    Alpha: lambda synapse, dt: synapse.coefficients(dt),
}
NO_FILTER = (0.0, 0.0, 0.0, 1.0)
