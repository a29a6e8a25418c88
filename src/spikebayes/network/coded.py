"""Neurons that send a whole number per window: which number an input becomes, and max pooling as a race.

In a network of these a *step* is a window: a population's output is its number, from -(R^D - 1) to R^D - 1, and the
weights after it include the value of a unit of that number. ``engine/ticks.py`` steps through the ticks inside a
window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import unknown
from spikebayes.network.codes import Code
from spikebayes.network.neurons import Chance, Neuron, State
from spikebayes.network.vocabulary import stored

#: activations that rise and fall, of which only a payload can tell the value
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "square": torch.square,
}


class Response(ABC):
    """Which number a neuron's input becomes: an activation, rounded to levels."""

    @abstractmethod
    def numbers(self, x: Tensor) -> Tensor:
        """The numbers before they are cut off at the code's highest, signed, in x's dtype; x ``[R, *shape]``."""

    def reaches(self, x: Tensor, level: Tensor) -> Tensor:
        """Whether the number's magnitude is ``level`` (int64 > 0, shaped like x) or more; bool.

        The thresholds at which a neuron fires: they fall from tick to tick.
        """
        return self.numbers(x.double()).abs() >= level

    @property
    @abstractmethod
    def signed(self) -> bool:
        """Whether a number can be negative."""


@stored
@checked
@dataclass(frozen=True, eq=False)
class Ramp(Response):
    """ReLU and similar ramps: number k from k - 1/2 on, for an input in units of the neuron's own step.

    Args:
        below: factor for inputs below 0, a number or shaped to broadcast against ``[*shape]``: LeakyReLU
            and PReLU; 1 for a relay; None for ReLU, which is silent there.
        limit: number at which the activation itself ends (ReLU6), the code's highest or more, shaped likewise: what
            lies above it is not clipped by the code. None where it does not end.
    """

    below: Tensor | None = None
    limit: Tensor | None = None

    @property
    def signed(self) -> bool:
        return self.below is not None

    def numbers(self, x: Tensor) -> Tensor:
        if self.below is None:
            found = (x + 0.5).floor_().clamp_(min=0)
            return found if self.limit is None else torch.minimum(found, self.limit.to(x))
        # a product with a slope is exact in float64: the same decision at every threshold, whoever takes it
        bent = self._bent(x)
        found = (bent.abs() + 0.5).floor()
        found -= (found - 0.5 > bent.abs()).to(found)  # the sum was rounded up
        return (torch.sign(bent) * found).to(x.dtype)

    def reaches(self, x: Tensor, level: Tensor) -> Tensor:
        magnitude = x.double() if self.below is None else self._bent(x).abs()
        return magnitude >= level - 0.5

    def _bent(self, x: Tensor) -> Tensor:
        assert self.below is not None
        x = x.double()
        return torch.where(x < 0, x * self.below.to(x), x)


@stored
@checked
@dataclass(frozen=True, eq=False)
class Table(Response):
    """Any monotone activation: the inputs at which each number begins.

    The code's highest number is followed by one more, if the activation reaches it: this shows what is clipped.

    Args:
        rising: ``[K]`` float64, ascending; number k from the k-th of them on.
        falling: ``[K]`` float64, descending; number -k from the k-th of them down.
    """

    rising: Tensor
    falling: Tensor

    def __post_init__(self) -> None:
        for thresholds, step in ((self.rising, self.rising.diff()), (self.falling, -self.falling.diff())):
            if thresholds.ndim != 1 or bool((step < 0).any()) or bool(thresholds.isnan().any()):
                raise ConfigError("a table's thresholds must rise, or fall, in one line")

    @property
    def signed(self) -> bool:
        return len(self.falling) > 0

    def numbers(self, x: Tensor) -> Tensor:
        x, dtype = x.double().contiguous(), x.dtype
        up = torch.bucketize(x, self.rising.to(x), right=True)
        down = torch.bucketize(-x, -self.falling.to(x), right=True)
        return (up - down).to(dtype)


