"""Neurons and filters in whole numbers of stated widths, as chips without floating point step them.

States are whole numbers, held exactly in float64; each is multiplied by factors of 12 bits, shifted right by 12, and
rounded towards zero. A state that exceeds its width is an error, never a wrong number; ``integers`` chooses scales
with which this cannot happen.

Reference:
    Davies et al. 2018, IEEE Micro 38:82 (Loihi: states of 24 bits, decays of 12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.neurons import Chance, Neuron, State
from spikebayes.network.synapses import Synapse
from spikebayes.network.vocabulary import stored

ONE = 1 << 12  # what a factor of 1 is
WIDEST = 32  # bits of a state


@stored
@checked
@dataclass(frozen=True, eq=False)
class FixedPointLIF(Neuron):
    """:class:`LIF` in whole numbers: leak, refractory time and the time of a spike within its step.

    With input u, in steps outside the refractory time of m steps,

        v <- v (4096 - leak) / 4096 + u,   a spike iff v > threshold, then v <- 0;   v never below 0.

    A spike comes before the end of its step: a share f of the step is left from the crossing on,

        f = 4096 (v - threshold) / (u - leak threshold / 4096),

    and so the m-th step after the spike integrates for that share, v <- u f / 4096. Except for rounding, ``LIF`` does
    the same with refractory times of whole steps; it costs one division for each spike. Without a refractory time the
    rest of the step is not used, as in ``LIF``.

    Args:
        threshold: whole, ``[*shape]`` or one for all.
        leak: share of the voltage lost in a step, of 4096.
        refractory: m, steps.
        bits: of the voltage, its sign included.

    Raises:
        ConfigError: a threshold that is no positive whole number of that width, or another setting out of range; in
            a step, a state beyond its width, or numbers that are not float64.

    Example:
        >>> neuron, x = FixedPointLIF(torch.tensor(1000.0), leak=200), torch.full((1, 1), 600.0).double()
        >>> spiked, _, (voltage, *_) = neuron.step(x, neuron.initial(x), dt=1e-3)
        >>> spiked.item(), voltage.item(), neuron.step(x, (voltage, voltage * 0, voltage * 0), dt=1e-3)[0].item()
        (False, 600.0, True)
    """

    threshold: Tensor
    leak: int
    refractory: int = 0
    bits: int = 24
    whole = True

    def __post_init__(self) -> None:
        _check_factor("leak", self.leak)
        _check_bits(self.bits)
        if self.refractory < 0:
            raise ConfigError(f"refractory is a number of steps, 0 or more; got {self.refractory}")
        whole = torch.as_tensor(self.threshold).double()
        if not bool(((whole == whole.round()) & (whole > 0) & (whole < 2 ** (self.bits - 1))).all()):
            raise ConfigError(
                f"thresholds must be whole numbers above 0 that {self.bits} bits hold; "
                f"got {float(whole.min()):g} to {float(whole.max()):g}"
            )

    @property
    def words(self) -> str:
        """Its widths."""
        return f"LIF in fixed point, {self.bits} bits, leak {self.leak}/{ONE}, refractory {self.refractory} steps"

    def __repr__(self) -> str:
        low, high = float(self.threshold.min()), float(self.threshold.max())
        shown = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
        return f"FixedPointLIF(threshold={shown}, leak={self.leak}, refractory={self.refractory}, bits={self.bits})"

    def initial(self, like: Tensor) -> State:
        """Voltage, steps of refractory time left, and the share of a step that follows them: all 0."""
        _check_dtype(like)
        return (torch.zeros_like(like),) * 3

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked; 1 or 0; voltage, steps left, share)."""
        _check_dtype(x)
        voltage, left, share = state
        threshold = self.threshold.to(x)

        # integrate: a whole step, the share that the refractory time leaves of its last step, or nothing
        whole = _scaled(voltage, ONE - self.leak) + x
        part = torch.where(left == 1, _scaled(x, share), 0.0)
        voltage = torch.where(left == 0, whole, part).clamp(min=0)
        left = (left - 1).clamp(min=0)
        _check_width(voltage, self.bits, "voltage")

        # spike; what is left of its step comes after the refractory time
        spiked = voltage > threshold
        slope = (x - _scaled(threshold, self.leak)).clamp(min=1)
        crossed = torch.floor(ONE * (voltage - threshold) / slope).clamp(0, ONE)
        share = torch.where(spiked, crossed, share)
        left = torch.where(spiked, float(self.refractory), left)

        # reset
        return spiked, spiked.to(x.dtype), (torch.where(spiked, 0.0, voltage), left, share)


