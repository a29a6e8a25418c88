"""Convolutions: the same weights at every place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.operators.operator import Operator, Shape, WeightRows, size, target_shape, tidied
from spikebayes.network.operators.patterns import ByAxis, Pattern, lines_of, ones_of, reached
from spikebayes.network.vocabulary import stored

if TYPE_CHECKING:
    from spikebayes.network.operators.operator import Matrix


@checked
@stored
class Conv(Operator):
    """Convolution over 1 or 2 spatial axes. weight: ``[out, in / groups, *kernel]``; x: ``[R, in, *space]``."""

    weight: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    stride: Shape
    dilation: Shape
    groups: int
    padding: Shape | str
    row_axis: int | None = 0

    def __init__(self, weight: Tensor, stride: Shape, padding: Shape | str, dilation: Shape, groups: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.stride, self.dilation, self.groups = tuple(stride), tuple(dilation), groups
        self.padding = padding if isinstance(padding, str) else tuple(padding)
        given = (stride, dilation) if isinstance(padding, str) else (stride, dilation, padding)
        if weight.ndim not in (3, 4) or any(len(setting) != weight.ndim - 2 for setting in given):
            raise ConfigError(
                "a convolution has a weight of 3 or 4 axes, and a setting for each spatial one; "
                f"got {list(weight.shape)}, stride {stride}, padding {padding}, dilation {dilation}"
            )

    def forward(self, x: Tensor) -> Tensor:
        if self._sees_all(x):  # many times faster as a product
            return F.linear(x.flatten(1), self.weight.flatten(1)).reshape(-1, len(self.weight), *[1] * (x.ndim - 2))
        conv: Any = F.conv1d if self.weight.ndim == 3 else F.conv2d
        return conv(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)

    def _sees_all(self, x: Tensor) -> bool:
        """Whether there is one place, which sees each of its inputs."""
        plain = self.groups == 1 and {*self.dilation} == {1} and (self.padding == "valid" or {*self.padding} == {0})
        return plain and self.weight.shape[1:] == x.shape[1:]

    def weight_rows(self) -> WeightRows | None:
        if self.groups != 1:
            return None
        return WeightRows(
            self.weight.flatten(1), self._seen, lambda u, target: u.transpose(1, 2).reshape(len(u), *target)
        )

    def _seen(self, x: Tensor) -> Tensor:
        kernel = tuple(self.weight.shape[2:])
        padding = self.padding
        if isinstance(padding, str):
            reach = [d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True)]
            if padding == "same":  # torch puts the odd one behind
                x = F.pad(x, [side for r in reversed(reach) for side in (r // 2, r - r // 2)])
            padding = (0,) * len(kernel)
        return patches(x, kernel, self.stride, padding, self.dilation)

    def matrix(self, source: Shape) -> Matrix:
        """One block of entries for every kernel position."""
        from scipy import sparse

        weight = self.weight.double().numpy()
        out_channels, group_in, *kernel = weight.shape
        space, target = source[1:], target_shape(self, source)[1:]

        # channels that meet: every output channel with the inputs of its group
        group_out = out_channels // self.groups
        o = np.repeat(np.arange(out_channels), group_in)
        i = (o // group_out) * group_in + np.tile(np.arange(group_in), out_channels)

        entries: list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]] = []
        positions = zip(np.ndindex(*kernel), self.meetings(source), strict=True)
        for position, (where_in, where_out) in positions:
            values = weight[(o, np.tile(np.arange(group_in), out_channels), *position)]
            row = i[:, None] * size(space) + where_in
            column = o[:, None] * size(target) + where_out
            entries.append((np.repeat(values, len(where_in)), row.ravel(), column.ravel()))
        data, row, column = (np.concatenate(part) for part in zip(*entries, strict=True))
        shape = (size(source), out_channels * size(target))
        return tidied(sparse.csr_array(sparse.coo_array((data, (row, column)), shape=shape)))

    def meetings(self, source: Shape) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For every kernel position, the places of the input and of the output that it joins.

        in = out * stride - padding + position * dilation.
        """
        kernel = self.weight.shape[2:]
        space, target = source[1:], target_shape(self, source)[1:]
        if self.padding == "same":
            padding = tuple(d * (k - 1) // 2 for d, k in zip(self.dilation, kernel, strict=True))
        else:
            padding = (0,) * len(kernel) if isinstance(self.padding, str) else self.padding
        outputs = np.indices(target).reshape(len(target), -1)  # [dims, P]
        for position in np.ndindex(*kernel):
            at = [
                axis * s - p + k * d
                for axis, s, p, k, d in zip(outputs, self.stride, padding, position, self.dilation, strict=True)
            ]
            inside = np.logical_and.reduce([(a >= 0) & (a < n) for a, n in zip(at, space, strict=True)])
            yield np.asarray(np.ravel_multi_index([a[inside] for a in at], space)), np.flatnonzero(inside)

    def pattern(self, source: Shape) -> Pattern:
        channels, group_in, *kernel = self.weight.shape
        meet = ones_of(group_in, channels // self.groups)
        found = [meet if self.groups == 1 else torch.block_diag(*[meet] * self.groups)]
        for axis, (n, k) in enumerate(zip(source[1:], kernel, strict=True)):
            padding: Any = self.padding if isinstance(self.padding, str) else self.padding[axis]
            window = torch.ones(1, 1, k, dtype=torch.float64)
            found.append(
                reached(F.conv1d(lines_of(n), window, None, self.stride[axis], padding, self.dilation[axis]))
            )
        return ByAxis.of(source, found)

    def config(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


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
