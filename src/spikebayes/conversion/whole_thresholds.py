"""Threshold and sign neurons in whole numbers: they compare a sum with a threshold, and nothing else is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spikebayes.conversion.whole_paths import names_of
from spikebayes.conversion.whole_weights import (
    TINY,
    Scales,
    Source,
    Whole,
    Wire,
    blanked_wires,
    in_whole_numbers,
    kept,
    largest_sum,
    largest_weights,
    rows_of,
    whole_readout,
    with_whole_inputs,
    without_factor,
)
from spikebayes.errors import ConfigError
from spikebayes.network.network import Connection, Population, SpikingNetwork, output_scale
from spikebayes.network.neurons import Sign, Threshold
from spikebayes.network.noise import Gaussian
from spikebayes.network.operators import AdaptiveAvgPool, AvgPool

POOLS = (AvgPool, AdaptiveAvgPool)


def whole_thresholds(network: SpikingNetwork, bits: int, top: int, inputs: dict[str, Source]) -> Whole:
    """A network of threshold and sign neurons.

    Args:
        network: without memory.
        bits, top: of weights, and the largest.
        inputs: what the inputs give.

    Raises:
        ConfigError: other neurons, draws of real numbers, filters, pooling that is no OR, or sums beyond 32 bits.
    """
    _check(network)
    sources = inputs | {p.name: Source(1, output_scale(p, network.dt)) for p in network.populations}
    populations, connections, scales, constants, largest = [], [], {}, {}, {}
    for p in network.populations:
        if is_or(network, p):
            populations.append(_or(network, p))
            connections += network.into(p.name)
            continue
        wires = _wires(network, p.name, sources)
        count, rows = rows_of(wires, p.shape)
        scales[p.name] = scale = largest_weights(wires, count, rows).clamp(min=TINY) / top
        made, bound = in_whole_numbers(wires, Scales(scale, rows), p.shape)
        threshold = _threshold(p, scale[rows], bound)
        largest[p.name] = largest_sum(p.name, bound + 1 + threshold.abs())
        constants[p.name] = constant_synapses(threshold, top, max(w.most for w in wires))
        neuron = Sign() if isinstance(p.neuron, Sign) else Threshold(0.0)
        constant = kept(-threshold, p.constant, largest[p.name])
        populations.append(replace(without_factor(p), neuron=neuron, constant=constant))
        connections += made
    wires = _wires(network, network.readout.name, sources)
    readout, made, largest[network.readout.name], unit = whole_readout(network, wires, top)
    whole = replace(
        network,
        inputs=with_whole_inputs(network),
        populations=tuple(populations),
        connections=(*connections, *made),
        readout=readout,
    )
    widths = {"weight": bits, "threshold": bits, "sum": 32}
    return Whole(whole, scales, constants, largest, unit, widths)


def _wires(network: SpikingNetwork, target: str, sources: dict[str, Source]) -> list[Wire]:
    return [w for c in network.into(target) for w in blanked_wires(network, c, sources[c.source])]


def _threshold(population: Population, spread: Tensor, bound: Tensor) -> Tensor:
    """``[*shape]``, of each neuron."""
    constant = torch.zeros(population.shape) if population.constant is None else population.constant
    threshold = torch.ceil((_theta(population) - constant.double()) / spread)
    return threshold.clamp(-bound - 1, bound + 1)  # beyond every sum all thresholds are alike


def constant_synapses(threshold: Tensor, top: int, most: float) -> int:
    """The most that a neuron takes: its threshold is +-top at most, one adds up to top times a source's most."""
    rest = (threshold.abs() - top).clamp(min=0).max()
    return math.ceil(float(rest) / (top * most))


def _theta(population: Population) -> float:
    if isinstance(population.neuron, Sign):
        return 0.0
    if not isinstance(population.neuron, Threshold):
        raise ConfigError(
            f"population {population.name!r} has {type(population.neuron).__name__} neurons; whole numbers are for "
            "threshold and sign neurons, LIF, and those of a code in windows: " + _cure(population)
        )
    return population.neuron.threshold


def _cure(population: Population) -> str:
    if population.neuron.random:
        return (
            "units that fire with a probability draw real numbers; convert with sampling=Exact(), synapse by synapse"
        )
    return "train one of these, and convert it"


def _check(network: SpikingNetwork) -> None:
    for p in network.populations:
        _theta(p)
    for c in network.connections:
        where = f"the connection {c.source!r} to {c.target!r}"
        if c.synapse is not None:
            raise ConfigError(f"{where} has a filter; whole numbers have none onto threshold neurons: leave it out")
        if c.blank_out is not None and isinstance(c.blank_out.sampling, Gaussian):
            raise ConfigError(
                f"{where} draws sums of its synapses as real numbers; convert with sampling=Exact(), which draws "
                "every synapse"
            )


# -- max pooling -----------------------------------------------------------------------------------------------


def is_or(network: SpikingNetwork, population: Population) -> bool:
    """Whether a population is the OR that ``convert`` makes of max pooling; pooling of another kind is refused."""
    into = network.into(population.name)
    if not any(type(o) in POOLS for c in into for o in c.operator.parts):
        return False
    reason = _why_no_or(network, population, into)
    if reason:
        raise ConfigError(
            f"population {population.name!r} pools, but is not the OR of spikes that max pooling is: {reason}"
        )
    return True


def _why_no_or(network: SpikingNetwork, population: Population, into: Sequence[Connection]) -> str:
    first, *others = into
    pool, theta = first.operator, _theta(population)
    if others:
        return f"{len(into)} connections add up in it"
    if type(pool) is not AvgPool:
        return f"its connection is not just an AvgPool ({names_of(pool)})"
    source = next((p for p in network.populations if p.name == first.source), None)
    if source is None:
        return f"its source {first.source!r} is an input"
    if isinstance(source.neuron, Sign):
        return f"its source {first.source!r} gives -1 where it does not spike"
    if population.constant is not None and bool(population.constant.any()):
        return "it has a constant"
    window, spike = math.prod(pool.kernel), output_scale(source, network.dt)
    if not 0 < theta <= spike / window:
        return f"its threshold {theta:g} is not above 0 and at most {spike:g}/{window}, what one spike gives"
    return ""


def _or(network: SpikingNetwork, population: Population) -> Population:
    """The OR of spikes that are worth 1, whatever their mask made of them."""
    pool = network.into(population.name)[0].operator
    assert isinstance(pool, AvgPool)
    window = math.prod(pool.kernel)
    return replace(without_factor(population), neuron=Threshold(min(_theta(population), 1 / window)))
