"""Randomness that a module has only while it trains is refused: no mask would reach it, and spreads be too small."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import spikebayes as sb
from spikebayes import ConfigError, ConversionError

X = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
Middle = Callable[[Any, Tensor], Tensor]


class Body(nn.Module):
    """A hidden layer, something of a user's, and a dropout that masks reach."""

    def __init__(self, middle: Middle, **layers: nn.Module) -> None:
        super().__init__()
        self.middle, self.a, self.o, self.d = middle, nn.Linear(4, 8), nn.Linear(8, 1), nn.Dropout(0.05)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.d(self.middle(self, torch.relu(self.a(x)))))


class Drop(nn.Module):
    """As many write it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.bernoulli(torch.full_like(x, 0.5)) * 2 if self.training else x


def asserted(m: Any, h: Tensor) -> Tensor:
    assert not torch.isnan(h).any()  # cannot be traced
    return F.dropout(h, 0.5) if m.training else h


def in_place(m: Any, h: Tensor) -> Tensor:
    F.dropout(h, 0.5, m.training, True)
    return h


def attention(m: Any, h: Tensor) -> Tensor:
    heads = h.view(-1, 1, 2, 4)
    return F.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.5 * m.training).flatten(1)


class DropsInTraining(nn.Linear):
    """As some write it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), 0.5) if self.training else super().forward(x)


def with_hook(hook: Callable[[Any, Any, Tensor], Tensor]) -> nn.Module:
    """Layers of torch alone."""
    layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.05), nn.Linear(8, 1))
    layers[0].register_forward_hook(hook)
    return layers


def with_forward_replaced() -> nn.Module:
    layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.05), nn.Linear(8, 1))
    first: Any = layers[1]
    first.forward = lambda x: F.dropout(x.relu(), 0.5) if first.training else x.relu()
    return layers


OUT_OF_REACH: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a dropout of one's own": (lambda: Body(lambda m, h: m.own(h), own=Drop()), "Drop, module 'own': draws numbers"),
    "Python's": (lambda: Body(lambda m, h: h * random.random() if m.training else h), "Body.forward: draws numbers"),
    "torch.dropout_": (lambda: Body(lambda m, h: torch.dropout_(h, 0.5, m.training)), "draws numbers of its own"),
    "inside attention": (lambda: Body(attention), "draws numbers of its own while the model trains"),
    "compiled": (
        lambda: Body(lambda m, h: m.own(h), own=torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)))),
        "draws numbers of its own while the model trains",
    ),
    "p of the mode": (
        lambda: Body(lambda m, h: F.dropout(h, 0.5 if m.training else 0.0)),
        "drops while the model trains, .* p = 0.5, depends on .self.training",
    ),
    "a hook on a layer of torch": (
        lambda: with_hook(lambda m, given, gave: F.dropout(gave, 0.5) if m.training else gave),
        "Linear, module '0': drops while the model trains",
    ),
    "noise of a hook": (
        lambda: with_hook(lambda m, given, gave: gave + torch.randn_like(gave) if m.training else gave),
        "draws numbers of its own",
    ),
    "a forward put in place": (with_forward_replaced, "ReLU, module '1': drops while the model trains"),
    "a layer whose weights are normed": (
        lambda: Body(lambda m, h: m.own(h), own=parametrizations.weight_norm(DropsInTraining(8, 8))),
        "DropsInTraining, module 'own': drops while the model trains",
    ),
    "untraceable": (lambda: Body(asserted), "drops while the model trains"),
    "in place, by a function": (lambda: Body(in_place), "drops in place, and what it was given is used again"),
    "in place, by a module": (
        lambda: Body(lambda m, h: m.e(h) * 0 + h, e=nn.Dropout(0.5, inplace=True)),
        "Dropout, module 'e': drops in place",
    ),
    "a view of what was dropped": (
        lambda: Body(lambda m, h: h.T.T + m.e(h), e=nn.Dropout(0.5, inplace=True)),
        "Dropout, module 'e': drops in place",
    ),
}


@pytest.mark.parametrize("name", list(OUT_OF_REACH))
def test_randomness_out_of_the_reach_of_masks_is_refused(name: str) -> None:
    make, says = OUT_OF_REACH[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of scripts
        model = make()
    with pytest.raises(ConfigError, match=says):
        sb.predict(model, X, samples=2)
    found = sb.check(model, X).obstacles
    if name != "untraceable":
        assert says.split(",")[0].removeprefix("Body.forward: ") in str(found[0])
    with pytest.raises(ConversionError, match="cannot be traced" if name == "untraceable" else says):
        sb.convert(model, X)


class Kept(nn.Module):
    """Counts its passes, keeps what it saw of a graph, and moves a buffer while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("moved", torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.moved += 1  # pyright: ignore[reportOperatorIssue]
        return x * self.scale


@pytest.mark.parametrize("graph", [False, True])
def test_what_only_learns_is_taken_and_left_as_it_was(graph: bool) -> None:
    model = Body(lambda m, h: m.e(m.n(m.k(h))), k=Kept(), n=nn.BatchNorm1d(8), e=nn.Dropout(0.2, inplace=True)).eval()
    kept: Any = model.k
    if graph:  # cannot be copied
        kept.seen = kept.scale * 2
    before = {name: t.clone() for name, t in model.state_dict().items()}
    a, b = sb.predict(model, X, samples=3), sb.predict(sb.convert(model, X), X, samples=3)
    assert (a.samples - b.samples).abs().max() < 0.1
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not any(m.training for m in model.modules())
