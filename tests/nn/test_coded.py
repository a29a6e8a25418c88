"""A code's levels as an activation: values, gradients, and the network that is the module."""

import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes import ConfigError, ConversionError, Digits, FirstSpike


def trained(code: sb.Code, epochs: int = 30) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(400, 4)
    y = (x[:, :1] * x[:, 1:2]).sin() + 0.5 * x[:, 2:3]
    model = nn.Sequential(
        nn.Linear(4, 40), sb.nn.Coded(code), nn.Dropout(0.1),
        nn.Linear(40, 40), sb.nn.Coded(code), nn.Dropout(0.1), nn.Linear(40, 1),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            (model(x[rows]) - y[rows]).square().mean().backward()
            optimiser.step()
    return model.eval(), x, y


def test_gradients_go_straight_through_and_into_the_top():
    unit = sb.nn.Coded(FirstSpike(4), top=3.0)
    x = torch.tensor([-1.0, 0.2, 2.7, 3.5, 9.0], requires_grad=True)
    y = unit(x)
    (y * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()
    assert y.tolist() == [0.0, 0.0, 3.0, 3.0, 3.0]
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 0.0, 0.0]
    assert unit.top.grad == 9.0


def test_the_first_batch_in_training_sets_the_top():
    unit = sb.nn.Coded(FirstSpike(4))
    unit.eval()(torch.tensor([7.0]))
    assert unit.top == 1.0
    unit.train()(torch.tensor([5.0, -9.0]))
    unit(torch.tensor([8.0]))
    assert unit.top == 5.0


@pytest.mark.parametrize("code", [FirstSpike(8), Digits(4, 2)], ids=str)
def test_network_and_module_are_one_function(code):
    model, x, y = trained(code)
    network = sb.convert(model, x)
    assert network.code == code
    classical, spiking = (sb.predict(m, x[:100], samples=50, seed=3) for m in (model, network))
    same = (classical.samples - spiking.samples).abs() < 1e-3 * classical.model_std.mean()
    assert same.float().mean() > 0.97  # rounded weights take a decision at a threshold the other way now and then
    assert ((classical.mean - y[:100]) ** 2).mean() < 0.3 * y.var()  # it learned something


def test_another_code_than_it_was_trained_for_is_refused():
    model = nn.Sequential(nn.Linear(2, 3), sb.nn.Coded(FirstSpike(8), 1.0), nn.Linear(3, 1))
    with pytest.raises(ConversionError, match="trained for FirstSpike"):
        sb.convert(model, torch.randn(100, 2), code=Digits(4, 4))
    mixed = nn.Sequential(model, nn.Linear(1, 2), sb.nn.Coded(Digits(2, 3), 1.0), nn.Linear(2, 1))
    with pytest.raises(ConversionError, match="by one code"):
        sb.convert(mixed, torch.randn(100, 2))


def test_tops_must_be_positive():
    with pytest.raises(ConfigError, match="positive"):
        sb.nn.Coded(FirstSpike(8), top=0.0)
