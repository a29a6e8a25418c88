"""Read-outs of spiking populations: redundant keys for each class, and the winner among classes."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.nn.unit import Step

BITS = 11  # of a scale
MOST = 1000  # classes, every two of which are compared by a unit


@checked
class PopulationDecode(nn.Module):
    """Classes read from a population of units by how well each class's key matches it.

    Every class has a key, a row of K: ``width // classes`` ones among zeros, at places drawn at random, no place in
    two keys. The units h in [0, 1] give the logits

        logits = scale (2 h - 1)(2 K - 1)^T,

    whose softmax is the classes' distribution; for spikes h they count matching minus differing places. A dead unit,
    or a few wrong ones, weakens a match instead of losing a class. The keys are not trained.

    Args:
        classes: C, at least 2.
        width: units read, at least one for each class.
        seed: of the keys.
        scale: of the logits, > 0; rounded to 11 bits (by 0.05 % at most), so that float32 holds the logits of spikes
            of 4,096 units exactly, and classes that match equally well tie exactly, in the spiking network too.

    Shape:
        ``[B, width]`` to logits ``[B, C]``.

    Raises:
        ConfigError: a size or the scale out of range.

    Reference:
        Severa, Vineyard, Dellana, Verzi & Aimone 2019, Whetstone, Nature Machine Intelligence 1:86 (output keys).

    Example:
        >>> decode = PopulationDecode(3, 12)
        >>> decode(decode.keys).argmax(1).tolist()
        [0, 1, 2]
    """

    keys: Tensor
    classes: int
    width: int
    scale: float

    def __init__(self, classes: int, width: int, *, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        if classes < 2 or width < classes:
            raise ConfigError(
                f"keys need at least 2 classes and a unit for each; got {classes} classes, width {width}"
            )
        check_size("keys", classes, width)
        if not 0 < scale < float("inf"):
            raise ConfigError(f"scale must be a number > 0; got {scale}")
        self.classes, self.width, self.scale = classes, width, _rounded(scale)
        self.register_buffer("keys", _keys(classes, width, seed))

    def forward(self, h: Tensor) -> Tensor:
        signs = 2 * self.keys - 1
        return nn.functional.linear(h, 2 * self.scale * signs, -self.scale * signs.sum(1))

    def extra_repr(self) -> str:
        return f"classes={self.classes}, width={self.width}, scale={self.scale:g}"


def _rounded(scale: float) -> float:
    """To :data:`BITS` significant bits."""
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(round(math.ldexp(mantissa, BITS)), exponent - BITS)


@checked
class WinnerTakeAll(nn.Sequential):
    """One spike, of the class with the largest value: argmax by two layers of threshold neurons.

    A neuron for each pair of classes compares the two; a neuron for each class fires if it won all its comparisons.
    Equal values go to the class with the lower index, as in ``torch.argmax``. It has no gradient: train without it.

    Args:
        classes: C, at least 2; C (C - 1)/2 + C neurons.

    Shape:
        ``[B, C]`` to ``[B, C]``, one 1 among zeros.

    Raises:
        ConfigError: fewer than 2 classes.

    Reference:
        Sandia 2017 asks for a spiking counterpart of the softmax; the construction is ours.

    Example:
        >>> WinnerTakeAll(3)(torch.tensor([[0.1, 0.7, 0.7]])).tolist()
        [[0.0, 1.0, 0.0]]
    """

    def __init__(self, classes: int) -> None:
        if not 2 <= classes <= MOST:
            raise ConfigError(f"a winner is one of at least 2 classes, at most {MOST}; got {classes}")
        pairs = list(combinations(range(classes), 2))
        compare = torch.zeros(len(pairs), classes)
        gather, lost = torch.zeros(classes, len(pairs)), torch.zeros(classes)
        for i, (low, high) in enumerate(pairs):
            compare[i, low], compare[i, high] = 1.0, -1.0
            gather[low, i], gather[high, i] = 1.0, -1.0
            lost[high] += 1.0
        super().__init__(
            _fixed(compare, torch.zeros(len(pairs))), Step(0.0), _fixed(gather, lost), Step(classes - 1.0)
        )


def _fixed(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # draws nothing
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def _keys(classes: int, width: int, seed: int) -> Tensor:
    """``[C, width]`` of 0 and 1; no unit in two keys."""
    order = torch.randperm(width, generator=torch.Generator().manual_seed(seed))
    keys = torch.zeros(classes, width)
    each = width // classes
    for c in range(classes):
        keys[c, order[c * each : (c + 1) * each]] = 1.0
    return keys
