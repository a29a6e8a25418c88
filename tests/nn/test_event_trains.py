"""Trains of events: the law or the distances that they promise, whatever the batch, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spikebayes.errors import ConfigError, DataError
from spikebayes.network import Dropout
from spikebayes.nn import poisson_events, regular_events
from spikebayes.noise.bits import draw_words, dropout_keep
from spikebayes.noise.keys import Keys

X = torch.rand(7, 2, 3, generator=torch.Generator().manual_seed(1))


# -- Poisson -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.02, 0.7, 6.0, 45.0])
def test_counts_obey_the_law_of_poisson(mean: float) -> None:
    """Chi-squared over 40,000 independent steps: one false alarm in 10^4."""
    x = torch.full((1, 4), 0.5)
    counts = poisson_events(x, 10_000, dt=1e-3, max_rate=2e3 * mean, seed=3, value=1.0).flatten().numpy()
    assert np.array_equal(counts, counts.round())
    law = stats.poisson(mean)
    values = np.arange(int(law.ppf(1e-3)), int(law.ppf(1 - 1e-3)) + 1)
    expected = len(counts) * np.concatenate([[law.cdf(values[0] - 1)], law.pmf(values), [law.sf(values[-1])]])
    seen = np.array([(counts < values[0]).sum(), *((counts == v).sum() for v in values), (counts > values[-1]).sum()])
    enough = expected >= 5
    surprise = ((seen - expected)[enough] ** 2 / expected[enough]).sum()
    assert surprise < stats.chi2(enough.sum()).ppf(1 - 1e-4)


def test_the_mean_over_time_is_the_value() -> None:
    """Within 5 standard deviations, each of 42 values."""
    steps, rate = 5000, 150.0
    events = poisson_events(X, steps, max_rate=rate)
    assert events.shape == (7, steps, 2, 3)
    assert events.dtype == torch.float32
    deviation = (X / (steps * 1e-3 * rate)).sqrt()
    assert bool(((events.mean(1) - X).abs() < 5 * deviation).all())


def test_trains_are_float32_whatever_new_tensors_are() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        for encode in (poisson_events, regular_events):
            assert encode(torch.ones(2, 3), 5).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_nothing_and_everything() -> None:
    assert not poisson_events(torch.zeros(2, 3), 500, max_rate=5e4).any()
    many = poisson_events(torch.ones(1, 1), 5000, max_rate=1e5, value=1.0)
    assert abs(float(many.mean()) - 100) < 5 * (100 / 5000) ** 0.5


def test_steps_units_rows_and_seeds_are_independent() -> None:
    """Correlations of 20,000 pairs, each within 5 standard deviations."""
    x = torch.full((2, 2), 0.5)
    one, other = (poisson_events(x, 20_000, max_rate=1e3, seed=seed, value=1.0).double() for seed in (0, 1))
    pairs = {
        "steps": (one[0, 1:, 0], one[0, :-1, 0]),
        "units": (one[0, :, 0], one[0, :, 1]),
        "rows": (one[0, :, 0], one[1, :, 0]),
        "seeds": (one[0, :, 0], other[0, :, 0]),
    }
    for name, pair in pairs.items():
        assert abs(float(torch.corrcoef(torch.stack(pair))[0, 1])) < 5 / 20_000**0.5, name


def test_a_row_has_its_train_in_whatever_batch_it_comes() -> None:
    whole = poisson_events(X, 40, seed=9)
    order = torch.tensor([5, 0, 3])
    assert torch.equal(poisson_events(X[order], 40, seed=9, rows=order), whole[order])
    assert torch.equal(poisson_events(X[2:3], 40, seed=9, rows=np.array([2])), whole[2:3])
    assert torch.equal(poisson_events(X, 25, seed=9), whole[:, :25])  # a longer train begins as a shorter one
    assert torch.equal(poisson_events(X.double().numpy(), 40, seed=9), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(poisson_events(X, 40, seed=9), whole)
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(poisson_events(X, 40, seed=10), whole)


def test_events_are_the_words_of_philox_and_of_no_mask() -> None:
    """An event where a word lies beyond exp(-mean), by the generator that any device has."""
    x, steps = torch.full((2, 5), 0.3), 8
    events = poisson_events(x, steps, max_rate=1e3, seed=6, rows=torch.tensor([4, 7]), value=1.0)
    for k, row in enumerate((4, 7)):
        keys = Keys(6, torch.arange(steps), torch.full((steps,), row))
        share = (draw_words(keys, 5, site=4095, draw=(1 << 20) - 1).double() + 0.5) / 2**32
        expected = torch.from_numpy(stats.poisson(0.3).ppf(share.numpy())).float()
        assert torch.equal(events[k], expected)
    keys = Keys(6, torch.arange(steps), torch.full((steps,), 4))
    half = poisson_events(torch.full((5, 5), 0.5), steps, max_rate=1.4e3, seed=6, value=1.0)[4] > 0
    assert not any(torch.equal(half, dropout_keep(Dropout(0.5, site=site), keys, 5)) for site in range(4096))


# -- regular -------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 0.999), st.floats(1.0, 2500.0))
def test_regular_events_never_stray_from_the_rate(x: float, phase: float, rate: float) -> None:
    steps = 200
    counts = regular_events(torch.tensor([[x]]), steps, max_rate=rate, phase=phase, value=1.0)[0, :, 0].double()
    assert bool((counts >= 0).all())
    value = float(torch.tensor(x))  # in float32
    expected = phase + value * rate * 1e-3 * torch.arange(1, steps + 1, dtype=torch.float64)
    behind = expected - counts.cumsum(0)
    assert bool(((behind > -1e-9) & (behind < 1 + 1e-9)).all())
    assert float(counts.max() - counts.min()) <= 1  # evenly spread


def test_regular_means_and_distances() -> None:
    events = regular_events(X, 2000, max_rate=200.0)
    assert bool(((events.mean(1) - X).abs() <= 1 / (2000 * 1e-3 * 200.0) + 1e-6).all())
    one = regular_events(torch.tensor([[0.25]]), 40, max_rate=1000.0, value=1.0)[0, :, 0]
    assert one.nonzero()[:, 0].diff().tolist() == [4] * 9
    shifted = regular_events(torch.full((1, 4), 0.25), 40, max_rate=1000.0, phase=torch.tensor([0, 0.25, 0.5, 0.75]))
    assert torch.equal(shifted.sum(2), torch.ones(1, 40) * 1.0)  # one of the four in every step, worth 1
    assert torch.equal(regular_events(X[3:5], 50), regular_events(X, 50)[3:5])


# -- what is refused -----------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("encode", [poisson_events, regular_events])
WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "negative": ({"x": -X}, DataError, r"must lie in \[0, 1\].*got -0\.\d+ to -0\.\d+: scale them"),
    "too large": ({"x": 2 + X}, DataError, "scale them"),
    "NaN": ({"x": X / 0 * 0}, DataError, r"must lie in \[0, 1\]"),
    "no rows": ({"x": X[:0]}, DataError, "at least one row"),
    "no axis": ({"x": X[:, 0, 0]}, DataError, r"must be \[B, \*shape\]"),
    "complex": ({"x": X.to(torch.complex64)}, DataError, "real numbers"),
    "text": ({"x": np.array([["a"]])}, DataError, "must be an array of numbers"),
    "no steps": ({"steps": 0}, ConfigError, "steps must be a whole number, at least 1; got 0"),
    "dt": ({"dt": 0.0}, ConfigError, "dt must be a positive number of seconds; got 0"),
    "rate": ({"max_rate": -3.0}, ConfigError, "max_rate must be a positive number of Hz; got -3"),
    "too many": ({"max_rate": 2e5}, ConfigError, "at most 100 events in a step; got 200: give a lower max_rate or"),
    "worthless": ({"value": float("nan")}, ConfigError, "must be finite; got nan: give value="),
    "worth too much": ({"max_rate": 1e-320}, ConfigError, "must be finite; got inf"),
    "memory": ({"steps": 1 << 25, "x": X.expand(7, 2, 3).repeat(1, 100, 100)}, ConfigError, "encode some rows at a"),
}


@BOTH
@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_and_values(encode: Callable[..., Any], case: str) -> None:
    given, kind, says = WRONG[case]
    with pytest.raises(kind, match=says):
        encode(**({"x": X, "steps": 10} | given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rows": torch.arange(3)}, "3 row numbers were given for 7 rows"),
        ({"rows": torch.rand(7)}, "rows must be whole numbers"),
        ({"rows": torch.arange(7) - 1}, r"in \[0, 2\^32\)"),
        ({"seed": -1}, "a seed must be an integer"),
    ],
)
def test_wrong_rows_and_seeds(given: dict[str, Any], says: str) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        poisson_events(X, 10, **given)


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        (1.0, r"\[0, 1\)"),
        (-0.1, r"\[0, 1\)"),
        (float("nan"), r"\[0, 1\)"),
        (torch.zeros(4), r"broadcasts to x \[7, 2, 3\]; got \[4\]"),
        (torch.zeros(3, dtype=torch.complex64), "must be real"),
    ],
)
def test_wrong_phases(phase: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        regular_events(X, 10, phase=phase)
