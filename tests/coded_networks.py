"""Modules by chance, and the coded networks that they become: shared by the tests of codes in windows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coarse_codes import on_purpose
from spikebayes import Digits, FirstSpike, Graded, Radix, SpikingNetwork, convert
from spikebayes.network.codes import Code
from spikebayes.nn import SoftLIF

CODES: tuple[Code, ...] = (
    *(Digits(4, 4), Digits(3, 3), Digits(8, 2), Digits(2, 5), Digits(5, 3), FirstSpike(12), FirstSpike(64)),
    *(Radix(8), Radix(4), Graded(8), Graded(11)),
)
ACTIVATIONS: tuple[Callable[[int], nn.Module], ...] = (
    *(lambda c: nn.ReLU(),) * 3,
    *(lambda c: nn.ReLU6(), lambda c: nn.LeakyReLU(0.2), lambda c: nn.LeakyReLU(-0.3), lambda c: nn.Hardtanh()),
    *(lambda c: nn.PReLU(), lambda c: nn.PReLU(c), lambda c: nn.ELU(), lambda c: nn.Tanh(), lambda c: nn.Sigmoid()),
    *(lambda c: nn.Softplus(), lambda c: nn.CELU(0.5), lambda c: SoftLIF(1e-2)),
)
BUMPS = (lambda c: nn.GELU(), lambda c: nn.SiLU())
DROPS = (0.05, 0.1, 0.25, 0.5, 0.8)


@dataclass
class Draw:
    """Chance."""

    rng: random.Random
    code: Code

    def one(self, values: Any) -> Any:
        return self.rng.choice(values)

    def activation(self, channels: int) -> nn.Module:
        return self.one(ACTIVATIONS + (BUMPS if self.code.graded else ()))(channels)

    def dropout(self, maps: bool = False) -> nn.Module:
        kind = self.one((nn.Dropout, nn.Dropout2d, nn.Identity) if maps else (nn.Dropout, nn.Dropout, nn.Identity))
        return kind() if kind is nn.Identity else kind(self.one(DROPS))


class Residual(nn.Module):
    """x + layers(x), or both side by side."""

    def __init__(self, layers: nn.Module, joined: bool) -> None:
        super().__init__()
        self.layers, self.joined = layers, joined

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1) if self.joined else x + self.layers(x)


class Towers(nn.Module):
    """One tower for both inputs, and layers for what it makes of them."""

    def __init__(self, tower: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.tower, self.body = tower, body

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.body(torch.cat([self.tower(x), self.tower(z), z], 1))


def _dense(draw: Draw, features: int, layers: int) -> list[nn.Module]:
    made: list[nn.Module] = []
    for _ in range(layers):
        width = draw.one((5, 9, 16))
        made += [nn.Linear(features, width), draw.activation(width), draw.dropout()]
        if draw.one((True, False)):
            inner = nn.Sequential(nn.Linear(width, width), draw.activation(width), draw.dropout())
            joined = draw.one((True, False))
            made.append(Residual(inner, joined))
            width *= 2 if joined else 1
        features = width
    return [*made, nn.Linear(features, 3)]


def _images(draw: Draw) -> nn.Module:
    channels, made = 2, []
    for _ in range(draw.one((1, 2))):
        out = draw.one((4, 8))
        made.append(nn.Conv2d(channels, out, 3, padding=1, groups=draw.one((1, 2))))
        if draw.one((True, False)):
            made.append(nn.BatchNorm2d(out))
        layers = [draw.activation(out), _pool(draw), draw.dropout(maps=True)]
        made += layers if draw.one((True, False)) else [layers[1], layers[0], layers[2]]
        if draw.one((True, False)):
            inner = nn.Sequential(nn.Conv2d(out, out, 1), draw.activation(out))
            joined = draw.one((True, False))
            made.append(Residual(inner, joined))
            out *= 2 if joined else 1
        channels = out
    made += [draw.one((nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(1), nn.AvgPool2d(2, ceil_mode=True)))]
    return nn.Sequential(draw.dropout(), *made, nn.Flatten(), draw.dropout(), nn.LazyLinear(3))


def _pool(draw: Draw) -> nn.Module:
    return draw.one(
        (
            nn.Identity(),
            nn.AvgPool2d(2),
            nn.MaxPool2d(2),
            nn.MaxPool2d(3, 2, padding=1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.MaxPool2d(2, 1, dilation=2),
        )
    )


def drawn(seed: int, code: Code | None = None) -> tuple[nn.Module, tuple[Tensor, ...], Code]:
    """A module in evaluation mode, 100 rows of each of its arguments, and a code."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    draw = Draw(rng, code or rng.choice(CODES))
    kind = draw.one(("dense", "images", "images", "towers"))
    if kind == "images":
        model, shapes = _images(draw), [(2, 6, 7)]
    elif kind == "dense":
        model, shapes = nn.Sequential(draw.dropout(), *_dense(draw, 6, draw.one((1, 2, 3)))), [(6,)]
    else:
        tower = nn.Sequential(nn.Linear(4, 8), draw.activation(8), draw.dropout())
        model, shapes = Towers(tower, nn.Sequential(*_dense(draw, 20, draw.one((1, 2))))), [(4,), (4,)]
    rows = tuple(torch.randn(100, *shape) for shape in shapes)
    model.train()
    for _ in range(3):
        model(*rows)  # lazy layers, and statistics of batch norms
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and len(layer.weight) > 3:  # units that never act
            layer.weight.data[0] = 0
            layer.bias.data[0] = -1  # pyright: ignore[reportOptionalSubscript]
    return model.eval(), rows, draw.code


def coded(seed: int, code: Code | None = None, headroom: float = 2.0) -> tuple[SpikingNetwork, tuple[Tensor, ...]]:
    """The network of :func:`drawn`, and its rows."""
    model, rows, code = drawn(seed, code)
    with on_purpose():
        return convert(model, rows, code=code, headroom=headroom), rows
