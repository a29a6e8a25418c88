"""Noise as data: masks on a population's output, synapses that blank out. ``noise/`` draws it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.vocabulary import stored

SITES = 1 << 12  # places with noise in a network
DRAWS = 1 << 20  # times that a mask may be redrawn in a run


class Noise(ABC):
    """When noise is drawn. A redraw takes either a draw of its own or that of the next sample.

    Attributes:
        site: stable index of the place; equal sites share their draws.
        hold: steps after which it is drawn anew; None holds it for the whole simulation.
        start: additional steps for which the first draw is held.
        successive: a redraw takes the draw of the next sample, so that a single run of sample s goes through those of
            samples s, s + 1, ...
    """

    site: int
    hold: int | None = None
    start: int = 0
    successive: bool

    def redraws(self, step: int) -> int:
        """How many times it was drawn anew up to and including one step of the simulation.

        Example:
            >>> [Dropout(0.5, hold=3, start=2).redraws(step) for step in range(9)]
            [0, 0, 0, 0, 0, 1, 1, 1, 2]
        """
        return 0 if self.hold is None else max(0, step - self.start) // self.hold

    def is_drawn_in(self, step: int) -> bool:
        """Whether a step begins with a draw: the first one, and those in which it is drawn anew."""
        return step == 0 or self.redraws(step) > self.redraws(step - 1)

    @property
    @abstractmethod
    def acts(self) -> bool:
        """Whether anything is left to chance."""

    def _check(self) -> None:
        check_site(self.site)
        if self.hold is not None and self.hold < 1:
            raise ConfigError(
                f"hold must be a positive number of steps, or None for the whole simulation; got {self.hold}"
            )
        if self.start < 0:
            raise ConfigError(f"start must be a number of steps >= 0; got {self.start}")


@stored
@checked
@dataclass(frozen=True)
class Dropout(Noise):
    """Values 0 (with probability p) or 1/(1 - p) on the output of a population or an input.

    Args:
        p: drop probability in [0, 1).
        hold: steps after which the mask is redrawn; None holds it for the whole simulation.
        site: stable index of the place; equal sites share their masks.
        offset: the population's first unit within the site (a site may span several concatenated populations).
        repeat: consecutive units that share one draw (a whole feature map: Dropout2d).
        start: additional steps for which the first mask is held; no other is drawn before ``start + hold``.
        successive: a redraw takes the mask of the next sample instead of one of its own, so that a single run of
            sample s goes through the masks of samples s, s + 1, ...
        rescale: False leaves kept values unchanged; then the weights after them must include the factor 1/(1 - p).

    Raises:
        ConfigError: p outside [0, 1), or hold, offset, repeat or start out of range.
    """

    p: float
    hold: int | None = None
    site: int = 0
    offset: int = 0
    repeat: int = 1
    start: int = 0
    successive: bool = False
    rescale: bool = True

    def __post_init__(self) -> None:
        check_probability(self.p)
        self._check()
        if self.offset < 0 or self.repeat < 1:
            raise ConfigError(f"offset must be >= 0 and repeat >= 1; got {self.offset} and {self.repeat}")

    @property
    def acts(self) -> bool:
        """Whether it can drop anything."""
        return self.p > 0

    @property
    def factor(self) -> float:
        """By what kept values are multiplied: 1/(1 - p), or 1."""
        return 1 / (1 - self.p) if self.rescale else 1.0


@stored
@checked
@dataclass(frozen=True)
class SpikeNoise(Noise):
    """Spikes of a coded population that arrive in a different tick than they were sent in, or get lost.

    Each spike is displaced by a whole number of ticks, a normal draw of mean 0 that is rounded, and then counts for
    the tick in which it arrives, even if that belongs to another digit; this holds for all its targets. No spike can
    arrive before its window begins, when its neuron does not know its number yet: it then arrives in the first tick.
    A spike that is too late for its window is lost, since the sum has been read. A race (max pooling) is located with
    its sources and receives their spikes as sent; the spikes that it sends are displaced.

    Args:
        jitter: standard deviation of the displacement, ticks.
        loss: probability in [0, 1) that a spike gets lost, independently of others.
        site: stable index of the place.

    Raises:
        ConfigError: jitter or loss out of range.
    """

    jitter: float = 0.0
    loss: float = 0.0
    site: int = 0
    successive = False  # and never redrawn: a window is a simulation

    def __post_init__(self) -> None:
        if not (self.jitter >= 0 and math.isfinite(self.jitter)):
            raise ConfigError(f"jitter is a standard deviation in ticks, 0 or more; got {self.jitter}")
        if not 0 <= self.loss < 1:
            raise ConfigError(f"the probability that a spike gets lost must lie in [0, 1); got {self.loss}")
        self._check()

    @property
    def acts(self) -> bool:
        """Whether any spike can be displaced or lost."""
        return self.jitter > 0 or self.loss > 0

    @property
    def words(self) -> str:
        """What happens to spikes."""
        said = [f"jitter of {self.jitter:g} ticks"] if self.jitter else []
        return ", ".join([*said, f"{100 * self.loss:g} % of spikes lost"] if self.loss else said)


@stored
@dataclass(frozen=True)
class Exact:
    """A Bernoulli draw for every synapse and step, as hardware does it."""


@stored
@dataclass(frozen=True)
class Gaussian:
    """The sum over a unit's synapses as one normal draw of the same mean and variance (Neftci 2017, section II.A)."""


