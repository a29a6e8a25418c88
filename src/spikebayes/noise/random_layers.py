"""Random layers: drawn from torch's generator when they are called on their own, counter-based in a prediction.

A random function takes its draws from a :class:`Draws`. :func:`randomly` calls it with draws of its own, unless a
``masks.Masks`` is active, which hands it those of the pairs that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from spikebayes.network.neurons import Curve
from spikebayes.noise.keys import Keys
from spikebayes.noise.stochastic_units import fired

RandomFunction = Callable[..., Tensor]  # (draws, x, *arguments)


@dataclass(frozen=True)
class Draws:
    """What a random function may draw: R lines, each with its keys, at one site.

    Args:
        keys: R pairs.
        site: place in the model.
        certain: nothing is to be drawn; units do what is likelier.
    """

    keys: Keys
    site: int = 0
    certain: bool = False

    def fire(self, x: Tensor, curve: Curve) -> Tensor:
        """``[R, *shape]`` bool: units that are on with the probability that the curve gives their input."""
        if self.certain:
            return x >= (0.5 if curve is Curve.LINEAR else 0.0)
        return fired(x, curve, self.site, self.keys)

    @classmethod
    def fresh(cls, lines: int) -> Draws:
        """A draw of its own for each line, keyed by torch's generator."""
        seed = int(torch.randint(1 << 62, ()))
        return cls(Keys(seed, torch.arange(lines), torch.zeros(lines, dtype=torch.int64)))


def randomly(function: RandomFunction, x: Tensor, *arguments: Any) -> Tensor:
    """``function(draws, x, *arguments)`` for ``x`` ``[R, *shape]``."""
    if has_torch_function((x,)):
        return handle_torch_function(randomly, (x,), function, x, *arguments)
    return function(Draws.fresh(len(x)), x, *arguments)


def certainly(function: RandomFunction, x: Tensor, *arguments: Any) -> Tensor:
    """The same with nothing drawn."""
    lines = torch.arange(len(x))
    return function(Draws(Keys(0, lines, torch.zeros_like(lines)), certain=True), x, *arguments)
