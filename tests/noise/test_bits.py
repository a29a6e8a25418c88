"""Masks: the layout of their bits, their frequencies and their independence.

Statistical tests have a fixed seed; each would fail by chance at a rate of at most 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from philox_numpy import philox_numpy
from spikebayes.errors import ConfigError
from spikebayes.network.noise import Dropout
from spikebayes.noise.bits import bernoulli_bits, draw_words, drop, dropout_keep, keep_mask, keep_mask_torch
from spikebayes.noise.keys import Keys

FALSE_ALARM = 1e-6
WIDTHS = {1: 0.5, 2: 0.75, 4: 0.3125, 8: 0.05078125, 16: 12345 / 65536, 32: 0.9}  # keep by bits per draw


def pairs(count: int) -> tuple[Tensor, Tensor]:
    """``count`` pairs of one sample and one row each, all different, with no order in them."""
    return torch.arange(count) * 7 % 101, torch.arange(count) + 2**31


def mask(
    keep: float, units: int, *, seed: int = 5, sample: int = 0, row: int = 0, site: int = 0, draw: int = 0
) -> Tensor:
    """``[units]`` bool, the mask of one pair."""
    return keep_mask(keep, Keys(seed, torch.tensor([sample]), torch.tensor([row])), units, site=site, draw=draw)[0]


# -- which bit is whose ------------------------------------------------------------------------------------


@given(
    keep=st.sampled_from(list(WIDTHS.values())) | st.floats(0.001, 1),
    seed=st.integers(0, 2**64 - 1),
    units=st.integers(1, 300),
    site=st.integers(0, 4095),
    draw=st.integers(0, 2**20 - 1),
)
@settings(max_examples=60)
def test_the_compiled_masks_are_the_torch_masks(keep: float, seed: int, units: int, site: int, draw: int) -> None:
    samples, rows = pairs(3)
    compiled = keep_mask(keep, Keys(seed, samples, rows), units, site=site, draw=draw)
    plain = keep_mask_torch(keep, Keys(seed, samples, rows), units, site=site, draw=draw)
    assert torch.equal(compiled, plain)


@pytest.mark.parametrize(("bits", "keep"), WIDTHS.items())
def test_a_unit_reads_its_own_bits_of_the_stream(bits: int, keep: float) -> None:
    """The docstring's layout, by big-integer arithmetic on the blocks in a row."""
    seed, sample, row, site, draw, units = 2**40 + 9, 3, 4, 5, 6, 130
    stream = 0
    for block in range(-(-units * bits // 128)):
        out = philox_numpy(np.array([sample, draw * 4096 + site, row, block], np.uint32), (9, 2**8))
        stream |= sum(int(word) << (32 * w) for w, word in enumerate(out)) << (128 * block)
    expected = [(stream >> (n * bits)) % 2**bits < keep * 2**bits for n in range(units)]
    assert mask(keep, units, seed=seed, sample=sample, row=row, site=site, draw=draw).tolist() == expected


@pytest.mark.parametrize("units", [1, 4, 6])
def test_a_unit_has_its_word_of_the_stream(units: int) -> None:
    samples, rows = pairs(3)
    words = draw_words(Keys(2**40 + 9, samples, rows), units, site=5, draw=6)
    for r, (sample, row) in enumerate(zip(samples.tolist(), rows.tolist(), strict=True)):
        blocks = [philox_numpy(np.array([sample, 6 * 4096 + 5, row, b], np.uint32), (9, 2**8)) for b in range(2)]
        assert words[r].tolist() == np.concatenate(blocks)[:units].tolist()


@given(st.sampled_from(list(WIDTHS.values())), st.integers(1, 400), st.integers(1, 400))
def test_the_first_units_do_not_depend_on_how_many_there_are(keep: float, few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert torch.equal(mask(keep, few), mask(keep, many)[:few])


def test_a_pair_does_not_depend_on_the_pairs_beside_it() -> None:
    samples, rows = pairs(40)
    together = keep_mask(0.9, Keys(1, samples, rows), 33, site=2)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(keep_mask(0.9, Keys(1, samples[order], rows[order]), 33, site=2), together[order])
    assert torch.equal(keep_mask(0.9, Keys(1, samples[7:9], rows[7:9]), 33, site=2), together[7:9])


@pytest.mark.parametrize(("bits", "keep"), WIDTHS.items())
def test_the_number_of_bits(bits: int, keep: float) -> None:
    assert bernoulli_bits(keep)[0] == bits


@given(st.floats(0, 1, exclude_min=True))
def test_the_bits_meet_the_probability_with_the_fewest_possible(keep: float) -> None:
    bits, threshold = bernoulli_bits(keep)
    assert 0 <= threshold <= 2**bits
    assert abs(threshold / 2**bits - keep) <= (0 if bits < 32 else 2**-33)
    if bits > 1:
        assert (keep * 2 ** (bits // 2)) % 1 != 0


def test_keep_one_keeps_everything() -> None:
    assert bool(mask(1.0, 1000).all())


# -- frequencies and independence --------------------------------------------------------------------------


@pytest.mark.parametrize("keep", WIDTHS.values())
def test_frequencies(keep: float) -> None:
    samples, rows = pairs(500)
    kept = keep_mask(keep, Keys(11, samples, rows), 400, site=1)
    total = stats.binomtest(int(kept.sum()), kept.numel(), keep)
    assert total.pvalue > FALSE_ALARM
    by_unit = kept.sum(0).double().numpy()  # each Binomial(500, keep)
    chi_square = float((((by_unit - 500 * keep) ** 2) / (500 * keep * (1 - keep))).sum())
    assert stats.chi2.sf(chi_square, 400) > FALSE_ALARM
    assert stats.chi2.cdf(chi_square, 400) > FALSE_ALARM  # nor too even


@pytest.mark.parametrize("keep", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("field", ["seed", "sample", "row", "site", "draw"])
def test_masks_that_differ_in_one_word_of_the_counter_are_uncorrelated(keep: float, field: str) -> None:
    units = 20_000
    one, other = mask(keep, units, **{field: 1}), mask(keep, units, **{field: 2})
    assert not torch.equal(one, other)
    z = float(torch.corrcoef(torch.stack([one, other]).double())[0, 1]) * units**0.5
    assert 2 * stats.norm.sf(abs(z)) > FALSE_ALARM


@pytest.mark.parametrize("keep", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("lag", [1, 2, 4, 32, 128])
def test_units_of_one_mask_are_uncorrelated(keep: float, lag: int) -> None:
    bits = mask(keep, 20_000).double()
    z = float(torch.corrcoef(torch.stack([bits[lag:], bits[:-lag]]))[0, 1]) * (20_000 - lag) ** 0.5
    assert 2 * stats.norm.sf(abs(z)) > FALSE_ALARM


def test_a_thousand_counters_give_a_thousand_masks() -> None:
    grid = torch.cartesian_prod(torch.arange(10), torch.arange(10))
    seen = {
        tuple(line.tolist())
        for site in range(5)
        for draw in range(2)
        for line in keep_mask(0.5, Keys(0, grid[:, 0], grid[:, 1]), 128, site=site, draw=draw)
    }
    assert len(seen) == 1000


# -- dropout -----------------------------------------------------------------------------------------------


@given(
    st.sampled_from([0.5, 0.25, 0.1]), st.integers(0, 50), st.integers(1, 9), st.integers(1, 60), st.integers(0, 30)
)
def test_offset_and_repeat(p: float, offset: int, repeat: int, units: int, step: int) -> None:
    """A unit reads draw ``offset + unit // repeat`` of its site."""
    samples, rows = pairs(4)
    kept = dropout_keep(Dropout(p, hold=3, site=7, offset=offset, repeat=repeat), Keys(3, samples, rows), units, step)
    whole = keep_mask(1 - p, Keys(3, samples, rows), offset + units, site=7, draw=step // 3)
    assert torch.equal(kept, whole[:, offset + torch.arange(units) // repeat])


@given(
    st.sampled_from([0.5, 0.25, 0.1, 1e-12]),
    st.integers(1, 9),
    st.integers(1, 20),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_values_are_dropped_where_the_mask_says(p: float, repeat: int, draws: int, dtype: torch.dtype) -> None:
    """By the kernel and, where a gradient is wanted, by torch's operations: bit for bit the same."""
    samples, rows = pairs(5)
    lines = torch.tensor([2, 0, 0, 1, 2])
    noise = Dropout(p, site=7, repeat=repeat)
    x = torch.randn(3, draws, repeat, dtype=dtype, generator=torch.Generator().manual_seed(draws)).transpose(0, 1)
    x = x.contiguous().transpose(0, 1)  # not contiguous
    keep = dropout_keep(noise, Keys(3, samples, rows), draws * repeat).reshape(5, draws, repeat)
    found = drop(x, noise, Keys(3, samples, rows), lines)
    torch.testing.assert_close(found, x[lines] * keep / (1 - p))
    assert torch.equal(drop(x[lines], noise, Keys(3, samples, rows)), found)
    assert torch.equal(drop(x.clone().requires_grad_(), noise, Keys(3, samples, rows), lines), found)


def test_a_dropped_value_is_zero_whatever_it_was() -> None:
    samples, rows = pairs(4)
    x = torch.full((4, 100), float("inf"))
    values = drop(x, Dropout(0.5), Keys(0, samples, rows))
    assert torch.equal(values == 0, ~dropout_keep(Dropout(0.5), Keys(0, samples, rows), 100))


def test_dropping_in_half_precision() -> None:
    samples, rows = pairs(4)
    x = torch.ones(4, 100, dtype=torch.bfloat16)
    assert torch.equal(
        drop(x, Dropout(0.5), Keys(0, samples, rows)),
        drop(x.float(), Dropout(0.5), Keys(0, samples, rows)).bfloat16(),
    )


def test_a_mask_is_held() -> None:
    samples, rows = pairs(6)

    def at(hold: int | None, step: int) -> Tensor:
        return dropout_keep(Dropout(0.5, hold=hold), Keys(1, samples, rows), 64, step)

    for_ever, every_four = [at(None, t) for t in range(9)], [at(4, t) for t in range(9)]
    assert all(torch.equal(m, for_ever[0]) for m in for_ever)
    assert [torch.equal(every_four[t], every_four[t - 1]) for t in range(1, 9)] == [t % 4 != 0 for t in range(1, 9)]
    assert torch.equal(every_four[0], for_ever[0])


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_drop_probability_out_of_range_is_refused(p: float) -> None:
    with pytest.raises(ConfigError, match=r"a drop probability must lie in \[0, 1\); got"):
        Dropout(p)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hold": 0}, "hold must be a positive number of steps, or None for the whole simulation; got 0"),
        ({"site": 4096}, "site 4096 was asked for"),
        ({"site": -1}, "site -1 was asked for"),
    ],
)
def test_noise_settings_out_of_range_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Dropout(0.5, **setting)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("setting", [{"offset": -1}, {"repeat": 0}])
def test_offset_and_repeat_out_of_range_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="offset must be >= 0 and repeat >= 1"):
        Dropout(0.5, **setting)  # pyright: ignore[reportArgumentType]
