"""Neural codes in windows of ticks: how the spikes of one window encode a whole number.

Time is divided into windows of equal length. During one window a population receives what its sources send, and in
the next it sends its own number. A number has D digits of radix R; each digit is encoded by *when* its one spike
falls among R - 1 ticks, the most significant digit first. A digit of 0 is silence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.vocabulary import stored

BITS = 16  # of the largest number that a code may tell: sums over it must stay exact
MOST_TICKS = 1 << 12  # of a window


class Code(ABC):
    """How a neuron encodes a number in a window. Subclasses are frozen dataclasses of their parameters.

    Numbers go from 0 to R^D - 1. A negative number is sent as its magnitude, by spikes of the other sign.

    Attributes:
        graded: the spike carries the number itself, in one tick.
    """

    graded: bool = False

    @property
    @abstractmethod
    def base(self) -> int:
        """R, radix of a digit."""

    @property
    @abstractmethod
    def places(self) -> int:
        """D, digits of a number."""

    @property
    def highest(self) -> int:
        """The largest number, R^D - 1."""
        return self.base**self.places - 1

    @property
    def ticks(self) -> int:
        """Ticks of a window: (R - 1) D."""
        return (self.base - 1) * self.places

    @property
    def worths(self) -> tuple[int, ...]:
        """Value of a spike in each tick of a window, k R^d; for a graded code that of 1 of the payload.

        Example:
            >>> Digits(3, 2).worths
            (6, 3, 2, 1)
        """
        places, falling = reversed(range(self.places)), range(self.base - 1, 0, -1)
        return tuple(k * self.base**place for place in places for k in falling)

    def spikes(self, numbers: Tensor) -> Tensor:
        """How many spikes encode each number: its digits that are not 0. int64, shaped like the numbers.

        Example:
            >>> Digits(4, 3).spikes(torch.tensor([0, 1, 4, 5, 63, -63])).tolist()
            [0, 1, 1, 2, 3, 3]
        """
        rest, found = numbers.abs().long(), torch.zeros_like(numbers, dtype=torch.int64)
        for _ in range(self.places):
            found += rest % self.base > 0
            rest = rest // self.base
        return found

    def _check(self) -> None:
        if self.highest >= 1 << BITS:
            raise ConfigError(
                f"{self} has {self.highest + 1:,} levels; codes have at most 2^{BITS}: take fewer digits"
            )
        if self.ticks > MOST_TICKS:
            raise ConfigError(
                f"{self} needs windows of {self.ticks:,} ticks; at most {MOST_TICKS:,} are possible: take more "
                "digits of a smaller radix"
            )


@stored
@checked
@dataclass(frozen=True)
class Digits(Code):
    """Digits of any radix: R^D levels in (R - 1) D ticks, by at most D spikes.

    Args:
        radix: R, 2 or more.
        digits: D, 1 or more.

    Raises:
        ConfigError: out of range, or more than 2^16 levels.

    References:
        Stoeckl & Maass 2021, Nat. Mach. Intell. 3:230 (few spikes, radix 2); Stanojevic et al. 2024, Nat. Commun.
        15:6793 (one spike per neuron, ReLU exactly).

    Example:
        >>> code = Digits(4, 4)
        >>> code.highest + 1, code.ticks
        (256, 12)
    """

    radix: int
    digits: int

    def __post_init__(self) -> None:
        if self.radix < 2 or self.digits < 1 or self.digits > BITS:
            raise ConfigError(
                f"a code needs a radix of 2 or more and 1 to {BITS} digits; got {self.radix} and {self.digits}"
            )
        self._check()

    @property
    def base(self) -> int:
        return self.radix

    @property
    def places(self) -> int:
        return self.digits


@stored
@checked
@dataclass(frozen=True)
class FirstSpike(Code):
    """One digit: the time of a neuron's first and only spike encodes its number.

    Args:
        levels: 2 or more, 0 among them; a window has ``levels`` - 1 ticks.

    Raises:
        ConfigError: fewer than 2 levels, or windows that are too long.

    Reference:
        Thorpe, Delorme & Van Rullen 2001; Goeltz et al. 2021 (on BrainScaleS-2); Stanojevic et al. 2024.

    Example:
        >>> FirstSpike(64).ticks
        63
    """

    levels: int

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ConfigError(f"a code needs at least 2 levels; got {self.levels}")
        self._check()

    @property
    def base(self) -> int:
        return self.levels

    @property
    def places(self) -> int:
        return 1


@stored
@checked
@dataclass(frozen=True)
class Radix(Code):
    """Digits of radix 2: a tick for each bit, the most significant first.

    Args:
        bits: 1 to 16.

    Raises:
        ConfigError: out of range.

    Reference:
        Stoeckl & Maass 2021; Wang et al. 2022 (radix encoding).

    Example:
        >>> Radix(8).ticks, Radix(8).spikes(torch.tensor(5)).item()
        (8, 2)
    """

    bits: int

    def __post_init__(self) -> None:
        _check_bits(self.bits)

    @property
    def base(self) -> int:
        return 2

    @property
    def places(self) -> int:
        return self.bits


@stored
@checked
@dataclass(frozen=True)
class Graded(Code):
    """The spike carries the number as its payload: a window is one tick.

    Args:
        bits: of the payload's magnitude, 1 to 16.

    Raises:
        ConfigError: out of range.

    Reference:
        Orchard et al. 2021, Loihi 2 (graded spikes); Mayr et al. 2019, SpiNNaker 2 (payloads).

    Example:
        >>> Graded(8).ticks, Graded(8).highest
        (1, 255)
    """

    bits: int
    graded = True

    def __post_init__(self) -> None:
        _check_bits(self.bits)

    @property
    def base(self) -> int:
        return 1 << self.bits

    @property
    def places(self) -> int:
        return 1

    @property
    def ticks(self) -> int:
        """1."""
        return 1

    @property
    def worths(self) -> tuple[int, ...]:
        """1."""
        return (1,)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= BITS:
        raise ConfigError(f"a code may have 1 to {BITS} bits; got {bits}")
