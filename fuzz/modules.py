"""Torch modules by chance: layers and functions one after another, with skips, aliases, hooks and branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from fuzz.trial import Trial
from spikebayes.network import Exact
from spikebayes.nn import BlankOutLinear, NoisySign, Permadrop, SigmoidSign, SoftLIF, Step

GAMMA, THRESHOLD = 0.02, 0.3137  # nothing that is drawn here sums to that threshold
LARGEST = 400  # values of a row
Shape = tuple[int, ...]
Apply = Callable[[Any, Tensor, list[Tensor]], Tensor]  # of the step's layer, the last value, and all values so far
Made = tuple[nn.Module | None, Apply]


class Drawn(nn.Module):
    """Steps, each with a layer or without one, and a read-out of two numbers."""

    def __init__(self, steps: list[Apply], layers: list[nn.Module | None], readout: nn.Module) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList([nn.Identity() if layer is None else layer for layer in layers])
        self.readout = readout

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for step, layer in zip(self.steps, self.layers, strict=True):
            values.append(step(layer, values[-1], values))
        return self.readout(values[-1].flatten(1))


def drawn(trial: Trial, unit: str) -> tuple[nn.Module, Tensor]:
    """A module in float64 with statistics that matter, and an example for it.

    Args:
        trial: whose numbers decide.
        unit: "rate" for SoftLIF units, "step" for units without memory.
    """
    shape: Shape = trial.one(((5,), (7,), (3, 6), (2, 9), (2, 6, 6), (3, 5, 4)))
    example = torch.rand(4, *shape, dtype=torch.float64) * 2 - 0.5
    steps: list[Apply] = []
    layers: list[nn.Module | None] = []
    names = [str(list(shape))]
    plan = [kind for _ in range(trial.whole(1, 3)) for kind in ("linear", *_between(trial), "unit", *_behind(trial))]
    plan += _between(trial)
    values = [example]
    for kind in plan:
        name = trial.one(sorted(KINDS_OF[kind]))
        if kind == "unit" and name not in UNITS[unit]:
            name = trial.one(UNITS[unit])
        made = KINDS_OF[kind][name](trial, tuple(values[-1].shape[1:]))
        if made is None:
            continue
        layer, step = made
        layer = None if layer is None else _settled(layer)
        try:
            with torch.no_grad():
                value = step(layer, values[-1].clone(), [v.clone() for v in values])
        except (RuntimeError, IndexError, ValueError):
            continue  # not for this shape
        if (
            not isinstance(value, Tensor)
            or len(value) != 4
            or not 0 < value[0].numel() <= LARGEST
            or value.ndim not in (2, 3, 4)
        ):
            continue
        steps.append(step)
        layers.append(layer)
        values.append(value.double())
        names.append(name)
    trial.say(" -> ".join(names))
    readout = _settled(nn.Linear(values[-1][0].numel(), 2))
    return Drawn(steps, layers, readout).train(trial.chance(0.3)), example


def _between(trial: Trial) -> list[str]:
    return [trial.one(("function", "function", "linear", "join", "odd" if trial.chance(0.15) else "function"))] * (
        trial.whole(0, 2)
    )


def _behind(trial: Trial) -> list[str]:
    return trial.one(([], ["dropout"], ["dropout"], ["join"], ["pool", "dropout"]))


def _settled(layer: nn.Module) -> nn.Module:
    for m in layer.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.running_mean is not None:
            m.running_mean.normal_()
            m.running_var.uniform_(0.2, 3)  # pyright: ignore[reportOptionalMemberAccess]
            if m.affine:
                nn.init.normal_(m.weight)
                nn.init.normal_(m.bias)
    return layer.double().eval()


# -- what a step may be: from a trial and the shape of a row to a layer and its use, or None where it does not fit


def _layer(
    make: Callable[[Trial, Shape], nn.Module], axes: tuple[int, ...] = (1, 2, 3)
) -> Callable[..., Made | None]:
    def made(trial: Trial, shape: Shape) -> Made | None:
        return (make(trial, shape), lambda layer, h, _: layer(h)) if len(shape) in axes else None

    return made


def _function(make: Callable[[Trial, Shape], Callable[[Tensor], Any]]) -> Callable[..., Made | None]:
    def made(trial: Trial, shape: Shape) -> Made | None:
        function = make(trial, shape)
        return None, lambda _, h, __: function(h)

    return made


def _axis(t: Trial, shape: Shape) -> int:
    return t.one([*range(1, len(shape) + 1), *range(-len(shape), 0)])


def _of(shape: Shape, one: Any, two: Any) -> Any:
    """By the number of spatial axes."""
    return one if len(shape) == 2 else two


def _dense(t: Trial, s: Shape) -> nn.Module:
    return nn.Linear(s[-1], t.whole(2, 8), bias=t.chance(0.8))


def _conv(t: Trial, s: Shape) -> nn.Module:
    kind, groups = (nn.Conv1d if len(s) == 2 else nn.Conv2d), t.one((1, 1, s[0]))
    pad = t.one((0, 1, "same"))
    mode = t.one(("zeros", "zeros", "reflect", "circular", "replicate")) if pad == 1 else "zeros"
    stride = 1 if pad == "same" else t.one((1, 2))
    return kind(s[0], 2 * groups, t.one((1, 2, 3)), stride, pad, t.one((1, 1, 2)), groups, padding_mode=mode)


def _transposed(t: Trial, s: Shape) -> nn.Module:
    kind = nn.ConvTranspose1d if len(s) == 2 else nn.ConvTranspose2d
    stride = t.one((1, 2))
    return kind(s[0], 2, t.whole(1, 3), stride, output_padding=t.one((0, stride - 1)))


def _norm(t: Trial, s: Shape) -> nn.Module:
    return (nn.BatchNorm2d if len(s) == 3 else nn.BatchNorm1d)(s[0], affine=t.chance(0.7))


def _pruned(t: Trial, s: Shape) -> nn.Module:
    return prune.l1_unstructured(nn.Linear(s[-1], 5), "weight", 0.4)


def _hooked(t: Trial, s: Shape) -> nn.Module:
    layer = nn.Linear(s[-1], 4)
    factor = t.one((1.0, 1.5))
    t.one((layer.register_forward_hook, layer.register_forward_hook))(lambda m, i, o: o * factor)
    return layer


def _watched(t: Trial, s: Shape) -> nn.Module:
    layer, seen = nn.Linear(s[-1], 4), []
    layer.register_forward_hook(lambda m, i, o: seen.append(o.shape))
    return layer


def _earlier(join: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Made]:
    def made(trial: Trial, shape: Shape) -> Made:
        back = trial.whole(1, 4)
        return None, lambda _, h, values: join(h, values[-min(back, len(values))])

    return made


def _in_place(t: Trial, s: Shape) -> Callable[[Tensor], Tensor]:
    def scale(h: Tensor) -> Tensor:
        h *= 1.5
        return h

    def shift(h: Tensor) -> Tensor:
        h[:, 0] += 0.5
        return h

    def fill(h: Tensor) -> Tensor:
        h[:, 0] = 0
        return h

    return t.one(
        (scale, shift, fill, lambda h: h.add_(0.25), lambda h: h.mul_(0.5).sub_(0.1), lambda h: h.zero_() + 1)
    )


def _in_part(t: Trial, s: Shape) -> Callable[[Tensor], Tensor]:
    def changed(h: Tensor) -> Tensor:
        part = t_view(h)
        part.mul_(2.0)
        return h

    t_view = t.one(
        (lambda h: h[:, :1], lambda h: h.view(h.shape), lambda h: h.transpose(1, -1), lambda h: h.flatten(1))
    )
    return changed


def _branch(t: Trial, s: Shape) -> Callable[[Tensor], Tensor]:
    def by_size(h: Tensor) -> Tensor:
        return 2 * h if h.shape[-1] % 2 else h - 0.5

    def by_batch(h: Tensor) -> Tensor:
        return h * h.shape[0] if len(h) > 1 else h

    def looped(h: Tensor) -> Tensor:
        for k in range(h.size(1)):
            h = h + 0.1 * k
        return h

    def by_value(h: Tensor) -> Tensor:
        return h if h.sum() > 0 else -h

    return t.one((by_size, by_size, looped, looped, by_batch, by_value))


def _einsum(t: Trial, s: Shape) -> Callable[[Tensor], Tensor]:
    letters = "cij"[: len(s)]
    if t.chance(0.4):
        order = "".join(t.rng.permutation(list(letters)))
        return lambda h: torch.einsum(f"b{letters}->b{order}", h)
    axis = t.whole(0, len(s) - 1)
    matrix = torch.randn(s[axis], 3, dtype=torch.float64)
    out = letters.replace(letters[axis], "o")
    return lambda h: torch.einsum(f"b{letters},{letters[axis]}o->b{out}", h, matrix)


def _picked(t: Trial, s: Shape) -> Callable[[Tensor], Any]:
    axis, size = _axis(t, s), s[-1]
    k = t.whole(1, 3)
    numbers = torch.from_numpy(t.rng.integers(-size, size, t.whole(1, size)))
    return t.one(
        (
            lambda h: h.chunk(k, axis)[0],
            lambda h: torch.cat(h.chunk(k, axis)[::-1], axis),
            lambda h: torch.cat(h.split(k, axis)[1:], axis),
            lambda h: h.unbind(axis)[-1].flatten(1),
            lambda h: h[..., numbers],
            lambda h: h[..., ::k],
            lambda h: h[..., -1:],
            lambda h: h[:, None],
            lambda h: h.narrow(axis, 0, 1),
            lambda h: h.roll(k, axis),
            lambda h: h.flip(axis),
            lambda h: h.repeat_interleave(k, axis),
            lambda h: torch.stack([h, -h], axis),
            lambda h: h.index_select(-1, numbers % size),
            lambda h: h.unfold(-1, 2, 1).flatten(1),
        )
    )


def _reshaped(t: Trial, s: Shape) -> Callable[[Tensor], Any]:
    a, b = _axis(t, s), _axis(t, s)
    return t.one(
        (
            lambda h: h.flatten(1),
            lambda h: h.transpose(a, b),
            lambda h: h.transpose(1, -1).reshape(h.shape[0], -1),
            lambda h: h.reshape(len(h), -1, 2),
            lambda h: h.unsqueeze(a),
            lambda h: h.squeeze(a),
            lambda h: h.movedim(a, b),
            lambda h: h.permute(0, *range(h.ndim - 1, 0, -1)),
            lambda h: h.view(h.size(0), -1),
            lambda h: h.contiguous().clone().detach(),
            lambda h: h.reshape(-1, h.shape[-1]).reshape(h.shape),
            lambda h: h.transpose(0, 1).transpose(0, 1),
        )
    )


def _arithmetic(t: Trial, s: Shape) -> Callable[[Tensor], Any]:
    k, axis = t.one((-1.5, 0.5, 2, 3)), _axis(t, s)
    row = torch.randn(s[-1], dtype=torch.float64)
    return t.one(
        (
            lambda h: h * k,
            lambda h: k - h,
            lambda h: h / k,
            lambda h: h + row,
            lambda h: h * row,
            lambda h: -h,
            lambda h: torch.add(h, row, alpha=2),
            lambda h: torch.sub(h, h, alpha=k),
            lambda h: h.rsub(k) if hasattr(h, "rsub") else torch.rsub(h, k),
            lambda h: h.sum(axis, keepdim=True) + h,
            lambda h: h - h.mean(axis, keepdim=True),
            lambda h: h.cumsum(axis),
            lambda h: F.pad(h, (1, t_pad)),
            lambda h: h @ row[:, None],
            lambda h: torch.lerp(h, 2 * h, 0.5),
            lambda h: torch.addcmul(h, h, row),
            lambda h: h.where(h > 0, h),
        )[: -3 if t.chance(0.9) else None]
    )


t_pad = 2

UNITS = {"rate": ["SoftLIF"], "step": ["Step", "Step", "Step", "SigmoidSign", "NoisySign", "BlankOutLinear"]}
KINDS_OF: dict[str, dict[str, Callable[[Trial, Shape], Made | None]]] = {
    "unit": {
        "SoftLIF": _layer(lambda t, s: SoftLIF(GAMMA)),
        "Step": _layer(lambda t, s: Step(THRESHOLD)),
        "SigmoidSign": _layer(lambda t, s: SigmoidSign()),
        "NoisySign": _layer(lambda t, s: NoisySign(0.5)),
        "BlankOutLinear": _layer(lambda t, s: BlankOutLinear(s[-1], 4, sampling=Exact()), (1,)),
    },
    "linear": {
        "Linear": _layer(_dense),
        "Linear again": _layer(_dense),
        "Conv": _layer(_conv, (2, 3)),
        "Conv again": _layer(_conv, (2, 3)),
        "ConvTranspose": _layer(_transposed, (2, 3)),
        "BatchNorm": _layer(_norm),
        "Linear, BatchNorm": _layer(lambda t, s: nn.Sequential(_dense(t, (s[-1],)), nn.Identity())),
        "weight_norm": _layer(lambda t, s: parametrizations.weight_norm(nn.Linear(s[-1], 4))),
        "old weight_norm": _layer(lambda t, s: nn.utils.weight_norm(nn.Linear(s[-1], 4))),
        "spectral_norm": _layer(lambda t, s: parametrizations.spectral_norm(nn.Linear(s[-1], 4))),
        "pruned": _layer(_pruned),
        "watched": _layer(_watched),
    },
    "pool": {
        "AvgPool": _layer(lambda t, s: _of(s, nn.AvgPool1d, nn.AvgPool2d)(2, t.one((1, 2))), (2, 3)),
        "AdaptiveAvgPool": _layer(lambda t, s: _of(s, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)(2), (2, 3)),
        "MaxPool": _layer(lambda t, s: _of(s, nn.MaxPool1d, nn.MaxPool2d)(2, padding=t.one((0, 1))), (2, 3)),
        "Upsample": _layer(lambda t, s: nn.Upsample(scale_factor=2), (2, 3)),
        "Upsample, linear": _layer(
            lambda t, s: nn.Upsample(scale_factor=2, mode=_of(s, "linear", "bilinear")), (2, 3)
        ),
    },
    "dropout": {
        "Dropout": _layer(lambda t, s: nn.Dropout(t.one((0.0, 0.1, 0.5)))),
        "Dropout1d": _layer(lambda t, s: nn.Dropout1d(0.3), (2,)),
        "Dropout2d": _layer(lambda t, s: nn.Dropout2d(0.3), (3,)),
        "Permadrop": _layer(lambda t, s: Permadrop(0.2)),
        "F.dropout": _function(lambda t, s: lambda h: F.dropout(h, 0.25)),
        "F.dropout, off": _function(lambda t, s: lambda h: F.dropout(h, 0.25, training=False)),
        "in-place Dropout": _layer(lambda t, s: nn.Dropout(0.25, inplace=True)),
    },
    "join": {
        "+": _earlier(lambda h, e: h + e),
        "-": _earlier(lambda h, e: e - h),
        "cat": _earlier(lambda h, e: torch.cat([h, e], 1)),
        "cat last": _earlier(lambda h, e: torch.cat([e, h], -1)),
        "+=": _earlier(lambda h, e: h.add_(e)),
        "stack": _earlier(lambda h, e: torch.stack([h, e], 1)),
        "*": _earlier(lambda h, e: h * e),
    },
    "function": {
        "einsum": _function(_einsum),
        "picked": _function(_picked),
        "reshaped": _function(_reshaped),
        "arithmetic": _function(_arithmetic),
        "in place": _function(_in_place),
        "branch": _function(_branch),
    },
    "odd": {
        "hooked": _layer(_hooked),
        "in part": _function(_in_part),
        "ReLU": _layer(lambda t, s: nn.ReLU(inplace=t.chance(0.5))),
        "tanh": _function(lambda t, s: torch.tanh),
        "clamp": _function(lambda t, s: lambda h: h.clamp(-1e6, 1e6)),
        "abs": _function(lambda t, s: torch.abs),
        "LayerNorm": _layer(lambda t, s: nn.LayerNorm(s[-1])),
        "randn": _function(lambda t, s: lambda h: h + torch.randn_like(h)),
        "batch mean": _function(lambda t, s: lambda h: h - h.mean(0)),
        "flipped batch": _function(lambda t, s: lambda h: h.flip(0)),
        "AlphaDropout": _layer(lambda t, s: nn.AlphaDropout(0.2)),
        "training": _layer(lambda t, s: _Guarded()),
        "batch statistics": _layer(lambda t, s: nn.BatchNorm1d(s[0], track_running_stats=False), (1, 2)),
        "max over rows": _function(lambda t, s: lambda h: h / (1 + h.abs().amax())),
        "float32": _function(lambda t, s: lambda h: h.float().double()),
        "bfloat16": _function(lambda t, s: lambda h: h.bfloat16().double()),
    },
}  # fmt: skip


class _Guarded(nn.Module):
    """Does something else while it is trained."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x if self.training else x
