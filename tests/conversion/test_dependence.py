"""Activations of parameters, buffers and constants are numbers like any other: only those of values spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from spikebayes import check, convert, predict
from spikebayes.network.codes import Digits
from spikebayes.nn import SoftLIF

X = torch.randn(120, 4, generator=torch.Generator().manual_seed(1))


class Reversed(torch.autograd.Function):
    """As for adversarial training: the gradient alone is another. It gives its argument back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return -g


class Gated(nn.Module):
    def __init__(self, activation: nn.Module, forward: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.s, self.d, self.b = nn.Linear(4, 32), activation, nn.Dropout(0.2), nn.Linear(32, 2)
        self.t, self.w = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.randn(2, 32) / 6)
        self.register_buffer("c", torch.tensor(0.7))
        self.plain = torch.tensor(0.3)
        self.gate, self.p = nn.Sigmoid(), parametrizations.weight_norm(nn.Linear(32, 2))
        self.run = [forward]

    def forward(self, x: Tensor) -> Tensor:
        return self.run[0](self, x)

    def h(self, x: Tensor) -> Tensor:
        return self.d(self.s(self.a(x)))


PLAIN: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a method": lambda m, x: m.b(m.h(x)) * m.t.exp(),
    "a function": lambda m, x: m.b(m.h(x)) * torch.exp(m.t),
    "by keyword": lambda m, x: m.b(m.h(x)) * torch.sigmoid(input=m.t),
    "ReZero": lambda m, x: m.b(m.h(x) * torch.tanh(m.t)),
    "softplus of weights": lambda m, x: F.linear(m.h(x), F.softplus(m.w)),
    "magnitudes of weights": lambda m, x: F.linear(m.h(x), m.w.abs()),
    "squares of weights": lambda m, x: F.linear(m.h(x), m.w**2),
    "weights of one sign": lambda m, x: F.linear(m.h(x), m.w.clamp(min=0)),
    "weights that a parametrization makes": lambda m, x: F.linear(m.h(x), m.p.weight.abs()),
    "a buffer": lambda m, x: m.b(m.h(x)) * m.c.exp(),
    "an attribute": lambda m, x: m.b(m.h(x)) * m.plain.exp(),
    "a constant": lambda m, x: m.b(m.h(x)) * torch.exp(torch.tensor(0.2)),
    "of the input's shape": lambda m, x: m.b(m.h(x + torch.zeros_like(x).sigmoid())) * x.new_ones(2).exp(),
    "in its precision": lambda m, x: m.b(m.h(x)) * m.t.to(x).exp() * m.t.sigmoid(),
    "a module": lambda m, x: m.b(m.h(x)) * m.gate(m.t),
    "before the layer": lambda m, x: m.b(m.d(m.s(-m.t.exp() * m.a(x)))),
    "an alias": lambda m, x: m.b(m.d(m.s(Reversed.apply(m.a(x))))) * m.t.exp(),
}


@pytest.mark.parametrize("forward", PLAIN.values(), ids=PLAIN.keys())
@pytest.mark.parametrize(("activation", "code"), [(nn.ReLU, Digits(4, 4)), (lambda: SoftLIF(1e-3), None)])
def test_an_activation_of_what_does_not_depend_on_the_input_is_a_number(
    forward: Callable[[Any, Tensor], Tensor], activation: Callable[[], nn.Module], code: Digits | None
) -> None:
    torch.manual_seed(0)
    model = Gated(activation(), forward)
    assert str(check(model, X)) == "Gated converts: no obstacles"
    network = convert(model, X)
    assert network.code == code
    one, other = (predict(m, X[:20], samples=10, seed=1).samples for m in (model, network))
    assert (one - other).abs().mean() < 0.05 * one.std()


def test_a_module_may_gate_by_a_parameter_and_be_an_activation_too() -> None:
    torch.manual_seed(0)
    model = Gated(nn.Identity(), lambda m, x: m.b(m.d(m.gate(m.a(x)))) * m.gate(m.t))
    assert [p.name for p in convert(model, X).populations] == ["gate"]


def test_what_follows_a_refused_call_of_a_parameter_is_not_refused_too() -> None:
    model = Gated(nn.ReLU(), lambda m, x: m.b(m.h(x)) * m.d(m.t).exp())
    (obstacle,) = check(model, X).obstacles
    assert obstacle.reason == "does not act on the network's inputs"


POWERS = [lambda m, x: m.b(m.t ** m.h(x)), lambda m, x: m.b(torch.clamp(m.w[0], max=m.h(x)))]


@pytest.mark.parametrize("forward", POWERS)
def test_a_parameter_to_the_power_of_a_value_is_no_activation(forward: Callable[[Any, Tensor], Tensor]) -> None:
    (obstacle,) = check(Gated(nn.ReLU(), forward), X).obstacles
    assert obstacle.reason == "not linear, or unknown"
