"""How much work a network's simulation is: synaptic events and neuron updates, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes import Connection, Population, SpikingNetwork, simulate
from spikebayes.network import size


@dataclass(frozen=True)
class Operations:
    """What a number of spikes costs in a network.

    Args:
        neurons: by population.
        fan_out: for each population, to how many neurons a spike of it goes on average.
        readout: the same to units of the read-out.
        kept: the same as ``fan_out``, counting neurons that no mask drops alone.
        kept_neurons: neurons that no mask drops, on average over masks, by population.
    """

    neurons: dict[str, int]
    fan_out: dict[str, float]
    readout: dict[str, float]
    kept: dict[str, float]
    kept_neurons: dict[str, float]

    def events(self, spikes: Mapping[str, float]) -> float:
        """Weights added between populations: sum over populations of spikes x fan-out."""
        return sum(spikes[name] * self.fan_out[name] for name in self.neurons)

    def readout_events(self, spikes: Mapping[str, float]) -> float:
        """Weights of the read-out that spikes touch, which an engine that averages over time need not add."""
        return sum(spikes[name] * self.readout[name] for name in self.neurons)

    def updates(self, row_steps: float) -> float:
        """Neuron updates: every neuron in every step of every row."""
        return row_steps * sum(self.neurons.values())

    def kept_events(self, spikes: Mapping[str, float]) -> float:
        """``events`` that reach neurons which are not dropped: the least that must be added."""
        return sum(spikes[name] * self.kept[name] for name in self.neurons)

    def kept_updates(self, row_steps: float) -> float:
        """``updates`` of neurons which are not dropped."""
        return row_steps * sum(self.kept_neurons.values())


def operations(network: SpikingNetwork, inputs: tuple[Tensor, ...], *, rows: int = 4, steps: int = 100) -> Operations:
    """Fan-out of every population, over where its spikes are: in a convolution a spike at an edge reaches fewer.

    Args:
        network: the network.
        inputs: ``[B, *shape]`` each; the first rows are simulated to see which neurons fire.
        rows, steps: of that simulation.
    """
    probed = simulate(network, tuple(part[:rows] for part in inputs), steps=steps, probe=["spikes"])
    populations = {p.name: p for p in network.populations}
    share = {name: _share(spikes) for name, spikes in probed.spikes.items()}
    zero = dict.fromkeys(populations, 0.0)
    fan_out, readout, kept = zero.copy(), zero.copy(), zero.copy()
    for connection in network.connections:
        source, target = connection.source, connection.target
        if source not in populations:
            continue
        reached = float(share[source] @ _reached(network, connection))
        if target not in populations:
            readout[source] += reached
            continue
        fan_out[source] += reached
        kept[source] += reached * _keep(populations[target])
    neurons = {name: size(p.shape) for name, p in populations.items()}
    kept_neurons = {name: n * _keep(populations[name]) for name, n in neurons.items()}
    return Operations(neurons, fan_out, readout, kept, kept_neurons)


def _share(spikes: Tensor) -> NDArray[np.float64]:
    """``[N]`` share of a population's spikes that each neuron has, from ``[S, B, T, N]``; equal shares of none."""
    counts = spikes.sum((0, 1, 2), dtype=torch.float64).numpy()
    return counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / len(counts))


def _reached(network: SpikingNetwork, connection: Connection) -> NDArray[np.float64]:
    """``[N_source]`` number of targets that a spike of each neuron reaches."""
    matrix = connection.operator.matrix(network.shape(connection.source))
    if isinstance(matrix, np.ndarray):
        return np.count_nonzero(matrix, axis=1).astype(float)
    return np.diff(matrix.indptr).astype(float)


def _keep(population: Population) -> float:
    return 1 - population.dropout.p if population.dropout else 1.0
