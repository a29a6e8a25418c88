"""Neurons in discrete steps, as NIR defines them and as the simulators and chips that read it run them.

At most one spike a step, no refractory time, no lowest voltage. In NIR a spike is worth 1, and weights say the rest.
A parameter is one number, or ``[*shape]`` with one for each neuron.

Reference:
    Pedersen et al. 2024, Neuromorphic intermediate representation, Nat. Commun. 15:8122; nir 1.0.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.kinds import shown
from spikebayes.network.neurons import Chance, Neuron, State
from spikebayes.network.vocabulary import stored


class Discrete(Neuron):
    """What the neurons of this file share: how they fire, and how they are shown.

    Attributes:
        v_threshold: voltage above which a neuron spikes.
        v_reset: voltage after a spike; None subtracts the threshold instead.
    """

    v_threshold: float | Tensor
    v_reset: float | Tensor | None
    filters = True

    @property
    def words(self) -> str:
        """Its kind, and its parameters that are not those by default."""
        told = {f.name: (_short(getattr(self, f.name)), _short(f.default)) for f in fields(self)}  # pyright: ignore[reportArgumentType]
        said = [f"{name} {value}" for name, (value, usual) in told.items() if value != usual]
        return ", ".join([f"{type(self).__name__} in discrete steps", *said])

    def __repr__(self) -> str:
        said = ", ".join(f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self))  # pyright: ignore[reportArgumentType]
        return f"{type(self).__name__}({said})"

    def fire(self, voltage: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(spiked; 1 or 0; the voltage after it)."""
        threshold = _like(self.v_threshold, voltage)
        spiked = voltage > threshold
        after = voltage - threshold if self.v_reset is None else _like(self.v_reset, voltage)
        return spiked, spiked.to(voltage.dtype), torch.where(spiked, after, voltage)

    def _check(self, positive: tuple[str, ...] = ()) -> None:
        for f in fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, f.name)
            numbers = torch.as_tensor(0.0 if value is None else value)
            if numbers.is_complex() or not bool(numbers.isfinite().all()):
                raise ConfigError(f"{f.name} must be real and finite; got {shown(value)}")
            if f.name in positive and value is not None and not bool((numbers > 0).all()):
                raise ConfigError(f"{f.name} must be a positive number of seconds; got {_short(value)}")


@stored
@checked
@dataclass(frozen=True, eq=False, repr=False)
class IF(Discrete):
    """Integrate-and-fire without a leak, as NIR's ``IF`` stepped by Euler:

        v <- v + dt r x,   a spike iff v > v_threshold, then v <- v_reset.

    Args:
        r: resistance; with dt r = 1 a step adds the input.
        v_threshold, v_reset: voltage above which it spikes, and voltage after a spike (None subtracts the threshold).

    Raises:
        ConfigError: a parameter that is not finite.

    Example:
        >>> neuron, x = IF(v_threshold=1.5), torch.ones(1, 1)
        >>> spiked, _, state = neuron.step(x, neuron.initial(x), dt=1.0)
        >>> spiked.item(), neuron.step(x, state, dt=1.0)[0].item()
        (False, True)
    """

    r: float | Tensor = 1.0
    v_threshold: float | Tensor = 1.0
    v_reset: float | Tensor | None = 0.0

    def __post_init__(self) -> None:
        self._check()

    def initial(self, like: Tensor) -> State:
        """Voltage 0."""
        return (torch.zeros_like(like),)

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked; 1 or 0; voltage)."""
        spiked, output, voltage = self.fire(state[0] + dt * _like(self.r, x) * x)
        return spiked, output, (voltage,)


@stored
@checked
@dataclass(frozen=True, eq=False, repr=False)
class DiscreteLIF(Discrete):
    """Leaky integrate-and-fire, as NIR's ``LIF`` and ``CubaLIF`` stepped by Euler:

        i <- i + dt/tau_syn (w_in x - i)          (without tau_syn: i = x)
        v <- v + dt/tau_mem (v_leak - v + r i),   a spike iff v > v_threshold, then v <- v_reset.

    The current reaches the voltage in the same step: such a filter delivers at once, unlike one on a connection. For
    a leak by exp(-dt/tau) in a step use tau_mem = dt / (1 - exp(-dt/tau)).

    Args:
        tau_mem: membrane time constant, s.
        r: resistance.
        v_leak: voltage at rest, and at the start.
        v_threshold, v_reset: voltage above which it spikes, and voltage after a spike (None subtracts the threshold).
        tau_syn: time constant of its current, s; None for no filter.
        w_in: weight of the input into the current.
        amplitude: value of a spike. An export folds it into the weights that follow.

    Raises:
        ConfigError: a time constant that is not positive, or a parameter that is not finite.

    Example:
        >>> neuron, x = DiscreteLIF(tau_mem=0.002), torch.full((1, 1), 1.5)
        >>> _, _, state = neuron.step(x, neuron.initial(x), dt=0.001)
        >>> spiked, _, after = neuron.step(x, state, dt=0.001)
        >>> state[0].item(), spiked.item(), after[0].item()
        (0.75, True, 0.0)
    """

    tau_mem: float | Tensor = 0.02
    r: float | Tensor = 1.0
    v_leak: float | Tensor = 0.0
    v_threshold: float | Tensor = 1.0
    v_reset: float | Tensor | None = 0.0
    tau_syn: float | Tensor | None = None
    w_in: float | Tensor = 1.0
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        self._check(("tau_mem", "tau_syn"))

    def on(self, dt: float) -> float:
        """Its amplitude."""
        return self.amplitude

    def time_constants(self, dt: float) -> tuple[float, ...]:
        """That of its current, s: the longest of the population, as exp(-dt/tau) leaks in a step."""
        if self.tau_syn is None:
            return ()
        left = 1 - dt / float(torch.as_tensor(self.tau_syn).max())
        return (-dt / math.log(left),) if left > 0 else ()

    def initial(self, like: Tensor) -> State:
        """Voltage ``v_leak``, and a current of 0 where there is one."""
        voltage = torch.zeros_like(like) + _like(self.v_leak, like)
        return (voltage,) if self.tau_syn is None else (voltage, torch.zeros_like(like))

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(spiked; spiked * amplitude; voltage and current)."""
        voltage, *current = state
        if self.tau_syn is not None:
            x = current[0] + dt / _like(self.tau_syn, x) * (_like(self.w_in, x) * x - current[0])
            current = [x]
        rate = dt / _like(self.tau_mem, x)
        spiked, output, voltage = self.fire(voltage + rate * (_like(self.v_leak, x) - voltage + _like(self.r, x) * x))
        return spiked, output * self.amplitude, (voltage, *current)


def euler(tau: float, dt: float) -> float:
    """The time constant with which a step of Euler's leaks exp(-dt/tau).

    Example:
        >>> round(euler(0.02, 1e-3), 6)
        0.020504
    """
    return -dt / math.expm1(-dt / tau)


def _like(value: float | Tensor, x: Tensor) -> float | Tensor:
    """A parameter as it is worked with beside ``x``."""
    return value.to(x) if isinstance(value, Tensor) else value


def _short(value: float | Tensor | None) -> str:
    if isinstance(value, Tensor):
        return f"{float(value.min()):.3g} to {float(value.max()):.3g}"
    return "None" if value is None else f"{value:.6g}"
