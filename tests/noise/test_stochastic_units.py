"""Units that fire by chance: their probability at every input, and which word of the stream decides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from spikebayes.network.neurons import Bernoulli, Curve
from spikebayes.noise.bits import draw_words
from spikebayes.noise.keys import Keys
from spikebayes.noise.stochastic_units import _fired_anywhere, fired  # pyright: ignore[reportPrivateUsage]

ON_THE_PROCESSOR, ANYWHERE = fired, _fired_anywhere
SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2**31])
ONE = torch.zeros(1, dtype=torch.int64)
MARGIN = {Curve.ERF: 1e-6, Curve.SIGMOID: 2e-7}  # of the probability
Fire = Callable[[Tensor, Bernoulli, int, Tensor, Tensor], Tensor]


def words(units: int) -> NDArray[np.float64]:
    """The uniform numbers by which the units of ``ONE`` are decided."""
    return draw_words(Keys(1, ONE, ONE), units, site=2).numpy()[0] / 2.0**32


def tail_at(curve: Curve, tail: NDArray[np.float64]) -> Tensor:
    """x >= 0 whose probability of being off is ``tail``."""
    return torch.from_numpy(special.erfcinv(2 * tail) if curve is Curve.ERF else -special.logit(tail)).float()


# -- probabilities -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fire", [ON_THE_PROCESSOR, ANYWHERE])
@pytest.mark.parametrize("curve", [Curve.ERF, Curve.SIGMOID])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_unit_is_decided_where_the_curve_passes_its_number(fire: Fire, curve: Curve, sign: int) -> None:
    """x >= 0 is off where the number lies below 1 - P(x), x < 0 on where it lies below P(x)."""
    u, margin = words(100_000), MARGIN[curve]
    inner = (u > 2 * margin) & (u < 0.5 - 2 * margin)
    safe = np.where(inner, u, 0.25)
    above, below = (tail_at(curve, safe + d)[None] * sign for d in (margin, -margin))  # of the tail
    unit, inside = (curve, 2, Keys(1, ONE, ONE)), torch.from_numpy(inner)
    in_tail, out_of_it = (fire(x, *unit)[0][inside] for x in (above, below))
    assert inside.double().mean() > 0.49
    assert bool((in_tail == (sign < 0)).all())
    assert bool((out_of_it == (sign > 0)).all())


@pytest.mark.parametrize("fire", [ON_THE_PROCESSOR, ANYWHERE])
def test_a_linear_unit_is_on_where_its_number_lies_below_its_input(fire: Fire) -> None:
    unit, u = (Curve.LINEAR, 2, Keys(1, ONE, ONE)), words(10_000)
    x = torch.from_numpy(u).float()[None]  # float32 is the input that counts
    exact = torch.from_numpy(u) < x[0].double()
    assert torch.equal(fire(x, *unit)[0], exact)
    assert 0.4 < exact.double().mean() < 0.6
    never = torch.tensor([0.0, -0.0, -1e-30, -3.0, -torch.inf]).repeat(2000)[None]
    assert not fire(never, *unit).any()
    always = torch.tensor([1.0, 1 + 1e-7, 9.0, 1e30, torch.inf]).repeat(2000)[None]
    assert bool(fire(always, *unit).all())


@pytest.mark.parametrize("fire", [ON_THE_PROCESSOR, ANYWHERE])
@pytest.mark.parametrize("curve", [Curve.ERF, Curve.SIGMOID])
def test_at_zero_a_coin_is_thrown_and_far_out_nothing_is_random(fire: Fire, curve: Curve) -> None:
    unit, u = (curve, 2, Keys(1, ONE, ONE)), torch.from_numpy(words(10_000))
    for zero in (0.0, -0.0):
        assert torch.equal(fire(torch.full((1, 10_000), zero), *unit)[0], u >= 0.5)
    for far in (30.0, 1e10, 3e38, torch.inf):
        assert bool(fire(torch.full((1, 10_000), far), *unit).all())
        assert not fire(torch.full((1, 10_000), -far), *unit).any()


# -- one draw, two programs --------------------------------------------------------------------------------


@given(
    st.sampled_from(Curve),
    st.lists(st.floats(width=32, allow_nan=False) | st.floats(-4, 4, width=32), min_size=3, max_size=60),
    st.integers(0, 2**64 - 1),
    st.integers(0, 4095),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_both_programs_draw_the_same(
    curve: Curve, values: list[float], seed: int, site: int, dtype: torch.dtype
) -> None:
    x = torch.tensor(values[: len(values) // 3 * 3], dtype=dtype).reshape(-1, 3).T  # [3, N], not contiguous
    drawn = curve, site, Keys(seed, SAMPLES, ROWS)
    assert torch.equal(fired(x, *drawn), _fired_anywhere(x, *drawn))


@pytest.mark.parametrize("curve", Curve)
def test_both_programs_draw_the_same_a_million_times(curve: Curve) -> None:
    x = torch.randn(3, 2, 170_001, generator=torch.Generator().manual_seed(0)) * 2
    drawn = curve, 2, Keys(1, SAMPLES, ROWS)
    assert torch.equal(fired(x, *drawn), _fired_anywhere(x, *drawn))


def test_a_unit_reads_its_word_of_its_pair() -> None:
    x = torch.full((3, 2, 7), 0.5, requires_grad=True)
    seen = []
    for seed, samples, rows, site in (
        (1, SAMPLES, ROWS, 2),
        (2, SAMPLES, ROWS, 2),
        (1, SAMPLES + 1, ROWS, 2),
        (1, SAMPLES, ROWS + 1, 2),
        (1, SAMPLES, ROWS, 3),
    ):
        on = fired(x, Curve.LINEAR, site, Keys(seed, samples, rows))
        assert torch.equal(on.flatten(1), draw_words(Keys(seed, samples, rows), 14, site=site) < 2**31)
        seen.append(tuple(on.flatten().tolist()))
    assert len(set(seen)) == 5
