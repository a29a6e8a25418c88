"""Weights of few bits: each row has its own scale, gradients pass, and what cannot be is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from spikebayes import convert
from spikebayes.errors import ConfigError
from spikebayes.nn import zoo
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
    with pytest.raises(ConfigError, match="no Linear, Conv or BlankOut layers"):
        few_bits(nn.Sequential(nn.ReLU()))
    model = few_bits(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ConfigError, match="already"):
        few_bits(model)


def test_under_a_fixed_range_a_layer_has_one_scale_and_weights_saturate() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(50, 8)
    size = float(layer.weight.detach().square().mean().sqrt())
    few_bits(layer, 4, span=1.0)
    whole = layer.weight.detach() * (7 / size)
    assert torch.allclose(whole, whole.round(), atol=1e-4)
    assert float(whole.abs().max()) == pytest.approx(7)
    assert int((whole.abs() > 6.5).sum()) > 20  # of 400 uniform weights a third lies beyond their root mean square
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(1e6)
    assert layer.weight.detach().abs().unique().tolist() == pytest.approx([size])


def test_at_the_ends_of_a_fixed_range_only_gradients_that_lead_back_pass() -> None:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    few_bits(layer, 4, span=0.5)
    layer(torch.tensor([[1.0, 1.0, -1.0, -1.0]])).sum().backward()  # descent adds -x to the weights
    assert layer.parametrizations.weight.original.grad.tolist() == [[1.0, 0.0, 0.0, -1.0]]


def test_unreliable_synapses_keep_their_beta() -> None:
    torch.manual_seed(0)
    net = few_bits(zoo.s2m(20, 3, (12, 8)), 2, span=2.0)
    x = torch.rand(6, 20) * 2 - 1
    nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    for layer in (net[1], net[2]):
        assert len(layer.weight.detach().unique()) == 3
        assert layer.beta.grad is not None
        assert not parametrize.is_parametrized(layer, "beta")
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    other = few_bits(zoo.s2m(20, 3, (12, 8)), 2, span=5.0)
    other.load_state_dict(kept)
    assert torch.equal(other[1].weight, net[1].weight)
    network = convert(net.eval(), x)
    first = next(c.operator.weight for c in network.connections if c.operator.weight is not None)
    assert torch.allclose(first, net[1].weight)


@pytest.mark.parametrize("span", [0.0, -1.0, float("inf"), float("nan")])
def test_ranges_that_are_none_are_refused(span: float) -> None:
    with pytest.raises(ConfigError, match="span must be positive and finite"):
        few_bits(nn.Linear(2, 2), span=span)


def test_a_fixed_range_of_no_weights_is_refused() -> None:
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    with pytest.raises(ConfigError, match=r"all zero, or not finite; give them first weights"):
        few_bits(layer, span=1.0)
