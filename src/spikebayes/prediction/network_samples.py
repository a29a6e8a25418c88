"""Samples of a spiking network, for rows that may come in parts. Outputs are kept, of spikes only their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.engine.contract import TRACE
from spikebayes.errors import ConfigError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Shape, size
from spikebayes.network.timing import Flat, Timing, Window
from spikebayes.prediction.cautions import warn_of_saturation
from spikebayes.prediction.heads import Head
from spikebayes.prediction.module_passes import NOT_RANDOM
from spikebayes.prediction.network_heads import head_of
from spikebayes.prediction.over_time import REDRAWN, changing, steps_of, timing_over, why_still
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import Piece, SamplingPlan, check_samples, timing_of
from spikebayes.prediction.simulate import Simulator, argument_shapes


class NetworkSampler:
    """What :func:`spikebayes.predict` asks of a network, made ready once.

    Args:
        network: what is sampled.
        plan: which samples.
        steps, burn_in, window: of each, or None for what the network carries or needs.
        redraw: all samples of a row out of one run, if at all.

    Raises:
        ConfigError: nothing in the network is random.
    """

    model: SpikingNetwork
    plan: SamplingPlan
    redraw: Redraw | None
    dtype: torch.dtype
    asked: tuple[int | None, int | None, Window | None]
    still: str | None
    standardised: bool
    head: Head
    timing: Timing
    simulator: Simulator

    def __init__(
        self,
        network: SpikingNetwork,
        plan: SamplingPlan,
        steps: int | None = None,
        burn_in: int | None = None,
        window: Window | None = None,
        redraw: Redraw | None = None,
    ) -> None:
        self.model, self.plan, self.redraw, self.dtype = network, plan, redraw, plan.dtype
        self.asked = steps, burn_in, window
        self.shapes: Sequence[Shape] | None = argument_shapes(network)
        self.still = why_still(network) or (None if redraw is None else REDRAWN)
        self.arguments: tuple[int, float] = len(self.shapes), len(self.shapes)
        self.standardised = any(i.standardised for i in network.inputs)
        self.head = head_of(network)
        if not network.is_random:
            raise ConfigError(NOT_RANDOM)

    def begin(self, inputs: tuple[Tensor, ...], rows: Tensor) -> None:
        """See how long they last, if they are over time, and choose the engine.

        Raises:
            ConfigError: a setting out of range, or no engine that can.
        """
        assert self.shapes is not None
        network, plan, (steps, burn_in, window) = self.model, self.plan, self.asked
        if self.redraw is not None:
            self.timing = Timing(self.redraw.steps(plan.samples, network), window=window or Flat())
            once = replace(plan, samples=1, least=1)
            self.simulator = Simulator(self.redraw.apply(network), once, replace(self.timing, window=Flat()), [TRACE])
            return
        total = steps_of(inputs, self.shapes)
        if total is None:
            self.timing = timing_of(network, steps, burn_in, window)
        else:
            self.timing = timing_over(network, total, steps, burn_in, window)
        self.simulator = Simulator(network, plan, self.timing, over_time=changing(inputs, self.shapes))

    def __call__(self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False) -> Piece:
        """Samples of some rows, see :class:`Piece`."""
        shape = self.plan.samples, len(rows), size(self.head.shape)
        check_samples(*shape)
        found = Piece(torch.empty(shape, dtype=torch.float32), Counter(), Counter())
        for block, work, result in self.simulator(inputs, rows, progress):
            if self.redraw is None:
                here = found.samples[block.samples, block.rows]
                here.copy_(result.mean.reshape(here.shape))
            else:
                assert result.trace is not None
                delay = self.redraw.delays(self.model)[self.model.readout.name]
                trace = result.trace.reshape(len(work), self.timing.steps, -1)[:, delay:]
                found.samples[:, block.rows] = self.redraw.average(trace, self.timing.window).float()
            found.spikes.update({name: int(count.sum()) for name, count in result.counts.items()})
            found.saturated.update({name: int(cut.sum()) for name, cut in result.saturated.items()})
        return found

    def settings(self, spikes: Mapping[str, int], saturated: Mapping[str, int], predictions: int) -> dict[str, Any]:
        """How samples were made, and what one of so many cost."""
        network, code = self.model, self.model.code
        told: dict[str, Any] = {"kind": "spiking", "engine": self.simulator.engine.name, "dt": network.dt}
        told |= {"dtype": str(self.dtype).removeprefix("torch.")}
        told |= {"spikes_per_prediction": {name: count / predictions for name, count in spikes.items()}}
        if code is None:
            told |= {"steps": self.timing.steps, "window": type(self.timing.window).__name__}
            return told | (
                {"burn_in": self.timing.burn_in} if self.redraw is None else {"redraw": asdict(self.redraw)}
            )
        windows = self.plan.samples + max(network.depths.values())
        told |= {"code": str(code), "windows": windows, "ticks": windows * code.ticks, "ticks_per_sample": code.ticks}
        told["saturated"] = {name: cut / predictions / size(network.shape(name)) for name, cut in saturated.items()}
        warn_of_saturation(told["saturated"])
        return told
