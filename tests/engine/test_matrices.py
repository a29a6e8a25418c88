"""The matrix of every operator against the operator itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from spikebayes import LIF, Alpha, ConfigError, Connection, Dropout, Input, Population, Readout, SpikingNetwork
from spikebayes.engine.cpu.matrices import wires
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Mix,
    Operator,
    Permute,
    Pick,
    Place,
    Reshape,
    Scale,
    Shape,
    Slice,
    SumPool,
    Windows,
    size,
    target_shape,
)
from spikebayes.network.vocabulary import VOCABULARY

KINDS = {name: kind for name, kind in VOCABULARY.items() if issubclass(kind, Operator)}
SIZES = st.integers(1, 7)
SHAPES = st.lists(SIZES, min_size=1, max_size=3).map(tuple)
ON_IMAGES = (Conv, AvgPool, SumPool, AdaptiveAvgPool, Windows)
IMAGES = st.lists(SIZES, min_size=2, max_size=3).map(tuple)  # channels and 1 or 2 spatial axes


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def each(draw: st.DrawFn, dims: int, strategy: st.SearchStrategy[int]) -> Shape:
    return tuple(draw(strategy) for _ in range(dims))


@st.composite
def operators(draw: st.DrawFn, kind: type[Operator], shape: Shape) -> Operator:
    """An operator of a kind that takes rows of a shape."""
    dims = len(shape) - 1
    if kind is Dense:
        return Dense(normal(draw(SIZES), shape[-1]))
    if kind is Conv:
        groups = draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        kernel, dilation = each(draw, dims, st.integers(1, 4)), each(draw, dims, st.integers(1, 3))
        padding = draw(st.sampled_from(["same", "valid"]) | st.just(None))
        stride = (1,) * dims if padding == "same" else each(draw, dims, st.integers(1, 3))
        padding = padding or each(draw, dims, st.integers(0, 3))
        weight = normal(groups * draw(st.integers(1, 2)), shape[0] // groups, *kernel)
        return Conv(weight, stride, padding, dilation, groups)
    if kind in (AvgPool, SumPool):
        kernel = each(draw, dims, st.integers(1, 4))
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        if kind is SumPool:
            return SumPool(kernel, each(draw, dims, st.integers(1, 4)), padding)
        return AvgPool(kernel, each(draw, dims, st.integers(1, 4)), padding, draw(st.booleans()), draw(st.booleans()))
    if kind is Windows:
        kernel, stride, dilation = (each(draw, dims, st.integers(1, 3)) for _ in range(3))
        return Windows(
            kernel, stride, tuple(draw(st.integers(0, k // 2)) for k in kernel), dilation, draw(st.booleans())
        )
    if kind is AdaptiveAvgPool:
        return AdaptiveAvgPool(tuple(draw(st.none() | SIZES) if dims > 1 else draw(SIZES) for _ in range(dims)))
    if kind is Scale:
        factor = draw(st.sampled_from([(), shape, (shape[0], *[1] * dims), shape[-1:]]))
        return Scale(normal(*factor))
    if kind is Reshape:
        return Reshape(draw(st.sampled_from([(size(shape),), shape[::-1], (1, *shape)])))
    if kind is Permute:
        return Permute(draw(st.permutations(range(1, len(shape) + 1)).map(tuple)))
    if kind is Place:
        return Place(draw(st.integers(1, len(shape))), draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    if kind is Slice:
        dim = draw(st.integers(1, len(shape)))
        start = draw(st.integers(0, shape[dim - 1] - 1))
        return Slice(dim, start, draw(st.integers(start + 1, shape[dim - 1])), draw(st.integers(1, 3)))
    if kind is Pick:
        dim = draw(st.integers(1, len(shape)))
        return Pick(dim, torch.tensor(draw(st.lists(st.integers(-1, shape[dim - 1] - 1), min_size=1, max_size=9))))
    if kind is Mix:
        dim = draw(st.integers(1, len(shape)))
        return Mix(dim, normal(draw(SIZES), shape[dim - 1]))
    assert kind is Chain
    parts: list[Operator] = []
    for part in draw(st.lists(st.sampled_from([k for k in KINDS.values() if k is not Chain]), max_size=4)):
        if len(shape) not in (2, 3) and part in ON_IMAGES:
            continue
        parts.append(draw(operators(part, shape)))
        shape = fitting(parts[-1], shape)
    return Chain(tuple(parts))


def fitting(operator: Operator, shape: Shape) -> Shape:
    """The shape after the operator; examples that torch refuses (a kernel larger than its image) are dropped."""
    try:
        after = target_shape(operator, shape)
    except ConfigError:
        after = ()
    assume(size(after) > 0 and after != ())
    return after


def dense(matrix: Any) -> NDArray[np.float64]:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths:UserWarning")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=60)
@given(st.data())
def test_the_matrix_does_what_the_operator_does(kind: type[Operator], data: st.DataObject) -> None:
    shape = data.draw(IMAGES if kind in ON_IMAGES else SHAPES, "shape")
    operator = data.draw(operators(kind, shape), "operator")
    fitting(operator, shape)
    x = normal(3, *shape)
    matrix = dense(operator.matrix(shape))
    np.testing.assert_allclose(x.flatten(1).numpy() @ matrix, operator(x).flatten(1), rtol=1e-12, atol=1e-12)


class Applied(Operator):
    """A function that is none of the vocabulary."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("function", [torch.tanh, torch.abs, lambda x: x + 1, torch.square])
def test_what_is_not_linear_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ConfigError, match="Applied is not linear, or adds a constant"):
        Applied(function).matrix((3,))


def test_wires_carry_the_output_scale_and_share_matrices() -> None:
    shared, alpha = Dense(normal(4, 4)), Alpha(0.01)
    lif = LIF(amplitude=0.01)
    populations = tuple(
        Population(name, (4,), lif, drop) for name, drop in (("a", None), ("b", None), ("c", Dropout(0.2)))
    )
    connections = (Connection("x", "a", shared), *(Connection(p.name, "readout", shared, alpha) for p in populations))
    network = SpikingNetwork((Input("x", (4,)),), populations, connections, Readout((4,)), dt=2e-3)
    drive, a, b, c = wires(network)
    for wire in (drive, a, c):
        np.testing.assert_array_equal(dense(wire.matrix), shared.weight.T)
    assert drive.scale == 1
    assert a.scale == pytest.approx(5)  # amplitude / dt
    assert c.scale == pytest.approx(5 / 0.8)
    assert a.matrix is b.matrix
