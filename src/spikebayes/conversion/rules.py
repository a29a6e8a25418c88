"""What each layer and function does to an :class:`Affine` value, as a table.

A rule takes the call (values and arguments, modules already read) and returns the new value. Whatever is not in
the table is refused by ``builder.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.conversion import moves, sums
from spikebayes.conversion.affine import Affine
from spikebayes.conversion.arithmetic import add, detached, divide, multiply, subtract
from spikebayes.conversion.refusals import Refused
from spikebayes.network.operators import AdaptiveAvgPool, AvgPool, Conv, Dense, Operator, Scale

Rule = Callable[..., Any]

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
            nn.SyncBatchNorm: self._norm_module,
            nn.AvgPool1d: self._pool_module,
            nn.AvgPool2d: self._pool_module,
            nn.AdaptiveAvgPool1d: lambda x, m: self.adaptive_pool(x, m.output_size, 1),
            nn.AdaptiveAvgPool2d: lambda x, m: self.adaptive_pool(x, m.output_size, 2),
            nn.ConvTranspose1d: self._transposed_module,
            nn.ConvTranspose2d: self._transposed_module,
            nn.Upsample: self._upsample_module,
            nn.Flatten: lambda x, m: moves.reshape(x, m),
            nn.Unflatten: lambda x, m: moves.reshape(x, m),
            nn.PixelShuffle: lambda x, m: moves.rearranged(x, m),
            nn.PixelUnshuffle: lambda x, m: moves.rearranged(x, m),
            nn.ChannelShuffle: lambda x, m: moves.rearranged(x, m),
            nn.Identity: lambda x, m: x,
        }
        for dims in ("1d", "2d"):
            self.modules |= {
                getattr(nn, f"ConstantPad{dims}"): lambda x, m: moves.pad(x, m.padding, "constant", m.value),
                getattr(nn, f"ReflectionPad{dims}"): lambda x, m: moves.pad(x, m.padding, "reflect"),
                getattr(nn, f"ReplicationPad{dims}"): lambda x, m: moves.pad(x, m.padding, "replicate"),
                getattr(nn, f"CircularPad{dims}"): lambda x, m: moves.pad(x, m.padding, "circular"),
            }
        self.functions: dict[Any, Rule] = {
            F.linear: self.linear,
            F.conv1d: lambda *a, **k: self.conv(1, *a, **k),
            F.conv2d: lambda *a, **k: self.conv(2, *a, **k),
            F.conv_transpose1d: lambda *a, **k: self.transposed(1, *a, **k),
            F.conv_transpose2d: lambda *a, **k: self.transposed(2, *a, **k),
            F.batch_norm: self.norm,
            F.avg_pool1d: lambda *a, **k: self.pool(1, *a, **k),
            F.avg_pool2d: lambda *a, **k: self.pool(2, *a, **k),
            F.adaptive_avg_pool1d: lambda x, output_size: self.adaptive_pool(x, output_size, 1),
            F.adaptive_avg_pool2d: lambda x, output_size: self.adaptive_pool(x, output_size, 2),
            F.pad: moves.pad,
            F.interpolate: sums.interpolate,
            F.upsample: sums.interpolate,
            torch.einsum: partial(sums.einsum, self._once),
            operator.getitem: moves.index,
            getattr: attribute,
        }
        for name in ("flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"):
            self._both(name, lambda x, *a, _name=name, **k: moves.reshape(x, _method(_name, *a, **k)))
        for name in ("permute", "transpose", "swapaxes", "movedim"):
            self._both(name, lambda x, *a, _name=name, **k: moves.permute(x, _method(_name, *a, **k)))
        for name in ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "rot90", "tril", "triu", "diagonal"):
            self._both(name, lambda x, *a, _name=name, **k: moves.rearranged(x, _torch(_name, *a, **k)))
        for name in ("contiguous", "clone", "detach", "float", "double", "cpu"):
            self._both(name, lambda x, *_, **__: x)
        for names, rule in (
            (("cat", "concat", "concatenate"), moves.cat),
            (("stack",), moves.stack),
            (("split", "split_with_sizes"), moves.split),
            (("chunk",), moves.chunk),
            (("tensor_split",), moves.tensor_split),
            (("unbind",), moves.unbind),
            (("select",), moves.select),
            (("narrow",), moves.narrow),
            (("index_select",), moves.index_select),
            (("flip",), moves.flip),
            (("fliplr",), lambda x: moves.flip(x, 1)),
            (("roll",), moves.roll),
            (("repeat", "tile"), moves.repeat),
            (("repeat_interleave",), moves.repeat_interleave),
            (("expand", "broadcast_to"), moves.expand),
            (("expand_as",), moves.expand_as),
            (("matmul", "mm"), partial(sums.matmul, self._once)),
            (("add", "add_"), add),
            (("sub", "subtract", "sub_"), subtract),
            (("mul", "multiply", "mul_"), multiply),
            (("div", "divide", "true_divide", "truediv", "div_"), divide),
            (("neg", "negative"), lambda x: multiply(x, -1.0)),
            (("sum",), sums.sum_of),
            (("mean",), sums.mean_of),
            (("cumsum",), sums.cumsum),
            (("to", "type"), cast),
            (("type_as",), cast),
            (("half", "bfloat16"), lambda x, *_, **__: cast(x, torch.float16)),
        ):
            for name in names:
                self._both(name, rule)
        self.functions[torch.rsub] = lambda a, b, *, alpha=1: subtract(b, a, alpha=alpha)

    def factors(self, function: Any, arguments: Any, keywords: dict[str, Any]) -> tuple[Affine, Affine] | None:
        """What a call multiplies, if that is two network values and all that it is given."""
        given = [*arguments, *(keywords[name] for name in ("input", "other") if name in keywords)]
        alone = len(given) == 2 and keywords.keys() <= {"input", "other"}
        if self.functions.get(function) is not multiply or not alone or not all(isinstance(x, Affine) for x in given):
            return None
        return given[0], given[1]

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
        dims, padding = m.weight.ndim - 2, m.padding
        if m.padding_mode != "zeros":
            x, padding = moves.pad(x, m._reversed_padding_repeated_twice, m.padding_mode), 0
        return self.conv(dims, x, m.weight, m.bias, m.stride, padding, m.dilation, m.groups)

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
        _check_map(input, dims)
        made = self._once((weight, *settings), lambda: Conv(weight.detach().clone(), *settings))
        return input.then(made, _per_channel(detached(bias), dims))

    def _transposed_module(self, x: Affine, m: Any) -> Affine:
        settings = m.stride, m.padding, m.output_padding, m.groups, m.dilation
        return self.transposed(m.weight.ndim - 2, x, m.weight, m.bias, *settings)

    def transposed(
        self,
        dims: int,
        input: Affine,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Affine:
        """A transposed convolution: a plain one, with its kernel turned around, over units spread out among zeros."""
        _check_map(input, dims)
        kernel, dilation = weight.shape[2:], as_tuple(dilation, dims)
        settings = zip(as_tuple(stride, dims), as_tuple(padding, dims), as_tuple(output_padding, dims), strict=True)
        for k, (step, inside, more) in enumerate(settings):
            spread = torch.full(((input.shape[k + 1] - 1) * step + 1,), -1.0)
            spread[::step] = torch.arange(input.shape[k + 1])
            reach = dilation[k] * (kernel[k] - 1) - inside
            input = moves.picked(input, k + 2, F.pad(spread, (reach, reach + more), value=-1.0).long())

        def made() -> Operator:
            by_group = weight.detach().unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
            turned = by_group.flip(*range(2, 2 + dims)).contiguous()
            return Conv(turned, (1,) * dims, (0,) * dims, dilation, groups)

        conv = self._once((weight, "transposed", dilation, groups), made)
        return input.then(conv, _per_channel(detached(bias), dims))

    def _upsample_module(self, x: Affine, m: Any) -> Affine:
        return sums.interpolate(x, m.size, m.scale_factor, m.mode, m.align_corners, m.recompute_scale_factor)

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
        settings = m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad
        if isinstance(m, nn.AvgPool1d):
            return self.pool(1, x, *settings)
        return self.pool(2, x, *settings, m.divisor_override)

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
            raise Refused("divisor_override is not supported; leave it out and multiply by a constant")
        kernel = as_tuple(kernel_size, dims)
        stride = kernel if stride is None or stride == () else as_tuple(stride, dims)
        return input.then(AvgPool(kernel, stride, as_tuple(padding, dims), ceil_mode, count_include_pad))

    def adaptive_pool(self, x: Affine, size: Any, dims: int) -> Affine:
        return x.then(AdaptiveAvgPool(as_tuple(size, dims)))


def _method(name: str, *args: Any, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    return lambda t: getattr(t, name)(*args, **kwargs)


def _torch(name: str, *args: Any, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    """A function of torch by its name, of its first argument."""
    return lambda t: getattr(torch, name)(t, *args, **kwargs)


def attribute(x: Affine, name: str) -> Affine:
    """A tensor's attribute that is a tensor too."""
    if name in ("T", "mT"):
        return moves.permute(x, lambda t: getattr(t, name))
    if name == "data":
        return x
    raise Refused(f"its attribute {name!r} is unknown")


def cast(x: Affine, *arguments: Any, **named: Any) -> Affine:
    """Another device or precision; nothing, as long as no value is rounded to it."""
    for given in (*arguments, *named.values()):
        dtype = given.constant.dtype if isinstance(given, Affine) else getattr(given, "dtype", given)
        if isinstance(dtype, torch.dtype) and dtype not in (torch.float32, torch.float64):
            raise Refused(f"it rounds values to {dtype}; leave it out, the network runs in float32 or float64")
    return x


def as_tuple(value: Any, dims: int) -> tuple[Any, ...]:
    """A setting for every spatial axis."""
    return tuple(value) if isinstance(value, tuple | list | torch.Size) else (value,) * dims


def _check_map(x: Affine, dims: int) -> None:
    """Refuse rows that are no feature maps with so many spatial axes."""
    if len(x.shape) != dims + 1:
        raise Refused(
            f"it needs rows of {dims + 1} axes (channels first), not of shape {list(x.shape)}; reshape them"
        )


def _per_channel(values: Any, dims: int) -> Any:
    """Per-channel values shaped to broadcast against ``[C, *space]``."""
    return None if values is None else values.reshape(-1, *[1] * dims)
