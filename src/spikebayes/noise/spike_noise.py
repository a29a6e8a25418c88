"""Spikes that arrive in another tick than they were sent in, or never: one draw for each digit of each neuron.

The spike of unit n's digit at place d takes word n of its site's stream of redraw d (``philox.py``). A table of the
distribution function turns the word into a whole number of ticks, so that every device draws the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.network.codes import Code
from spikebayes.network.noise import SpikeNoise
from spikebayes.noise.bits import draw_words
from spikebayes.noise.keys import Keys


def lateness(noise: SpikeNoise, code: Code, keys: Keys, units: int, place: int) -> Tensor:
    """By how many ticks the spikes of a digit are late, as far as that matters: by T at most, as are lost ones.

    Args:
        noise: of the population.
        code: whose windows have T ticks.
        keys: R pairs.
        units: N.
        place: of the digit; 0 is the least significant.

    Returns:
        ``[R, N]`` int64 in [-T, T], on the device of the keys.

    Example:
        >>> from spikebayes.network.codes import Radix
        >>> one = torch.zeros(1, dtype=torch.int64)
        >>> lateness(SpikeNoise(jitter=2.0, loss=0.1), Radix(4), Keys(0, one, one), 8, 0).tolist()
        [[0, 4, 2, 1, -2, -3, 4, 1]]
    """
    edges = torch.arange(-code.ticks, code.ticks, dtype=torch.float64) + 0.5
    within = torch.special.ndtr(edges / noise.jitter) * (1 - noise.loss)  # of all spikes, those up to each edge
    words = draw_words(keys, units, site=noise.site, draw=place).contiguous()
    return torch.bucketize(words, (within * (1 << 32)).round().long().to(words.device), right=True) - code.ticks


def received(numbers: Tensor, code: Code, noise: SpikeNoise, keys: Keys) -> Tensor:
    """What arrives of numbers ``[R, *shape]`` that were sent; it may lie above the code's highest.

    Example:
        >>> from spikebayes.network.codes import FirstSpike
        >>> one = torch.zeros(1, dtype=torch.int64)
        >>> received(torch.full((1, 8), 9.0), FirstSpike(12), SpikeNoise(jitter=2.0), Keys(0, one, one)).tolist()
        [[10.0, 7.0, 8.0, 8.0, 11.0, 11.0, 4.0, 8.0]]
    """
    flat = numbers.flatten(1)
    rest, span = flat.abs().long(), code.base - 1
    worths = torch.tensor([*code.worths, 0], device=flat.device)
    found = torch.zeros_like(rest)
    for place in range(code.places):
        late = lateness(noise, code, keys, flat.shape[1], place)
        if code.graded:
            found = torch.where(late < 1, rest, 0)
            break
        digit, rest = rest % code.base, rest // code.base
        sent = code.ticks - place * span - digit
        found += torch.where(digit > 0, worths[(sent + late).clamp(0, code.ticks)], 0)
    return (torch.sign(flat) * found).to(numbers.dtype).reshape(numbers.shape)
