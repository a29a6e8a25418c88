"""Models as their authors wrote them, with random weights: the network gives what the model gives, under its masks.

Those of timm are run where it can be imported: ``pip install -e '.[models]'`` brings it, and with it the torchvision
that fits the torch of constraints.txt, without another torch. Calibration needs no real images: errors here are of
rounding, and fall with the levels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import spikebayes as sb
from spikebayes.network.coded import Function
from spikebayes.network.operators import Conv
from studies.codes.measure import paired_error
from studies.models.networks import OF_TIMM, WRITTEN, Model, ready, timm


def pictures(model: Model, rows: int = 120) -> Tensor:
    """Smooth in space, as pictures are."""
    noise = torch.randn(rows, model.channels, 6, 6, generator=torch.Generator().manual_seed(1))
    x = F.interpolate(noise, (model.side, model.side), mode="bicubic")
    return (x - x.mean()) / x.std()


def error(model: nn.Module, x: Tensor, code: sb.Code, headroom: float, task: sb.Task = sb.Task.REGRESSION) -> float:
    network = sb.convert(model, x[:1], code=code, calibrate=x[:100], headroom=headroom)
    samples = [sb.predict(m, x[100:103], samples=10, seed=0, task=task) for m in (model, network)]
    return paired_error(*samples)


def agrees(model: Model, bits: int) -> None:
    x = pictures(model)
    made = ready(model, x, 0)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    errors = [error(made, x, sb.Graded(bits), 8.0, model.task) for bits in (bits - 3, bits)]
    assert errors[1] < 0.03
    assert errors[1] < errors[0] / 4  # of rounding: eight times the levels
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the model's outputs are log-probabilities")
@pytest.mark.parametrize("model", WRITTEN, ids=lambda model: model.name)
def test_models_that_users_write(model: Model) -> None:
    agrees(model, 14)
    x = pictures(model)
    assert error(ready(model, x, 0), x, sb.Digits(3, 8), 8.0, model.task) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [Model(m.name, m.make, 32) for m in OF_TIMM if m.name != "densenet121"], ids=lambda model: model.name
)
def test_models_of_timm(model: Model) -> None:
    try:
        timm()
    except sb.ConfigError as reason:
        pytest.skip(str(reason))
    agrees(model, 16)


# -- what stood in the way, small ------------------------------------------------------------------------------------


class Norm(nn.BatchNorm2d):
    """A norm as libraries write their own: its forward asks for shapes, and learns while it trains."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError("it takes maps")
        if self.training:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.5, self.eps
        )


def test_a_norm_of_another_library_learns_nothing_by_the_way() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), Norm(3), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(3, 2, 3), Norm(2), nn.ReLU(), nn.Flatten()
    )
    model.append(nn.Linear(2 * 4, 1))
    x = torch.randn(100, 1, 6, 6) + 3
    before = {name: value.clone() for name, value in model.eval().state_dict().items()}
    classical = sb.predict(model, x[:5], samples=5, seed=0)
    spiking = sb.predict(sb.convert(model, x, code=sb.Graded(14)), x[:5], samples=5, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert paired_error(classical, spiking) < 0.01


class Excited(nn.Module):
    """Maps times a gate of their own means."""

    def __init__(self, times: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.times, self.first, self.last = times, nn.Conv2d(2, 4, 3), nn.Linear(4 * 16, 2)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(self.drop(self.times(x, self.gate(x))).flatten(1))


TIMES = {
    "operator": lambda a, b: a * b,
    "function": torch.mul,
    "by name": lambda a, b: torch.mul(input=a, other=b),
    "method": lambda a, b: b.multiply(a),
    "in place": lambda a, b: a.clone().mul_(b),
}


@pytest.mark.parametrize("times", TIMES)
def test_a_product_of_two_values_is_two_squares(times: str) -> None:
    torch.manual_seed(0)
    model = Excited(TIMES[times]).eval()
    x = 2 * torch.randn(150, 2, 6, 6)
    errors = [error(model, x, sb.Graded(bits), 2.0) for bits in (10, 13)]
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 4
    with pytest.raises(sb.ConversionError, match=r"a product of two network values .* give code=spikebayes.Graded"):
        sb.convert(model, x, code=sb.Digits(4, 4))


def test_a_product_that_is_written_elsewhere_is_refused() -> None:
    def times(a: Tensor, b: Tensor) -> Tensor:
        c = torch.zeros_like(a)
        torch.mul(a, b.expand_as(a), out=c)
        return c + a

    with pytest.raises(sb.ConversionError):
        sb.convert(Excited(times).eval(), torch.randn(150, 2, 6, 6), code=sb.Graded(10))


def test_units_that_rise_and_fall_have_a_top_for_each_channel() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.SiLU(), nn.Dropout(0.2), nn.Conv2d(3, 1, 1), nn.Flatten()).eval()
    with torch.no_grad():
        model[0].weight *= torch.tensor([1.0, 1.5, 2.0]).reshape(3, 1, 1, 1)
    x = torch.randn(150, 1, 4, 4)
    network = sb.convert(model, x, code=sb.Graded(10))
    neuron = network.populations[0].neuron
    assert isinstance(neuron, sb.network.Coded)
    assert isinstance(neuron.response, Function)
    assert len(neuron.top.unique()) == len(neuron.top) == 3
    assert torch.equal(torch.as_tensor(neuron.response.step), neuron.unit)
    assert error(model, x, sb.Graded(12), 2.0) < 0.01


@pytest.mark.parametrize(
    ("padding", "dilation"), [*itertools.product([(0, 0), (1, 1), "valid", "same"], [(1, 1), (2, 2)])]
)
def test_a_convolution_that_sees_all_is_a_product(padding: tuple[int, ...] | str, dilation: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(5, 3, 3, 3).double(), torch.randn(7, 3, 3, 3).double()
    conv = Conv(weight, (2, 2) if padding != "same" else (1, 1), padding, dilation)
    try:
        wanted = F.conv2d(x, weight, None, conv.stride, padding, dilation)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            conv(x)
        return
    torch.testing.assert_close(conv(x), wanted)
