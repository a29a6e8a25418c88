"""What a simulation did over time: spikes, and the read-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import unknown
from spikebayes.plot.style import CLASSICAL, DASHED, INK, PLAIN, SHADE, SPIKING, axes_or_new
from spikebayes.prediction.simulate import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@checked
def raster(
    run: Run,
    population: str | None = None,
    *,
    sample: int = 0,
    row: int = 0,
    dt: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Each spike of a population as a dot: time from left to right, neurons from below.

    Args:
        run: of ``simulate(..., probe=["spikes"])``.
        population: its name; the first one unless given.
        sample, row: which of the S and of the B.
        dt: time step, s; the run's own unless given.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: spikes were not probed, or there is no such population, sample or row.
    """
    if not run.spikes:
        raise ConfigError('the run has no spikes to draw: simulate with probe=["spikes"]')
    name = next(iter(run.spikes)) if population is None else population
    if name not in run.spikes:
        raise ConfigError(unknown("population", name, run.spikes))
    _check_place(run, sample, row)
    dt = run.dt if dt is None else dt
    step, neuron = torch.nonzero(run.spikes[name][sample, row], as_tuple=True)
    steps, neurons = run.spikes[name].shape[2:]
    ax = axes_or_new(axes)
    ax.scatter(1e3 * dt * (step + 1), neuron, s=2, color=INK, marker="|" if neurons <= 200 else ".", linewidths=0.8)
    ax.set(xlim=(0, 1e3 * dt * (steps + 1)), ylim=(-1, neurons), xlabel="time (ms)")
    ax.set_ylabel(f"neuron of {name}", **PLAIN)
    return ax


@checked
def trace(
    run: Run,
    *,
    sample: int = 0,
    row: int = 0,
    output: int = 0,
    burn_in: int = 0,
    expected: float | None = None,
    dt: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """The read-out at each step, and its running mean from the burn-in on.

    Of a coded network it is what was received so far of the number that is its answer; there is no mean.

    Args:
        run: of ``simulate(..., probe=["trace"])``.
        sample, row, output: which of the S, B and C.
        burn_in: steps that the average leaves out; none of a coded network.
        expected: the classical network's output under the same mask, drawn as a line.
        dt: time step, s; the run's own unless given.
        axes: to draw on; pyplot's current ones unless given.

    Raises:
        ConfigError: the trace was not probed, or there is no such sample, row, output or step; a burn-in of a coded
            network.

    Reference:
        Wycoff 2019, figure 3.
    """
    if run.trace is None:
        raise ConfigError('the run has no trace to draw: simulate with probe=["trace"]')
    _check_place(run, sample, row)
    steps, outputs = run.trace.shape[2:]
    if not (0 <= output < outputs and 0 <= burn_in < steps):
        raise ConfigError(
            f"output must be below {outputs}, and burn_in below the {steps} steps; got {output} and {burn_in}"
        )
    if burn_in and run.saturated:
        raise ConfigError(f"a coded network has no average, and no burn-in; got {burn_in}: leave it out")
    values = run.trace[sample, row, :, output].double().numpy()
    dt = run.dt if dt is None else dt
    time = 1e3 * dt * np.arange(1, steps + 1)
    ax = axes_or_new(axes)
    if burn_in:
        ax.axvspan(0, time[burn_in - 1], color=SHADE, lw=0, label="burn-in, left out")
    ax.plot(time, values, color=SPIKING, lw=0.9, alpha=0.55, label="read-out")
    if not run.saturated:
        running = np.cumsum(values[burn_in:]) / np.arange(1, steps - burn_in + 1)
        ax.plot(time[burn_in:], running, color=SPIKING, lw=2.2, label="running mean")
    if expected is not None:
        ax.axhline(expected, color=CLASSICAL, lw=1.6, ls=DASHED, label="classical, same mask")
    ax.set(xlim=(0, time[-1]), xlabel="time (ms)", ylabel="read-out")
    ax.legend(frameon=False)
    return ax


def _check_place(run: Run, sample: int, row: int) -> None:
    samples, rows = run.mean.shape[:2]
    if not (0 <= sample < samples and 0 <= row < rows):
        raise ConfigError(f"sample must be below {samples} and row below {rows}; got {sample} and {row}")
