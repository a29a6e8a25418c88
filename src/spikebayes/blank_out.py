"""Synapses that blank out: what is drawn, where its bits are, and the law that a sign unit behind them obeys.

A unit's input is u_i = sum_j (xi_ij + a_i) w_ij z_j with xi_ij ~ Bernoulli(p) drawn for every synapse and step
(Neftci 2017, eq. 2). For many synapses and inputs of +-1 it is nearly Gaussian, and then

    P(u_i >= 0) = (1 + erf(v_i . z)) / 2,  v_i = beta_i w_i / |w_i|,  beta_i = (a_i + p) / sqrt(2 p (1 - p))  (eq. 3).

A site's stream of draws (see ``noise.py``) goes place by place (the positions of a convolution; a dense layer has
one), within a place source by source, and within a source target by target, sources padded to whole 32 targets and
places to whole blocks. So the bits of a source are whole words, which a kernel takes as masks over targets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.noise import bernoulli_bits, check_hold, draw_words, keep_mask
from spikebayes.philox import site_word

EXACT_SUMS = 1 << 24  # below it float32 holds every integer
TARGETS = 32  # a source's targets are padded to a multiple of this
BLOCKS = 1 << 32  # of a site's stream


@dataclass(frozen=True)
class Exact:
    """A Bernoulli draw for every synapse and step, as hardware does it."""


@dataclass(frozen=True)
class Gaussian:
    """The sum over a unit's synapses as one normal draw of the same mean and variance (Neftci 2017, section II.A)."""


@dataclass(frozen=True)
class Law:
    """The sign unit behind the synapses as one Bernoulli draw from the erf law (Neftci 2017, eq. 3)."""


Sampling = Exact | Gaussian | Law


@dataclass(frozen=True, eq=False)
class BlankOut:
    """Values Bernoulli(keep) + scale on each synapse of a connection (Neftci 2017, eq. 2: xi_ij + a_i).

    Args:
        keep: probability in (0, 1] that a synapse transmits.
        scale: a_i, one number or ``[N]`` for each target unit (``[C]`` for each channel of a convolution).
        hold: steps after which the draws are renewed; None holds them for the whole simulation.
        site: stable index of the place.
        sampling: :class:`Exact`, or :class:`Gaussian`, which draws a unit's sum instead of its synapses.
        successive: a renewal takes the draws of the next sample instead of one of its own, so that with ``hold=1``
            step t of a run of sample s is sample s + t.

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
        if not isinstance(self.sampling, Exact | Gaussian):
            raise ConfigError(f"BlankOut's sampling must be Exact() or Gaussian(); got {self.sampling!r}")
        check_hold(self.hold)
        site_word(self.site)

    def key(self, samples: Tensor, step: int) -> tuple[Tensor, int]:
        """Samples ``[R]`` and the number of the draw that are the counter's in a step."""
        renewals = 0 if self.hold is None else step // self.hold
        return (samples + renewals, 0) if self.successive else (samples, renewals)


