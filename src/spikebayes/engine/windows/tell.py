"""From what neurons took in to the numbers that they tell, under their masks, in one go over memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.machine.kernel_cache import compiled
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.codes import Code
from spikebayes.network.noise import Dropout, SpikeNoise
from spikebayes.noise.bits import bernoulli_bits, dropout_keep, fill_row
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import site_word, split_seed
from spikebayes.noise.spike_noise import received

NO_MASK = np.zeros(4, np.uint64)


@dataclass(frozen=True, eq=False)
class Told:
    """Numbers of L lines, and what is known of them.

    Args:
        numbers: ``[L, *shape]``, as they arrive.
        spikes: ``[L]`` int64, that tell them.
        saturated: ``[L]`` int64, neurons that were cut off at the highest number.
        norm, largest: root of the largest sum of squares of a line; largest magnitude.
        sent: ``[L, *shape]``, the numbers as they were sent.
    """

    numbers: Tensor
    spikes: Tensor
    saturated: Tensor
    norm: float
    largest: float
    sent: Tensor


class Teller:
    """A population's neurons.

    Args:
        neuron: coded, or a race, whose numbers are there already.
        dropout: on what they tell.
        shape: of one line.
        noise: on their spikes.
    """

    neuron: Coded | Race
    shape: tuple[int, ...]
    code: Code
    dropout: Dropout | None
    noise: SpikeNoise | None
    each: Tensor
    shift: int
    ramp: bool

    def __init__(
        self, neuron: Coded | Race, dropout: Dropout | None, shape: tuple[int, ...], noise: SpikeNoise | None = None
    ) -> None:
        assert neuron.code is not None
        self.neuron, self.shape, self.code = neuron, shape, neuron.code
        self.dropout = dropout if dropout is not None and dropout.acts else None
        self.noise = noise if noise is not None and noise.acts else None
        self.each = self.code.spikes(torch.arange(self.code.highest + 1)).to(torch.uint8)
        bits = self.code.base.bit_length() - 1
        self.shift = bits if self.code.base == 1 << bits else 0  # bits of a digit; 0 where the table is asked
        response = neuron.response if isinstance(neuron, Coded) else None
        self.ramp = isinstance(response, Ramp) and response.below is None and response.limit is None

    def tell(self, x: Tensor, keys: Keys | None, lines: Tensor | None = None, told: bool = False) -> Told:
        """The numbers of L lines.

        Args:
            x: ``[L, *shape]`` what the neurons took in; or fewer lines, of which line i takes ``lines[i]``.
            keys: of the L lines' masks and noise; None applies none.
            lines: see x.
            told: x are the numbers already, not yet cut off.
        """
        dropout = self.dropout if keys is not None else None
        ready = told or isinstance(self.neuron, Race)
        plain = x.device.type == "cpu" and (dropout is None or dropout.offset == 0)
        if not ready and not self.ramp:
            assert isinstance(self.neuron, Coded)
            x = self.neuron.response.numbers(x)
        if plain:
            found = self._by_kernel(x, dropout, keys, lines, ramp=self.ramp and not ready)
        else:
            found = self._by_torch(x, dropout, keys, lines, numbers=ready or not self.ramp)
        if self.noise is None or keys is None:
            return found
        numbers = received(found.sent, self.code, self.noise, keys.to(found.sent.device))
        return replace(found, numbers=numbers, norm=_norm(numbers), largest=_largest(numbers))

    def _by_kernel(
        self, x: Tensor, dropout: Dropout | None, keys: Keys | None, lines: Tensor | None, ramp: bool
    ) -> Told:
        count = len(x) if lines is None else len(lines)
        flat = x.detach().reshape(len(x), -1).contiguous()
        out = torch.empty(count, *self.shape)
        found = np.zeros((count, 4), np.int64)
        which = np.arange(count) if lines is None else lines.numpy()
        masked, pairs = NO_MASK, (np.zeros(1, np.int64),) * 2
        bits, repeat = 1, 1
        if dropout is not None and keys is not None:
            bits, threshold = bernoulli_bits(1 - dropout.p)
            masked = np.array([site_word(dropout.site), *split_seed(keys.seed), threshold], np.uint64)
            pairs, repeat = (keys.samples.numpy(), keys.rows.numpy()), dropout.repeat
        settings = np.array([self.code.highest, bits, repeat, ramp, self.shift, self.code.places], np.int64)
        target = out.view(count, -1).numpy()
        _tell(target, flat.numpy(), which, *pairs, masked, dropout is not None, settings, self.each.numpy(), found)
        norm, largest = math.sqrt(found[:, 2].max(initial=0)), float(found[:, 3].max(initial=0))
        return Told(out, torch.from_numpy(found[:, 0]), torch.from_numpy(found[:, 1]), norm, largest, out)

    def _by_torch(
        self, x: Tensor, dropout: Dropout | None, keys: Keys | None, lines: Tensor | None, numbers: bool
    ) -> Told:
        most = self.code.highest
        if not numbers:
            assert isinstance(self.neuron, Coded)
            x = self.neuron.response.numbers(x)
        x = x if lines is None else x[lines.to(x.device)]
        above = x.abs() > most
        x = x.clamp(-most, most)
        if dropout is not None and keys is not None:
            keep = dropout_keep(dropout, keys.to(x.device), x[0].numel()).reshape(x.shape)
            x, above = torch.where(keep, x, 0.0), above & keep
        flat = x.flatten(1)
        spikes = self.each.to(x.device)[flat.abs().long()].sum(1, dtype=torch.int64)
        return Told(x, spikes, above.flatten(1).sum(1), _norm(x), _largest(x), x)


def _norm(numbers: Tensor) -> float:
    """Root of the largest sum of squares of a line."""
    return float(numbers.flatten(1).double().square().sum(1).max().sqrt()) if numbers.numel() else 0.0


def _largest(numbers: Tensor) -> float:
    """The largest magnitude."""
    return float(numbers.abs().max()) if numbers.numel() else 0.0


@compiled(nogil=True)
def _tell(
    out: NDArray[np.float32],
    x: NDArray[np.floating],
    lines: NDArray[np.int64],
    samples: NDArray[np.int64],
    rows: NDArray[np.int64],
    words: NDArray[np.uint64],
    masked: bool,
    settings: NDArray[np.int64],
    each: NDArray[np.uint8],
    found: NDArray[np.int64],
) -> None:
    """``out[r] = mask(cut(x[lines[r]]))``; spikes, cut-off neurons, sum of squares and largest go to ``found[r]``.

    Loops over units are plain, sums are of whole numbers: LLVM takes several units at a time.
    """
    units = out.shape[1]
    bits, repeat, ramp, shift, places = settings[1], settings[2], settings[3] > 0, settings[4], settings[5]
    keep = np.empty(-(-units // repeat), np.bool_)
    most, zero, half = np.float32(settings[0]), np.float32(0), np.float32(0.5)
    low = np.int32((1 << shift) - 1)
    whole = np.empty(units, np.int32)
    for r in range(out.shape[0]):
        source, target = x[lines[r]], out[r]
        if ramp:
            for n in range(units):
                target[n] = max(np.floor(source[n] + half), zero)
        else:
            for n in range(units):
                target[n] = source[n]
        if masked:
            fill_row(keep, np.uint64(samples[r]), words[0], np.uint64(rows[r]), words[1], words[2], bits, words[3])
            if repeat == 1:
                for n in range(units):
                    target[n] = target[n] if keep[n] else zero
            else:
                for n in range(units):
                    target[n] = target[n] if keep[n // repeat] else zero
        above, spikes, squares, largest = np.int32(0), np.int32(0), np.int64(0), np.int32(0)
        for n in range(units):
            above += np.int32(abs(target[n]) > most)
            target[n] = max(min(target[n], most), -most)
            whole[n] = np.int32(abs(target[n]))
        for n in range(units):
            squares += np.int64(whole[n]) * np.int64(whole[n])
            largest = max(largest, whole[n])
        if shift == 0:
            for n in range(units):
                spikes += np.int32(each[whole[n]])
        else:
            for place in range(places):
                for n in range(units):
                    spikes += np.int32(((whole[n] >> np.int32(place * shift)) & low) != 0)
        found[r, 0], found[r, 1], found[r, 2], found[r, 3] = spikes, above, squares, largest
