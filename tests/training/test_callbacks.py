"""gamma falls geometrically, and reaches its end with epochs to spare."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikebayes.nn import LIFRate, SoftLIF
from spikebayes.training.callbacks import annealing_epochs, has
from spikebayes.training.sharpening import annealed_gamma

WIDTHS = st.floats(1e-4, 1.0)


@given(WIDTHS, WIDTHS, st.floats(0, 1))
def test_gamma_is_a_straight_line_in_its_logarithm(a: float, b: float, progress: float) -> None:
    start, end = max(a, b), min(a, b)
    expected = (1 - progress) * math.log(start) + progress * math.log(end)
    assert math.log(annealed_gamma(start, end, progress)) == pytest.approx(expected, abs=1e-9)


@given(WIDTHS, st.floats(0.01, 1), st.floats(-3, 3), st.floats(0, 3))
def test_gamma_never_rises_and_stays_between_its_ends(start: float, share: float, at: float, later: float) -> None:
    end = start * share
    first, second = annealed_gamma(start, end, at), annealed_gamma(start, end, at + later)
    assert end * (1 - 1e-12) <= second <= first * (1 + 1e-12) <= start * (1 + 1e-11)


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True), st.integers(2, 1000))
def test_epochs_are_left_after_the_annealing(share: float, epochs: int) -> None:
    falling = annealing_epochs(share, epochs)
    assert 1 <= falling < epochs
    assert abs(falling - share * epochs) <= 1  # half for rounding, one where an end is kept free


def test_has_finds_modules_of_a_kind_within_others() -> None:
    assert has(nn.Sequential(nn.Linear(1, 1), nn.Sequential(SoftLIF())), SoftLIF)
    assert not has(nn.Sequential(nn.Linear(1, 1), LIFRate()), SoftLIF)
