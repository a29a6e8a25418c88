"""Linear functions and layers beyond the plain ones: each does in the network what it does in the module.

Twice: with rates in place of spikes, to rounding; and with threshold units, whose samples are the module's own, on
every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net, act
from networks import STEPPING
from rate_form import check, settle
from spikebayes import predict, simulate
from spikebayes.conversion.convert import convert
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.network.operators import Operator, Shape, size
from spikebayes.nn import Step

SHAPE = (4, 3, 6)  # of the value h that they are given, [B, 4, 3, 6]


def drawn(*shape: int) -> Tensor:
    """Numbers of few bits, so that sums of products with spikes are exact; none is 0."""
    return (2 * torch.randint(-8, 8, shape, generator=torch.Generator().manual_seed(sum(shape))) + 1) / 16


W = {shape: drawn(*shape).double() for shape in ((6, 5), (5, 3), (4, 6, 5), (6,), (4, 3), (5, 4), (4, 3, 2), (6, 3))}

FUNCTIONS: dict[str, Callable[[Tensor], Any]] = {
    "@ a matrix": lambda h: h @ W[6, 5],
    "matmul": lambda h: torch.matmul(h, W[6, 5]),
    "a matrix @": lambda h: W[5, 3] @ h,
    "@ a matrix for each map": lambda h: h @ W[4, 6, 5],
    "a matrix for each map @": lambda h: W[4, 6, 5].transpose(1, 2) @ h.transpose(2, 3),
    "einsum of the last axis": lambda h: torch.einsum("bchw,wo->bcho", h, W[6, 5]),
    "einsum of the channels": lambda h: torch.einsum("oc,bchw->bohw", W[5, 4], h),
    "einsum with an ellipsis": lambda h: torch.einsum("...w,wo->...o", h, W[6, 5]),
    "einsum with an ellipsis within": lambda h: torch.einsum("b...w, wo -> bo...", h, W[6, 5]),
    "einsum without an arrow": lambda h: torch.einsum("bchw,wz", h, W[6, 5]),
    "einsum of two axes": lambda h: torch.einsum("bchw,ch->bw", h, W[4, 3]),
    "einsum, an axis for itself": lambda h: torch.einsum("bchw,ch->bhcw", h, W[4, 3]),
    "einsum, maps apart": lambda h: torch.einsum("bchw,cwo->boch", h, W[4, 6, 5]),
    "einsum, two axes apart": lambda h: torch.einsum("bchw,cho->bhowc", h, W[4, 3, 2]),
    "einsum that sums": lambda h: torch.einsum("bchw->bwc", h),
    "einsum that sums what is fixed": lambda h: torch.einsum("bchw,wo->bch", h, W[6, 5]),
    "einsum with a new axis": lambda h: torch.einsum("bchw,o->bcow", h, W[6,]),
    "einsum that permutes": lambda h: torch.einsum("bchw->bwhc", h),
    "einsum of a list": lambda h: torch.einsum("bchw,wo->bcho", [h, W[6, 5]]),
    "sum over the last axis": lambda h: h.sum(-1),
    "sum over two axes, kept": lambda h: torch.sum(h, dim=(1, 3), keepdim=True),
    "numpy's sum": lambda h: h.sum(axis=1),
    "mean over the channels": lambda h: h.mean(1),
    "mean over two axes": lambda h: torch.mean(h, (1, 2)),
    "cumsum": lambda h: h.cumsum(-1),
    "minus its mean": lambda h: h - h.mean(1, keepdim=True),
    "flip": lambda h: h.flip(1, -1),
    "flip of a tuple": lambda h: torch.flip(h, (2,)),
    "fliplr": torch.fliplr,
    "roll": lambda h: h.roll((1, -2), (1, 3)),
    "chunk": lambda h: torch.cat(h.chunk(2, 1)[::-1], 1),
    "chunk, unpacked": lambda h: _two(h.chunk(2, dim=-1)),
    "split": lambda h: torch.cat([h.split([1, 2, 3], -1)[2], torch.split(h, 2, dim=3)[0]], 3),
    "tensor_split": lambda h: h.tensor_split((1, 4), dim=3)[1],
    "stack": lambda h: torch.stack([h, 2 * h], 2),
    "stack behind": lambda h: torch.stack((h[:, 0], h[:, 2]), dim=-1),
    "unbind": lambda h: h.unbind(1)[2] - torch.unbind(h, -3)[0],
    "select and narrow": lambda h: h.select(1, -1).narrow(-1, 2, 3),
    "index_select": lambda h: h.index_select(3, torch.tensor([5, 0, 0, 2])),
    "a list of numbers": lambda h: h[:, [2, 0], 1:],
    "a tensor of numbers": lambda h: h[..., torch.tensor([-1, 0, 0])],
    "a mask": lambda h: h[:, torch.tensor([True, False, False, True])],
    "None": lambda h: h[:, None, :, 1],
    "None and an ellipsis": lambda h: h[..., None, 2],
    "to another precision": lambda h: h.to(torch.float64).to(dtype=h.dtype).to("cpu").type_as(h),
    "repeat": lambda h: h.repeat(1, 2, 1, 3),
    "tile": lambda h: torch.tile(h, (2, 1)),
    "repeat_interleave": lambda h: h.repeat_interleave(2, dim=1),
    "repeat_interleave by numbers": lambda h: torch.repeat_interleave(h, torch.tensor([0, 2, 1]), 2),
    "expand": lambda h: h[:, :1].expand(-1, 5, -1, -1),
    "expand to the batch": lambda h: h[..., :1].expand(h.size(0), 4, 3, 2),
    "expand_as": lambda h: h[:, :1].expand_as(h) + h,
    "broadcast sum": lambda h: h[:, :1] + h[..., 1:2],
    "plus a larger constant": lambda h: h[:, :1] + W[4, 3][:, :, None],
    "times a larger constant": lambda h: h[..., :1] * W[6,],
    "pad": lambda h: F.pad(h, (1, 2, 0, 1)),
    "pad with a number": lambda h: F.pad(h, (1, 2), value=0.25),
    "pad by less than nothing": lambda h: F.pad(h, (-1, 2, 1, -2)),
    "reflected": lambda h: F.pad(h, (2, 1, 1, 0), mode="reflect"),
    "replicated": lambda h: F.pad(h, (2, 1, 1, 0), "replicate"),
    "circular": lambda h: F.pad(h, (2, 1, 1, 0), "circular"),
    "interpolate": lambda h: F.interpolate(h, scale_factor=2),
    "interpolate to a size": lambda h: F.interpolate(h, (5, 4)),
    "interpolate, exact": lambda h: F.interpolate(h, (5, 4), mode="nearest-exact"),
    "bilinear": lambda h: F.interpolate(h, scale_factor=(2, 4), mode="bilinear"),
    "bilinear, corners aligned": lambda h: F.interpolate(h, (5, 11), mode="bilinear", align_corners=True),
    "bicubic": lambda h: F.interpolate(h, scale_factor=2, mode="bicubic"),
    "smaller": lambda h: F.interpolate(h, scale_factor=0.5, mode="bilinear", antialias=True),
    "area": lambda h: F.interpolate(h, (2, 4), mode="area"),
    "linear": lambda h: F.interpolate(h.flatten(2), scale_factor=1.5, mode="linear"),
    "conv_transpose": lambda h: F.conv_transpose1d(h[:, :, 0], W[4, 3, 2], stride=2),
    "pixel_shuffle": lambda h: F.pixel_shuffle(h, 2),
    "triangle": lambda h: h.tril(-1) + torch.triu(h, 2),
    "quarter turn": lambda h: torch.rot90(h, 1, (2, 3)),
    "diagonal": lambda h: h.diagonal(dim1=2, dim2=3),
}  # fmt: skip

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(4, 3, 3),
    "ConvTranspose2d, stride": lambda: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), groups=2),
    "ConvTranspose2d, dilation": lambda: nn.ConvTranspose2d(4, 2, 2, 2, (0, 3), dilation=(2, 3), bias=False),
    "ConvTranspose2d, batch norm": lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 2, 2), nn.BatchNorm2d(3)),
    "ConvTranspose1d": lambda: nn.Sequential(nn.Flatten(2), nn.ConvTranspose1d(4, 2, 4, 2, 1, 1)),
    "Upsample": lambda: nn.Upsample(scale_factor=2),
    "Upsample, bilinear": lambda: nn.Upsample((4, 9), mode="bilinear"),
    "UpsamplingBilinear2d": lambda: nn.UpsamplingBilinear2d(scale_factor=2),
    "ZeroPad2d": lambda: nn.ZeroPad2d((1, 0, 2, 1)),
    "ConstantPad2d": lambda: nn.ConstantPad2d(1, 0.5),
    "ReflectionPad2d": lambda: nn.ReflectionPad2d(2),
    "ReplicationPad2d": lambda: nn.ReplicationPad2d((0, 3, 1, 1)),
    "CircularPad2d": lambda: nn.CircularPad2d(1),
    "Conv2d, reflected": lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
    "Conv2d, circular": lambda: nn.Conv2d(4, 3, (3, 2), padding="same", padding_mode="circular"),
    "Conv2d, replicated": lambda: nn.Conv2d(4, 3, 3, stride=2, padding=(0, 2), padding_mode="replicate"),
    "PixelShuffle": lambda: nn.PixelShuffle(2),
    "PixelUnshuffle": lambda: nn.PixelUnshuffle(3),
    "ChannelShuffle": lambda: nn.ChannelShuffle(2),
}


def _two(pair: Any) -> Tensor:
    a, b = pair
    return a - b


def operations() -> dict[str, Callable[[Any, Tensor], Any]]:
    """By name, a function of the module and of h."""
    found: dict[str, Callable[[Any, Tensor], Any]] = {n: (lambda m, h, f=f: f(h)) for n, f in FUNCTIONS.items()}
    return found | dict.fromkeys(LAYERS, lambda m, h: m.layer(h))


OPERATIONS = operations()
EACH = pytest.mark.parametrize("name", OPERATIONS)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def model(name: str, unit: Callable[[], nn.Module]) -> Net:
    """An activation and dropout before the operation, and both behind it, and a read-out of few bits."""
    torch.manual_seed(0)
    operation = OPERATIONS[name]
    layer = LAYERS[name]() if name in LAYERS else nn.Identity()
    width = operation(Net(lambda m, x: x, layer=layer.eval()), torch.zeros(2, *SHAPE).double().to(_like(layer)))
    width = width[0].numel()

    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.dropout(m.first(x), 0.25)
        return m.out(m.drop(m.last(operation(m, h)).flatten(1)))

    parts = {"first": unit(), "last": unit(), "layer": layer, "drop": nn.Dropout(0.5), "out": nn.Linear(width, 2)}
    return Net(forward, **parts)


def _like(layer: nn.Module) -> torch.dtype:
    """Float64 for a function, whose fixed tensors are; a layer's own."""
    return next((p.dtype for p in layer.parameters()), torch.float64)