@stored
@checked
@dataclass(frozen=True)
class FixedPointLowpass(Synapse):
    """:class:`Lowpass` in whole numbers, without its factor of 1 - a:  x <- x (4096 - leak) / 4096 + u.

    It delivers 4096 / leak times a steady input; the weights before it include leak / 4096.

    Args:
        leak: share lost in a step, of 4096.
        bits: of x, its sign included.

    Raises:
        ConfigError: a setting out of range; in a step, a state beyond its width, or numbers that are not float64.

    Example:
        >>> FixedPointLowpass(leak=1024).step((torch.tensor(-5.0).double(),), torch.tensor(8.0).double(), 1e-3)
        (tensor(5., dtype=torch.float64),)
    """

    leak: int
    bits: int = 24
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_factor("leak", self.leak)
        _check_bits(self.bits)

    @property
    def words(self) -> str:
        """Its widths."""
        return f"Lowpass in fixed point, {self.bits} bits, leak {self.leak}/{ONE}"

    @property
    def gain(self) -> float:
        """Its output for a steady input of 1, except for rounding."""
        return ONE / self.leak

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        """x."""
        _check_dtype(u)
        x = _scaled(state[0], ONE - self.leak) + u
        _check_width(x, self.bits, "current")
        return (x,)

    def decay(self, dt: float, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """a^n, a = 1 - leak / 4096: its response but for rounding."""
        return (1 - self.leak / ONE) ** n

    def time_constants(self, dt: float) -> tuple[float, ...]:
        """-dt / log(a), but for rounding."""
        return _time_constants(self.leak, dt, 1)


@stored
@checked
@dataclass(frozen=True)
class FixedPointAlpha(Synapse):
    """:class:`Alpha` in whole numbers, with an impulse response of 1 in the first step.

        x <- x (4096 - leak) / 4096 + 2^s u
        y <- (2^s y (4096 - leak) + x_old mix) / (2^s 4096) + u

    The first state is held 2^s times as finely, with s such that it is no wider than the second, and the second is
    rounded once: otherwise rounding errors of x would be multiplied in y.

    It delivers :attr:`gain` times a steady input; the weights before it include 1 / gain.

    Args:
        leak: share lost in a step, of 4096.
        mix: share of the first state that enters the second, of 4096.
        bits: of both states, their sign included.

    Raises:
        ConfigError: a setting out of range; in a step, a state beyond its width, or numbers that are not float64.

    Example:
        >>> FixedPointAlpha(leak=200, mix=7852).gain > 800
        True
    """

    leak: int
    mix: int
    bits: int = 24
    order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_factor("leak", self.leak)
        _check_bits(self.bits)
        if not 0 <= self.mix < 4 * ONE:
            raise ConfigError(f"mix must be a whole number from 0 to {4 * ONE - 1}, of {ONE}; got {self.mix}")

    @property
    def words(self) -> str:
        """Its widths."""
        return f"Alpha in fixed point, {self.bits} bits, leak {self.leak}/{ONE}, mix {self.mix}/{ONE}"

    @property
    def fine(self) -> int:
        """2^s."""
        return 1 << int(math.log2(1 + self.mix / self.leak))

    @property
    def gain(self) -> float:
        """Its output for a steady input of 1, except for rounding."""
        return (1 + self.mix / self.leak) * ONE / self.leak

    def step(self, state: tuple[Tensor, ...], u: Tensor, dt: float) -> tuple[Tensor, ...]:
        """x and y."""
        _check_dtype(u)
        x, y = state
        y = torch.trunc((self.fine * (ONE - self.leak) * y + self.mix * x) / (self.fine * ONE)) + u
        x = _scaled(x, ONE - self.leak) + self.fine * u
        _check_width(x, self.bits, "current")
        _check_width(y, self.bits, "current")
        return x, y

    def decay(self, dt: float, n: NDArray[np.float64]) -> NDArray[np.float64]:
        """a^n + n mix a^(n - 1) / 4096, a = 1 - leak / 4096: its response but for rounding."""
        a = 1 - self.leak / ONE
        response = a**n
        response[1:] += self.mix / ONE * n[1:] * a ** (n[1:] - 1)
        return response

    def time_constants(self, dt: float) -> tuple[float, ...]:
        """-dt / log(a) twice, but for rounding."""
        return _time_constants(self.leak, dt, 2)


def largest_response(synapse: Synapse | None, every: int) -> float:
    """The largest state of a filter whose inputs of 1 are ``every`` steps apart; rounding towards zero makes it less.

    Example:
        >>> round(largest_response(FixedPointLowpass(leak=2048), every=2), 12)
        1.333333333333
    """
    if synapse is None:
        return 1.0
    slowest = max(synapse.time_constants(1.0), default=0.0)
    periods = 2 + math.ceil(60 * slowest / every)  # what comes later is below 1e-20
    response = synapse.decay(1.0, np.arange(periods * every, dtype=np.float64))
    found = float(np.abs(response).reshape(periods, every).sum(0).max())
    if isinstance(synapse, FixedPointAlpha):  # its first state may be the wider one
        found = max(found, synapse.fine * largest_response(FixedPointLowpass(synapse.leak), every))
    return found


def _time_constants(leak: int, dt: float, order: int) -> tuple[float, ...]:
    return () if leak == ONE else (-dt / math.log1p(-leak / ONE),) * order


def _scaled(value: Tensor, factor: int | Tensor) -> Tensor:
    """value factor / 4096, rounded towards zero: exact in float64, whatever its width."""
    return torch.trunc(value * factor / ONE)


def _check_width(state: Tensor, bits: int, what: str) -> None:
    if bool((state.abs() >= 2 ** (bits - 1)).any()):
        raise ConfigError(
            f"a {what} reached {float(state.abs().max()):.0f}, beyond {bits} bits; give integers() more state_bits, "
            "or inputs within its largest_input"
        )


def _check_dtype(x: Tensor) -> None:
    if x.dtype != torch.float64:
        raise ConfigError(
            f"whole numbers of up to {WIDEST} bits are held in float64; got {x.dtype}: give dtype=torch.float64, or "
            "what integers() made to predict"
        )


def _check_factor(name: str, value: int) -> None:
    if not 1 <= value <= ONE:
        raise ConfigError(f"{name} must be a whole number from 1 to {ONE}, of {ONE}; got {value}")


def _check_bits(bits: int) -> None:
    if not 8 <= bits <= WIDEST:
        raise ConfigError(f"a state may have 8 to {WIDEST} bits; got {bits}")
