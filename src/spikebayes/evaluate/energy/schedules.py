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
    dropped from all of them, it is taken out. What no mask reaches is told once, with sample 0, and held. An update
    is one tick of a neuron, whether it sends, takes in or both: in a run of one sample a neuron is awake in two
    windows, in a long run in about one for each sample.

    Args:
        network: a coded one.
        samples: S.
    """

    drawn_steps = 1
    ticks: int
    samples: int
    once: frozenset[str]
    windows: int
    steps: int

    def __init__(self, network: SpikingNetwork, samples: int) -> None:
        assert network.code is not None
        depths = network.depths
        self.ticks, self.samples, self.once = network.code.ticks, samples, network.told_once
        self.windows = samples + max(depths.values())
        self.steps = self.windows * self.ticks
        self.ahead: dict[str, list[int]] = {}  # how many samples behind the one told are those taken in meanwhile
        self.held: dict[str, list[int]] = {}  # the same of what is told once: only sample 0 is
        for p in network.populations:
            for kept_in, sources in ((self.ahead, False), (self.held, True)):
                into = [c for c in network.into(p.name) if (c.source in self.once) is sources]
                kept_in[p.name] = sorted({depths[p.name] - depths[c.source] for c in into})

    def runs(self, pairs: int, rows: int) -> int:
        return rows

    def updates(self, population: Population, keys: Keys) -> int:
        first = keys.at(keys.samples == 0)
        early = max([0, *self.ahead[population.name], *self.held[population.name]])
        found = int(self._at_work(population, first if population.name in self.once else keys, 0).sum())
        for told in range(-early, 0):  # windows in which it takes in, and has nothing yet to tell
            found += int(self._at_work(population, first, told).sum())
        return self.ticks * found

    def idle(self, population: Population, rows: int) -> int:
        busy = sum(bool(self._samples(population, told)) for told in range(-self.windows, self.samples))
        return self.ticks * rows * size(population.shape) * (self.windows - busy)

    def _samples(self, population: Population, told: int) -> list[int]:
        """Those that a population tells or takes in, in the window in which it would tell the one given."""
        name = population.name
        last = 1 if name in self.once else self.samples
        found = {told, *(told + k for k in self.ahead[name])} | {told + k for k in self.held[name] if told + k == 0}
        return sorted(sample for sample in found if 0 <= sample < last)

    def _at_work(self, population: Population, keys: Keys, told: int) -> Tensor:
        """``[R, N]`` bool: neurons kept in one of the samples that they tell or take in.

        Args:
            keys: of R pairs.
            told: how many samples after those of the pairs the one is that would be told; before sample 0, negative.
        """
        found = torch.zeros(len(keys), size(population.shape), dtype=torch.bool)
        name = population.name
        last = 1 if name in self.once else self.samples
        offsets = {told + k for k in (0, *self.ahead[name]) if told + k >= 0} | {
            0 for k in self.held[name] if told + k == 0
        }
        for later in map(keys.later, sorted(offsets)):
            there = (later.samples < last)[:, None]
            found |= there & kept(population, later) if masked(population) else there
        return found
