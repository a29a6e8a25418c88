"""Neurons as maths: frozen parameters and a pure step on tensors of any shape.

A neuron describes itself (:class:`Neuron`); only engines that have compiled one check its type.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.noise import check_site
from spikebayes.network.vocabulary import stored


class Curve(StrEnum):
    """The probability with which a stochastic unit is on, as a function of its input x."""

    ERF = "erf"  # (1 + erf(x)) / 2
    SIGMOID = "sigmoid"  # 1 / (1 + exp(-x))
    LINEAR = "linear"  # x, cut off at 0 and 1


#: which units are on: from their input, the curve of their probability and their site to bool, shaped like the input
Chance = Callable[[Tensor, Curve, int], Tensor]
State = tuple[Tensor, ...]


class Neuron(ABC):
    """What the neurons of a population do. Subclasses are frozen dataclasses of their parameters.

    Attributes:
        memoryless: a step depends only on the step's input and draws. A neuron with a memory keeps its potential as
            the first of its states.
        random: it draws, by the ``chance`` of its step, at its ``site``.
        off: its output in a step without a spike.
        site: stable index of the place in the network, which keys the draws.
        pools: each neuron takes several values, along a last axis of its input.
        whole: its states are whole numbers held in float64, in which it is simulated whatever dtype is asked for.
        filters: it filters its input itself: connections into it have no filter, and a read-out takes its spikes
            unfiltered.
    """

    memoryless: bool = False
    random: bool = False
    off: int = 0
    site: int = 0
    pools: bool = False
    whole: bool = False
    filters: bool = False

    def on(self, dt: float) -> float:
        """Its output in a step with a spike, for steps of dt seconds."""
        return 1.0

    def time_constants(self, dt: float) -> tuple[float, ...]:
        """Time constants of its own filters on its input, s, longest first."""
        return ()

    def initial(self, like: Tensor) -> State:
        """The state before the first step, of neurons ``[R, *shape]``; none unless it has a memory."""
        return ()

    @abstractmethod
    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """One time step.

        Args:
            x: input ``[R, *shape]``.
            state: what :meth:`initial` or the previous step returned.
            dt: step, s.
            chance: draws of this step, for a neuron that is ``random``.

        Returns:
            (spiked, bool; output; state), shaped like x.
        """

    def drawing_by(self, chance: Chance) -> Callable[[Tensor, State, float], tuple[Tensor, Tensor, State]]:
        """:meth:`step` with its chance already given; only a random neuron is given one."""
        return partial(self.step, chance=chance) if self.random else self.step

    @property
    def words(self) -> str:
        """The neuron in a few words, for reports."""
        return repr(self)


@stored
@checked
@dataclass(frozen=True)
class LIF(Neuron):
    """Leaky integrate-and-fire, stepped as Nengo 4 steps it: threshold 1, reset 0, voltage never below 0.

    Input current J = gain x + bias. Within a step of length dt, for the part d of it outside the refractory time,

        v <- v + (J - v) (1 - exp(-d/tau_rc)),  a spike of area ``amplitude`` iff v > 1,

    and the time from the crossing to the end of the step is subtracted from the refractory time that remains. For
    constant J and tau_ref >= dt the spike count is always within 1 of t r(J).

    Args:
        tau_rc: membrane time constant, s.
        tau_ref: refractory time, s.
        amplitude: area of one spike; the output is ``amplitude * rate``.
        gain, bias: current per unit of input, and current without input (threshold current is 1).

    Raises:
        ConfigError: a time constant or the amplitude out of range.

    References:
        Hunsberger & Eliasmith 2015, eqs. 1 to 3; Nengo 4.1 ``LIF``.
    """

    tau_rc: float = 0.02
    tau_ref: float = 0.002
    amplitude: float = 1.0
    gain: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        check_lif(self.tau_rc, self.tau_ref, self.amplitude, self.gain, self.bias)

    @property
    def words(self) -> str:
        """Its time constants."""
        return f"LIF, τ_rc {1e3 * self.tau_rc:g} ms, τ_ref {1e3 * self.tau_ref:g} ms"

    def current(self, x: Tensor) -> Tensor:
        """J = gain x + bias."""
        return self.gain * x + self.bias

    def on(self, dt: float) -> float:
        """Amplitude/dt."""
        return self.amplitude / dt

    def initial(self, like: Tensor) -> State:
        """Voltage 0 and refractory time 0."""
        return torch.zeros_like(like), torch.zeros_like(like)

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked; spiked * amplitude/dt; voltage and refractory time left in s)."""
        current = self.current(x)
        voltage, refractory = state

        # integrate over the part of the step outside the refractory time
        refractory = refractory - dt
        free = (dt - refractory).clamp(0, dt)
        voltage = voltage - (current - voltage) * torch.expm1(-free / self.tau_rc)

        # spike
        spiked = voltage > 1

        # from the crossing (solve v(t) = 1) the refractory time runs
        excess = torch.where(spiked, (voltage - 1) / (current - 1), 0.0)
        crossing = dt + self.tau_rc * torch.log1p(-excess)
        refractory = torch.where(spiked, self.tau_ref + crossing, refractory)

        # reset
        voltage = torch.where(spiked, 0.0, voltage.clamp(min=0))
        return spiked, spiked.to(x.dtype) * self.on(dt), (voltage, refractory)


