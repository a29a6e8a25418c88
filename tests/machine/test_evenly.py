"""Rows that are chosen evenly, of numbers that float32 has and of others."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from spikebayes.machine.evenly import evenly


@given(st.one_of(st.integers(1, 5000), st.integers(1 << 24, 1 << 33)), st.integers(2, 1000))
def test_places_are_rows_and_as_far_apart_as_they_can_be(count: int, most: int) -> None:
    places = evenly(count, most)
    assert len(places) == min(count, most)
    assert places[0] == 0
    assert count - 1 - places[-1] <= count >> 24  # what float32 rounds away
    assert places[-1] < count
    if len(places) > 1:
        apart = places.diff().double()
        ideal = (count - 1) / (len(places) - 1)
        assert apart.min() >= 1
        assert bool(((apart - ideal).abs() <= 1 + (count >> 22)).all())
    if count <= most:
        assert torch.equal(places, torch.arange(count))
