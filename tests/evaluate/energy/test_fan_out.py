"""Patterns of reach against the operators themselves: where a weight leads from a unit to a target."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.machine.threads import one_thread
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
    size,
)


def weights(*shape: int) -> Tensor:
    """Positive numbers, so that no two paths cancel."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.1


def conv(
    out: int, into: int, *kernel: int, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1
) -> Conv:
    dims = len(kernel)
    padding = padding if isinstance(padding, str) else (padding,) * dims
    return Conv(weights(out, into // groups, *kernel), (stride,) * dims, padding, (dilation,) * dims, groups)


OPERATORS: dict[str, tuple[Shape, Operator]] = {
    "dense": ((5,), Dense(weights(3, 5))),
    "dense on the last axis": ((2, 5), Dense(weights(3, 5))),
    "conv": ((2, 7), conv(3, 2, 3)),
    "conv, padding and stride": ((2, 6, 7), conv(4, 2, 3, 3, stride=2, padding=1)),
    "conv, dilation and groups": ((4, 9, 8), conv(6, 4, 2, 3, dilation=2, groups=2)),
    "conv, one channel each": ((3, 5, 5), conv(3, 3, 3, 3, padding="same", groups=3)),
    "conv, stride beyond the kernel": ((1, 9), conv(2, 1, 2, stride=4)),
    "conv, valid": ((2, 5, 5), conv(2, 2, 2, 2, padding="valid")),
    "pool": ((2, 6, 6), AvgPool((2, 2), (2, 2), (0, 0))),
    "pool that leaves an edge out": ((2, 7), AvgPool((2,), (2,), (0,))),
    "pool, overlapping": ((2, 7, 6), AvgPool((3, 2), (2, 1), (1, 1))),
    "pool, ceil mode": ((1, 7, 8), AvgPool((3, 3), (2, 2), (1, 1), True, False)),
    "adaptive pool": ((2, 7, 6), AdaptiveAvgPool((3, None))),
    "scale": ((3, 2, 2), Scale(weights(3, 1, 1))),
    "scale by zero": ((3,), Scale(torch.zeros(3, dtype=torch.float64))),
    "reshape": ((2, 6), Reshape((3, 4))),
    "permute": ((2, 3, 4), Permute((3, 1, 2))),
    "place": ((2, 3), Place(1, 1, 2)),
    "slice": ((3, 8), Slice(2, 1, 7, 2)),
    "pick": ((2, 3), Pick(2, torch.tensor([2, -1, 0, 0]))),
    "pick from a line": ((4,), Pick(1, torch.tensor([3, 3, -1, 0, 1]))),
    "mix": ((3, 2), Mix(1, weights(4, 3))),
    "mix of neighbours": ((2, 4), Mix(2, weights(3, 4) * (torch.eye(3, 4) + torch.eye(3, 4).roll(1, 1)))),
    "empty chain": ((4,), Chain()),
    "place, dense": ((4,), Chain((Place(1, 2, 3), Dense(weights(5, 9))))),
    "slice, dense": ((6,), Chain((Slice(1, 2, 5), Dense(weights(4, 3))))),
    "dense, dense": ((4,), Chain((Dense(weights(5, 4)), Dense(weights(3, 5))))),
    "pool, flat, dense": ((2, 4, 4), Chain((AvgPool((2, 2), (2, 2), (0, 0)), Reshape((8,)), Dense(weights(3, 8))))),
    "pool with an edge, flat": ((2, 5), Chain((AvgPool((2,), (2,), (0,)), Reshape((4,)), Dense(weights(3, 4))))),
    "overlapping pool, flat": ((2, 5), Chain((AvgPool((3,), (1,), (1,)), Reshape((10,)), Dense(weights(3, 10))))),
    "overlapping pool, conv": ((2, 8, 8), Chain((AvgPool((3, 3), (1, 1), (1, 1)), conv(3, 2, 3, 3, stride=2)))),
    "conv, pool": ((2, 8), Chain((conv(3, 2, 3, padding=1), AvgPool((2,), (2,), (0,))))),
    "conv, flat, slice": ((2, 6), Chain((conv(3, 2, 3), Reshape((12,)), Slice(1, 1, 12, 3)))),
    "conv, permuted, dense": ((2, 6), Chain((conv(3, 2, 3), Permute((2, 1)), Dense(weights(2, 3))))),
    "chain in a chain": ((2, 4), Chain((Chain((Reshape((8,)),)), Chain((Place(1, 1, 1), Dense(weights(3, 10))))))),
}  # fmt: skip


def pattern(operator: nn.Module, shape: Shape) -> Tensor:
    """``[N, M]`` bool, by sending a spike of each unit through the operator."""
    scaled = [m for m in operator.modules() if isinstance(m, Scale)]
    before = [m.factor.clone() for m in scaled]
    for m in scaled:
        m.factor.fill_(1.0)  # a structural synapse may have weight 0
    with one_thread():  # small convolutions on several wait for one another where a machine is busy
        found = (
            operator(torch.eye(size(shape), dtype=torch.float64).reshape(-1, *shape)).reshape(size(shape), -1) != 0
        )
    for m, factor in zip(scaled, before, strict=True):
        m.factor.copy_(factor)
    return found


@pytest.mark.parametrize("name", OPERATORS)
def test_a_unit_reaches_what_its_weights_lead_to(name: str) -> None:
    shape, operator = OPERATORS[name]
    expected = pattern(operator, shape)
    reach = Reach(Stages().of(operator, shape), shape)
    spikes = torch.randint(0, 9, (4, size(shape)), generator=torch.Generator().manual_seed(0))
    assert torch.equal(reach.arriving(spikes), spikes.double() @ expected.double())
    assert reach.synapses == expected.sum()
    assert torch.equal(reach.fan_in, expected.sum(0).double())
    assert reach.uniform == bool((expected == expected[:1]).all())


@pytest.mark.parametrize("name", OPERATORS)
def test_stages_lead_back_the_way_they_lead_there(name: str) -> None:
    """<forward(x), y> = <x, backward(y)>, on whole numbers."""
    shape, operator = OPERATORS[name]
    generator = torch.Generator().manual_seed(1)
    for stage in Stages().of(operator, shape):
        x = torch.randint(0, 5, (2, *stage.pattern.source), generator=generator).double()
        y = torch.randint(0, 5, (2, *stage.pattern.target), generator=generator).double()
        there, back = stage.pattern.forward(x), stage.pattern.backward(y)
        assert there.shape == y.shape
        assert back.shape == x.shape
        assert (there * y).sum() == (x * back).sum()


def test_large_feature_maps_are_never_laid_out() -> None:
    """2^18 units and 2^19 targets, whose pattern would not fit into memory."""
    shape, operator = (
        (16, 128, 128),
        Chain((conv(32, 16, 3, 3, padding=1), Scale(weights(32, 1, 1)), Reshape((1 << 19,)))),
    )
    reach = Reach(Stages().of(operator, shape), shape)
    assert reach.synapses == 16 * 32 * (3 * 128 - 2) ** 2
    assert not reach.uniform


def test_one_stage_for_an_operator_that_several_connections_share() -> None:
    stages, dense = Stages(), Dense(weights(3, 4))
    assert stages.of(Chain((Reshape((4,)), dense)), (2, 2))[1] is stages.of(dense, (4,))[0]
    assert stages.of(dense, (4,))[0] is not stages.of(dense, (2, 4))[0]
