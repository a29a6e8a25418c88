"""Samples of a network in whole numbers, from inputs and to outputs in the units of the network it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.integers import IntegerNetwork
from spikebayes.network.operators import Shape
from spikebayes.network.timing import Window
from spikebayes.prediction.heads import Head
from spikebayes.prediction.network_heads import head_of
from spikebayes.prediction.network_samples import NetworkSampler
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import Piece, SamplingPlan


class WholeNumberSampler:
    """What :func:`spikebayes.predict` asks of an :class:`IntegerNetwork`: its network's samples, simulated exactly.

    Args:
        whole: what is sampled.
        plan: which samples; in float32 where that holds all sums, else in float64.
        steps, burn_in, window, redraw: as of a network.
    """

    model: IntegerNetwork
    plan: SamplingPlan
    sampler: NetworkSampler
    dtype: torch.dtype
    arguments: tuple[int, float]
    standardised: bool
    still: str | None

    def __init__(
        self,
        whole: IntegerNetwork,
        plan: SamplingPlan,
        steps: int | None = None,
        burn_in: int | None = None,
        window: Window | None = None,
        redraw: Redraw | None = None,
    ) -> None:
        exact = replace(plan, dtype=torch.float64) if whole.dtype == torch.float64 else plan
        self.model, self.plan = whole, plan
        self.sampler = NetworkSampler(whole.network, exact, steps, burn_in, window, redraw)
        self.dtype = torch.float64  # of inputs before they are whole numbers
        self.shapes: Sequence[Shape] | None = self.sampler.shapes
        self.arguments = self.sampler.arguments
        self.standardised = whole.standardised
        self.head: Head = head_of(whole.network, whole.scales, whole.readout_scale)
        self.still = self.sampler.still

    def begin(self, inputs: tuple[Tensor, ...], rows: Tensor) -> None:
        """See how long they last, as of a network."""
        self.sampler.begin(tuple(map(self.model.inputs, inputs)), rows)

    def __call__(self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False) -> Piece:
        """Samples of some rows, see :class:`Piece`."""
        found = self.sampler(tuple(map(self.model.inputs, inputs)), rows, progress)
        found.samples *= self.model.readout_scale
        return found

    def settings(self, spikes: Mapping[str, int], saturated: Mapping[str, int], predictions: int) -> dict[str, Any]:
        """How samples were made, and what one of so many cost."""
        told = self.sampler.settings(spikes, saturated, predictions)
        return told | {"whole_numbers": {"levels": self.model.levels, **self.model.widths}}
