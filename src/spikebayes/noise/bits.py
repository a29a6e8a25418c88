"""The bits that all noise is made of, and dropout drawn from them.

Masks are functions of (seed, sample, site, draw, row, unit), see ``philox.py``. A unit's Bernoulli draw takes the
fewest bits b in {1, 2, 4, 8, 16, 32} with which ``keep * 2^b`` is a whole number (32 where none is; then ``keep`` is
met to within 2^-33), so that one 128-bit block serves 128 units at keep = 1/2 and 4 at keep = 0.9. Unit n of a site
reads bits [n b, (n + 1) b) of the site's stream of blocks, counted from the least significant bit of each 32-bit
word, and is kept when their value lies below ``keep * 2^b``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.machine.kernel_cache import compiled
from spikebayes.network.noise import Dropout
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import philox_numba, philox_torch, site_word, split_seed


def bernoulli_bits(keep: float) -> tuple[int, int]:
    """Bits per draw and the threshold below which a draw counts as kept.

    Example:
        >>> bernoulli_bits(0.5), bernoulli_bits(0.75), bernoulli_bits(0.9)
        ((1, 1), (2, 3), (32, 3865470566))
    """
    for bits in (1, 2, 4, 8, 16):
        if keep * (1 << bits) == int(keep * (1 << bits)):
            return bits, int(keep * (1 << bits))
    return 32, round(keep * (1 << 32))


def keep_mask(keep: float, keys: Keys, units: int, *, site: int, draw: int = 0) -> Tensor:
    """Bernoulli(keep) bits of one site for a list of (sample, row) pairs.

    Args:
        keep: probability of True.
        keys: R pairs.
        units: N, how many bits each pair gets.
        site: place of the noise.
        draw: how many times the mask was redrawn before.

    Returns:
        ``[R, N]`` bool on the device of the keys.

    Example:
        >>> one = torch.zeros(1, dtype=torch.int64)
        >>> keep_mask(0.5, Keys(0, one, one), 8, site=0).int().tolist()
        [[0, 1, 0, 1, 0, 1, 0, 0]]
    """
    bits, threshold = bernoulli_bits(keep)
    if keys.samples.device.type == "cpu":
        out = np.empty((len(keys), units), np.bool_)
        pairs = keys.samples.numpy().astype(np.uint64), keys.rows.numpy().astype(np.uint64)
        words = np.array([site_word(site, draw), *split_seed(keys.seed), threshold], np.uint64)
        _fill(out, *pairs, words, bits)
        return torch.from_numpy(out)
    return keep_mask_torch(keep, keys, units, site=site, draw=draw)


def keep_mask_torch(keep: float, keys: Keys, units: int, *, site: int, draw: int = 0) -> Tensor:
    """The same bits as :func:`keep_mask` by torch operations alone, for any device. ``[R, N]`` bool."""
    bits, threshold = bernoulli_bits(keep)
    words = _words(keys, -(-units * bits // 128), site, draw)  # [R, blocks, 4]
    shifts = torch.arange(0, 32, bits, device=words.device)
    draws = (words[..., None] >> shifts) & ((1 << bits) - 1)  # [R, blocks, 4, 32 / bits]
    return draws.reshape(len(keys), -1)[:, :units] < threshold


def draw_words(keys: Keys, units: int, *, site: int, draw: int = 0) -> Tensor:
    """``[R, N]`` int64, a uniform 32-bit word for each unit of a site.

    Example:
        >>> one = torch.zeros(1, dtype=torch.int64)
        >>> draw_words(Keys(0, one, one), 2, site=0).tolist()
        [[1713891541, 3781805453]]
    """
    return _words(keys, -(-units // 4), site, draw).flatten(1)[:, :units]


def _words(keys: Keys, blocks: int, site: int, draw: int) -> Tensor:
    """``[R, blocks, 4]`` int64, the first blocks of a site's stream."""
    shape = (len(keys), blocks)
    word = torch.full(shape, site_word(site, draw), device=keys.samples.device)
    block = torch.arange(blocks, device=keys.samples.device).expand(shape)
    counter = [keys.samples[:, None].expand(shape), word, keys.rows[:, None].expand(shape), block]
    return philox_torch(torch.stack(counter, -1), split_seed(keys.seed))