@EACH
def test_the_rates_are_the_modules(name: str) -> None:
    check(settle(model(name, act)), SHAPE)


@EACH
def test_spikes_are_the_modules_on_every_engine(name: str) -> None:
    net = model(name, lambda: Step(0.3137)).double()
    with torch.no_grad():
        for parameter in net.parameters():  # few bits: no sum comes near a threshold
            parameter.copy_((parameter * 8).round() / 8 + 0.125)
    x = torch.randint(0, 16, (4, *SHAPE), generator=torch.Generator().manual_seed(1)) / 16
    network = convert(net, x.double())
    assert network.is_memoryless
    expected = predict(net, x.double(), samples=6, seed=2).samples.double()
    assert expected.std(0).max() > 0
    spikes = []
    for engine in STEPPING:
        run = simulate(
            network, x, samples=6, seed=2, steps=1, engine=engine.name, dtype=torch.float64, probe=["spikes"]
        )
        torch.testing.assert_close(run.mean, expected, rtol=1e-5, atol=1e-5)
        spikes.append(run.spikes)
    for population, first in spikes[0].items():
        assert 0 < first.double().mean() < 1
        assert all(torch.equal(first, other[population]) for other in spikes[1:])


def pattern_of(operator: Operator, source: Shape) -> Tensor:
    """``[N, M]``: where a unit, sent through alone, arrives by any path."""
    total = torch.eye(size(source), dtype=torch.float64)
    for part in operator.parts:
        alike = part if part.weight is None else part.with_weight(torch.ones_like(part.weight))
        sent = alike(torch.eye(size(source), dtype=torch.float64).reshape(-1, *source))
        total, source = total @ sent.flatten(1).abs(), tuple(sent.shape[1:])
    return (total > 0).double()


@EACH
def test_their_synapses_are_counted(name: str) -> None:
    network = convert(model(name, lambda: Step(0.3)).double(), torch.zeros(1, *SHAPE))
    for c in network.connections:
        source = network.shape(c.source)
        reach = Reach(Stages().of(c.operator, source), source)
        assert torch.equal(reach.fan_in, pattern_of(c.operator, source).sum(0))