@dataclass(frozen=True)
class Law:
    """The sign unit behind the synapses as one Bernoulli draw, by an error function (Neftci 2017, eq. 3)."""


Sampling = Exact | Gaussian | Law


@stored
@checked
@dataclass(frozen=True, eq=False)
class BlankOut(Noise):
    """Values Bernoulli(keep) + scale on each synapse of a connection (Neftci 2017, eq. 2: xi_ij + a_i).

    Args:
        keep: probability in (0, 1] that a synapse transmits.
        scale: a_i, one number or ``[N]`` for each target unit (``[C]`` for each channel of a convolution).
        hold: steps after which the synapses are drawn anew; None holds them for the whole simulation.
        site: stable index of the place.
        sampling: :class:`Exact`, or :class:`Gaussian`, which draws a unit's sum instead of its synapses.
        successive: a redraw takes the draws of the next sample instead of one of its own: with ``hold=1`` step t of
            sample s, in runs of T steps each, takes draw s T + t, so that a step is a sample and no two share a draw.

    Raises:
        ConfigError: keep outside (0, 1], or scale or hold out of range.
    """

    keep: float
    scale: float | Tensor = 0.0
    hold: int | None = 1
    site: int = 0
    sampling: Exact | Gaussian = field(default_factory=Exact)
    successive: bool = False

    def __post_init__(self) -> None:
        check_keep(self.keep)
        if not torch.as_tensor(self.scale).isfinite().all():
            raise ConfigError("BlankOut's scale must be finite")
        self._check()

    @property
    def acts(self) -> bool:
        """Whether a synapse can fail."""
        return self.keep < 1


def check_site(site: int) -> None:
    """Refuse a place beyond those that a network may have (ConfigError)."""
    if not 0 <= site < SITES:
        raise ConfigError(f"a network may have {SITES} places with noise; site {site} was asked for")


def check_probability(p: float) -> None:
    """Refuse a drop probability outside [0, 1) (ConfigError)."""
    if not 0 <= p < 1:
        raise ConfigError(f"a drop probability must lie in [0, 1); got {p}")


def check_keep(keep: float) -> None:
    """Refuse a probability of transmission outside (0, 1] (ConfigError)."""
    if not 0 < keep <= 1:
        raise ConfigError(f"the probability that a synapse transmits must lie in (0, 1]; got {keep}")