def dropout_keep(dropout: Dropout, keys: Keys, units: int, step: int = 0) -> Tensor:
    """``[R, N]`` bool: which of a population's N units are kept, at one step of the simulation."""
    keys, draw = keys.drawn(dropout, step)
    draws = -(-units // dropout.repeat)
    whole = keep_mask(1 - dropout.p, keys, dropout.offset + draws, site=dropout.site, draw=draw)
    kept = whole[:, dropout.offset :]
    return kept if dropout.repeat == 1 else kept.repeat_interleave(dropout.repeat, 1)[:, :units]


def drop(x: Tensor, dropout: Dropout, keys: Keys, lines: Tensor | None = None) -> Tensor:
    """A held dropout applied: ``[R, *shape]``, x masked as :func:`dropout_keep` says and divided by 1 - p.

    Args:
        x: ``[R, *shape]``, or fewer lines, of which pair i reads ``lines[i]``.
        dropout: what is drawn; its ``offset`` and ``hold`` are not looked at.
        keys: R pairs.
        lines: ``[R]`` int64; None where x has a line for each pair.
    """
    shape = (len(keys), *x.shape[1:])
    units = math.prod(shape[1:])
    scale = 1 / (1 - dropout.p)
    plain = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    if not plain or (x.requires_grad and torch.is_grad_enabled()):
        noise = Dropout(dropout.p, site=dropout.site, repeat=dropout.repeat)
        keep = dropout_keep(noise, keys.to(x.device), units)
        return torch.where(keep.reshape(shape), (x if lines is None else x[lines.to(x.device)]) * scale, 0.0)
    flat = x.detach().reshape(len(x), units).contiguous().numpy()
    out = torch.empty(shape, dtype=x.dtype)
    target = out.view(len(keys), units).numpy()
    which = (torch.arange(len(keys)) if lines is None else lines).numpy()
    bits, threshold = bernoulli_bits(1 - dropout.p)
    words = np.array([site_word(dropout.site), *split_seed(keys.seed), threshold], np.uint64)
    _drop(target, flat, which, keys.samples.numpy(), keys.rows.numpy(), words, bits, scale, dropout.repeat)
    return out


@compiled(nogil=True)
def fill_row(out, sample, word, row, k0, k1, bits, threshold):  # pyright: ignore[reportMissingParameterType]
    """One pair's bits, inside a kernel: out ``[N]`` bool, all words uint64.

    The loops over blocks and over the units of a word are free of branches, so that LLVM takes several at a time.
    """
    units = out.shape[0]
    per_word = 32 // bits
    full = units // (4 * per_word)  # blocks read to their end
    if bits == 32:
        for b in range(full):
            w0, w1, w2, w3 = philox_numba(sample, word, row, np.uint64(b), k0, k1)
            out[4 * b] = w0 < threshold
            out[4 * b + 1] = w1 < threshold
            out[4 * b + 2] = w2 < threshold
            out[4 * b + 3] = w3 < threshold
    else:
        low = np.uint32((1 << bits) - 1)
        below = np.uint32(threshold)
        words = np.empty((full, 4), np.uint32)
        for b in range(full):
            w0, w1, w2, w3 = philox_numba(sample, word, row, np.uint64(b), k0, k1)
            words[b, 0], words[b, 1], words[b, 2], words[b, 3] = w0, w1, w2, w3
        for w in range(4 * full):
            value = words[w // 4, w % 4]
            here = out[w * per_word : (w + 1) * per_word]
            for i in range(per_word):
                here[i] = ((value >> np.uint32(i * bits)) & low) < below

    done = full * 4 * per_word
    if done < units:
        last = philox_numba(sample, word, row, np.uint64(full), k0, k1)
        mask = np.uint64((1 << bits) - 1)
        for n in range(done, units):
            place = n - done
            value = last[place // per_word] >> np.uint64(place % per_word * bits)
            out[n] = (value & mask) < threshold


@compiled(nogil=True)
def _fill(
    out: NDArray[np.bool_],
    samples: NDArray[np.uint64],
    rows: NDArray[np.uint64],
    words: NDArray[np.uint64],
    bits: int,
) -> None:
    word, k0, k1, threshold = words[0], words[1], words[2], words[3]
    for r in range(out.shape[0]):
        fill_row(out[r], samples[r], word, rows[r], k0, k1, bits, threshold)


@compiled(nogil=True)
def _drop(out, x, lines, samples, rows, words, bits, scale, repeat):  # pyright: ignore[reportMissingParameterType]
    """``out[r, n] = scale x[lines[r], n]`` where kept, else 0; a bit serves ``repeat`` units in a row."""
    units = out.shape[1]
    word, k0, k1, threshold = words[0], words[1], words[2], words[3]
    keep = np.empty(-(-units // repeat), np.bool_)
    factor, zero = out.dtype.type(scale), out.dtype.type(0)
    for r in range(out.shape[0]):
        fill_row(keep, np.uint64(samples[r]), word, np.uint64(rows[r]), k0, k1, bits, threshold)
        source, target = x[lines[r]], out[r]
        if repeat == 1:
            for n in range(units):
                target[n] = source[n] * factor if keep[n] else zero
        else:
            for n in range(units):
                target[n] = source[n] * factor if keep[n // repeat] else zero
