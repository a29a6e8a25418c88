"""Windows of a feature map side by side, for pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.machine.arguments import checked
from spikebayes.network.operators.operator import Operator, Shape, size
from spikebayes.network.operators.patterns import ByAxis, Pattern, lines_of, reached
from spikebayes.network.vocabulary import stored


@checked
@stored
class Windows(Operator):
    """The units of each window in a line: ``[R, C, *space]`` to ``[R, C, *places, K]``, over 1 or 2 spatial axes.

    Where a window extends beyond the edge it repeats one of its own units, so that its maximum is unchanged.

    Args:
        kernel, stride, padding, dilation, ceil_mode: as of torch's max pooling.

    Example:
        >>> Windows((2,), (2,), (0,), (1,))(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])).tolist()
        [[[[1.0, 2.0], [3.0, 4.0]]]]
    """

    rearranges = True
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    ceil_mode: bool

    def __init__(
        self, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride = tuple(kernel), tuple(stride)
        self.padding, self.dilation, self.ceil_mode = tuple(padding), tuple(dilation), ceil_mode
        self._seen: dict[Shape, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        index = self._index(tuple(x.shape[2:])).to(x.device)  # [*places, K]
        return x.flatten(2)[:, :, index]

    def largest(self, x: Tensor) -> Tensor:
        """``[R, C, *places]``, the largest unit of each window."""
        pool: Any = F.max_pool1d if len(self.kernel) == 1 else F.max_pool2d
        return pool(x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    def _index(self, space: Shape) -> Tensor:
        """``[*places, K]``: which units of a map each window shows."""
        if space not in self._seen:
            numbers = torch.arange(1, size(space) + 1)
            largest = self.largest(numbers.reshape(1, 1, *space).double())[0, 0].long() - 1  # inside each window
            index = torch.zeros(*largest.shape, 0, dtype=torch.int64)
            for offset in torch.cartesian_prod(*map(torch.arange, self.kernel)).reshape(-1, len(self.kernel)):
                at = [
                    torch.arange(n) * s - p + o * d
                    for n, s, p, o, d in zip(
                        largest.shape, self.stride, self.padding, offset.tolist(), self.dilation, strict=True
                    )
                ]
                inside = [(a >= 0) & (a < n) for a, n in zip(at, space, strict=True)]
                place, valid = torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.bool)
                for k, (a, ok) in enumerate(zip(at, inside, strict=True)):
                    view = [-1 if j == k else 1 for j in range(len(space))]
                    place = place * space[k] + a.clamp(0, space[k] - 1).reshape(view)
                    valid = valid & ok.reshape(view)
                index = torch.cat([index, torch.where(valid, place, largest)[..., None]], -1)
            self._seen[space] = index
        return self._seen[space]

    def pattern(self, source: Shape) -> Pattern:
        """Which units reach which neuron: the K values of one neuron are one target."""
        axes = []
        for n, k, s, p, d in zip(source[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True):
            window = torch.ones(1, 1, k, dtype=torch.float64)
            places = self.largest(torch.zeros(1, 1, *source[1:])).shape[2 + len(axes)]
            reach = F.conv1d(F.pad(lines_of(n), (p, p + k * d * s)), window, None, s, 0, d)[..., :places]
            axes.append(reached(reach))
        return ByAxis.of(source, (None, *axes))

    def config(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }
