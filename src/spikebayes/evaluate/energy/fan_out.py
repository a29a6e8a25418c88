"""Which targets a unit reaches: operators as patterns of zeros and ones, whatever their weights.

Every operator but Reshape and Permute treats each axis by itself: a convolution's reach over rows does not depend on
columns or channels. So its pattern is a product of one small 0/1 matrix per axis, and patterns of large feature maps
are applied without ever being laid out. Applied to numbers of spikes, a pattern counts what arrives at every target;
all sums are of whole numbers in float64, exact below 2^53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Permute,
    Place,
    Reshape,
    Scale,
    Shape,
    Slice,
    size,
    target_shape,
)

CHUNK = 1 << 22  # numbers held at once while a pattern is laid out


@dataclass(frozen=True, eq=False)
class Stage:
    """One operator's pattern.

    Args:
        source, target: shapes of one row.
        axes: for each axis ``[n_source, n_target]`` of 0 and 1, None where units stay where they are; or the order of
            the axes (Permute), or None for the same units in another shape.
        works: whether applying it costs operations (products, or sums of a pool), and does not just move units.
    """

    source: Shape
    target: Shape
    axes: tuple[Tensor | None, ...] | Permute | None
    works: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """``[R, *source]`` to ``[R, *target]``: each target's sum over the units that reach it."""
        if isinstance(self.axes, Permute):
            return self.axes(x)
        if self.axes is None:
            return x.reshape(len(x), *self.target)
        for axis, matrix in enumerate(self.axes, start=1):
            x = x if matrix is None else _along(x, axis, matrix)
        return x

    def backward(self, y: Tensor) -> Tensor:
        """``[R, *target]`` to ``[R, *source]``: each unit's sum over the targets that it reaches."""
        if isinstance(self.axes, Permute):
            dims = [k % (len(self.source) + 1) for k in self.axes.dims]
            return y.permute(0, *(dims.index(k) + 1 for k in range(1, len(dims) + 1)))
        if self.axes is None:
            return y.reshape(len(y), *self.source)
        for axis, matrix in enumerate(self.axes, start=1):
            y = y if matrix is None else _along(y, axis, matrix.T)
        return y


