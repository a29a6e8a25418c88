"""The compiled sums are those over the bits of ``blank_out_keep``, exactly wherever sums are exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikebayes.conversion.exact_sums import on_grid
from spikebayes.network.noise import BlankOut
from spikebayes.noise.blank_out import Synapses, blank_out_keep
from spikebayes.noise.blank_out_sums import LINES, exact_sums, lay_out_weights
from spikebayes.noise.keys import Keys

KEEPS = (0.5, 0.25, 0.75, 0.3125, 3 / 256, 12345 / 65536, 0.9, 1.0, 1 - 2.0**-40)
SITE, DRAW, SEED = 5, 3, 2**40 + 9


def compiled(values: Tensor, weight: Tensor, keep: float) -> Tensor:
    """``[R, L, O]`` of ``values`` ``[R, L, K]``; pair r is sample 7 r + 3, row 2^31 + r."""
    laid = lay_out_weights(weight, values.shape[1])
    return exact_sums(BlankOut(keep, site=SITE), values, laid, Keys(SEED, *keys_of(len(values))), step=DRAW)


def by_hand(values: Tensor, weight: Tensor, keep: float) -> Tensor:
    synapses = Synapses(values.shape[1], values.shape[2], len(weight))
    kept = blank_out_keep(BlankOut(keep, site=SITE), Keys(SEED, *keys_of(len(values))), synapses, step=DRAW)
    return torch.einsum("rlko,rlk,ok->rlo", kept.double(), values.double(), weight.double())


def keys_of(pairs: int) -> tuple[Tensor, Tensor]:
    return torch.arange(pairs) * 7 + 3, torch.arange(pairs) + 2**31


def problem(pairs: int, places: int, sources: int, targets: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Values -1, 0 or 1 and weights on their grid: sums are exact in any order."""
    generator = torch.Generator().manual_seed(pairs + places + sources + targets)
    weight = on_grid(torch.randn(targets, sources, generator=generator)).to(dtype)
    return torch.randint(-1, 2, (pairs, places, sources), generator=generator).to(dtype), weight


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_are_those_over_the_synapses_that_transmit(keep: float, dtype: torch.dtype) -> None:
    for targets in (1, 15, 16, 17, 97, 300):  # up to four tiles
        for sources, places, pairs in ((1, 1, LINES - 1), (37, 3, LINES), (5, 1, 2 * LINES + 1)):
            given_ = problem(pairs, places, sources, targets, dtype)
            assert torch.equal(compiled(*given_, keep).double(), by_hand(*given_, keep)), (targets, sources)


@given(
    st.sampled_from(KEEPS) | st.floats(0.001, 1),
    st.integers(1, 10),
    st.integers(1, 4),
    st.integers(1, 70),
    st.integers(1, 130),
    st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=60)
def test_sums_of_any_size(
    keep: float, pairs: int, places: int, sources: int, targets: int, dtype: torch.dtype
) -> None:
    given_ = problem(pairs, places, sources, targets, dtype)
    assert torch.equal(compiled(*given_, keep).double(), by_hand(*given_, keep))


@pytest.mark.parametrize("keep", [0.5, 0.75, 0.9])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_any_values_are_summed_to_rounding(keep: float, dtype: torch.dtype, rounding: float) -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(6, 2, 37, dtype=dtype, generator=generator)
    weight = torch.randn(50, 37, dtype=dtype, generator=generator)
    sums = torch.einsum("rlk,ok->rlo", values.double().abs(), weight.double().abs())
    error = (compiled(values, weight, keep).double() - by_hand(values, weight, keep)).abs()
    assert bool((error <= rounding * sums).all())


def test_without_pairs_there_are_no_sums() -> None:
    assert compiled(*problem(0, 3, 4, 5, torch.float32), 0.5).shape == (0, 3, 5)
