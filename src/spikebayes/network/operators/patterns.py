"""Which targets a unit reaches: operators as patterns of zeros and ones, whatever their weights.

Most operators treat each axis by itself: a convolution's reach over rows does not depend on columns or channels. So
their pattern is a product of one small 0/1 matrix per axis, and patterns of large feature maps are applied without
ever being laid out. Applied to numbers of spikes, a pattern counts what arrives at every target; all sums are of
whole numbers in float64, exact below 2^53.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy import sparse

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pattern(ABC):
    """Zeros and ones, ``[N_source, N_target]``: 1 where a unit reaches a target.

    Args:
        source, target: shapes of one row.
    """

    source: Shape
    target: Shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``[R, *source]`` to ``[R, *target]``: each target's sum over the units that reach it."""

    @abstractmethod
    def backward(self, y: Tensor) -> Tensor:
        """``[R, *target]`` to ``[R, *source]``: each unit's sum over the targets that it reaches."""

    def before(self, after: Pattern) -> Pattern | None:
        """This pattern and one behind it as one, 1 where any path leads; None where both are to be kept."""
        return None


@dataclass(frozen=True, eq=False)
class ByAxis(Pattern):
    """Each axis by itself.

    Args:
        axes: for each axis ``[n_source, n_target]`` of 0 and 1, None where units stay where they are.
    """

    axes: tuple[Tensor | None, ...]

    @classmethod
    def of(cls, source: Shape, axes: Iterable[Tensor | None]) -> ByAxis:
        """The pattern of these axes, which say what the target's shape is."""
        found = tuple(axes)
        target = tuple(n if m is None else m.shape[1] for n, m in zip(source, found, strict=True))
        return cls(source, target, found)

    def forward(self, x: Tensor) -> Tensor:
        for axis, matrix in enumerate(self.axes, start=1):
            x = x if matrix is None else _along(x, axis, matrix)
        return x

    def backward(self, y: Tensor) -> Tensor:
        for axis, matrix in enumerate(self.axes, start=1):
            y = y if matrix is None else _along(y, axis, matrix.T)
        return y

    def before(self, after: Pattern) -> Pattern | None:
        if not isinstance(after, ByAxis):
            return None
        axes = tuple(_product(a, b) for a, b in zip(self.axes, after.axes, strict=True))
        return ByAxis(self.source, after.target, axes)


@dataclass(frozen=True, eq=False)
class Permuted(Pattern):
    """Axes in another order.

    Args:
        order: which axis of the source, counted from 0, each axis of the target is.
    """

    order: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *(k + 1 for k in self.order))

    def backward(self, y: Tensor) -> Tensor:
        return y.permute(0, *(self.order.index(k) + 1 for k in range(len(self.order))))


@dataclass(frozen=True, eq=False)
class Reshaped(Pattern):
    """The same units in another shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.target)

    def backward(self, y: Tensor) -> Tensor:
        return y.reshape(len(y), *self.source)


@dataclass(frozen=True, eq=False)
class Laid(Pattern):
    """Any pattern, laid out.

    Args:
        ones: ``[N_source, N_target]``, not 0 where a unit reaches a target.
    """

    ones: sparse.csr_array

    def forward(self, x: Tensor) -> Tensor:
        return self._times(x, self.ones.astype(float)).reshape(-1, *self.target)

    def backward(self, y: Tensor) -> Tensor:
        return self._times(y, self.ones.T.astype(float)).reshape(-1, *self.source)

    def _times(self, x: Tensor, matrix: Any) -> Tensor:
        return torch.from_numpy(x.double().flatten(1).numpy() @ matrix)


def joined(patterns: Iterable[Pattern]) -> tuple[Pattern, ...]:
    """Patterns one after another, joined where one says the same as two: 1 where any path leads."""

    def one_more(found: tuple[Pattern, ...], pattern: Pattern) -> tuple[Pattern, ...]:
        both = found[-1].before(pattern) if found else None
        return (*found, pattern) if both is None else (*found[:-1], both)

    return reduce(one_more, patterns, ())


def ones_of(n: int, m: int) -> Tensor:
    """``[n, m]`` of ones, without the memory."""
    return torch.ones(1, 1, dtype=torch.float64).expand(n, m)


def lines_of(n: int) -> Tensor:
    """``[n, 1, n]``: line i has a 1 at place i, to be sent through what acts on one axis."""
    return torch.eye(n, dtype=torch.float64)[:, None]


def reached(lines: Tensor) -> Tensor:
    """``[n, m]`` of 0 and 1: where what :func:`lines_of` gave arrives, of ``[n, 1, m]``."""
    return (lines[:, 0] > 0).double()


def _along(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """x times a matrix along one axis; with one of ones alone it is a sum."""
    moved = x.movedim(axis, -1)
    if matrix.stride() == (0, 0):
        return moved.sum(-1, keepdim=True).expand(*moved.shape[:-1], matrix.shape[1]).movedim(-1, axis)
    return (moved @ matrix).movedim(-1, axis)


def _product(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The pattern of one 0/1 matrix after another."""
    if a is None or b is None:
        return b if a is None else a
    product = _along(a, 1, b).clamp(max=1)
    return ones_of(*product.shape) if bool(product.all()) else product
