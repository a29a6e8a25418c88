"""Connections from spikes as products of 8-bit integers: bit for bit the sums that float32 gives.

A spike is 0 or 1. If a unit's weights are k_j 2^e with integers of sum_j |k_j| < 2^24 (``exact_sums.on_grid``), then
float32 holds each of its sums, whatever their order. So the integers may be split into digits k = sum_d 256^d k_d
in [-128, 127], each digit's sums be taken as 8-bit products with 32-bit sums, and added up from the highest digit
on: a partial sum is a multiple of 256^d below 2^24 256^d, which float32 holds too.

Measured on one core against torch's float32 for the same spikes, 256 rows of dense layers and 8 to 256 of
convolutions, one digit: with AMX 3.5 to 9 times as fast (dense, 512 x 100 to 4096 x 512) and 9 to 13 times
(convolutions of 32 to 256 channels), with VNNI 2.5 to 4 times, with AVX-512 alone 1.2 to 1.6 times. Time goes with
the number of digits: one for 8-bit weights, two or three for weights just converted. So all are taken where the
processor has such instructions, and else those of one digit; layers with few synapses go faster in float32.

What does not win: gathering patches and one matrix product takes 0.2 to 2.3 times as long as float32's convolution,
the products here 0.08 to 0.3 times. By estimate: adding the weight rows of spikes, at the bench's best rate of
additions, would need spikes in fewer than one unit in five to ten; packed bits, with an AND and a count of 512 for
each bit of the weights, reach at most 1e11 products/s where the ones here reach 2 to 9e11.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spikebayes.conversion.exact_sums import EXACT_SUMS
from spikebayes.network.network import Input, Population
from spikebayes.network.neurons import Bernoulli, Sign, Threshold
from spikebayes.network.operators import AvgPool, Conv, Dense, Operator, Shape, size, target_shape

INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni")  # for 8-bit products, as torch names them
OPERATIONS = ("qlinear_prepack", "qlinear_pointwise", "qconv_prepack", "qconv2d_pointwise")
LEAST = 1 << 14  # synapses for each digit from which on 8-bit products are faster
NUMBERS = 1 << 19  # of a target that are computed together: they stay in the second cache
RANGE = 100  # exponents of weights, either way


class Product(Protocol):
    """``[R, *source]`` bool to what the spikes give, ``[R, *target]`` in the dtype of the simulation."""

    def __call__(self, spikes: Tensor, /) -> Tensor: ...


def product_of(operator: Operator, source: Input | Population, dtype: torch.dtype) -> Product | None:
    """A connection's product, where it is exact and faster than the operator; else None.

    Args:
        operator: of the connection, with or without rearrangements before and after one of ``BUILDERS``.
        source: whose values the operator would take: of a spike, what its neuron and dropout make of it.
        dtype: of the simulation.
    """
    if not isinstance(source, Population) or not isinstance(source.neuron, Threshold | Sign | Bernoulli):
        return None
    chain: list[Any] = list(operator.parts)
    shape = source.shape
    working = [i for i, part in enumerate(chain) if not part.rearranges]
    if len(working) != 1 or type(chain[working[0]]) not in BUILDERS:
        return None
    place = working[0]
    part = chain[place]
    for moved in chain[:place]:
        shape = target_shape(moved, shape)
    value = source.dropout.factor if source.dropout else 1.0
    signed, dropped = source.neuron.off == -1, source.dropout is not None and source.dropout.acts
    if signed and (dropped or part.weight is None):  # 0 where dropped, and -1 or 1
        return None
    made = BUILDERS[type(part)](part, shape, 2.0 if signed else value, dtype)
    if made is None:
        return None
    with torch.no_grad():
        less = operator(torch.ones(1, *source.shape, dtype=part.weight.dtype)).to(dtype) if signed else None
    chain[place] = made
    return _Path(chain, dtype, less)


@functools.cache
def most_digits() -> int:
    """Digits up to which 8-bit products are faster here; 0 where there are none, or they are wrong."""
    if not all(hasattr(torch.ops.onednn, name) for name in OPERATIONS):
        return 0
    try:
        right = _is_right()
    except RuntimeError:  # declared, but without a kernel for this processor
        return 0
    capabilities = torch.cpu.get_capabilities()
    return 0 if not right else 3 if any(capabilities.get(name) for name in INSTRUCTIONS) else 1


def digits_of(weight: Tensor) -> tuple[list[Tensor], Tensor] | None:
    """A unit's weights ``[O, ...]`` as digits to the base 256, the lowest first, and the value of each row's 1.

    None where float32 might not hold a sum.

    Example:
        >>> digits, unit = digits_of(torch.tensor([[0.5, -100.25]]))
        >>> [d.tolist() for d in digits], unit.tolist()
        ([[[2, 111]], [[0, -2]]], [0.25])
    """
    flat = weight.detach().flatten(1)
    total = flat.abs().sum(1, dtype=torch.float64)
    exponent = torch.where(total > 0, total.frexp().exponent - 24, 0)  # total / 2^exponent in [2^23, 2^24)
    if flat.shape[1] * 128 >= EXACT_SUMS or not bool(total.isfinite().all()) or int(exponent.abs().max()) > RANGE:
        return None
    step = torch.exp2(exponent.double())
    scaled = flat * (1 / step).to(flat.dtype)[:, None]
    whole = scaled.to(torch.int32)
    if not torch.equal(whole.to(flat.dtype), scaled):
        return None
    common = torch.where(whole == 0, EXACT_SUMS, whole & -whole).amin(1)  # the power of two in all of a row
    common = torch.where(total > 0, common, 1)
    whole = (scaled / common[:, None]).to(torch.int32)
    digits = []
    while not digits or bool(whole.any()):
        digits.append(((whole + 128) & 255).sub_(128).to(torch.int8).reshape(weight.shape))
        whole = (whole + 128) >> 8
    return digits, (step * common).float()


@dataclass(frozen=True, eq=False)
class _Path:
    """Rearrangements around one product, less what all sources would give if they were on: then 2 z - 1 is summed."""

    chain: Sequence[Any]
    dtype: torch.dtype
    less: Tensor | None

    def __call__(self, spikes: Tensor, /) -> Tensor:
        given = spikes
        for part in self.chain:
            given = part(given)
        given = given.to(self.dtype)
        return given if self.less is None else given - self.less


def _product(operator: Any, shape: Shape, value: float, _dtype: torch.dtype) -> Product | None:
    """The product of weights with spikes of a value."""
    if np.frexp(value)[0] != 0.5:  # no power of two: products are rounded
        return None
    found = digits_of(operator.weight)
    if found is None:
        return None
    digits, unit = found
    synapses = operator.weight.numel() * size(target_shape(operator, shape)) // len(unit)
    if len(digits) > most_digits() or synapses < LEAST * len(digits):
        return None
    return DIGITS[type(operator)](operator, shape, digits, unit * value)


def _dense(_operator: Dense, _shape: Shape, digits: list[Tensor], unit: Tensor) -> Product:
    made = [_Digit(torch.ops.onednn.qlinear_prepack(digit, None), unit * 256.0**d) for d, digit in enumerate(digits)]
    return _Dense(made[::-1])


def _conv(operator: Conv, shape: Shape, digits: list[Tensor], unit: Tensor) -> Product | None:
    if len(shape) != 3:
        return None
    reach = [d * (k - 1) for d, k in zip(operator.dilation, operator.weight.shape[2:], strict=True)]
    if isinstance(operator.padding, str):
        if operator.padding == "same" and any(r % 2 for r in reach):
            return None
        padding = [r // 2 if operator.padding == "same" else 0 for r in reach]
    else:
        padding = list(operator.padding)
    geometry = (list(operator.stride), padding, list(operator.dilation), operator.groups)
    rows = together(target_shape(operator, shape))
    made = [
        _Digit(
            torch.ops.onednn.qconv_prepack(digit, unit * 256.0**d, 1.0, 0, *geometry, [rows, *shape]), unit * 256.0**d
        )
        for d, digit in enumerate(digits)
    ]
    return _Conv(made[::-1], geometry)


def together(shape: Shape) -> int:
    """Rows of a target that are computed side by side, so that its sums stay near until they are compared."""
    return max(1, NUMBERS // size(shape))


class _Digit:
    """The weights of one digit as the processor wants them, and what a unit of each row is worth."""

    def __init__(self, weight: Tensor, unit: Tensor) -> None:
        self.weight, self.unit, self.zero = weight, unit, torch.zeros(len(unit), dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class _Dense:
    digits: list[_Digit]

    def __call__(self, spikes: Tensor, /) -> Tensor:
        x = spikes.contiguous().view(torch.uint8).flatten(0, -2)

        def one(d: _Digit) -> Tensor:
            no_more = (None, 1.0, 0, torch.float32, "none", [], "")
            return torch.ops.onednn.qlinear_pointwise(x, 1.0, 0, d.weight, d.unit, d.zero, *no_more)

        return _total(one, self.digits).reshape(*spikes.shape[:-1], -1)


@dataclass(frozen=True, eq=False)
class _Conv:
    digits: list[_Digit]
    geometry: tuple[list[int], list[int], list[int], int]

    def __call__(self, spikes: Tensor, /) -> Tensor:
        x = spikes.view(torch.uint8).contiguous(memory_format=torch.channels_last)

        def one(d: _Digit) -> Tensor:
            no_more = (1.0, 0, torch.float32, "none", [], None)
            weights = (d.weight, d.unit, d.zero, None, *self.geometry)
            return torch.ops.onednn.qconv2d_pointwise(x, 1.0, 0, *weights, *no_more)

        return _total(one, self.digits)


def _total(one: Any, digits: list[_Digit]) -> Tensor:
    total = one(digits[0])
    for digit in digits[1:]:
        total += one(digit)
    return total


def _pooled(pool: AvgPool, shape: Shape, value: float, dtype: torch.dtype) -> Product | None:
    """Average pooling over windows that lie inside: spikes are counted as bytes."""
    area = size(pool.kernel)
    if len(shape) != 3 or any(pool.padding) or pool.ceil_mode or area > 255 or np.frexp(value)[0] != 0.5:
        return None
    _, *space = target_shape(pool, shape)
    corners = [(i, j) for i in range(pool.kernel[0]) for j in range(pool.kernel[1])]

    def windows(spikes: Tensor) -> Tensor:
        (down, across), (high, wide) = pool.stride, space
        x = spikes.view(torch.uint8)
        ends = ((slice(i, i + down * high, down), slice(j, j + across * wide, across)) for i, j in corners)
        seen = [x[:, :, a, b] for a, b in ends]
        total = seen[0] + seen[1] if len(seen) > 1 else seen[0]
        for part in seen[2:]:
            total += part
        return total.to(dtype) * value / area

    return windows


def _is_right() -> bool:
    """Whether a small product and convolution are, on full digits."""
    rng = torch.Generator().manual_seed(0)
    weight = torch.randint(-128, 128, (16, 48, 3, 3), generator=rng).to(torch.int8)
    spikes = torch.rand(8, 48, 5, 5, generator=rng) < 0.5
    unit = torch.exp2(torch.arange(16) - 8.0)
    conv = Conv(weight * unit[:, None, None, None], (1, 1), (1, 1), (1, 1))
    product = _conv(conv, (48, 5, 5), [weight], unit)
    flat = weight[:, :, 0, 0].contiguous()
    layer, ones = Dense(flat * unit[:, None]), torch.ones(8, 48, dtype=torch.bool)
    dense = _dense(layer, (48,), [flat], unit)
    assert product is not None
    return torch.equal(product(spikes), conv(spikes.float())) and all(
        torch.equal(dense(x), layer(x.float())) for x in (ones, spikes[:, :, 0, 0])
    )


#: operators that have a product here, by exact type
BUILDERS: dict[type[Operator], Callable[[Any, Shape, float, torch.dtype], Product | None]] = {
    Dense: _product,
    Conv: _product,
    AvgPool: _pooled,
}
DIGITS: dict[type[Operator], Callable[[Any, Shape, list[Tensor], Tensor], Product | None]] = {
    Dense: _dense,
    Conv: _conv,
}