@stored
@checked
@dataclass(frozen=True, eq=False)
class Function(Response):
    """An activation that is not monotone, evaluated in float64 and rounded. For graded codes only.

    Args:
        name: of ``FUNCTIONS``.
        step: value of a unit of the number; one number, or shaped to broadcast against ``[*shape]``.
    """

    name: str
    step: float | Tensor

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            raise ConfigError(unknown("function", self.name, FUNCTIONS))
        if not bool((torch.as_tensor(self.step) > 0).all()):
            raise ConfigError(f"a step must be positive; got {self.step}")

    @property
    def signed(self) -> bool:
        return True

    def numbers(self, x: Tensor) -> Tensor:
        y = FUNCTIONS[self.name](x.double()) / torch.as_tensor(self.step, dtype=torch.float64, device=x.device)
        return (torch.sign(y) * (y.abs() + 0.5).floor()).to(x.dtype)


@stored
@checked
@dataclass(frozen=True, eq=False)
class Coded(Neuron):
    """A neuron that receives during one window and sends a number in the next.

    Args:
        code: how it encodes the number.
        response: which number its input becomes.
        top: value of the highest number, in the units of the trained network's activation; one number, or shaped to
            broadcast against ``[*shape]`` (``[N]`` for each unit, ``[C, 1, 1]`` for each channel).

    Raises:
        ConfigError: tops that are not positive; a response that is not monotone under a code without payload.

    Reference:
        the codes' own (:mod:`spikebayes.network.codes`).

    Example:
        >>> from spikebayes.network.codes import Digits
        >>> neuron = Coded(Digits(4, 2), Ramp(), torch.tensor(1.5))
        >>> neuron.step(torch.tensor([[-3.0, 0.4, 0.5, 7.2, 99.0]]), (), 1.0)[1].tolist()
        [[0.0, 0.0, 1.0, 7.0, 15.0]]
    """

    code: Code
    response: Response
    top: Tensor
    memoryless = True

    def __post_init__(self) -> None:
        if not bool(((self.top > 0) & self.top.isfinite()).all()):
            raise ConfigError("the value of the highest level must be positive in every unit")
        if isinstance(self.response, Function) and not self.code.graded:
            raise ConfigError(f"{self.response.name} is not monotone: only a Graded code can send its value")

    @property
    def words(self) -> str:
        """Its code."""
        return f"{self.code}{', signed' if self.response.signed else ''}"

    @property
    def unit(self) -> Tensor:
        """Value of a unit of its number: top / (R^D - 1)."""
        return self.top / self.code.highest

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(whether it sends anything in the window; its number; no state)."""
        most = self.code.highest
        numbers = self.response.numbers(x).clamp(-most, most)
        return numbers != 0, numbers, state

    def __repr__(self) -> str:
        low, high = float(self.top.min()), float(self.top.max())
        top = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        return f"Coded({self.code}, {type(self.response).__name__}, top {top})"


@stored
@checked
@dataclass(frozen=True)
class Race(Neuron):
    """Max pooling: passes on, in the same window, the largest of the numbers that it receives.

    The source that fires first within a digit has the largest digit; those that fire later are out of the race. Among
    negative numbers it is the one that fires last. So the neuron fires with the first (or the last) spike of the
    sources still in the race.

    Args:
        code: of the numbers it receives; None before it is chosen.

    Example:
        >>> from spikebayes.network.codes import Digits
        >>> seen = torch.tensor([[[3.0, 0.0, 9.0], [-4.0, -2.0, -7.0]]])  # two neurons, three sources each
        >>> Race(Digits(4, 2)).step(seen, (), 1.0)[1].tolist()
        [[9.0, -2.0]]
    """

    code: Code | None = None
    memoryless = True
    pools = True

    @property
    def words(self) -> str:
        """What it does."""
        return "max pooling"

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        """(whether it sends anything; the largest of the last axis; no state)."""
        largest = x.amax(-1)
        return largest != 0, largest, state