class Stages:
    """The stages of operators, one object for each operator and shape however often it is met."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Shape], Stage] = {}

    def of(self, operator: nn.Module, source: Shape) -> tuple[Stage, ...]:
        """An operator, or a chain of them, one stage each.

        Raises:
            ConfigError: an operator that is not in the vocabulary.
        """
        if isinstance(operator, Chain):
            found: tuple[Stage, ...] = ()
            for part in operator.operators:
                made = self.of(part, source)
                found, source = found + made, made[-1].target if made else source
            return found
        key = (id(operator), source)
        if key not in self._known:
            works = isinstance(operator, Dense | Conv | AvgPool | AdaptiveAvgPool | Scale)
            self._known[key] = Stage(source, target_shape(operator, source), _axes(operator, source), works)
        return (self._known[key],)


class Reach:
    """The pattern of a whole connection: one synapse where any path leads from a unit to a target.

    Args:
        stages: of its operators, first to last.
        source: shape of one row before them.

    Example:
        >>> from spikebayes.network.operators import Conv
        >>> three = Conv(torch.zeros(1, 1, 3), (1,), (1,), (1,))
        >>> Reach(Stages().of(three, (1, 4)), (1, 4)).arriving(torch.tensor([[5.0, 0, 0, 1]])).tolist()
        [[5.0, 5.0, 1.0, 1.0]]
    """

    def __init__(self, stages: Sequence[Stage], source: Shape) -> None:
        self.source = source
        self.stages = reduce(_joined, stages, ())
        self.pattern = None if _single_paths(self.stages) else self._laid_out()
        self.fan_in = self.arriving(_ones_of((size(source),)))[0]  # [M]
        self.synapses = int(self.fan_in.sum())
        #: whether every unit reaches the same targets, so that the number of spikes is enough to count events
        self.uniform = bool(((self.fan_in == 0) | (self.fan_in == size(source))).all())

    def arriving(self, spikes: Tensor) -> Tensor:
        """``[R, M]`` events at every target, of ``[R, N]`` spikes of every unit."""
        spikes = spikes.double()
        return self._through(spikes) if self.pattern is None else spikes @ self.pattern

    def _through(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage.forward(x.reshape(len(x), *stage.source))
        return x.reshape(len(x), -1)

    def _laid_out(self) -> Tensor:
        """``[N, M]`` of 0 and 1."""
        units = size(self.source)
        step = max(1, CHUNK // max(size(stage.target) for stage in self.stages))
        lines = [torch.arange(first, min(first + step, units)) for first in range(0, units, step)]
        return torch.cat([self._through(F.one_hot(line, units).double()).clamp(max=1) for line in lines])


def _along(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """x times a matrix along one axis; with one of ones alone it is a sum."""
    moved = x.movedim(axis, -1)
    if matrix.stride() == (0, 0):
        return moved.sum(-1, keepdim=True).expand(*moved.shape[:-1], matrix.shape[1]).movedim(-1, axis)
    return (moved @ matrix).movedim(-1, axis)


def _axes(operator: nn.Module, source: Shape) -> tuple[Tensor | None, ...] | Permute | None:
    kept: tuple[Tensor | None, ...] = (None,) * (len(source) - 1)
    match operator:
        case Dense():
            return (*kept, _ones(operator.weight.shape[1], operator.weight.shape[0]))
        case Conv():
            return _conv(operator, source)
        case AvgPool():
            sizes = zip(source[1:], operator.kernel, operator.stride, operator.padding, strict=True)
            rest = operator.ceil_mode, operator.count_include_pad
            return (None, *(_reached(F.avg_pool1d(_eye(n), k, s, p, *rest)) for n, k, s, p in sizes))
        case AdaptiveAvgPool():
            sizes = zip(source[1:], operator.size, strict=True)
            return (None, *(None if k is None else _reached(F.adaptive_avg_pool1d(_eye(n), k)) for n, k in sizes))
        case Scale():
            return (*kept, None)
        case Place() | Slice():
            at = operator.dim % (len(source) + 1) - 1
            alone = Place(1, operator.before, operator.after) if isinstance(operator, Place) else None
            moved = alone or Slice(1, operator.start, operator.stop, operator.step)  # pyright: ignore
            return tuple(moved(torch.eye(n).double()) if k == at else None for k, n in enumerate(source))
        case Permute():
            return operator
        case Reshape():
            return None
        case _:
            raise ConfigError(f"no reach is known for the operator {type(operator).__name__}")


def _conv(operator: Conv, source: Shape) -> tuple[Tensor | None, ...]:
    channels, group_in, *kernel = operator.weight.shape
    groups = operator.groups
    meet = _ones(group_in, channels // groups)
    found: list[Tensor | None] = [meet if groups == 1 else torch.block_diag(*[meet] * groups)]
    for axis, (n, k) in enumerate(zip(source[1:], kernel, strict=True)):
        padding = operator.padding if isinstance(operator.padding, str) else operator.padding[axis]
        window = torch.ones(1, 1, k, dtype=torch.float64)
        arrives = F.conv1d(_eye(n), window, None, operator.stride[axis], padding, operator.dilation[axis])  # pyright: ignore
        found.append(_reached(arrives))
    return tuple(found)


def _ones(n: int, m: int) -> Tensor:
    """``[n, m]`` of ones, without the memory."""
    return torch.ones(1, 1, dtype=torch.float64).expand(n, m)


def _eye(n: int) -> Tensor:
    """``[n, 1, n]``: line i has a 1 at place i."""
    return torch.eye(n, dtype=torch.float64)[:, None]


def _reached(lines: Tensor) -> Tensor:
    return (lines[:, 0] > 0).double()


def _joined(before: tuple[Stage, ...], stage: Stage) -> tuple[Stage, ...]:
    """Stages with one more behind them; two that treat each axis by itself are one."""
    if not before or not isinstance(before[-1].axes, tuple) or not isinstance(stage.axes, tuple):
        return (*before, stage)
    axes = tuple(_product(a, b) for a, b in zip(before[-1].axes, stage.axes, strict=True))
    return (*before[:-1], Stage(before[-1].source, stage.target, axes))


def _product(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The pattern of one 0/1 matrix after another."""
    if a is None or b is None:
        return b if a is None else a
    product = _along(a, 1, b).clamp(max=1)
    return _ones(*product.shape) if bool(product.all()) else product


def _single_paths(stages: Sequence[Stage]) -> bool:
    """Whether at most one path leads from any unit to any target, seen by the stages' degrees.

    So it is where all stages up to some point send a unit to one place at most, and all but one from there on take
    a place's value from one unit at most.
    """
    one_target = [bool((s.backward(_ones_of(s.target)) <= 1).all()) for s in stages]
    one_unit = [bool((s.forward(_ones_of(s.source)) <= 1).all()) for s in stages]
    return not stages or any(all(one_target[:k]) and all(one_unit[k + 1 :]) for k in range(len(stages)))


def _ones_of(shape: Shape) -> Tensor:
    return torch.ones(1, *shape, dtype=torch.float64)
