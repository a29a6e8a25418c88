"""The cheapest code that keeps a network's predictive distribution to a given error."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from spikebayes.conversion.activations import Rate
from spikebayes.conversion.calibration import Calibration
from spikebayes.conversion.encoding import encode, largest_values
from spikebayes.conversion.paired_error import outputs, relative_error, some_rows
from spikebayes.errors import ConfigError
from spikebayes.network.codes import Code, Digits, FirstSpike, Graded, Radix
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size

#: families of codes of 4 to 10 bits for values that are told by when they are reached; from few levels to many
TIMED: tuple[tuple[Code, ...], ...] = (
    tuple(Radix(bits) for bits in range(4, 11)),
    tuple(Digits(4, digits) for digits in range(2, 6)),
    tuple(Digits(8, digits) for digits in (2, 3)),
    tuple(FirstSpike(levels) for levels in (16, 32, 64, 128)),
)
PAYLOADS: tuple[tuple[Code, ...], ...] = (tuple(Graded(bits) for bits in range(4, 15)),)
ROWS, SAMPLES = 100, 50  # that an error is measured on


class Prices(Protocol):
    """What a device pays, J (``spikebayes.Device`` is one)."""

    synaptic_event_j: float
    neuron_update_j: float


Cost = Literal["ticks"] | Prices


@dataclass(frozen=True)
class Tried:
    """A code on the calibration rows.

    Args:
        code, network: what was tried.
        error: median over rows of the paired rms difference over the predictive standard deviation.
        cost: of a sample, in ticks or in joules.
    """

    code: Code
    network: SpikingNetwork
    error: float
    cost: float


def choose(
    network: SpikingNetwork, calibration: Calibration, headroom: float, error: float, cost: Cost
) -> SpikingNetwork:
    """The network under the cheapest code whose error on the calibration rows is at most the one asked for.

    Args:
        network: of ``Rate`` units.
        calibration, headroom: as for ``encode``.
        error: median over rows of the paired rms difference over the predictive standard deviation; of a network
            without dropout, over the standard deviation over rows.
        cost: of ticks per sample, or of joules by a device's prices: events of its spikes, and an update of every
            neuron in every tick.

    Warns:
        UserWarning: no code reaches the error; the most exact one is given.
    """
    if not error > 0:
        raise ConfigError(f"error must be positive; got {error}")
    rises_and_falls = any(
        isinstance(p.neuron, Rate) and not p.neuron.activation.monotone for p in network.populations
    )
    families = PAYLOADS if rises_and_falls else TIMED
    rows = some_rows(calibration, ROWS, SAMPLES)
    expected, _ = outputs(network, rows)
    largest = largest_values(network, calibration)

    def attempt(code: Code) -> Tried:
        made = encode(network, code, calibration, headroom, largest)
        given, spikes = outputs(made, rows)
        return Tried(code, made, relative_error(expected, given), _cost(made, spikes, cost))

    tried: list[Tried] = []
    for levels in sorted({code.highest for family in families for code in family}):  # the error is that of the levels
        tried.append(attempt(next(c for family in families for c in family if c.highest == levels)))
        if tried[-1].error <= error:
            enough = (next((c for c in family if c.highest >= levels), None) for family in families)
            others = [attempt(code) for code in enough if code is not None and code != tried[-1].code]
            good = [t for t in (tried[-1], *others) if t.error <= error]
            return min(good, key=lambda t: (t.cost, t.error)).network
    best = min(tried, key=lambda t: t.error)
    warnings.warn(
        f"no code reaches an error of {error:g} of the predictive standard deviation on the calibration rows; "
        f"{best.code} comes closest, with {best.error:.2g}",
        stacklevel=4,
    )
    return best.network


def _cost(network: SpikingNetwork, spikes: dict[str, float], cost: Cost) -> float:
    assert network.code is not None
    if cost == "ticks":
        return network.code.ticks
    events = 0.0
    for c in network.connections:
        if c.source in spikes:
            source = network.shape(c.source)
            synapses = float(c.operator.pattern(source).forward(torch.ones(1, *source, dtype=torch.float64)).sum())
            events += spikes[c.source] * synapses / size(source)
    updates = network.neurons * network.code.ticks
    return events * cost.synaptic_event_j + updates * cost.neuron_update_j  # pyright: ignore[reportAttributeAccessIssue]
