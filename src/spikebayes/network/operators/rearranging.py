"""Units moved to other places, dropped, or put among zeros; none is multiplied or added to another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.machine.arguments import checked
from spikebayes.machine.kinds import Indices
from spikebayes.network.operators.operator import Operator, Shape, target_shape
from spikebayes.network.operators.patterns import ByAxis, Pattern, Permuted, Reshaped
from spikebayes.network.vocabulary import stored


@checked
@stored
class Reshape(Operator):
    """Another shape for each row, elements in the same order."""

    rearranges = reshapes = True

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape: Shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def offset(self, source: Shape) -> int:
        return 0

    def pattern(self, source: Shape) -> Pattern:
        return Reshaped(source, target_shape(self, source))

    def config(self) -> dict[str, Any]:
        return {"shape": self.shape}


@checked
@stored
class Permute(Operator):
    """Axes of each row in another order; dims counts them from 1, as torch does with the batch axis in front."""

    rearranges = True

    def __init__(self, dims: Shape) -> None:
        super().__init__()
        self.dims: tuple[int, ...] = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *self.dims)

    def pattern(self, source: Shape) -> Pattern:
        return Permuted(source, target_shape(self, source), tuple(k % (len(source) + 1) - 1 for k in self.dims))

    def config(self) -> dict[str, Any]:
        return {"dims": self.dims}


@stored
class Place(Operator):
    """This part's slot in a concatenation along ``dim``: zeros before and after it."""

    rearranges = True
    dim: int
    before: int
    after: int

    def __init__(self, dim: int, before: int, after: int) -> None:
        super().__init__()
        self.dim, self.before, self.after = dim, before, after

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, [0, 0] * (x.ndim - 1 - self.dim) + [self.before, self.after])

    def pattern(self, source: Shape) -> Pattern:
        return _along_one_axis(self.dim, Place(1, self.before, self.after), source)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "before": self.before, "after": self.after}


@checked
@stored
class Slice(Operator):
    """Elements start, start + step, ... below stop along ``dim``."""

    rearranges = True
    dim: int
    start: int
    stop: int
    step: int

    def __init__(self, dim: int, start: int, stop: int, step: int = 1) -> None:
        super().__init__()
        self.dim, self.start, self.stop, self.step = dim, start, stop, step

    def forward(self, x: Tensor) -> Tensor:
        index: list[slice] = [slice(None)] * x.ndim
        index[self.dim] = slice(self.start, self.stop, self.step)
        return x[tuple(index)]

    def pattern(self, source: Shape) -> Pattern:
        return _along_one_axis(self.dim, Slice(1, self.start, self.stop, self.step), source)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "start": self.start, "stop": self.stop, "step": self.step}


@stored
class Pick(Operator):
    """Along ``dim``, the units of the given numbers, in this order; a zero where a number is -1.

    Any number of times and in any order: flipped, rolled, repeated, padded, spread out.

    Args:
        dim: counts axes from 1, as torch does with the batch axis in front.
        index: ``[M]`` int64.

    Example:
        >>> Pick(1, torch.tensor([2, 0, 0, -1]))(torch.tensor([[5.0, 6.0, 7.0]])).tolist()
        [[7.0, 5.0, 5.0, 0.0]]
    """

    rearranges = True
    index: Tensor

    def __init__(self, dim: int, index: Indices) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("index", index)
        self._gaps = bool((index < 0).any())

    def forward(self, x: Tensor) -> Tensor:
        picked = x.index_select(self.dim, self.index.clamp(min=0))
        if not self._gaps:
            return picked
        return picked.masked_fill((self.index < 0).reshape(-1, *[1] * (x.ndim - 1 - self.dim)), 0)

    def pattern(self, source: Shape) -> Pattern:
        if len(source) == 1:  # perhaps a whole feature map in a line
            return super().pattern(source)
        return _along_one_axis(self.dim, Pick(1, self.index), source)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}


def _along_one_axis(dim: int, alone: Operator, source: Shape) -> ByAxis:
    """The pattern of what acts along one axis as ``alone`` does on vectors."""
    at = dim % (len(source) + 1) - 1
    return ByAxis.of(source, (alone(torch.eye(n).double()) if k == at else None for k, n in enumerate(source)))
