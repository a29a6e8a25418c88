"""What an engine is: a function from a list of (sample, row) pairs to time-averaged outputs.

``predict`` and ``simulate`` know engines only by this contract; nothing in it speaks of a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from spikebayes.engine.windows import Flat, Window
from spikebayes.network.network import SpikingNetwork

SPIKES, POTENTIALS, TRACE = "spikes", "potentials", "trace"
PROBES = (SPIKES, POTENTIALS, TRACE)


@dataclass(frozen=True)
class Work:
    """R simulations, one for each (sample, row) pair.

    Args:
        inputs: for each of the network's inputs ``[b, *shape]``, the rows of this block.
        position: ``[R]`` int64, which of the b rows each simulation sees.
        rows: ``[R]`` int64, row indices that key the masks (0 throughout when one mask serves all rows).
        samples: ``[R]`` int64, sample indices that key the masks.
        seed: key of the masks.
        steps: T, steps to simulate.
        burn_in: steps left out of the average.
        probes: what to record besides, of ``PROBES``.
        window: weights of the averaged steps.
    """

    inputs: tuple[Tensor, ...]
    position: Tensor
    rows: Tensor
    samples: Tensor
    seed: int
    steps: int
    burn_in: int
    probes: frozenset[str] = frozenset()
    window: Window = field(default_factory=Flat)

    def weights(self) -> Tensor:
        """``[T]`` float64, the share of each step in the average."""
        return torch.cat([torch.zeros(self.burn_in), self.window.weights(self.steps - self.burn_in)])

    def __len__(self) -> int:
        return len(self.samples)


@dataclass
class Result:
    """What R simulations gave.

    Args:
        mean: ``[R, *readout shape]``, read-out averaged over steps burn_in .. T - 1 by the window's weights.
        counts: spikes per population over all T steps, ``[R]`` int64 each.
        spikes: ``[R, T, N]`` bool each, when probed; a dropped neuron emits none.
        potentials: ``[R, T, N]`` each, LIF membrane potential at the end of the step; 0 for a neuron dropped
            for the whole simulation.
        trace: ``[R, T, *readout shape]``, the read-out at every step.
    """

    mean: Tensor
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    trace: Tensor | None = None


class Engine(Protocol):
    """An implementation. It equals ``reference.py`` in the same dtype, up to the order of summation."""

    name: str

    def refusal(self, network: SpikingNetwork) -> str | None:
        """Why it cannot run this network, or None when it can."""
        ...

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        """Lay the network out once; the function returned runs any number of blocks."""
        ...

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        """How many simulations to hand over at once, so that memory stays bounded."""
        ...
