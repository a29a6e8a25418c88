"""Factors worked into weights, and biases held by them: the same numbers, whatever stands between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikebayes.export.folding import folded
from spikebayes.export.layers import held
from spikebayes.network import AvgPool, Chain, Conv, Dense, Operator, Reshape, Scale, SumPool, target_shape

SHAPE = (4, 6, 6)


@dataclass
class Drawn:
    """Operators on rows of ``SHAPE``, and how many of them give another shape than maps."""

    operators: tuple[Operator, ...]

    @property
    def chain(self) -> Chain:
        return Chain(self.operators)


@st.composite
def chains(draw: st.DrawFn) -> Drawn:
    """Pools, factors, convolutions with and without groups, then perhaps a line and dense weights."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    found: list[Operator] = []
    shape = SHAPE
    for _ in range(draw(st.integers(0, 3))):
        groups, padding = draw(st.sampled_from([1, 2])), draw(st.integers(0, 1))
        kernel = min(draw(st.integers(1, 3)), shape[-1])
        made = {
            "conv": lambda g=groups, k=kernel, p=padding, c=shape[0]: Conv(
                torch.randn(4, c // g, k, k).double(), (1, 1), (p, p), (1, 1), g
            ),
            "average": lambda k=kernel: AvgPool((k, k), (1, 1), (k // 2, k // 2)),
            "sum": lambda k=kernel: SumPool((k, k), (k, k), (0, 0)),
            "scale": lambda s=shape: Scale(torch.rand(s).double() + 0.5),
        }
        found.append(made[draw(st.sampled_from(list(made)))]())
        shape = target_shape(found[-1], shape)
    if draw(st.booleans()):
        units = shape[0] * shape[1] * shape[2]
        found += [Reshape((units,)), Dense(torch.randn(3, units).double())]
    return Drawn(tuple(found))


@given(chains(), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=120)
def test_a_folded_factor_is_the_factor(drawn: Drawn, by_channel: bool, seed: int) -> None:
    torch.manual_seed(seed)
    size = (4, 1, 1) if by_channel else SHAPE
    factor = (torch.rand(size).double() * (torch.rand(size) > 0.3)).expand(SHAPE)
    x = torch.randn(2, *SHAPE).double()
    found = folded(drawn.operators, SHAPE, factor)
    assert torch.allclose(Chain(found)(x), drawn.chain(x * factor), atol=1e-9)
    weighted = next((k for k, op in enumerate(drawn.operators) if op.weight is not None), None)
    if by_channel and weighted is not None and not isinstance(drawn.operators[weighted], Dense):
        assert not isinstance(found[0], Scale) or isinstance(drawn.operators[0], Scale)


@given(chains(), st.integers(0, 2**31))
@settings(max_examples=120)
def test_a_bias_that_is_held_gives_the_constant(drawn: Drawn, seed: int) -> None:
    torch.manual_seed(seed)
    weighted = [k for k, op in enumerate(drawn.operators) if op.weight is not None]
    bias = torch.randn(len(drawn.operators[weighted[-1]].weight)).double() if weighted else None  # pyright: ignore

    def behind(at: int, values: Tensor) -> Tensor:
        shape = target_shape(Chain(drawn.operators[: at + 1]), SHAPE)
        return Chain(drawn.operators[at + 1 :])(values.reshape(-1, *[1] * (len(shape) - 1)).expand(1, *shape))[0]

    if bias is None:
        assert held(drawn.operators, SHAPE, torch.ones(target_shape(drawn.chain, SHAPE)).double()) is None
        return
    constant = behind(weighted[-1], bias)
    found = held(drawn.operators, SHAPE, constant)
    if found is None:  # the edge of a pool, or factors that differ: what follows does not pass it on evenly
        assert any(isinstance(op, AvgPool | Scale) for op in drawn.operators[weighted[-1] + 1 :])
        return
    assert found[0] == weighted[-1]
    assert torch.allclose(behind(*found), constant)


@pytest.mark.parametrize("operator", [AvgPool((2, 2), (2, 2), (0, 0)), SumPool((2, 2), (2, 2), (0, 0))])
def test_a_pool_passes_a_bias_on(operator: Operator) -> None:
    conv = Conv(torch.randn(3, 4, 1, 1).double(), (1, 1), (0, 0), (1, 1))
    wanted = torch.tensor([1.0, -2.0, 0.5]).double()
    found = held((conv, operator), SHAPE, wanted.reshape(3, 1, 1).expand(3, 3, 3))
    assert found is not None
    at, bias = found
    assert at == 0
    assert torch.allclose(bias, wanted / (4 if isinstance(operator, SumPool) else 1))
