"""Max pooling as torch calls it: every module and function, and which windows it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from spikebayes.conversion.refusals import Refused
from spikebayes.conversion.rules import as_tuple
from spikebayes.network.operators import AvgPool, Shape, Windows


@dataclass(frozen=True)
class MaxPool:
    """Settings of a call, a number for each spatial axis."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    ceil_mode: bool

    @property
    def windows(self) -> Windows:
        """The values that each maximum is taken of."""
        return Windows(self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    @property
    def average(self) -> AvgPool:
        """Over the same windows; of spikes, above 0 where the maximum is 1.

        Raises:
            Refused: they have gaps.
        """
        if any(d != 1 for d in self.dilation):
            raise Refused("max pooling of spikes with dilation is not supported; leave it out")
        return AvgPool(self.kernel, self.stride, self.padding, self.ceil_mode)


def _plain(dims: int) -> Callable[..., MaxPool]:
    def made(
        shape: Shape,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> MaxPool:
        _refuse_indices(return_indices)
        kernel = as_tuple(kernel_size, dims)
        strides = kernel if stride is None or stride in ((), []) else as_tuple(stride, dims)
        return MaxPool(kernel, strides, as_tuple(padding, dims), as_tuple(dilation, dims), bool(ceil_mode))

    return made


def _adaptive(dims: int) -> Callable[..., MaxPool]:
    def made(shape: Shape, output_size: Any, return_indices: bool = False) -> MaxPool:
        _refuse_indices(return_indices)
        space, asked = shape[-dims:], as_tuple(output_size, dims)
        places = [n if k is None else k for n, k in zip(space, asked, strict=True)]
        if any(n % k for n, k in zip(space, places, strict=True)):
            raise Refused(f"its windows on {list(space)} differ in size; give an output size that divides these")
        kernel = tuple(n // k for n, k in zip(space, places, strict=True))
        return MaxPool(kernel, kernel, (0,) * dims, (1,) * dims, ceil_mode=False)

    return made


def _refuse_indices(asked: bool) -> None:
    if asked:
        raise Refused("max pooling with indices is not supported; leave return_indices out")


PLAIN = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
ADAPTIVE = ("output_size", "return_indices")
#: by module: from the shape of a row and the settings to the windows; and the settings' names
MODULES: dict[type[nn.Module], tuple[Callable[..., MaxPool], tuple[str, ...]]] = {
    nn.MaxPool1d: (_plain(1), PLAIN),
    nn.MaxPool2d: (_plain(2), PLAIN),
    nn.AdaptiveMaxPool1d: (_adaptive(1), ADAPTIVE),
    nn.AdaptiveMaxPool2d: (_adaptive(2), ADAPTIVE),
}
FUNCTIONS: dict[Any, Callable[..., MaxPool]] = {
    F.max_pool1d: _plain(1),
    F.max_pool2d: _plain(2),
    torch.max_pool1d: _plain(1),
    torch.max_pool2d: _plain(2),
    F.adaptive_max_pool1d: _adaptive(1),
    F.adaptive_max_pool2d: _adaptive(2),
}


def of_module(module: nn.Module, shape: Shape) -> MaxPool:
    """What a module does with a row of that shape."""
    make, names = MODULES[type(module)]
    return make(shape, **{name: getattr(module, name) for name in names})
