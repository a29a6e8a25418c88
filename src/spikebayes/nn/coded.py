"""A code's quantiser as an activation to train with: exactly what the network will send."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.coded import Coded as CodedNeuron
from spikebayes.network.coded import Ramp
from spikebayes.network.codes import Code
from spikebayes.nn.unit import Place, Spiking, Units


@checked
class Coded(Spiking):
    """ReLU, clipped at ``top`` and rounded to a code's levels; the gradient ignores the rounding (straight-through).

        y = step round(min(max(x, 0), top) / step),  step = top / (R^D - 1)

    dy/dx = 1 for 0 < x < top, else 0; dy/dtop = 1 where x is cut off. ``convert`` makes neurons of that code with
    this top, so that the module and the network are the same function, whatever the number of levels. This makes
    networks with as few as 8 or 16 levels trainable.

    Args:
        code: whose levels.
        top: value of the highest level, trained with the weights. None takes the largest value of the first training
            batch.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: a top that is not positive.

    Reference:
        Choi et al. 2018, PACT, arXiv:1805.06085 (the top's gradient); Bengio et al. 2013, arXiv:1308.3432 (straight
        through).

    Example:
        >>> from spikebayes import FirstSpike
        >>> Coded(FirstSpike(4), top=3.0)(torch.tensor([-1.0, 0.4, 0.6, 2.2, 9.0])).tolist()
        [0.0, 0.0, 1.0, 2.0, 3.0]
    """

    settled: Tensor

    def __init__(self, code: Code, top: float | None = None) -> None:
        super().__init__()
        if top is not None and not (top > 0 and math.isfinite(top)):
            raise ConfigError(f"top must be positive; got {top}")
        self.code = code
        self.top: nn.Parameter = nn.Parameter(torch.tensor(1.0 if top is None else float(top)))
        self.register_buffer("settled", torch.tensor(top is not None))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not bool(self.settled):
            with torch.no_grad():
                largest = float(x.detach().max())
                self.top.fill_(largest if largest > 0 and math.isfinite(largest) else 1.0)
                self.settled.fill_(True)
        return _Quantised.apply(x, self.top, self.code.highest)  # pyright: ignore[reportReturnType]

    def units(self, place: Place) -> Units:
        top = self.top.detach().float().clone()
        if not float(top) > 0:
            raise ConfigError(
                f"the top of a Coded activation fell to {float(top):g} in training; it must be positive"
            )
        response = Ramp(limit=torch.tensor(float(self.code.highest)))  # what is above was cut off in training too
        return Units(CodedNeuron(self.code, response, top), curve=self.forward)

    def extra_repr(self) -> str:
        return f"{self.code}, top={float(self.top):g}"


class _Quantised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, top: Tensor, highest: int) -> Tensor:
        ctx.save_for_backward(x, top)
        step = top.to(x.dtype) / highest
        return (x / step + 0.5).floor().clamp(0, highest) * step

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, top = ctx.saved_tensors
        above = x >= top
        inside = (x > 0) & ~above
        return gradient * inside, (gradient * above).sum().to(top.dtype), None
