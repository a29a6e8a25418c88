"""Linear operators as nodes of NIR, and such nodes as operators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.export.flattening import dense
from spikebayes.network.operators import (
    AvgPool,
    Chain,
    Conv,
    Dense,
    Operator,
    Reshape,
    Scale,
    Shape,
    SumPool,
    size,
    target_shape,
)

Array = NDArray[Any]


# -- to NIR ------------------------------------------------------------------------------------------------


def sayable(operator: Operator, source: Shape) -> bool:
    """Whether a single operator on rows of this shape is a node of NIR."""
    if type(operator) not in (Dense, Conv, AvgPool, SumPool, Scale, Reshape):
        return False
    if isinstance(operator, Dense):
        return len(source) == 1
    if isinstance(operator, Conv):
        return _numbers(operator) is not None
    if isinstance(operator, AvgPool):
        whole = AvgPool(operator.kernel, operator.stride, operator.padding)
        edges = isinstance(operator, SumPool) or operator.count_include_pad or not any(operator.padding)
        return len(operator.kernel) == 2 and edges and target_shape(whole, source) == target_shape(operator, source)
    return isinstance(operator, Scale) or len(target_shape(operator, source)) == 1


def said(operator: Operator, source: Shape, target: Shape) -> tuple[Operator, ...] | None:
    """A connection's operator as parts that are nodes of NIR, one after another; None if it cannot be said.

    What NIR has no node for becomes the matrix that it is, where its targets stand in a line.
    """
    parts, at = [], source
    for part in operator.parts:
        reached = target_shape(part, at)
        if not (part.reshapes and reached == at):
            parts.append((part, at))
        at = reached
    if all(sayable(part, at) for part, at in parts):
        return tuple(part for part, _ in parts)
    if len(target) != 1:
        return None
    weights = dense(operator, source)
    return (weights,) if len(source) == 1 else (Reshape((-1,)), weights)


def held(operators: Sequence[Operator], source: Shape, constant: Tensor) -> tuple[int, Tensor] | None:
    """Which of the operators can add a constant of their target as its bias, and that bias ``[O]``.

    The last one with weights does, if what follows passes on one number for each of its rows as the constant wants
    it: a pooling of maps does, unless it sees beyond their edge.

    Args:
        constant: ``[*target]`` float64.
    """
    shapes = [source]
    for operator in operators:
        shapes.append(target_shape(operator, shapes[-1]))
    at = max((k for k, operator in enumerate(operators) if operator.weight is not None), default=None)
    if at is None:
        return None
    rows, shape = shapes[at + 1][0], shapes[at + 1]
    behind = copy.deepcopy(Chain(tuple(operators[at + 1 :]))).double()
    if constant.numel() % rows:
        return None
    passed = behind(torch.ones(1, *shape, dtype=torch.float64)).reshape(rows, -1)[:, 0]
    bias = constant.reshape(rows, -1)[:, 0] / passed
    given = behind(bias.reshape(-1, *[1] * (len(shape) - 1)).expand(1, *shape))[0]
    return (at, bias) if torch.allclose(given, constant, rtol=1e-9, atol=0) else None


def node_of(nir: Any, operator: Operator, source: Shape, bias: Tensor | None, dtype: torch.dtype) -> Any:
    """The node of an operator that is :func:`sayable`, with a bias ``[O]`` for one with weights.

    Args:
        dtype: of the arrays but the bias, which keeps its own.
    """

    def array(values: Tensor) -> Array:
        return values.to(dtype).contiguous().numpy()

    if isinstance(operator, Dense):
        weight = array(operator.weight)
        return nir.Linear(weight=weight) if bias is None else nir.Affine(weight=weight, bias=bias.numpy())
    if isinstance(operator, Conv):
        weight = array(_ungrouped(operator))
        bias = torch.zeros(len(weight), dtype=dtype) if bias is None else bias
        settings: list[Any] = [operator.stride, _numbers(operator), operator.dilation]
        space, kind = (source[1:], nir.Conv2d) if weight.ndim == 4 else (source[1], nir.Conv1d)
        stride, padding, dilation = settings if weight.ndim == 4 else [part[0] for part in settings]
        return kind(space, weight, stride, padding, dilation, 1, bias.numpy())
    if isinstance(operator, AvgPool):
        kind = nir.SumPool2d if isinstance(operator, SumPool) else nir.AvgPool2d
        return kind(*(np.array(part) for part in (operator.kernel, operator.stride, operator.padding)))
    if isinstance(operator, Scale):
        return nir.Scale(scale=array(operator.factor.expand(source)))
    return nir.Flatten(input_type={"input": np.array(source)}, start_dim=0, end_dim=-1)


def _numbers(conv: Conv) -> Shape | None:
    """A convolution's padding in numbers; None where it is not the same on both sides."""
    if not isinstance(conv.padding, str):
        return conv.padding
    reach = [d * (k - 1) for d, k in zip(conv.dilation, conv.weight.shape[2:], strict=True)]
    if conv.padding == "valid":
        return (0,) * len(reach)
    return None if any(r % 2 for r in reach) else tuple(r // 2 for r in reach)


def _ungrouped(conv: Conv) -> Tensor:
    """A convolution's weights as of one group: NIR's own reader takes no others for well-formed."""
    if conv.groups == 1:
        return conv.weight
    out, seen = len(conv.weight) // conv.groups, conv.weight.shape[1]
    whole = conv.weight.new_zeros(len(conv.weight), seen * conv.groups, *conv.weight.shape[2:])
    for g in range(conv.groups):
        rows = slice(g * out, (g + 1) * out)
        whole[rows, g * seen : (g + 1) * seen] = conv.weight[rows]
    return whole


# -- from NIR ----------------------------------------------------------------------------------------------


def operators_of(nir: Any) -> dict[type, Callable[[Any, Shape], tuple[Operator, Tensor | None]]]:
    """By NIR's exact type: from a node and the shape of what it takes to its operator, and its bias ``[O]``."""
    return {
        nir.Linear: lambda node, _: (Dense(tensor(node.weight)), None),
        nir.Affine: lambda node, _: (Dense(tensor(node.weight)), tensor(node.bias)),
        nir.Scale: _scale,
        nir.Conv1d: _conv,
        nir.Conv2d: _conv,
        nir.AvgPool2d: lambda node, _: (AvgPool(*_windows(node)), None),
        nir.SumPool2d: lambda node, _: (SumPool(*_windows(node)), None),
        nir.Flatten: _flatten,
    }


def tensor(values: Any) -> Tensor:
    """An array as a tensor of its own, float32 unless it is float64 (ConfigError if it is not finite)."""
    found = torch.from_numpy(np.array(values))
    if not bool(found.isfinite().all()):
        raise ConfigError("it holds numbers that are NaN or infinite")
    return found if found.dtype == torch.float64 else found.float()


def every_axis(array: NDArray[Any], shape: Shape) -> None:
    """Check that an array lies along the axes of what it belongs to: on each as long as that, or 1.

    Raises:
        ConfigError: it does not; ``[C]`` for ``[C, H, W]`` would be spread along the width.
    """
    if array.ndim != len(shape) or any(n not in (1, whole) for n, whole in zip(array.shape, shape, strict=True)):
        told = f"it has parameters of shape {list(array.shape)} for rows of shape {list(shape)}"
        channels = [n if k == 0 else 1 for k, n in enumerate(shape)]
        several = f"those of channels as {channels}, others as {list(shape)}"
        cure = several if len(shape) > 1 else f"{size(shape)} of them"
        raise ConfigError(f"{told}; write {cure}")


def _scale(node: Any, shape: Shape) -> tuple[Operator, None]:
    factor = np.asarray(node.scale)
    if factor.size == 1:
        factor = factor.reshape([1] * len(shape))
    every_axis(factor, shape)
    return Scale(tensor(factor)), None


def _flatten(node: Any, shape: Shape) -> tuple[Operator, None]:
    """Axes are counted without the batch's, as NIR's type check does."""
    first, last = (int(axis) % len(shape) for axis in (node.start_dim, node.end_dim))
    return Reshape((*shape[:first], size(shape[first : last + 1]), *shape[last + 1 :])), None


def _conv(node: Any, shape: Shape) -> tuple[Operator, Tensor | None]:
    weight = tensor(node.weight)
    axes = weight.ndim - 2
    if len(shape) != axes + 1:  # torch would take one axis less for a map alone, and the batch for channels
        maps = "[channels, length]" if axes == 1 else "[channels, height, width]"
        raise ConfigError(f"it takes rows of shape {maps}; got {list(shape)}")
    padding = node.padding if isinstance(node.padding, str) else _whole(node.padding, axes)
    conv = Conv(weight, _whole(node.stride, axes), padding, _whole(node.dilation, axes), int(node.groups))
    bias = None if node.bias is None else tensor(node.bias)
    return conv, bias if bias is not None and bool(bias.any()) else None


def _windows(node: Any) -> tuple[Shape, Shape, Shape]:
    return _whole(node.kernel_size, 2), _whole(node.stride, 2), _whole(node.padding, 2)


def _whole(value: Any, axes: int) -> Shape:
    """One number or several as whole numbers, one for each axis."""
    return tuple(int(v) for v in np.broadcast_to(np.asarray(value).ravel(), axes))