@stored
@checked
@dataclass(frozen=True)
class Threshold(Neuron):
    """Memoryless unit: output 1 when the input reaches the threshold, else 0 (Whetstone).

    Args:
        threshold: input at and above which it spikes.

    Raises:
        ConfigError: the threshold is NaN or infinite.
    """

    threshold: float = 0.5
    memoryless = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ConfigError(f"a threshold must be finite; got {self.threshold}")

    @property
    def words(self) -> str:
        """Its threshold."""
        return f"threshold at {self.threshold:g}"

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked, bool; output 0 or 1; no state)."""
        spiked = x >= self.threshold
        return spiked, spiked.to(x.dtype), state


@stored
@dataclass(frozen=True)
class Sign(Neuron):
    """Memoryless unit with output +1 when the input is >= 0, else -1 (Neftci 2017). A spike is a +1."""

    memoryless = True
    off = -1

    @property
    def words(self) -> str:
        """Its name."""
        return "sign"

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked, bool; output -1 or 1; no state)."""
        spiked = x >= 0
        return spiked, spiked.to(x.dtype) * 2 - 1, state


@stored
@checked
@dataclass(frozen=True)
class Bernoulli(Neuron):
    """Memoryless unit that is on with a probability, drawn anew in every step. On counts as a spike.

    With ``Curve.ERF`` it stands for a sign unit behind many synapses that blank out (Neftci 2017, eq. 3), or one
    whose input has Gaussian noise; with ``Curve.SIGMOID`` the binary stochastic unit.

    Args:
        curve: probability of being on.
        off: output when it is not on, -1 or 0; when on the output is 1.
        site: stable index of the place in the network, which keys the draws.

    Step t of sample s, in runs of T steps each, takes draw s T + t: a step is a sample, and no two share a draw.

    Raises:
        ConfigError: another value for curve or off, or a site out of range.
    """

    curve: Curve
    off: int = -1
    site: int = 0
    memoryless = True
    random = True

    def __post_init__(self) -> None:
        if self.curve not in tuple(Curve):
            raise ConfigError(f"a unit's curve must be one of {', '.join(Curve)}; got {self.curve!r}")
        object.__setattr__(self, "curve", Curve(self.curve))
        if self.off not in (-1, 0):
            raise ConfigError(f"a unit's output when it is off must be -1 or 0; got {self.off}")
        check_site(self.site)

    @property
    def words(self) -> str:
        """Its curve."""
        return f"on with a probability, {self.curve} curve"

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(on, bool; ``off`` or 1; no state)."""
        if chance is None:
            raise ConfigError("a Bernoulli unit's step needs the chance that it draws by")
        spiked = chance(x, self.curve, self.site)
        return spiked, spiked.to(x.dtype) * (1 - self.off) + self.off, state


def check_lif(tau_rc: float, tau_ref: float, amplitude: float, gain: float, bias: float) -> None:
    """Refuse parameters with which a LIF neuron means nothing (ConfigError)."""
    if not (tau_rc > 0 and math.isfinite(tau_rc)):
        raise ConfigError(f"tau_rc must be a positive number of seconds; got {tau_rc}")
    if not (tau_ref >= 0 and math.isfinite(tau_ref)):
        raise ConfigError(f"tau_ref must be a number of seconds >= 0; got {tau_ref}")
    if not (amplitude > 0 and math.isfinite(amplitude)):
        raise ConfigError(f"amplitude must be positive; got {amplitude}")
    if not (math.isfinite(gain) and gain != 0 and math.isfinite(bias)):
        raise ConfigError(f"gain must be finite and not 0, bias finite; got {gain} and {bias}")
