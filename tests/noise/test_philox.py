"""Philox4x32-10 against the published vectors, and its versions against one another."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from philox_numpy import philox_numpy
from spikebayes.errors import ConfigError
from spikebayes.network.noise import DRAWS, SITES
from spikebayes.noise.philox import philox_numba, philox_torch, site_word, split_seed
from spikebayes.noise.philox_simd import TOGETHER, fill_words

Words = tuple[int, ...]


def by_numpy(counter: Words, key: Words) -> Words:
    return tuple(int(w) for w in philox_numpy(np.array(counter, np.uint32), (key[0], key[1])))


def by_torch(counter: Words, key: Words) -> Words:
    return tuple(philox_torch(torch.tensor(counter, dtype=torch.int64), (key[0], key[1])).tolist())


def by_numba(counter: Words, key: Words) -> Words:
    return tuple(int(w) for w in philox_numba(*(np.uint64(w) for w in (*counter, *key))))


VERSIONS = [by_numpy, by_torch, by_numba]

# Random123, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, output
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> Words:
    return tuple(int(w, 16) for w in text.split())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_the_published_vectors(version: Callable[[Words, Words], Words], counter: str, key: str, output: str) -> None:
    assert version(words(counter), words(key)) == words(output)


word = st.integers(0, 2**32 - 1)


@given(st.tuples(word, word, word, word), st.tuples(word, word))
def test_the_three_versions_agree_on_any_counter_and_key(counter: Words, key: Words) -> None:
    assert by_numpy(counter, key) == by_torch(counter, key) == by_numba(counter, key)


def test_counters_in_an_array_are_taken_one_by_one() -> None:
    counters = np.random.default_rng(0).integers(0, 2**32, (3, 5, 4), dtype=np.uint32)
    together = philox_numpy(counters, (7, 11))
    torched = philox_torch(torch.from_numpy(counters.astype(np.int64)), (7, 11))
    assert np.array_equal(together, torched.numpy())
    for i, j in np.ndindex(3, 5):
        assert tuple(together[i, j]) == by_numba(tuple(counters[i, j]), (7, 11))


@numba.njit
def eight_at_a_time(words, count, counter, key):  # pyright: ignore[reportMissingParameterType]
    fill_words(words, count, counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@given(st.tuples(word, word, word, word), st.tuples(word, word), st.integers(0, 40))
@example((1, 2, 3, 2**32 - 3), (7, 11), 6)  # the last word of the counter overflows
def test_blocks_taken_eight_at_a_time_are_the_blocks_one_by_one(counter: Words, key: Words, count: int) -> None:
    room = -(-count // TOGETHER) * TOGETHER * 4
    words = np.full(room + 4, 17, np.uint32)
    eight_at_a_time(words, count, np.array(counter, np.uint64), np.array(key, np.uint64))
    counters = np.tile(np.array(counter, np.uint32), (count, 1))
    counters[:, 3] += np.arange(count, dtype=np.uint32)
    assert np.array_equal(words[: 4 * count].reshape(count, 4), philox_numpy(counters, (key[0], key[1])))
    assert words[room:].tolist() == [17] * 4  # and nothing behind them


@given(st.integers(0, 2**64 - 1))
def test_a_seed_is_its_two_words(seed: int) -> None:
    low, high = split_seed(seed)
    assert 0 <= low < 2**32
    assert 0 <= high < 2**32
    assert (high << 32) + low == seed


def test_a_numpy_integer_is_a_seed() -> None:
    assert split_seed(np.uint64(2**64 - 1)) == (2**32 - 1, 2**32 - 1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True])
def test_other_seeds_are_refused(seed: object) -> None:
    with pytest.raises(ConfigError, match=r"a seed must be an integer in \[0, 2\^64\); got"):
        split_seed(seed)  # pyright: ignore[reportArgumentType]


@given(st.integers(0, SITES - 1), st.integers(0, DRAWS - 1))
def test_site_and_draw_share_a_word_without_clashes(site: int, draw: int) -> None:
    shared = site_word(site, draw)
    assert 0 <= shared < 2**32
    assert divmod(shared, SITES) == (draw, site)


@pytest.mark.parametrize("site", [-1, SITES])
def test_a_site_out_of_range_is_refused(site: int) -> None:
    with pytest.raises(ConfigError, match=f"4096 places with noise; site {site} "):
        site_word(site)


@pytest.mark.parametrize("draw", [-1, DRAWS])
def test_a_draw_out_of_range_is_refused(draw: int) -> None:
    with pytest.raises(ConfigError, match=f"redrawn 1048576 times in a run; redraw {draw} "):
        site_word(0, draw)
