"""Averages over windows of a feature map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from spikebayes.machine.arguments import checked
from spikebayes.network.operators.operator import Operator, Shape, probed
from spikebayes.network.operators.patterns import ByAxis, Pattern, lines_of, reached
from spikebayes.network.vocabulary import stored

if TYPE_CHECKING:
    from scipy import sparse

    from spikebayes.network.operators.operator import Matrix


@checked
@stored
class AvgPool(Operator):
    """Average pooling over 1 or 2 spatial axes."""

    kernel: Shape
    stride: Shape
    padding: Shape
    ceil_mode: bool
    count_include_pad: bool

    def __init__(
        self,
        kernel: Shape,
        stride: Shape,
        padding: Shape,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = tuple(kernel), tuple(stride), tuple(padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        pool: Any = F.avg_pool1d if len(self.kernel) == 1 else F.avg_pool2d
        return pool(x, self.kernel, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def works(self, source: Shape) -> bool:
        return True

    def matrix(self, source: Shape) -> Matrix:
        return _channel_by_channel(self, source)

    def pattern(self, source: Shape) -> Pattern:
        sizes = zip(source[1:], self.kernel, self.stride, self.padding, strict=True)
        rest = self.ceil_mode, self.count_include_pad
        axes = (reached(F.avg_pool1d(lines_of(n), k, s, p, *rest)) for n, k, s, p in sizes)
        return ByAxis.of(source, (None, *axes))

    def config(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
        }


@checked
@stored
class SumPool(AvgPool):
    """Sums over windows of a feature map with 1 or 2 spatial axes; beyond the edge are zeros.

    Example:
        >>> from torch import ones
        >>> SumPool((2, 3), (2, 3), (0, 0))(ones(1, 1, 4, 3)).tolist()
        [[[[6.0], [6.0]]]]
    """

    def __init__(self, kernel: Shape, stride: Shape, padding: Shape) -> None:
        super().__init__(kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.kernel) == 2:
            return F.avg_pool2d(x, self.kernel, self.stride, self.padding, divisor_override=1)
        line = (1, *self.kernel), (1, *self.stride), (0, *self.padding)
        return F.avg_pool2d(x.unsqueeze(-2), *line, divisor_override=1).squeeze(-2)

    def config(self) -> dict[str, Any]:
        return {"kernel": self.kernel, "stride": self.stride, "padding": self.padding}


@checked
@stored
class AdaptiveAvgPool(Operator):
    """Average pooling to a given spatial size (None keeps an axis)."""

    def __init__(self, size: tuple[int | None, ...]) -> None:
        super().__init__()
        self.size: list[int | None] = list(size)

    def forward(self, x: Tensor) -> Tensor:
        pool: Any = F.adaptive_avg_pool1d if len(self.size) == 1 else F.adaptive_avg_pool2d
        return pool(x, self.size)

    def works(self, source: Shape) -> bool:
        return True

    def matrix(self, source: Shape) -> Matrix:
        return _channel_by_channel(self, source)

    def pattern(self, source: Shape) -> Pattern:
        sizes = zip(source[1:], self.size, strict=True)
        axes = (None if k is None else reached(F.adaptive_avg_pool1d(lines_of(n), k)) for n, k in sizes)
        return ByAxis.of(source, (None, *axes))

    def config(self) -> dict[str, Any]:
        return {"size": self.size}


def _channel_by_channel(operator: Operator, source: Shape) -> sparse.csr_array:
    """The matrix of what acts on each channel alike."""
    from scipy import sparse

    channels, *space = source
    return sparse.csr_array(sparse.kron(sparse.eye_array(channels), probed(operator, (1, *space)), format="csr"))
