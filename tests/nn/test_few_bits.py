"""Weights of few bits: each row has its own scale, gradients pass, and what cannot be is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.nn.few_bits import few_bits


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_row_is_whole_numbers_times_one_scale(bits: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = few_bits(nn.Sequential(nn.Conv2d(3, 5, 3).to(dtype)), bits)[0]
    with torch.no_grad():
        layer.parametrizations.weight.original[1] = 0
    weight, behind = layer.weight.double(), layer.parametrizations.weight.original.double()
    top = 2 ** (bits - 1) - 1
    largest = behind.flatten(1).abs().amax(1)
    whole = weight * (top / largest.clamp(min=1e-30))[:, None, None, None]
    tolerance = 64 * torch.finfo(dtype).eps * top
    assert torch.allclose(whole, whole.round(), atol=tolerance)
    assert not bool(weight[1].any())
    assert torch.allclose(whole.flatten(1).abs().amax(1)[[0, 2, 3, 4]], torch.tensor(float(top)).double())
    half = 0.5 * largest / top
    assert bool(((weight - behind).abs().flatten(1) <= (half * (1 + tolerance))[:, None]).all())


def test_the_gradient_is_that_of_the_weights_behind() -> None:
    layer = few_bits(nn.Sequential(nn.Linear(4, 3)), 4)[0]
    layer(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).sum().backward()
    assert layer.parametrizations.weight.original.grad.tolist() == [[1.0, 2.0, 3.0, 4.0]] * 3


@pytest.mark.parametrize("bits", [1, 17, 8.0, True])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=f"bits.*; got {bits}"):
        few_bits(nn.Linear(2, 2), bits)


def test_models_that_cannot_have_them_are_refused() -> None:
    with pytest.raises(ConfigError, match="no Linear or Conv layers"):
        few_bits(nn.Sequential(nn.ReLU()))
    model = few_bits(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ConfigError, match="already"):
        few_bits(model)
