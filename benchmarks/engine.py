"""This library's engine as one of the competitors."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.peers import Outcome
from benchmarks.workloads import Workload
from spikebayes import Run, Timing, simulate
from spikebayes.engine.contract import Result, Work
from spikebayes.engine.select import select
from spikebayes.network import size
from spikebayes.noise.keys import Keys

NAME = "spikebayes"


def whole(workload: Workload, *, samples: int = 1, steps: int | None = None, seed: int = 0) -> Work:
    """All samples of all rows as one piece of work for an engine."""
    rows = torch.arange(len(workload.inputs[0]))
    keys = Keys(seed, torch.arange(samples).repeat_interleave(len(rows)), rows.repeat(samples))
    timing = Timing(steps, steps * 2 // 3) if steps else Timing(workload.steps, workload.burn_in)
    return Work(workload.inputs, rows.repeat(samples), keys, timing)


def prepare(workload: Workload) -> Callable[[], Result]:
    """Lay the network out (float32); the function returned simulates every row once, each under a mask of its own."""
    run = select("auto", workload.network).prepare(workload.network, torch.float32)
    work = whole(workload)
    return lambda: run(work)


def end_to_end(workload: Workload) -> Callable[[], Run]:
    """The same by ``simulate``: inputs checked, network laid out, blocks cut, results put together."""
    steps, burn_in = workload.steps, workload.burn_in
    return lambda: simulate(workload.network, workload.inputs, steps=steps, burn_in=burn_in)


def outcome(workload: Workload, result: Result) -> Outcome:
    """A result as peers give theirs."""
    neurons = {p.name: size(p.shape) for p in workload.network.populations}
    rates = {
        name: float(count.double().mean()) / (neurons[name] * workload.steps) for name, count in result.counts.items()
    }
    return Outcome(result.mean.flatten(1), rates)
