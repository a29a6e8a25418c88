"""SoftLIF: the LIF rate curve with its threshold smoothed, for training; LIFRate: the curve itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.neurons import LIF
from spikebayes.nn.softlif_kernel import soft_lif
from spikebayes.nn.unit import Place, Spiking, Units

TAIL = -20.0  # below this many gammas softplus(z) = exp(z) to float32 precision


@checked
class LIFRate(Spiking):
    """Firing rate of a LIF neuron under constant current, times its amplitude.

        y = amplitude / (tau_ref + tau_rc log(1 + 1/(J - 1)))  for J = gain x + bias > 1, else 0

    The defaults make a unit that is silent below x = -0.1 and gives 0.3 at x = 0 and 1.25 at x = 1, at 148 and 626
    Hz: a network of them trains like one of saturating ReLUs, and its rates are high enough, and its threshold region
    narrow enough, for rates to be read from a few hundred milliseconds of spikes.

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
        self.neuron: LIF = LIF(tau_rc, tau_ref, amplitude, gain, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(x)

    def units(self, place: Place) -> Units:
        return Units(self.neuron, curve=self.formula)

    def formula(self, x: Tensor) -> Tensor:
        """The curve by torch operations."""
        over = self.neuron.current(x) - 1
        firing = over > 0
        inverse = torch.where(firing, over, 1.0).reciprocal()  # keep the unused branch finite for the gradient
        rate = 1 / (self.neuron.tau_ref + self.neuron.tau_rc * torch.log1p(inverse))
        return torch.where(firing, self.neuron.amplitude * rate, 0.0)

    def extra_repr(self) -> str:
        n = self.neuron
        return f"tau_rc={n.tau_rc}, tau_ref={n.tau_ref}, amplitude={n.amplitude}, gain={n.gain}, bias={n.bias}"


@checked
class SoftLIF(LIFRate):
    """LIF rate curve with a smooth threshold of width gamma.

        y = amplitude / (tau_ref + tau_rc log(1 + 1/rho)),  rho = gamma softplus((J - 1)/gamma)

    As gamma goes to 0 this is :class:`LIFRate`. gamma is a buffer that training may anneal; ``spikebayes.fit`` does.
    Far below threshold, where rho underflows, log(1 + 1/rho) is taken as -(J - 1)/gamma - log gamma, which is exact
    to float32 precision: clamping rho instead would leave a spurious minimum rate.

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
        if x.dtype in (torch.bfloat16, torch.float16):  # the threshold is too steep for eight bits
            x = x.float()
        values = self._values(x)
        if values is None:
            return self.formula(x)
        if x.requires_grad and torch.is_grad_enabled():
            return _Compiled.apply(x, values, self)  # pyright: ignore[reportReturnType]
        return self.compiled(values, x.shape)[0]

    def formula(self, x: Tensor) -> Tensor:
        """The curve by torch operations: any dtype, any device, any transformation."""
        gamma = self.gamma.to(x.dtype)
        z = (self.neuron.current(x) - 1) / gamma
        tail = z < TAIL
        rho = gamma * F.softplus(torch.where(tail, TAIL, z))
        logarithm = torch.where(tail, -z - gamma.log(), torch.log1p(1 / rho))
        return self.neuron.amplitude / (self.neuron.tau_ref + self.neuron.tau_rc * logarithm)

    def compiled(self, x: NDArray[np.float32], shape: torch.Size, slope: bool = False) -> tuple[Tensor, Tensor]:
        """The same to rounding by the compiled kernel, from the values ``[N]``; the slope too, or an empty tensor."""
        n, gamma = self.neuron, float(self.gamma)
        settings = n.gain, n.bias - 1, gamma, math.log(gamma), n.amplitude, n.tau_ref, n.tau_rc
        y, dy = (torch.empty(each, dtype=torch.float32) for each in (shape, shape if slope else 0))
        soft_lif(y.view(-1).numpy(), dy.view(-1).numpy(), x, np.array(settings, np.float32))
        return y, dy

    def _values(self, x: Tensor) -> NDArray[np.float32] | None:
        """What the kernel reads, ``[N]``; None where it does not reach."""
        if x.dtype != torch.float32 or x.device.type != "cpu" or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            return None
        if forward_ad.unpack_dual(x).tangent is not None:
            return None
        try:
            return x.detach().contiguous().view(-1).numpy()
        except RuntimeError:  # under vmap and the like there are no values to be had
            return None

    def extra_repr(self) -> str:
        return f"gamma={float(self.gamma):g}, {super().extra_repr()}"


class _Compiled(torch.autograd.Function):
    """The compiled curve with its slope for the way back; higher derivatives go by the formula."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: NDArray[np.float32], unit: SoftLIF) -> Tensor:
        y, slope = unit.compiled(values, x.shape, slope=True)
        ctx.save_for_backward(x, slope)
        ctx.unit = unit
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            y = ctx.unit.formula(x)
            return torch.autograd.grad(y, x, gradient, create_graph=True)[0], None, None
        return gradient * slope, None, None
