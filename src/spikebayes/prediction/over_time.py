"""Inputs that change over time: which of a network's arguments do, how long they last, and what takes none.

A network's inputs have shapes of their own, so an argument with one axis more after the rows, ``[B, T, *shape]``, can
be nothing else. Step t, from 0, sees ``x[:, t]``, so that T is the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.numbers import check_count
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.noise import DRAWS as REDRAWS
from spikebayes.network.operators import Shape
from spikebayes.network.timing import Timing, Window
from spikebayes.prediction.sampling import default_timing, timing_of

MEAN = "give its mean over time, x.mean(1)"
STILL = f"here inputs stay as they are for the whole run: {MEAN}"
KNOWS_NO_TIME = f"a torch module has no notion of time: {MEAN}, or convert the module and predict by its network"
REDRAWN = (
    "redraw takes all samples of a row out of one run, in which each would see another part of it: leave redraw out, "
    "and every sample is a run of its own"
)
UNCOUNTED = f"energy is counted beside the module's, which knows no time: {MEAN}"
DRAWS = 1 << 32  # samples that a generator tells apart


def why_still(network: SpikingNetwork) -> str | None:
    """Why a network's inputs may not change over time; None if they may."""
    if network.code is None:
        return None
    return (
        f"this network tells numbers by {network.code}, and takes a row in once, in a window of {network.code.ticks} "
        f"ticks: {MEAN}, or convert a module with SoftLIF or steps, whose network steps freely"
    )


def changing(inputs: Sequence[Tensor], shapes: Sequence[Shape]) -> frozenset[int]:
    """Which arguments, of these shapes of a row, are over time.

    Example:
        >>> import torch
        >>> changing((torch.ones(5, 3), torch.ones(5, 100, 2, 2)), [(3,), (2, 2)])
        frozenset({1})
    """
    pairs = enumerate(zip(inputs, shapes, strict=True))
    return frozenset(k for k, (x, shape) in pairs if x.ndim == len(shape) + 2)


def steps_of(inputs: Sequence[Tensor], shapes: Sequence[Shape]) -> int | None:
    """T of the arguments that are over time; None where none is."""
    return next((inputs[k].shape[1] for k in changing(inputs, shapes)), None)


def over_steps(inputs: tuple[Tensor, ...], shapes: Sequence[Shape] | None) -> tuple[Tensor, ...]:
    """Arguments ``[B, *shape]``, of those over time their means."""
    over = frozenset[int]() if shapes is None else changing(inputs, shapes)
    return tuple(x.mean(1) if k in over else x for k, x in enumerate(inputs))


def timing_over(
    network: SpikingNetwork,
    total: int,
    steps: int | None = None,
    burn_in: int | None = None,
    window: Window | None = None,
) -> Timing:
    """How long to simulate a network whose inputs last for ``total`` steps: so long.

    Raises:
        ConfigError: another number of steps is asked for, or none of them is left to be averaged.
    """
    if steps is not None and steps != total:
        raise ConfigError(
            f"the input is given for {total} steps, and steps={steps} asks for others: leave steps out, or give an x "
            f"[B, T, *shape] with T = {steps}"
        )
    if burn_in is None:
        burn_in = (network.timing or default_timing(network)).burn_in
        if burn_in >= total:
            raise ConfigError(
                f"the input is given for {total} steps, and {burn_in} would be left out of the average until the "
                "network has settled: give it for more steps, or say burn_in="
            )
    return timing_of(network, total, burn_in, window)


def check_draws(network: SpikingNetwork, samples: int, steps: int) -> None:
    """Refuse more than a generator tells apart (ConfigError): redraws of a mask in a run, and runs, each of which has
    draws of its own in every step (``Work.fresh``)."""
    noises = [c.blank_out for c in network.connections]
    for noise in (*noises, *(node.dropout for node in (*network.inputs, *network.populations))):
        if noise and noise.acts and not noise.successive and noise.redraws(steps - 1) >= REDRAWS:
            raise ConfigError(
                f"a mask can be redrawn {REDRAWS - 1:,} times in a run, and {steps:,} steps with hold={noise.hold} "
                f"redraw it {noise.redraws(steps - 1):,} times: simulate fewer steps, or give a larger hold"
            )
    if any(p.neuron.random for p in network.populations) or any(n and n.acts and n.successive for n in noises):
        cure = "each step of each has draws of its own; take fewer, or an input of fewer steps"
        check_count("samples", samples, 1, DRAWS // steps, cure)
