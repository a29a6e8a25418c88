"""DiscreteSoftLIF: for training, the rate curve of LIF neurons in discrete steps, as chips have them."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.discrete import DiscreteLIF, euler
from spikebayes.nn.softlif import SoftLIF
from spikebayes.nn.unit import Demand, Place, Units, Values

Reset = Literal["zero", "subtract"]
CONSTANT = Demand(
    Values.CONSTANT,
    "its curve is that of an input that is the same in all steps, and spikes lead to it; behind other neurons use "
    "DiscreteSoftLIF() without constant=True",
)
VARYING = Demand(
    Values.VARYING,
    "its curve is that of a current of spikes, and what leads to it is the same in all steps; as the first layer use "
    "DiscreteSoftLIF(constant=True)",
)


@checked
class DiscreteSoftLIF(SoftLIF):
    """Mean output of LIF neurons in discrete steps: at most one spike a step, no refractory time.

    A neuron is reset at the end of the step in which it crosses its threshold, so that it loses the excess. With a
    current J that fluctuates with incoming spikes the crossing may lie anywhere in a step, on average half a step
    before its end; with a constant current the intervals are whole steps, and the curve is a staircase:

        y = amplitude / (t/dt + 1/2),             t = tau_rc log(1 + 1/(J - 1))  for J = gain x + bias > 1, else 0
        y = amplitude / (floor(t/dt) + 1)         with ``constant``

    With ``reset="subtract"`` a neuron keeps the excess, on average h/2 with steps of size h = (J - 1)(1 -
    exp(-dt/tau_rc)), and there is no staircase:

        y = amplitude dt/t,                       t = tau_rc log(1 + 1/(J - 1 - h/2))

    and y is at most the amplitude. The threshold is smoothed as that of :class:`SoftLIF`, whose gamma
    ``spikebayes.fit`` anneals; the staircase has the gradient of the smooth curve (straight-through). The defaults
    make neurons with a slow leak that fire some tens to a few hundred times a second: they average their current, so
    that its fluctuations matter little, and an interval has enough steps. ``convert`` makes a population of
    :class:`spikebayes.network.DiscreteLIF` of it, in the form that all importers of NIR read alike.

    Args:
        gamma: width of the smoothed threshold, in units of current, > 0.
        tau_rc: membrane time constant, s.
        tau_syn: time constant of the filter on its current, s; None for none.
        constant: whether its input is the same in all steps, as for a model's first layer, which has no filter.
        reset: to 0 after a spike (``"zero"``), or by subtracting the threshold (``"subtract"``), which NIR cannot
            express.
        dt: step, s, which must be the network's.
        amplitude: what a spike is worth, which is the output of a neuron that fires in every step.
        gain, bias: J = gain x + bias, gain > 0.

    Shape:
        any, returned as it came.

    Raises:
        ConfigError: a setting out of range.

    Reference:
        Pedersen et al. 2024, Nat. Commun. 15:8122 (the neuron); Bengio et al. 2013, arXiv:1308.3432 (straight
        through). The curves are ours.

    Example:
        >>> first, other = DiscreteSoftLIF(constant=True), DiscreteSoftLIF(gamma=1e-3)
        >>> x = torch.tensor([-1.0, 0.0, 1.0])
        >>> [round(4 / y) for y in first(x).tolist()[1:]]  # steps between two spikes
        [29, 5]
        >>> [round(y, 3) for y in other(x).tolist()]
        [0.0, 0.137, 0.776]
    """

    tau_syn: float | None
    constant: bool
    dt: float
    amplitude: float
    gain: float
    bias: float

    def __init__(
        self,
        gamma: float = 0.02,
        tau_rc: float = 0.1,
        tau_syn: float | None = 0.01,
        *,
        constant: bool = False,
        reset: Reset = "zero",
        dt: float = 1e-3,
        amplitude: float = 4.0,
        gain: float = 18.0,
        bias: float = 4.0,
    ) -> None:
        given = {"tau_rc": tau_rc, "dt": dt, "gain": gain, "tau_syn": 1.0 if tau_syn is None else tau_syn}
        for name, value in given.items():
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} must be a positive number; got {value}")
        if reset not in ("zero", "subtract"):
            raise ConfigError(f"reset must be 'zero' or 'subtract'; got {reset!r}")
        kept = 1.0 if reset == "zero" else 1 + math.expm1(-dt / tau_rc) / 2  # (J - 1 - h/2) / (J - 1)
        late = dt / 2 if reset == "zero" else 0.0
        over = kept * (bias - 1)
        super().__init__(gamma, tau_rc, late, amplitude * dt, kept * gain, 1 + over)
        self.tau_syn = None if constant else tau_syn
        self.constant, self.reset, self.dt, self.amplitude = constant, reset, dt, amplitude
        self.gain, self.bias = gain, bias
        n = self.neuron
        self._top = (-1 / math.expm1(-(dt - late) / tau_rc) - n.bias) / n.gain  # from here on a spike in every step

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype in (torch.bfloat16, torch.float16):
            x = x.float()
        y = super().forward(x.clamp(max=self._top))
        return self._whole_steps(x) + (y - y.detach()) if self._is_staircase else y

    def rate(self, x: Tensor) -> Tensor:
        """The curve by torch operations."""
        return self._whole_steps(x) if self._is_staircase else self.formula(x.clamp(max=self._top))

    @property
    def _is_staircase(self) -> bool:
        return self.constant and self.reset == "zero"

    def _whole_steps(self, x: Tensor) -> Tensor:
        """The staircase, without a slope."""
        current = self.neuron.current(x.detach()).clamp(min=1)
        crossing = -self.neuron.tau_rc / self.dt * torch.log1p(-1 / current)
        return self.amplitude / (crossing.floor() + 1)

    def units(self, place: Place) -> Units:
        tau = euler(self.neuron.tau_rc, self.dt)
        options: dict[str, Any] = {"amplitude": self.amplitude, "v_reset": 0.0 if self.reset == "zero" else None}
        neuron, scale = DiscreteLIF(_single(tau), **options), 1.0
        if self.tau_syn is not None:  # both gains, tau/dt, are taken off the input again
            slow = euler(self.tau_syn, self.dt)
            r, w_in, scale = tau / self.dt, slow / self.dt, self.dt / tau * self.dt / slow
            neuron = DiscreteLIF(_single(tau), _single(r), tau_syn=_single(slow), w_in=_single(w_in), **options)
        return Units(
            neuron,
            factor=self.gain * scale,
            shift=self.bias * scale,
            curve=lambda x: self.rate((x / scale - self.bias) / self.gain),
            demands=(CONSTANT if self.constant else VARYING,),
            dt=self.dt,
        )

    def extra_repr(self) -> str:
        said = f"gamma={float(self.gamma):g}, tau_rc={self.neuron.tau_rc:g}, tau_syn={self.tau_syn}"
        said += f", constant={self.constant}, reset={self.reset!r}, dt={self.dt:g}, amplitude={self.amplitude:g}"
        return f"{said}, gain={self.gain:g}, bias={self.bias:g}"


def _single(value: float) -> float:
    """The nearest number of float32, which files and other simulators hold as it is."""
    return float(np.float32(value))
