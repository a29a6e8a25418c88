"""Synapses that blank out: what is drawn, where its bits are, and the law that a sign unit behind them obeys.

A unit's input is u_i = sum_j (xi_ij + a_i) w_ij z_j with xi_ij ~ Bernoulli(p) drawn for every synapse and step
(Neftci 2017, eq. 2). For many synapses and inputs of +-1 it is nearly Gaussian, and then

    P(u_i >= 0) = (1 + erf(v_i . z)) / 2,  v_i = beta_i w_i / |w_i|,  beta_i = (a_i + p) / sqrt(2 p (1 - p))  (eq. 3).

A site's stream of draws (see ``bits.py``) goes place by place (the positions of a convolution; a dense layer has
one), within a place source by source, and within a source target by target, sources padded to whole 32 targets and
places to whole blocks. So the bits of a source are whole words, which a kernel takes as masks over targets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.noise import BlankOut
from spikebayes.noise.bits import bernoulli_bits, draw_words, keep_mask
from spikebayes.noise.keys import Keys

TARGETS = 32  # a source's targets are padded to a multiple of this
BLOCKS = 1 << 32  # of a site's stream


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


def blank_out_scale(beta: Tensor, keep: float) -> Tensor:
    """a_i = beta_i sqrt(2 p (1 - p)) - p, which gives eq. 3 the factor beta_i (Neftci 2017).

    Example:
        >>> blank_out_scale(torch.tensor([1.0]), 0.5).tolist()
        [0.20710676908493042]
    """
    return beta * math.sqrt(2 * keep * (1 - keep)) - keep


def blank_out_keep(noise: BlankOut, keys: Keys, synapses: Synapses, step: int = 0) -> Tensor:
    """``[R, L, K, O]`` bool: which synapses transmit in one step."""
    keys, draw = keys.drawn(noise, step)
    bits, _ = bernoulli_bits(noise.keep)
    per_place = synapses.blocks(bits) * (128 // bits)
    whole = keep_mask(noise.keep, keys, synapses.places * per_place, site=noise.site, draw=draw)
    whole = whole.reshape(len(keys), synapses.places, per_place)[..., : synapses.sources * synapses.stride]
    return whole.unflatten(-1, (synapses.sources, synapses.stride))[..., : synapses.targets]


def gaussian_sums(noise: BlankOut, seen: Tensor, weight: Tensor, keys: Keys, step: int = 0) -> Tensor:
    """sum_j xi_ij w_ij z_j drawn at once, ``[R, L, O]``.

    Normal, of mean p sum_j w_ij z_j and variance p (1 - p) sum_j (w_ij z_j)^2.

    Args:
        seen: ``[R, L, K]``, what the synapses of each place see. weight: ``[O, K]``.
    """
    keys, draw = keys.to(seen.device).drawn(noise, step)
    words = draw_words(keys, seen.shape[1] * len(weight), site=noise.site, draw=draw)
    normal = torch.special.ndtri((words.double() + 0.5) / (1 << 32)).to(seen.dtype)  # never 0 or 1 in float64
    p = noise.keep
    spread = ((seen * seen) @ (weight * weight).T * (p * (1 - p))).sqrt()
    return p * (seen @ weight.T) + spread * normal.reshape(spread.shape)
