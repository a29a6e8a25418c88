"""The linear operators a connection may carry: a closed vocabulary, so that a network can be stored without code.

Each is an ``nn.Module`` without bias, acts on ``[R, *shape]`` row by row, and can describe itself
(:meth:`Operator.config`) for ``store.py``. Constants (biases, batch-norm shifts) live on the target instead.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.network.vocabulary import stored

Shape = tuple[int, ...]


class Operator(nn.Module):
    """A linear map from ``[R, *source]`` to ``[R, *target]``."""

    def config(self) -> dict[str, Any]:
        """The arguments that rebuild it, tensors left out."""
        return {}


@stored
class Dense(Operator):
    """y = x W^T on the last axis. weight: ``[out, in]``."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def matrix(self) -> Tensor:
        """``[O, K]``, a unit's weights."""
        return self.weight

    def unfold(self, x: Tensor) -> Tensor:
        """What each place's synapses see: ``[R, *lead, in]`` to ``[R, L, K]``."""
        return x.flatten(1, -2) if x.ndim > 2 else x[:, None]

    def fold(self, u: Tensor, target: Shape) -> Tensor:
        """``[R, L, O]`` to ``[R, *target]``."""
        return u.reshape(len(u), *target)


@stored
class Conv(Operator):
    """Convolution over 1 or 2 spatial axes. weight: ``[out, in / groups, *kernel]``; x: ``[R, in, *space]``."""

    weight: Tensor

    def __init__(self, weight: Tensor, stride: Shape, padding: Shape | str, dilation: Shape, groups: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.stride, self.dilation, self.groups = tuple(stride), tuple(dilation), groups
        self.padding = padding if isinstance(padding, str) else tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        conv: Any = F.conv1d if self.weight.ndim == 3 else F.conv2d
        return conv(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)

    def matrix(self) -> Tensor:
        """``[O, K]``, the weights of a channel's unit."""
        return self.weight.flatten(1)

    def unfold(self, x: Tensor) -> Tensor:
        """What each place's synapses see: ``[R, in, *space]`` to ``[R, L, K]``; for groups = 1."""
        kernel = tuple(self.weight.shape[2:])
        padding = self.padding
        if isinstance(padding, str):
            reach = [d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True)]
            if padding == "same":  # torch puts the odd one behind
                x = F.pad(x, [side for r in reversed(reach) for side in (r // 2, r - r // 2)])
            padding = (0,) * len(kernel)
        return patches(x, kernel, self.stride, padding, self.dilation)

    def fold(self, u: Tensor, target: Shape) -> Tensor:
        """``[R, L, O]`` to ``[R, *target]``."""
        return u.transpose(1, 2).reshape(len(u), *target)

    def config(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


@stored
class AvgPool(Operator):
    """Average pooling over 1 or 2 spatial axes."""

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

    def config(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
        }


@stored
class AdaptiveAvgPool(Operator):
    """Average pooling to a given spatial size (None keeps an axis)."""

    def __init__(self, size: tuple[int | None, ...]) -> None:
        super().__init__()
        self.size = list(size)

    def forward(self, x: Tensor) -> Tensor:
        pool: Any = F.adaptive_avg_pool1d if len(self.size) == 1 else F.adaptive_avg_pool2d
        return pool(x, self.size)

    def config(self) -> dict[str, Any]:
        return {"size": self.size}


@stored
class Scale(Operator):
    """y = factor x, elementwise. factor: broadcasts against ``[*shape]``."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@stored
class Reshape(Operator):
    """Another shape for each row, elements in the same order."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def config(self) -> dict[str, Any]:
        return {"shape": self.shape}


@stored
class Permute(Operator):
    """Axes of each row in another order; dims counts them from 1, as torch does with the batch axis in front."""

    def __init__(self, dims: Shape) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *self.dims)

    def config(self) -> dict[str, Any]:
        return {"dims": self.dims}


@stored
class Place(Operator):
    """This part's slot in a concatenation along ``dim``: zeros before and after it."""

    def __init__(self, dim: int, before: int, after: int) -> None:
        super().__init__()
        self.dim, self.before, self.after = dim, before, after

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, [0, 0] * (x.ndim - 1 - self.dim) + [self.before, self.after])

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "before": self.before, "after": self.after}


@stored
class Slice(Operator):
    """Elements start, start + step, ... below stop along ``dim``."""

    def __init__(self, dim: int, start: int, stop: int, step: int = 1) -> None:
        super().__init__()
        self.dim, self.start, self.stop, self.step = dim, start, stop, step

    def forward(self, x: Tensor) -> Tensor:
        index: list[slice] = [slice(None)] * x.ndim
        index[self.dim] = slice(self.start, self.stop, self.step)
        return x[tuple(index)]

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "start": self.start, "stop": self.stop, "step": self.step}


@stored
class Chain(Operator):
    """Operators one after another; an empty chain is the identity."""

    def __init__(self, operators: tuple[Operator, ...] = ()) -> None:
        super().__init__()
        self.operators = nn.ModuleList(operators)

    def forward(self, x: Tensor) -> Tensor:
        for operator in self.operators:
            x = operator(x)
        return x


def parts(operator: nn.Module) -> tuple[nn.Module, ...]:
    """The operators of a chain in order, or the one operator itself."""
    if isinstance(operator, Chain):
        return tuple(operator.operators)
    return (operator,)


def synapses(operator: nn.Module) -> tuple[Chain, Dense | Conv] | None:
    """An operator as what comes before its synapses, and these; None where the last part has none of its own."""
    *before, last = parts(operator) or (operator,)
    if not isinstance(last, Dense | Conv) or (isinstance(last, Conv) and last.groups != 1):
        return None
    return Chain(tuple(before)), last  # pyright: ignore[reportArgumentType]


def target_shape(operator: nn.Module, source: Shape) -> Shape:
    """Shape per row after the operator.

    Raises:
        ConfigError: the operator does not take that shape.

    Example:
        >>> target_shape(Dense(torch.zeros(3, 4)), (4,))
        (3,)
    """
    parameter = next(iter(operator.buffers()), torch.empty(0))
    try:
        with torch.no_grad():
            return tuple(operator(torch.zeros(1, *source, dtype=parameter.dtype)).shape[1:])
    except (RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{operator} does not take rows of shape {list(source)}: {reason}") from error


def size(shape: Shape) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)


def patches(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Tensor:
    """What each position of a convolution sees: ``[R, C, *space]``, 1 or 2 axes, to ``[R, L, C * prod(kernel)]``."""
    if len(kernel) == 1:
        x, kernel, stride, padding, dilation = (
            x.unsqueeze(-2),
            *((one, *rest) for one, rest in ((1, kernel), (1, stride), (0, padding), (1, dilation))),
        )
    return F.unfold(x, kernel, dilation, padding, stride).transpose(1, 2)
