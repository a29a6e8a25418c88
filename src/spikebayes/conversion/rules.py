"""What each layer and function does to an :class:`Affine` value, as a table.

A rule takes the call (values and arguments, modules already read) and returns the new value. Whatever is not in
the table is refused by ``convert.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.conversion.affine import Affine
from spikebayes.conversion.arithmetic import add, detached, divide, multiply, subtract
from spikebayes.conversion.refusals import Refused
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Dense,
    Operator,
    Permute,
    Place,
    Reshape,
    Scale,
    Slice,
)

Rule = Callable[..., Any]

ROWS = 13  # of a batch that shows what an operation on shapes does to the batch axis: a size no model writes down
IN_PLACE = {"add_", "sub_", "mul_", "div_"}


class Rules:
    """The table, with a cache so that a module called twice gives one operator object."""

    def __init__(self) -> None:
        self._cache: dict[tuple[Any, ...], Any] = {}
        self.modules: dict[type[nn.Module], Rule] = {
            nn.Linear: lambda x, m: self.linear(x, m.weight, m.bias),
            nn.Conv1d: self._conv_module,
            nn.Conv2d: self._conv_module,
            nn.BatchNorm1d: self._norm_module,
            nn.BatchNorm2d: self._norm_module,
            nn.AvgPool1d: self._pool_module,
            nn.AvgPool2d: self._pool_module,
            nn.AdaptiveAvgPool1d: lambda x, m: self.adaptive_pool(x, m.output_size, 1),
            nn.AdaptiveAvgPool2d: lambda x, m: self.adaptive_pool(x, m.output_size, 2),
            nn.Flatten: lambda x, m: self.reshape(x, m),
            nn.Unflatten: lambda x, m: self.reshape(x, m),
            nn.Identity: lambda x, m: x,
        }
        self.functions: dict[Any, Rule] = {
            F.linear: self.linear,
            F.conv1d: lambda *a, **k: self.conv(1, *a, **k),
            F.conv2d: lambda *a, **k: self.conv(2, *a, **k),
            F.batch_norm: self.norm,
            F.avg_pool1d: lambda *a, **k: self.pool(1, *a, **k),
            F.avg_pool2d: lambda *a, **k: self.pool(2, *a, **k),
            F.adaptive_avg_pool1d: lambda x, output_size: self.adaptive_pool(x, output_size, 1),
            F.adaptive_avg_pool2d: lambda x, output_size: self.adaptive_pool(x, output_size, 2),
            operator.getitem: self.index,
        }
        for name in ("flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"):
            self._both(name, lambda x, *a, _name=name, **k: self.reshape(x, _method(_name, *a, **k)))
        for name in ("permute", "transpose", "swapaxes", "movedim"):
            self._both(name, lambda x, *a, _name=name, **k: self.permute(x, _method(_name, *a, **k)))
        for name in ("contiguous", "clone", "detach", "float", "double"):
            self._both(name, lambda x, **_: x)
        for names, rule in (
            (("cat", "concat", "concatenate"), self.cat),
            (("add", "add_"), add),
            (("sub", "subtract", "sub_"), subtract),
            (("mul", "multiply", "mul_"), multiply),
            (("div", "divide", "true_divide", "truediv", "div_"), divide),
            (("neg", "negative"), lambda x: multiply(x, -1.0)),
            (("mean",), self.mean),
        ):
            for name in names:
                self._both(name, rule)
        self.functions[torch.rsub] = lambda a, b: subtract(b, a)

    def _both(self, name: str, rule: Rule) -> None:
        """The same rule for the tensor method, the torch function and the operator of that name."""
        self.functions[name] = rule
        for home in (torch, operator):
            if hasattr(home, name):
                self.functions[getattr(home, name)] = rule

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Make an operator once for each key of objects; the objects are kept alive so that ids stay theirs."""
        ids = tuple(id(k) if isinstance(k, Tensor | nn.Module) else k for k in key)
        if ids not in self._cache:
            self._cache[ids] = (key, make())
        return self._cache[ids][1]

    # -- linear layers ---------------------------------------------------------------------------------

    def linear(self, input: Affine, weight: Tensor, bias: Tensor | None = None) -> Affine:
        return input.then(self._once((weight,), lambda: Dense(weight.detach().clone())), detached(bias))

    def _conv_module(self, x: Affine, m: Any) -> Affine:
        if m.padding_mode != "zeros":
            raise Refused(f"padding_mode={m.padding_mode!r}; only zero padding is supported")
        dims = m.weight.ndim - 2
        return self.conv(dims, x, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)

    def conv(
        self,
        dims: int,
        input: Affine,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Affine:
        padding = padding if isinstance(padding, str) else as_tuple(padding, dims)
        settings = (as_tuple(stride, dims), padding, as_tuple(dilation, dims), groups)
        if len(input.shape) != dims + 1:
            raise Refused(f"it needs rows of {dims + 1} axes (channels first); got shape {list(input.shape)}")
        made = self._once((weight, *settings), lambda: Conv(weight.detach().clone(), *settings))
        return input.then(made, _per_channel(detached(bias), dims))

    def _norm_module(self, x: Affine, m: Any) -> Affine:
        return self.norm(x, m.running_mean, m.running_var, m.weight, m.bias, eps=m.eps)

    def norm(
        self,
        input: Affine,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Affine:
        """Batch norm with its running statistics: factor = weight / sqrt(var + eps), folded where it can be."""
        if running_mean is None or running_var is None:
            raise Refused("batch norm without running statistics depends on the batch; use track_running_stats=True")
        factor = (running_var + eps).rsqrt().detach()
        factor = factor if weight is None else factor * weight.detach()
        shift = -running_mean * factor if bias is None else bias.detach() - running_mean * factor
        dims = len(input.shape) - 1
        made = self._once((running_mean, running_var, weight, eps, dims), lambda: Scale(_per_channel(factor, dims)))
        constant = made(input.constant) + _per_channel(shift, dims)
        fold = input.last(lambda last: self._fold(last, made, factor), constant)
        return fold or input.then(made, _per_channel(shift, dims))

    def _fold(self, last: Operator, scale: Scale, factor: Tensor) -> Operator | None:
        """The last operator with the factor in its weights, where their rows are what the norm calls features."""
        if last.weight is None or last.row_axis is None or last.row_axis % scale.factor.ndim != 0:
            return None
        return self._once((last, scale), lambda: last.with_scaled_rows(factor))

    def _pool_module(self, x: Affine, m: Any) -> Affine:
        if getattr(m, "divisor_override", None) is not None:
            raise Refused("divisor_override is not supported")
        dims = 1 if isinstance(m, nn.AvgPool1d) else 2
        return self.pool(dims, x, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad)

    def pool(
        self,
        dims: int,
        input: Affine,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Affine:
        if divisor_override is not None:
            raise Refused("divisor_override is not supported")
        kernel = as_tuple(kernel_size, dims)
        stride = kernel if stride is None or stride == () else as_tuple(stride, dims)
        return input.then(AvgPool(kernel, stride, as_tuple(padding, dims), ceil_mode, count_include_pad))

    def adaptive_pool(self, x: Affine, size: Any, dims: int) -> Affine:
        return x.then(AdaptiveAvgPool(as_tuple(size, dims)))

    # -- shapes ------------------------------------------------------------------------------------------

    def reshape(self, x: Affine, function: Callable[[Tensor], Tensor]) -> Affine:
        after = function(torch.empty(ROWS, *x.shape, device="meta"))
        if after.shape[:1] != (ROWS,):
            raise Refused(f"it mixes rows: a row of shape {list(x.shape)} does not stay one row")
        return x.then(Reshape(tuple(after.shape[1:])))

    def permute(self, x: Affine, function: Callable[[Tensor], Tensor]) -> Affine:
        marks = torch.empty([0, *range(1, x.constant.ndim)])  # sizes that tell the axes apart, no storage
        dims = tuple(function(marks).shape)
        if dims[0] != 0:
            raise Refused("it moves the batch axis")
        return x.then(Permute(dims[1:]))

    def cat(self, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Affine:
        if not all(isinstance(t, Affine) for t in tensors):
            raise Refused("it joins network values with fixed tensors")
        rank = tensors[0].constant.ndim
        dim = (dim if axis is None else axis) % rank
        if dim == 0:
            raise Refused("it joins along the batch axis")
        sizes = [t.constant.shape[dim] for t in tensors]
        placed = [t.then(Place(dim, sum(sizes[:i]), sum(sizes[i + 1 :]))) for i, t in enumerate(tensors)]
        total = placed[0]
        for part in placed[1:]:
            total = total.plus(part)
        return total

    def index(self, x: Any, index: Any) -> Any:
        if not isinstance(x, Affine):
            return x[index]
        items = list(index) if isinstance(index, tuple) else [index]
        if any(i is not Ellipsis and not isinstance(i, int | slice) for i in items):
            raise Refused("indexing by tensors or None; use slices and integers")
        if Ellipsis in items:
            at = items.index(Ellipsis)
            items[at : at + 1] = [slice(None)] * (x.constant.ndim - len(items) + 1)
        if not items or items[0] != slice(None):
            raise Refused("it picks rows of the batch")
        for dim, item in enumerate(items[1:], start=1):
            length = x.constant.shape[dim]
            if isinstance(item, int):
                if not -length <= item < length:
                    raise Refused(f"index {item} is out of range for an axis of length {length}")
                item = slice(item % length, item % length + 1)
            start, stop, step = item.indices(length)
            if (start, stop, step) != (0, length, 1):
                x = x.then(Slice(dim, start, stop, step))
        return self.reshape(x, lambda t: t[tuple(0 if isinstance(i, int) else slice(None) for i in items)])

    def mean(self, x: Affine, dim: Any = None, keepdim: bool = False) -> Affine:
        rank = x.constant.ndim
        dims = sorted(d % rank for d in ((dim,) if isinstance(dim, int) else dim or ()))
        if dims != list(range(2, rank)) or rank not in (3, 4):
            raise Refused("a mean is supported over all spatial axes of [B, C, L] or [B, C, H, W]")
        pooled = x.then(AdaptiveAvgPool((1,) * len(dims)))
        return pooled if keepdim else self.reshape(pooled, lambda t: t.flatten(1))


def _method(name: str, *args: Any, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    return lambda t: getattr(t, name)(*args, **kwargs)


def as_tuple(value: Any, dims: int) -> tuple[Any, ...]:
    """A setting for every spatial axis."""
    return tuple(value) if isinstance(value, tuple | list | torch.Size) else (value,) * dims


def _per_channel(values: Any, dims: int) -> Any:
    """Per-channel values shaped to broadcast against ``[C, *space]``."""
    return None if values is None else values.reshape(-1, *[1] * dims)
