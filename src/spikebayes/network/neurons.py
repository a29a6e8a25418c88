"""Neurons as maths: frozen parameters and a pure step on tensors of any shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.noise import check_site
from spikebayes.network.vocabulary import stored


@stored
@dataclass(frozen=True)
class LIF:
    """Leaky integrate-and-fire, stepped as Nengo 4 steps it: threshold 1, reset 0, voltage never below 0.

    Input current J = gain x + bias. Within a step of length dt, for the part d of it outside the refractory time,

        v <- v + (J - v) (1 - exp(-d/tau_rc)),  a spike of area ``amplitude`` iff v > 1,

    and the time by which the crossing came before the end of the step shortens what is left of the refractory time.
    For constant J and tau_ref >= dt the spike count never strays from t r(J) by 1 or more.

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

    def current(self, x: Tensor) -> Tensor:
        """J = gain x + bias."""
        return self.gain * x + self.bias

    def initial(self, like: Tensor) -> tuple[Tensor, ...]:
        """Voltage 0 and refractory time 0."""
        return torch.zeros_like(like), torch.zeros_like(like)

    def step(self, x: Tensor, state: tuple[Tensor, ...], dt: float) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """One time step.

        Args:
            x: input, any shape.
            state: (voltage, refractory time left in s), shaped like x.
            dt: step, s.

        Returns:
            (spiked, bool; output, spiked * amplitude/dt; state).
        """
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
        return spiked, spiked.to(x.dtype) * (self.amplitude / dt), (voltage, refractory)


@stored
@dataclass(frozen=True)
class Threshold:
    """Memoryless unit: output 1 when the input reaches the threshold, else 0; one step a frame (Whetstone).

    Args:
        threshold: input at and above which it spikes.

    Raises:
        ConfigError: the threshold is NaN or infinite.
    """

    threshold: float = 0.5
    off: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ConfigError(f"a threshold must be finite; got {self.threshold}")

    def initial(self, like: Tensor) -> tuple[Tensor, ...]:
        """No state."""
        return ()

    def step(self, x: Tensor, state: tuple[Tensor, ...], dt: float) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """(spiked, bool; output 0 or 1; no state)."""
        spiked = x >= self.threshold
        return spiked, spiked.to(x.dtype), state


@stored
@dataclass(frozen=True)
class Sign:
    """Memoryless unit with output +1 when the input is >= 0, else -1 (Neftci 2017). A spike is a +1."""

    off: ClassVar[int] = -1

    def initial(self, like: Tensor) -> tuple[Tensor, ...]:
        """No state."""
        return ()

    def step(self, x: Tensor, state: tuple[Tensor, ...], dt: float) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """(spiked, bool; output -1 or 1; no state)."""
        spiked = x >= 0
        return spiked, spiked.to(x.dtype) * 2 - 1, state


class Curve(StrEnum):
    """The probability with which a stochastic unit is on, as a function of its input x."""

    ERF = "erf"  # (1 + erf(x)) / 2
    SIGMOID = "sigmoid"  # 1 / (1 + exp(-x))
    LINEAR = "linear"  # x, cut off at 0 and 1


@stored
@dataclass(frozen=True)
class Bernoulli:
    """Memoryless unit that is on with a probability, drawn anew in every step. A spike is an on.

    With ``Curve.ERF`` it is what a sign unit behind many synapses that blank out comes to (Neftci 2017, eq. 3), or
    one whose input carries Gaussian noise; with ``Curve.SIGMOID`` the binary stochastic unit.

    Args:
        curve: probability of being on.
        off: output when it is not on, -1 or 0; when on the output is 1.
        site: stable index of the place in the network, which keys the draws.

    In step t of a run of sample s the draw is that of sample s + t: a step is a sample.

    Raises:
        ConfigError: another value for curve or off, or a site out of range.
    """

    curve: Curve
    off: int = -1
    site: int = 0

    def __post_init__(self) -> None:
        if self.curve not in tuple(Curve):
            raise ConfigError(f"a unit's curve must be one of {', '.join(Curve)}; got {self.curve!r}")
        object.__setattr__(self, "curve", Curve(self.curve))
        if self.off not in (-1, 0):
            raise ConfigError(f"a unit's output when it is off must be -1 or 0; got {self.off}")
        check_site(self.site)

    def initial(self, like: Tensor) -> tuple[Tensor, ...]:
        """No state."""
        return ()

    def output(self, spiked: Tensor, dtype: torch.dtype) -> Tensor:
        """``off`` or 1."""
        return spiked.to(dtype) * (1 - self.off) + self.off


Neuron = LIF | Threshold | Sign | Bernoulli


def is_memoryless(neuron: Neuron) -> bool:
    """Whether a step depends on nothing but the step's input (and draws)."""
    return not isinstance(neuron, LIF)


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
