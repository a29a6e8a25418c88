"""Synapses: low-pass filters on a connection, stepped as the zero-order hold of the continuous filter.

With input u held constant over a step of length dt, the filter's state at the end of the step is exact; the value
delivered in the next step is that state (Nengo 4's convention).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count
from spikebayes.network.vocabulary import stored

MOST_STEPS = 1 << 25  # of a simulation, whose weights memory holds


class Synapse(ABC):
    """A low-pass filter. Subclasses are frozen dataclasses of their parameters.

    Attributes:
        order: how many numbers of state it has for each value that it filters.
    """

    order: ClassVar[int]

    @abstractmethod
    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        """The state after one step of dt seconds with input ``u`` (any shape); its last entry is the output."""

    def decay(self, dt: float, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """The output n + 1 = 1, 2, ... steps after a unit input in one step."""
        unit, nothing = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        state, outputs = (nothing,) * self.order, []
        for step in range(len(n)):
            state = self.step(state, nothing if step else unit, dt)
            outputs.append(float(state[-1]))
        return np.array(outputs)

    def time_constants(self, dt: float) -> tuple[float, ...]:
        """Time constants of its low-pass filters, s, longest first: from the poles of its step, a^n.

        Example:
            >>> [round(tau, 6) for tau in Alpha(0.02).time_constants(1e-3)]
            [0.02, 0.02]
        """
        units, nothing = torch.eye(self.order, dtype=torch.float64), torch.zeros(self.order, dtype=torch.float64)
        poles = np.abs(np.linalg.eigvals(torch.stack(self.step(tuple(units), nothing, dt)).numpy()))
        lasting = [-dt / math.log(a) if a < 1 else math.inf for a in poles.tolist() if a > 0]
        return tuple(sorted(lasting, reverse=True))

    @property
    def words(self) -> str:
        """The filter in a few words, for reports."""
        return repr(self)


@stored
@checked
@dataclass(frozen=True)
class Lowpass(Synapse):
    """First-order filter 1/(tau s + 1):  x <- a x + (1 - a) u,  a = exp(-dt/tau).

    Args:
        tau: time constant in seconds, > 0.
    """

    tau: float
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_tau(self.tau)

    @property
    def words(self) -> str:
        """Its time constant."""
        return f"Lowpass, tau {1e3 * self.tau:g} ms"

    def coefficients(self, dt: float) -> tuple[float, ...]:
        """(a, 1 - a)."""
        return math.exp(-dt / self.tau), -math.expm1(-dt / self.tau)

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        """x."""
        a, b = self.coefficients(dt)
        return (a * state[0] + b * u,)

    def decay(self, dt: float, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """b a^n."""
        a, b = self.coefficients(dt)
        return b * a**n


@stored
@checked
@dataclass(frozen=True)
class Alpha(Synapse):
    """Second-order filter 1/(tau s + 1)^2, its zero-order hold in cascade form.

        x <- a x + (1 - a) u
        y <- a y + r a x_old + (1 - a - r a) u        a = exp(-dt/tau), r = dt/tau

    so that the impulse response starts with 1 - (1 + r) a, unlike that of two Lowpass steps in a row.

    Args:
        tau: time constant in seconds, > 0.
    """

    tau: float
    order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_tau(self.tau)

    @property
    def words(self) -> str:
        """Its time constant."""
        return f"Alpha, tau {1e3 * self.tau:g} ms"

    def coefficients(self, dt: float) -> tuple[float, ...]:
        """(a, 1 - a, r a, 1 - a - r a)."""
        a, r = math.exp(-dt / self.tau), dt / self.tau
        b = -math.expm1(-r)
        return a, b, r * a, b - r * a

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        """x and y."""
        a, b, c, d = self.coefficients(dt)
        x, y = state
        return a * x + b * u, a * y + c * x + d * u

    def decay(self, dt: float, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """d a^n + b c n a^(n - 1)."""
        a, b, c, d = self.coefficients(dt)
        response = d * a**n
        response[1:] += b * c * n[1:] * a ** (n[1:] - 1)
        return response


@checked
def impulse_response(synapse: Synapse | None, dt: float, steps: int) -> NDArray[np.float64]:
    """``[steps]``: output in the step itself, one step later, two steps later, ... of a unit input in one step.

    An unfiltered connection delivers in the same step; a filtered one delivers nothing in it.

    Raises:
        ConfigError: too many steps, or fewer than 0.

    Example:
        >>> impulse_response(None, 1e-3, 3).tolist()
        [1.0, 0.0, 0.0]
    """
    check_count("steps", steps, 0, MOST_STEPS, "filters die away long before; or take a larger dt")
    response = np.zeros(steps)
    if synapse is None:
        response[:1] = 1.0
        return response
    response[1:] = synapse.decay(dt, np.arange(steps - 1, dtype=np.float64))
    return response


def _check_tau(tau: float) -> None:
    if not (tau > 0 and math.isfinite(tau)):
        raise ConfigError(f"a synapse's time constant must be a positive number of seconds; got {tau}")
