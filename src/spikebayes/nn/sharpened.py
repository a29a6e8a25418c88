"""Sharpened: an activation that turns into a step while the network around it trains."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError, ConversionError
from spikebayes.machine.arguments import checked
from spikebayes.network.neurons import Threshold
from spikebayes.nn.unit import Place, Spiking, Units

CENTRE = 0.5  # where every kind steps
SLOPE = 4 * math.log(2 + math.sqrt(3))  # of the sigmoid's argument at width 1
LEAK = 0.01  # slope of the leaky kind far below its centre, at sharpness 0


class Kind(StrEnum):
    """What the activation is at sharpness 0."""

    BRELU = "brelu"
    SIGMOID = "sigmoid"
    RELU = "relu"
    LEAKY_RELU = "leaky_relu"


@checked
class Sharpened(Spiking):
    """An activation with a sharpness s in [0, 1]: an ordinary one at 0, exactly the step [x >= 1/2] at 1.

    With the width w = 1 - s + 0.001,

        brelu:       y = clip((x - 1/2)/w + 1/2, 0, 1), the bounded relu
        sigmoid:     y = 1/(1 + exp(-4 ln(2 + sqrt 3) (x - 1/2)/w))
        relu:        as brelu, plus (1 - s) times what x exceeds (1 + w)/2 by
        leaky_relu:  as relu, minus 0.01 (1 - s) times what x falls short of (1 - w)/2 by

    so that at s = 0 they are, except for the 0.001, the activations of those names; the sigmoid is centred at 1/2 and
    about as steep as the bounded relu. A step has no slope: its layer and all layers below would stop learning.
    ``learnable`` prevents that: the gradient is always that of the activation at sharpness ``min(s, learnable)``.

    Drops into a network in place of its activation. ``training.sharpening`` has the callbacks that raise the
    sharpness; at 1 ``convert`` makes a population of threshold neurons of it.

    Args:
        kind: ``"brelu"``, ``"sigmoid"``, ``"relu"`` or ``"leaky_relu"``.
        sharpness: initial sharpness, in [0, 1].
        learnable: the highest sharpness whose gradient is used, in [0, 1]; 1 uses the activation's own.
        noise: standard deviation of Gaussian noise added to the input while training, >= 0; drawn for each unit of a
            row, or once for each of its feature maps: it moves the empty background of an image, where all units of
            a map have the same input, away from the step.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: an unknown kind, or a number out of range.

    References:
        Severa, Vineyard, Dellana, Verzi & Aimone 2019, Whetstone, Nature Machine Intelligence 1:86 (brelu, sigmoid);
        Sandia 2017, "Steep Deep Spiking Networks" (relu, leaky relu and additive noise, without formulas: ours);
        Neftci, Mostafa & Zenke 2019, IEEE Signal Process. Mag. 36:51 (a surrogate for the step's gradient).

    Example:
        >>> x = torch.tensor([-1.0, 0.25, 0.5, 0.75, 3.0])
        >>> unit = Sharpened("relu")
        >>> [round(y, 2) for y in unit(x).tolist()]
        [0.0, 0.25, 0.5, 0.75, 3.0]
        >>> unit.sharpen(1.0)
        >>> unit(x).tolist()
        [0.0, 0.0, 1.0, 1.0, 1.0]
    """

    sharpness: Tensor
    kind: Kind
    noise: float
    learnable: float

    def __init__(
        self, kind: str = "brelu", sharpness: float = 0.0, *, learnable: float = 1.0, noise: float = 0.0
    ) -> None:
        super().__init__()
        if kind not in list(Kind):
            raise ConfigError(f"kind must be one of {', '.join(Kind)}; got {kind!r}")
        if not (noise >= 0 and math.isfinite(noise)):
            raise ConfigError(f"noise must be a number >= 0; got {noise}")
        self.kind, self.noise, self.learnable = Kind(kind), noise, _checked(learnable, "learnable")
        self.register_buffer("sharpness", torch.tensor(0.0, dtype=torch.float64))
        self.sharpen(sharpness)

    def sharpen(self, sharpness: float) -> None:
        """Set the sharpness, in [0, 1] (ConfigError)."""
        self.sharpness.fill_(_checked(sharpness, "sharpness"))

    def _apply(self, fn: Any, recurse: bool = True) -> Sharpened:
        """The sharpness stays in float64 and where it is: in few bits one near 1 would be 1, some devices have no
        float64, and to read it from one on every call would wait for it."""
        exact = self._buffers.pop("sharpness")
        try:
            return super()._apply(fn, recurse)
        finally:
            self._buffers["sharpness"] = exact

    @property
    def is_step(self) -> bool:
        """Whether it is exactly a step."""
        return float(self.sharpness) == 1

    def forward(self, x: Tensor) -> Tensor:
        if self.noise and self.training:
            drawn = torch.randn(x.shape[:2] + (1,) * (x.ndim - 2), dtype=x.dtype, device=x.device)
            x = x + self.noise * drawn
        sharpness = float(self.sharpness)
        slope_of = min(sharpness, self.learnable)
        if self.kind is Kind.BRELU or slope_of == 1:  # a step without a slope is the same of every kind
            return _BoundedReLU.apply(x, sharpness, slope_of)  # pyright: ignore[reportReturnType]
        y = (x >= CENTRE).to(x.dtype) if sharpness == 1 else self._formula(x, sharpness)
        if slope_of == sharpness or not torch.is_grad_enabled():
            return y
        soft = self._formula(x, slope_of)
        return y.detach() + (soft - soft.detach())

    def _formula(self, x: Tensor, s: float) -> Tensor:
        """The activation at a sharpness below 1 that is not in its buffer."""
        w = _width(s)
        if self.kind is Kind.SIGMOID:
            return torch.sigmoid(SLOPE / w * (x - CENTRE))
        y = ((x - CENTRE) / w + CENTRE).clamp(0, 1) + (1 - s) * (x - (1 + w) / 2).clamp(min=0)
        if self.kind is Kind.LEAKY_RELU:
            y = y + LEAK * (1 - s) * (x - (1 - w) / 2).clamp(max=0)
        return y

    def units(self, place: Place) -> Units:
        if not self.is_step:
            raise ConversionError(
                f"a Sharpened activation has sharpness {float(self.sharpness):g}: only at 1 is it a spiking neuron; "
                "sharpen it while training (training.sharpening), or at once with sharpen(1.0)"
            )
        return Units(Threshold(CENTRE))

    def extra_repr(self) -> str:
        more = "" if self.learnable == 1 else f", learnable={self.learnable:g}"
        return f"{self.kind.value!r}, sharpness={float(self.sharpness):g}{more}" + (
            f", noise={self.noise:g}" if self.noise else ""
        )


class _BoundedReLU(torch.autograd.Function):
    """The bounded relu at one sharpness with the slope of another, in passes that allocate nothing but the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sharpness: float, slope_of: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.width = None if slope_of == 1 else _width(slope_of)
        if sharpness == 1:
            return (x >= CENTRE).to(x.dtype)
        return (x - CENTRE).div_(_width(sharpness)).add_(CENTRE).clamp_(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        if ctx.width is None:
            return torch.zeros_like(gradient), None, None
        half = ctx.width / 2
        inside = torch.ops.aten.hardtanh_backward(gradient, x, CENTRE - half, CENTRE + half)
        return inside.div_(ctx.width), None, None


def _width(sharpness: float) -> float:
    return 1 - sharpness + 0.001


def _checked(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} must lie in [0, 1]; got {value}")
    return float(value)
