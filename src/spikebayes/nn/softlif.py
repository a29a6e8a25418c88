"""SoftLIF: the LIF rate curve with its threshold smoothed, for training; LIFRate: the curve itself."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.neurons import LIF
from spikebayes.nn.kernel import soft_lif

TAIL = -20.0  # below this many gammas softplus(z) = exp(z) to float32 precision


class LIFRate(nn.Module):
    """Firing rate of a LIF neuron under constant current, times its amplitude.

        y = amplitude / (tau_ref + tau_rc log(1 + 1/(J - 1)))  for J = gain x + bias > 1, else 0

    The defaults make a unit that is silent below x = -0.1, gives 0.3 at x = 0 and 1.25 at x = 1, by 148 and 626 Hz: a
    network of them trains like one of saturating ReLUs, and its rates are high enough, its threshold region narrow
    enough, that a few hundred milliseconds of spikes tell the rates.

    Args:
        tau_rc, tau_ref: seconds. amplitude: output per Hz. gain, bias: J = gain x + bias.

    Shape:
        any, returned as it came.

    Reference:
        Hunsberger & Eliasmith 2015, eq. 3; Wycoff 2019, eq. 1.

    Example:
        >>> y = LIFRate()(torch.tensor([-1.0, 0.0, 1.0]))
        >>> [round(v, 2) for v in y.tolist()]
        [0.0, 0.3, 1.25]
    """

    def __init__(
        self,
        tau_rc: float = 0.02,
        tau_ref: float = 0.001,
        amplitude: float = 0.002,
        gain: float = 30.0,
        bias: float = 4.0,
    ) -> None:
        super().__init__()
        self.neuron = LIF(tau_rc, tau_ref, amplitude, gain, bias)

    def forward(self, x: Tensor) -> Tensor:
        over = self.neuron.current(x) - 1
        firing = over > 0
        inverse = torch.where(firing, over, 1.0).reciprocal()  # keep the unused branch finite for the gradient
        rate = 1 / (self.neuron.tau_ref + self.neuron.tau_rc * torch.log1p(inverse))
        return torch.where(firing, self.neuron.amplitude * rate, 0.0)

    def extra_repr(self) -> str:
        n = self.neuron
        return f"tau_rc={n.tau_rc}, tau_ref={n.tau_ref}, amplitude={n.amplitude}, gain={n.gain}, bias={n.bias}"


class SoftLIF(LIFRate):
    """LIF rate curve with a smooth threshold of width gamma.

        y = amplitude / (tau_ref + tau_rc log(1 + 1/rho)),  rho = gamma softplus((J - 1)/gamma)

    As gamma goes to 0 this is :class:`LIFRate`. gamma is a buffer that training may anneal; ``spikebayes.fit`` does.
    Far below threshold, where rho underflows, log(1 + 1/rho) is taken as -(J - 1)/gamma - log gamma, which is exact
    to float32 precision: clamping rho instead would leave a floor of spurious rate.

    Args:
        gamma: width of the smoothed threshold, in units of current, > 0; the rest as for :class:`LIFRate`.

    Reference:
        Hunsberger & Eliasmith 2015, eqs. 4 and 5; Wycoff 2019, eq. 2.

    Example:
        >>> x = torch.linspace(-2, 2, 9)
        >>> bool((SoftLIF(gamma=1e-3)(x) - LIFRate()(x)).abs().max() < 0.1)
        True
    """

    gamma: Tensor

    def __init__(
        self,
        gamma: float = 0.02,
        tau_rc: float = 0.02,
        tau_ref: float = 0.001,
        amplitude: float = 0.002,
        gain: float = 30.0,
        bias: float = 4.0,
    ) -> None:
        super().__init__(tau_rc, tau_ref, amplitude, gain, bias)
        if not (gamma > 0 and math.isfinite(gamma)):
            raise ConfigError(f"gamma must be positive; got {gamma}")
        self.register_buffer("gamma", torch.tensor(float(gamma)))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            y = self._at_once(x)
            if y is not None:
                return y
        gamma = self.gamma.to(x.dtype)
        z = (self.neuron.current(x) - 1) / gamma
        tail = z < TAIL
        rho = gamma * F.softplus(torch.where(tail, TAIL, z))
        logarithm = torch.where(tail, -z - gamma.log(), torch.log1p(1 / rho))
        return self.neuron.amplitude / (self.neuron.tau_ref + self.neuron.tau_rc * logarithm)

    def _at_once(self, x: Tensor) -> Tensor | None:
        """The same values to rounding by the compiled kernel; None where it does not reach."""
        if x.dtype != torch.float32 or x.device.type != "cpu" or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            return None
        try:
            values = x.detach().contiguous().view(-1).numpy()
        except RuntimeError:  # under vmap and the like there are no values to be had
            return None
        n, gamma = self.neuron, float(self.gamma)
        settings = n.gain, n.bias - 1, gamma, math.log(gamma), n.amplitude, n.tau_ref, n.tau_rc
        y = torch.empty(x.shape)
        soft_lif(y.view(-1).numpy(), values, np.array(settings, np.float32))
        return y

    def extra_repr(self) -> str:
        return f"gamma={float(self.gamma):g}, {super().extra_repr()}"
