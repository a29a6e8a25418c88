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
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import Piece, SamplingPlan, check_samples, timing_of
from spikebayes.prediction.simulate import Simulator


class NetworkSampler:
    """What :func:`spikebayes.predict` asks of a network, made ready once.

    Args:
        network: what is sampled.
        plan: which samples.
        steps, burn_in, window: of each, or None for what the network carries or needs.
        redraw: all samples of a row out of one run, if at all.

    Raises:
        ConfigError: nothing in the network is random, or a setting out of range.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        plan: SamplingPlan,
        steps: int | None = None,
        burn_in: int | None = None,
        window: Window | None = None,
        redraw: Redraw | None = None,
    ) -> None:
        if redraw is None:
            timing = timing_of(network, steps, burn_in, window)
        else:
            timing = Timing(redraw.steps(plan.samples, network), window=window or Flat())
        if not network.is_random:
            raise ConfigError(NOT_RANDOM)
        self.model, self.plan, self.timing, self.redraw = network, plan, timing, redraw
        if redraw is None:
            self.simulator = Simulator(network, plan, timing)
        else:
            once = replace(plan, samples=1, least=1)
            self.simulator = Simulator(redraw.apply(network), once, replace(timing, window=Flat()), [TRACE])
        self.dtype = plan.dtype
        self.shapes: Sequence[Shape] | None = self.simulator.shapes
        self.arguments: tuple[int, float] = len(self.simulator.shapes), len(self.simulator.shapes)
        self.standardised = any(i.standardised for i in network.inputs)
        self.head = Head(network.readout.shape)

    def begin(self, inputs: tuple[Tensor, ...], rows: Tensor) -> None:
        """Nothing hangs on the first rows."""

    def __call__(self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False) -> Piece:
        """Samples of some rows, see :class:`Piece`."""
        shape = self.plan.samples, len(rows), size(self.head.shape)
        check_samples(*shape)
        found = Piece(torch.empty(shape), Counter(), Counter())
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
