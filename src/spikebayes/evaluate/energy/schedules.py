"""How long a run lasts and which neurons work in it: steps of free-running neurons, or windows of a coded network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.evaluate.energy.random_bits import kept, masked
from spikebayes.network.network import Population, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise.keys import Keys


class Schedule(ABC):
    """What a tally must know of time.

    Attributes:
        steps: of one run, ticks where the network is coded.
        drawn_steps: of a sample, as its noise counts them.
    """

    steps: int
    drawn_steps: int

    @abstractmethod
    def runs(self, pairs: int, rows: int) -> int:
        """How many runs so many (sample, row) pairs take, of so many rows."""

    @abstractmethod
    def updates(self, population: Population, keys: Keys) -> int:
        """Neuron updates on behalf of R pairs: of neurons at work that no mask takes out."""

    @abstractmethod
    def idle(self, population: Population, rows: int) -> int:
        """Updates of neurons with nothing to do, in the runs of so many rows."""


@dataclass(frozen=True)
class Steps(Schedule):
    """T steps for every pair; every neuron works in all of them.

    Args:
        steps: T.
    """

    steps: int

    @property
    def drawn_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.steps

    def runs(self, pairs: int, rows: int) -> int:
        return pairs

    def updates(self, population: Population, keys: Keys) -> int:
        drop = population.dropout
        taken_out = masked(population) and drop is not None and drop.redraws(self.steps - 1) == 0
        neurons = int(kept(population, keys).sum()) if taken_out else len(keys) * size(population.shape)
        return self.steps * neurons

    def idle(self, population: Population, rows: int) -> int:
        return 0


class Windows(Schedule):
    """One run of S + depth windows gives all S samples of a row.

    In the window in which a population tells sample t it takes in what it will tell of later ones: t + 1, and t + k
    from a source that is k populations before it. A neuron works there if a mask keeps it in one of these samples;
    dropped from all of them, it is taken out. An update is one tick of a neuron, whether it sends, takes in or both:
    in a run of one sample a neuron is awake in two windows, in a long run in about one for each sample.

    Args:
        network: a coded one.
        samples: S.
    """

    drawn_steps = 1

    def __init__(self, network: SpikingNetwork, samples: int) -> None:
        assert network.code is not None
        depths = network.depths
        self.ticks, self.samples = network.code.ticks, samples
        self.windows = samples + max(depths.values())
        self.steps = self.windows * self.ticks
        #: by population, how many samples behind the one that it tells are those that it takes in meanwhile
        self.ahead = {
            p.name: sorted({0} | {depths[p.name] - depths[c.source] for c in network.into(p.name)})
            for p in network.populations
        }

    def runs(self, pairs: int, rows: int) -> int:
        return rows

    def updates(self, population: Population, keys: Keys) -> int:
        ahead = self.ahead[population.name]
        first = keys.at(keys.samples == 0)
        found = int(self._at_work(population, keys, ahead).sum())
        for early in range(1, ahead[-1] + 1):  # windows in which it takes in, and has nothing yet to tell
            found += int(self._at_work(population, first, [k - early for k in ahead if k >= early]).sum())
        return self.ticks * found

    def idle(self, population: Population, rows: int) -> int:
        ahead, told = self.ahead[population.name], range(-self.windows, self.samples)
        busy = sum(any(0 <= t + k < self.samples for k in ahead) for t in told)
        return self.ticks * rows * size(population.shape) * (self.windows - busy)

    def _at_work(self, population: Population, keys: Keys, ahead: list[int]) -> Tensor:
        """``[R, N]`` bool: neurons kept in one of the samples so far ahead of those of R pairs."""
        found = torch.zeros(len(keys), size(population.shape), dtype=torch.bool)
        for later in map(keys.later, ahead):
            there = (later.samples < self.samples)[:, None]
            found |= there & kept(population, later) if masked(population) else there
        return found
