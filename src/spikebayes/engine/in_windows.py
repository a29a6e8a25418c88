"""Inside a window: ticks, neurons that send their numbers in them and race, and sums that take them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.network.coded import Coded, Ramp
from spikebayes.network.codes import Code
from spikebayes.network.noise import SpikeNoise
from spikebayes.network.operators import size
from spikebayes.network.whole_ramp import WholeRamp
from spikebayes.noise.keys import Keys
from spikebayes.noise.spike_noise import lateness


@dataclass(frozen=True)
class Tick:
    """One tick of a window.

    Args:
        worth: of a spike, k R^d.
        begins, ends: a digit begins, or ends, with it.
        rest: R^d, by what sums will still be multiplied.
    """

    worth: int
    begins: bool
    ends: bool
    rest: int


def ticks_of(code: Code) -> Iterator[Tick]:
    """The ticks of a window of digits.

    Example:
        >>> from spikebayes.network.codes import Digits
        >>> [tick.worth for tick in ticks_of(Digits(3, 2))]
        [6, 3, 2, 1]
    """
    span = code.base - 1  # ticks of a digit
    for t, worth in enumerate(code.worths):
        yield Tick(worth, t % span == 0, t % span == span - 1, code.base ** (code.places - 1 - t // span))


@dataclass
class RampSum:
    """What a connection takes in during a window: ``[L, *target]`` each."""

    ramp: Tensor
    total: Tensor

    def tick(self, arriving: Tensor, tick: Tick, radix: int) -> None:
        if tick.begins:
            self.total = self.total * radix
            self.ramp = torch.zeros_like(self.ramp)
        self.ramp = self.ramp + arriving
        self.total = self.total + self.ramp


class Sender:
    """A population's neurons in one window: ``[L, *shape]``.

    Args:
        neuron: what they are.
        drive: what they took in.
        keep: bool, those that are not dropped; None where all are kept.
    """

    neuron: Coded
    drive: Tensor
    keep: Tensor | None
    sign: Tensor
    told: Tensor
    fired: Tensor

    def __init__(self, neuron: Coded, drive: Tensor, keep: Tensor | None) -> None:
        self.neuron, self.drive, self.keep = neuron, drive, keep
        self.sign = torch.sign(neuron.response.numbers(drive))
        self.told = torch.zeros_like(drive, dtype=torch.int64)
        self.fired = torch.zeros_like(drive, dtype=torch.bool)  # in this digit

    def tick(self, tick: Tick) -> Tensor:
        """The spikes of a tick, +1, -1 or 0."""
        if tick.begins:
            self.fired = torch.zeros_like(self.fired)
        fires = ~self.fired & self.neuron.response.reaches(self.drive, self.told + tick.worth)
        self.fired |= fires
        self.told += tick.worth * fires
        return _kept(self.sign * fires, self.keep)

    def payload(self) -> Tensor:
        """The one tick of a graded code: the number itself."""
        most = self.neuron.code.highest
        self.told = self.neuron.response.numbers(self.drive).clamp(-most, most).long()
        return _kept(self.told.to(self.drive.dtype), self.keep)

    @property
    def potential(self) -> Tensor:
        """What is left of the input: a ramp's is reset by what each spike told."""
        response = self.neuron.response
        if not isinstance(response, Ramp | WholeRamp):
            return self.drive
        unit = response.unit_of(self.drive) if isinstance(response, WholeRamp) else 1
        return self.drive - self.sign * self.told.abs() * unit


class Racer:
    """Max pooling in one window: ``[L, *shape]`` neurons, each of K runners.

    A neuron fires with the first spike of those of its runners that are still in the race, which are then those that
    fired with it. Negative numbers race the other way round: it fires with the last one, if all fire.
    """

    up: Tensor
    down: Tensor
    fell: Tensor
    fired: Tensor

    def __init__(self, runners: tuple[int, ...], keep: Tensor | None) -> None:
        self.keep = keep
        self.up, self.down = torch.ones(2, *runners, dtype=torch.bool)  # still in the race, [L, *shape, K]
        self.fell = torch.zeros(runners, dtype=torch.bool)  # fired a negative spike in this digit
        self.fired = torch.zeros(runners[:-1], dtype=torch.bool)

    def tick(self, spikes: Tensor, tick: Tick) -> Tensor:
        """From the runners' spikes ``[L, *shape, K]`` to the neurons'."""
        if tick.begins:
            self.fell, self.fired = torch.zeros_like(self.fell), torch.zeros_like(self.fired)
        rises = self.up & (spikes > 0)
        first = rises.any(-1) & ~self.fired
        self.up = torch.where(first[..., None], rises, self.up & ~(self.fired[..., None] & (spikes > 0)))

        falls = self.down & (spikes < 0)
        self.fell |= falls
        last = (self.fell | ~self.down).all(-1) & falls.any(-1)
        self.down = torch.where(last[..., None], falls, self.down)
        if tick.ends:
            self.down &= torch.where((self.fell | ~self.down).all(-1, keepdim=True), True, ~self.fell)
        self.fired |= first | last
        return _kept(first.to(spikes.dtype) - last.to(spikes.dtype), self.keep)

    def payload(self, numbers: Tensor) -> Tensor:
        """The one tick of a graded code."""
        return _kept(numbers.amax(-1), self.keep)


def on_the_way(sent: list[Tensor], noise: SpikeNoise, code: Code, keys: Keys) -> list[Tensor]:
    """The spikes of a window's T ticks, ``[L, *shape]`` each, as they arrive: a tick may bring several."""
    ticks, span, shape = len(sent), 1 if code.graded else code.base - 1, sent[0].shape
    places = reversed(range(code.places))
    late = [lateness(noise, code, keys, size(tuple(shape[1:])), place).reshape(shape) for place in places]
    arrived = sent[0].new_zeros(ticks + 1, *shape)  # the last: those that do not
    for t, spikes in enumerate(sent):
        arrived.scatter_add_(0, (t + late[t // span]).clamp(0, ticks)[None], spikes[None])
    return list(arrived[:ticks])


def _kept(spikes: Tensor, keep: Tensor | None) -> Tensor:
    return spikes if keep is None else torch.where(keep, spikes, 0.0)