@dataclass(frozen=True)
class Synapses:
    """How many synapses a connection has: L places with K sources and O targets each."""

    places: int
    sources: int
    targets: int

    @property
    def stride(self) -> int:
        """Draws per source."""
        return -(-self.targets // TARGETS) * TARGETS

    def blocks(self, bits: int) -> int:
        """128-bit blocks per place.

        Raises:
            ConfigError: the site's stream is too short for all places.
        """
        blocks = -(-self.sources * self.stride * bits // 128)
        if blocks * self.places > BLOCKS:
            raise ConfigError(f"{self} need more random bits than a site's stream has")
        return blocks


def check_keep(keep: float) -> None:
    """Refuse a probability of transmission outside (0, 1] (ConfigError)."""
    if not 0 < keep <= 1:
        raise ConfigError(f"the probability that a synapse transmits must lie in (0, 1]; got {keep}")


def blank_out_scale(beta: Tensor, keep: float) -> Tensor:
    """a_i = beta_i sqrt(2 p (1 - p)) - p, which gives eq. 3 the factor beta_i (Neftci 2017).

    Example:
        >>> blank_out_scale(torch.tensor([1.0]), 0.5).tolist()
        [0.20710676908493042]
    """
    return beta * math.sqrt(2 * keep * (1 - keep)) - keep


def blank_out_keep(
    noise: BlankOut, seed: int, samples: Tensor, rows: Tensor, synapses: Synapses, step: int = 0
) -> Tensor:
    """``[R, L, K, O]`` bool: which synapses transmit in one step."""
    samples, draw = noise.key(samples, step)
    bits, _ = bernoulli_bits(noise.keep)
    per_place = synapses.blocks(bits) * (128 // bits)
    whole = keep_mask(noise.keep, seed, samples, rows, synapses.places * per_place, site=noise.site, draw=draw)
    whole = whole.reshape(len(samples), synapses.places, per_place)[..., : synapses.sources * synapses.stride]
    return whole.unflatten(-1, (synapses.sources, synapses.stride))[..., : synapses.targets]


def gaussian_sums(
    noise: BlankOut, seen: Tensor, weight: Tensor, seed: int, samples: Tensor, rows: Tensor, step: int = 0
) -> Tensor:
    """sum_j xi_ij w_ij z_j drawn at once, ``[R, L, O]``.

    Normal, of mean p sum_j w_ij z_j and variance p (1 - p) sum_j (w_ij z_j)^2.

    Args:
        seen: ``[R, L, K]``, what the synapses of each place see. weight: ``[O, K]``.
    """
    samples, draw = noise.key(samples, step)
    units = seen.shape[1] * len(weight)
    words = draw_words(seed, samples, rows, units, site=noise.site, draw=draw)
    normal = torch.special.ndtri((words.double() + 0.5) / (1 << 32)).to(seen.dtype)  # never 0 or 1 in float64
    p = noise.keep
    spread = ((seen * seen) @ (weight * weight).T * (p * (1 - p))).sqrt()
    return p * (seen @ weight.T) + spread * normal.reshape(spread.shape)


def on_grid(weight: Tensor) -> Tensor:
    """A unit's weights as multiples of a power of two so small in number that sums over them are exact in float32.

    ``[O, ...]`` to the same shape: row i becomes k_i 2^-e_i, integers with sum_j |k_ij| < 2^24 and e_i as large as
    this allows: at a fan-in of 300 about 17 bits. The sum of such weights times -1, 0 or 1 is the same in whatever
    order it is taken, so a sign unit's decision is the same on every engine.

    Example:
        >>> on_grid(torch.tensor([[0.1, -0.3]]))
        tensor([[ 0.1000, -0.3000]])
    """
    flat = weight.flatten(1).double()
    step = grid_steps(flat)
    return (torch.round(flat * step) / step).to(weight.dtype).reshape(weight.shape)


def grid_steps(flat: Tensor) -> Tensor:
    """``[O, 1]``: 2^e_i of :func:`on_grid` for weights ``[O, K]``."""
    if flat.shape[1] > EXACT_SUMS - 2:
        raise ConfigError(f"a unit may have {EXACT_SUMS - 2} synapses; got {flat.shape[1]}")
    total = flat.abs().sum(1).clamp(min=torch.finfo(torch.float32).tiny)
    step = torch.exp2(torch.floor(torch.log2((EXACT_SUMS - 1) / total)))[:, None]
    over = torch.round(flat * step).abs().sum(1, keepdim=True) >= EXACT_SUMS  # by rounding up
    return torch.where(over, step / 2, step)


def patches(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Tensor:
    """What each position of a convolution sees: ``[R, C, *space]``, 1 or 2 axes, to ``[R, L, C * prod(kernel)]``."""
    if len(kernel) == 1:
        x, kernel, stride, padding, dilation = (
            x.unsqueeze(-2),
            *((one, *rest) for one, rest in ((1, kernel), (1, stride), (0, padding), (1, dilation))),
        )
    return F.unfold(x, kernel, dilation, padding, stride).transpose(1, 2)
