"""Synapses that blank out: which bit is whose, weights on a grid, normal sums, what a convolution's places see.

Statistical tests have a fixed seed; each would fail by chance at a rate of at most 1e-3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from philox_numpy import philox_numpy
from spikebayes.conversion.exact_sums import EXACT_SUMS, on_grid
from spikebayes.errors import ConfigError
from spikebayes.network.noise import BlankOut, Gaussian, Law
from spikebayes.network.operators import patches
from spikebayes.noise import blank_out
from spikebayes.noise.bits import bernoulli_bits
from spikebayes.noise.blank_out import Synapses, blank_out_keep, blank_out_scale, gaussian_sums
from spikebayes.noise.keys import Keys

FALSE_ALARM = 1e-3
SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2**31])

# -- weights on a grid -------------------------------------------------------------------------------------

rows_of_weights = st.tuples(
    st.integers(1, 4), st.integers(1, 400), st.floats(-38, 30), st.sampled_from([1.0, 3.0]), st.integers(0, 2**31)
)


def weights(units: int, fan_in: int, decade: float, tail: float, seed: int) -> Tensor:
    """``[units + 1, fan_in]``: normal numbers, to a power, at a scale; the last unit has none but zeros."""
    drawn = np.random.default_rng(seed).standard_normal((units + 1, fan_in))
    drawn[-1] = 0
    return torch.from_numpy(np.sign(drawn) * np.abs(drawn) ** tail * 10**decade).float()


@given(rows_of_weights)
@example((2, 300, -44.0, 3.0, 0))  # subnormal numbers
@example((2, 300, 30.0, 1.0, 0))
def test_sums_on_the_grid_are_exact_in_float32_in_any_order(drawn: tuple[int, int, float, float, int]) -> None:
    weight = on_grid(weights(*drawn))
    rng = np.random.default_rng(1)
    terms = weight.numpy() * rng.integers(-1, 2, weight.shape).astype(np.float32)
    terms = rng.permuted(terms, axis=1)
    assert np.array_equal(np.add.accumulate(terms, 1), np.add.accumulate(terms.astype(np.float64), 1))
    assert float(weight[-1].abs().sum()) == 0


@given(rows_of_weights, st.sampled_from([torch.float32, torch.float64]))
def test_the_grid_is_fine(drawn: tuple[int, int, float, float, int], dtype: torch.dtype) -> None:
    weight = weights(*drawn).to(dtype)
    moved = (on_grid(weight).double() - weight.double()).abs()
    total = weight.double().abs().sum(1, keepdim=True)
    assert bool((moved <= 2 * total / (EXACT_SUMS - 1)).all())


ROUND_UP = torch.tensor([[5592403.5, 5592405.5, 5592406.0]])  # the sum is 2^24 - 1, that of the rounded numbers 2^24


@given(rows_of_weights)
def test_what_is_on_the_grid_stays(drawn: tuple[int, int, float, float, int]) -> None:
    once = on_grid(weights(*drawn))
    assert torch.equal(on_grid(once), once)


def test_a_grid_on_which_rounding_up_would_leave_no_room_is_made_coarser() -> None:
    once = on_grid(ROUND_UP)
    assert once.tolist() == [[5592404, 5592406, 5592406]]
    assert torch.equal(on_grid(once), once)


def test_units_have_grids_of_their_own_and_kernels_keep_their_shape() -> None:
    weight = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1, 1e-9, 1e9]
    ).reshape(3, 1, 1, 1)
    alone = torch.cat([on_grid(one.reshape(1, 50)).reshape(1, 2, 5, 5) for one in weight])
    assert torch.equal(on_grid(weight), alone)


def test_a_fan_in_that_leaves_no_bit_for_a_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="a unit may have 16777214 synapses; got 16777215"):
        on_grid(torch.zeros(1, 1).expand(1, EXACT_SUMS - 1))


# -- which bit is whose ------------------------------------------------------------------------------------


def transmits(noise: BlankOut, seed: int, sample: int, row: int, synapses: Synapses, draw: int) -> np.ndarray:
    """``[L, K, O]`` by the rule in the module's docstring, one synapse after the other."""
    bits, _ = bernoulli_bits(noise.keep)
    stride = math.ceil(synapses.targets / 32) * 32
    per_place = math.ceil(synapses.sources * stride * bits / 128)
    out = np.empty((synapses.places, synapses.sources, synapses.targets), bool)
    for place, source, target in np.ndindex(out.shape):
        first = (source * stride + target) * bits
        counter = np.array([sample, draw * 4096 + noise.site, row, place * per_place + first // 128], np.uint32)
        word = int(philox_numpy(counter, (seed % 2**32, seed >> 32))[first % 128 // 32])
        out[place, source, target] = (word >> first % 32) % 2**bits < noise.keep * 2**bits
    return out


@pytest.mark.parametrize("keep", [0.5, 0.75, 0.9, 3 / 256, 0.3125])
@pytest.mark.parametrize("synapses", [Synapses(1, 4, 5), Synapses(3, 2, 33)])
def test_a_synapse_reads_its_own_bits_of_the_stream(keep: float, synapses: Synapses) -> None:
    noise, seed = BlankOut(keep, site=5), 2**40 + 9
    found = blank_out_keep(noise, Keys(seed, SAMPLES[:2], ROWS[:2]), synapses, step=6)
    expected = [transmits(noise, seed, s, r, synapses, 6) for s, r in zip([3, 0], [1, 5], strict=True)]
    assert np.array_equal(found.numpy(), np.stack(expected))


@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 300), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_a_place_takes_whole_blocks_and_no_more_than_it_needs(
    places: int, sources: int, targets: int, bits: int
) -> None:
    synapses = Synapses(places, sources, targets)
    assert synapses.stride % 32 == 0
    assert 0 <= synapses.stride - targets < 32
    assert 0 <= synapses.blocks(bits) * 128 - sources * synapses.stride * bits < 128


def test_more_synapses_than_a_stream_has_bits_for_are_refused() -> None:
    assert Synapses(2**17, 2**12, 32).blocks(32) == 2**15
    with pytest.raises(ConfigError, match=r"places=131073, sources=4096, targets=32\) need more random bits"):
        Synapses(2**17 + 1, 2**12, 32).blocks(32)


# -- time --------------------------------------------------------------------------------------------------


@given(st.none() | st.integers(1, 9), st.integers(0, 60))
def test_the_draw_of_a_step(hold: int | None, step: int) -> None:
    renewals = 0 if hold is None else step // hold
    given = Keys(7, SAMPLES, ROWS)
    keys, draw = given.drawn(BlankOut(0.5, hold=hold), step)
    assert (keys.samples.tolist(), draw) == (SAMPLES.tolist(), renewals)
    keys, draw = given.drawn(BlankOut(0.5, hold=hold, successive=True), step)
    assert (keys.samples.tolist(), draw) == ((SAMPLES + renewals).tolist(), 0)
    assert (keys.seed, keys.rows.tolist()) == (7, ROWS.tolist())


def test_a_draw_is_held_or_renewed_and_a_successive_one_is_the_next_samples() -> None:
    synapses = Synapses(2, 6, 5)

    def at(step: int, samples: Tensor = SAMPLES, **settings: Any) -> Tensor:
        return blank_out_keep(BlankOut(0.5, site=3, **settings), Keys(0, samples, ROWS), synapses, step)

    assert torch.equal(at(99, hold=None), at(0))
    assert [torch.equal(at(t, hold=4), at(t - 1, hold=4)) for t in range(1, 9)] == [t % 4 != 0 for t in range(1, 9)]
    assert not torch.equal(at(1), at(0, SAMPLES + 1))
    assert torch.equal(at(4, successive=True), at(0, SAMPLES + 4))


# -- the law's parameters ----------------------------------------------------------------------------------


@given(st.floats(-5, 5), st.floats(0.01, 0.99))
def test_the_scale_gives_eq_3_its_beta(beta: float, keep: float) -> None:
    scale = blank_out_scale(torch.tensor(beta, dtype=torch.float64), keep)
    assert float((scale + keep) / math.sqrt(2 * keep * (1 - keep))) == pytest.approx(beta, abs=1e-12)


# -- normal sums -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.5, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_sums_have_the_mean_and_variance_of_the_synapses(keep: float, dtype: torch.dtype) -> None:
    generator, count = torch.Generator().manual_seed(0), 5000
    weight = torch.randn(3, 7, generator=generator, dtype=dtype)
    seen = torch.randn(1, 2, 7, generator=generator, dtype=dtype)
    pairs = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    sums = gaussian_sums(BlankOut(keep, site=2), seen.expand(count, 2, 7), weight, Keys(4, *pairs)).double()
    terms = (seen[0, :, None] * weight).double()  # [L, O, K]
    mean, variance = keep * terms.sum(2), keep * (1 - keep) * terms.square().sum(2)
    standard = ((sums - mean) / variance.sqrt()).flatten(1)  # [R, L * O], six independent normal numbers
    assert stats.kstest(standard.flatten().numpy(), "norm").pvalue > FALSE_ALARM
    square = float((count * standard.mean(0).square()).sum())
    assert stats.chi2(6).cdf(square) < 1 - FALSE_ALARM
    products = (standard.T @ standard / count)[torch.triu_indices(6, 6, 1).unbind()]
    assert stats.chi2(15).cdf(float(count * products.square().sum())) < 1 - FALSE_ALARM


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_outermost_words_give_finite_sums(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    words = torch.tensor([[0, 2**32 - 1, 2**32 - 1]])
    monkeypatch.setattr(blank_out, "draw_words", lambda *_, **__: words)
    weight = torch.tensor([[1.0], [1.0], [0.0]], dtype=dtype)
    low, high, none = gaussian_sums(
        BlankOut(0.5), torch.ones(1, 1, 1, dtype=dtype), weight, Keys(0, SAMPLES[:1], ROWS[:1])
    ).unbind(2)
    edge = 0.5 * stats.norm.isf(2.0**-33)
    assert float(high) == pytest.approx(0.5 + edge, rel=1e-6)
    assert float(low) == pytest.approx(0.5 - edge, rel=1e-6)
    assert float(none) == 0


def test_normal_sums_are_keyed_and_held_as_synapses_are() -> None:
    seen, weight = torch.ones(3, 1, 4), torch.ones(5, 4)

    def at(step: int, samples: Tensor = SAMPLES, seed: int = 1, rows: Tensor = ROWS, **settings: Any) -> Tensor:
        return gaussian_sums(BlankOut(0.5, **settings), seen, weight, Keys(seed, samples, rows), step)

    assert torch.equal(at(7, hold=None), at(0))
    assert torch.equal(at(2, successive=True), at(0, SAMPLES + 2))
    others = [at(1), at(0, SAMPLES + 1), at(0, seed=2), at(0, rows=ROWS + 1), at(0, site=1)]
    assert not any(bool((other == at(0)).any()) for other in others)


# -- convolutions ------------------------------------------------------------------------------------------


@given(
    st.integers(1, 2),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
@pytest.mark.slow
def test_weights_on_what_the_places_see_are_the_convolution(
    axes: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    how = [setting[:axes] for setting in (kernel, stride, padding, dilation)]
    x = torch.randn(2, 3, *(6, 7)[:axes], dtype=torch.float64, generator=generator)
    weight = torch.randn(4, 3, *how[0], dtype=torch.float64, generator=generator)
    convolve = (F.conv1d, F.conv2d)[axes - 1]
    expected = convolve(x, weight, None, how[1], how[2], how[3])
    found = patches(x, how[0], how[1], how[2], how[3]) @ weight.flatten(1).T  # [R, L, O]
    torch.testing.assert_close(found.transpose(1, 2), expected.flatten(2))


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [-0.1, 0.0, 1.5, float("nan")])
def test_a_keep_probability_out_of_range_is_refused(keep: float) -> None:
    with pytest.raises(ConfigError, match=r"that a synapse transmits must lie in \(0, 1\]; got"):
        BlankOut(keep)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hold": 0}, "hold must be a positive number of steps, or None for the whole simulation; got 0"),
        ({"site": 4096}, "site 4096 was asked for"),
        ({"site": -1}, "site -1 was asked for"),
        ({"scale": float("nan")}, "scale must be finite"),
        ({"scale": float("inf")}, "scale must be finite"),
        ({"scale": torch.tensor([1.0, float("nan")])}, "scale must be finite"),
        ({"sampling": Law()}, r"sampling must be Exact\(\) or Gaussian\(\); got Law\(\)"),
        ({"sampling": Gaussian}, "sampling must be Exact"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BlankOut(0.5, **setting)
