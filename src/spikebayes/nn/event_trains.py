"""Values as event trains: inputs over time, ``[B, T, *shape]``, for networks that step freely.

An event is worth 1 / (dt max_rate) by default, so that a train's mean over time is the value that it stands for.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_memory
from spikebayes.machine.numbers import check_count
from spikebayes.network.synapses import MOST_STEPS
from spikebayes.noise.event_trains import poisson_counts
from spikebayes.noise.philox import split_seed

MOST_EVENTS = 100.0  # of a unit in a step, on average
SMALLER = "encode some rows at a time, with their numbers as rows="


@checked
def poisson_events(
    x: Tensor | np.ndarray,
    steps: int,
    *,
    dt: float = 1e-3,
    max_rate: float = 100.0,
    seed: int = 0,
    rows: Tensor | np.ndarray | None = None,
    value: float | None = None,
) -> Tensor:
    """Values as Poisson trains: the number of events in each step is a Poisson variable of mean x max_rate dt.

    Numbers of events are functions of (seed, row, unit, step): a row has the same train in any batch, and a longer
    train begins with the shorter one.

    Args:
        x: ``[B, *shape]`` in [0, 1].
        steps: T.
        dt: time step, s; give that of the network.
        max_rate: events per second of a value of 1, Hz.
        seed: key of the draws, in [0, 2^64).
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default.
        value: value of an event; by default 1 / (dt max_rate), with which the mean over time is x in expectation,
            with a standard deviation of sqrt(x / (T dt max_rate)). 1 gives counts.

    Returns:
        ``[B, T, *shape]`` float32.

    Raises:
        DataError: values outside [0, 1], or no rows; rows that are not such indices.
        ConfigError: a setting out of range.

    Reference:
        Heeger 2000, Poisson model of spike generation; Dayan & Abbott 2001, section 1.4.

    Example:
        >>> x = torch.tensor([[0.0, 0.5, 1.0]])
        >>> events = poisson_events(x, 10_000, max_rate=200.0)
        >>> [round(mean, 1) for mean in events.mean(1)[0].tolist()], events.unique()[:3].tolist()
        ([0.0, 0.5, 1.0], [0.0, 5.0, 10.0])
    """
    given, worth = _checked(x, steps, dt, max_rate, value)
    split_seed(seed)
    numbers = torch.arange(len(given)) if rows is None else _as_tensor(rows, "rows").flatten()
    if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        raise DataError(f"rows must be whole numbers, those of the rows in the whole data set; got {numbers.dtype}")
    numbers = numbers.to("cpu", torch.int64)
    if len(numbers) != len(given):
        raise DataError(f"{len(numbers)} row numbers were given for {len(given)} rows: give one for each")
    if int(numbers.min()) < 0 or int(numbers.max()) >= 1 << 32:
        raise DataError("rows must be numbers in [0, 2^32), those of the rows in the whole data set")
    out = torch.empty(len(given), int(steps), given[0].numel(), dtype=torch.float32)
    mean = given.flatten(1) * (max_rate * dt)
    poisson_counts(mean.numpy(), int(seed), numbers.numpy().astype(np.uint64), out.numpy())
    return out.mul_(worth).reshape(len(given), int(steps), *given.shape[1:])


@checked
def regular_events(
    x: Tensor | np.ndarray,
    steps: int,
    *,
    dt: float = 1e-3,
    max_rate: float = 100.0,
    phase: float | Tensor = 0.5,
    value: float | None = None,
) -> Tensor:
    """Values as regular trains: events at equal intervals, so that their number by the end of step t is

        floor(phase + x max_rate dt (t + 1)).

    Nothing is drawn. With phase 1/2 this is never off by more than half an event.

    Args:
        x: ``[B, *shape]`` in [0, 1].
        steps: T.
        dt: time step, s; give that of the network.
        max_rate: events per second of a value of 1, Hz.
        phase: in [0, 1), the share of the first interval that has passed at the start; one number, or a tensor that
            broadcasts to x, for units that do not all fire at once.
        value: value of an event; by default 1 / (dt max_rate), with which the mean over time is x, off by at most 1 /
            (T dt max_rate). 1 gives counts.

    Returns:
        ``[B, T, *shape]`` float32.

    Raises:
        DataError: values outside [0, 1], or no rows.
        ConfigError: a setting out of range.

    Reference:
        Auge et al. 2021, A survey of encoding techniques for signal processing in spiking neural networks, Neural
        Process. Lett. 53:4693 (rate coding).

    Example:
        >>> regular_events(torch.tensor([[0.25, 1.0]]), 8, dt=1e-3, max_rate=1000.0)[0].T.tolist()
        [[0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    given, worth = _checked(x, steps, dt, max_rate, value)
    if isinstance(phase, Tensor) and phase.is_complex():
        raise ConfigError("phase must be real; got complex numbers")
    start = torch.as_tensor(phase, dtype=torch.float64, device="cpu").detach()
    if not bool(((start >= 0) & (start < 1)).all()):
        raise ConfigError("phase must lie in [0, 1): it is the share of an interval that has gone by at the start")
    try:
        start = start.expand_as(given)
    except RuntimeError as error:
        raise ConfigError(
            f"phase must be a number, or a tensor that broadcasts to x {list(given.shape)}; got {list(start.shape)}"
        ) from error
    out = torch.empty(len(given), int(steps), *given.shape[1:], dtype=torch.float32)
    mean, before = given * (max_rate * dt), start.floor()
    for step in range(int(steps)):
        told = (start + mean * (step + 1)).floor()
        out[:, step] = told - before
        before = told
    return out.mul_(worth)


def _checked(
    x: Tensor | np.ndarray, steps: int, dt: float, max_rate: float, value: float | None
) -> tuple[Tensor, float]:
    """The values in float64, and what an event is worth."""
    check_count("steps", steps, 1, MOST_STEPS, "give fewer, or a larger dt")
    for name, number, unit in (("dt", dt, "seconds"), ("max_rate", max_rate, "Hz")):
        if not (number > 0 and math.isfinite(number)):
            raise ConfigError(f"{name} must be a positive number of {unit}; got {number}")
    if dt * max_rate > MOST_EVENTS:
        raise ConfigError(
            f"dt max_rate must be at most {MOST_EVENTS:g} events in a step; got {dt * max_rate:g}: give a lower "
            "max_rate or a smaller dt"
        )
    told = dt * max_rate  # events of a value of 1 in a step
    worth = value if value is not None else 1 / told if told > 0 else math.inf
    if not math.isfinite(worth):
        raise ConfigError(f"what an event is worth must be finite; got {worth}: give value=")
    given = _as_tensor(x, "x")
    if given.is_complex() or given.ndim < 2 or not given.numel():
        raise DataError(f"x must be [B, *shape] of real numbers with at least one row; got {list(given.shape)}")
    given = given.to("cpu", torch.float64)
    if not bool(((given >= 0) & (given <= 1)).all()):  # NaN is in no interval
        raise DataError(
            f"values must lie in [0, 1], as shares of max_rate; got {float(given.min()):g} to "
            f"{float(given.max()):g}: scale them, (x - x.min()) / (x.max() - x.min())"
        )
    check_memory(given.numel() * int(steps), f"{steps:,} steps of {given.numel():,} values", SMALLER)
    return given, float(worth)


def _as_tensor(value: Tensor | np.ndarray, name: str) -> Tensor:
    try:
        return torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} must be an array of numbers: {error}") from error
