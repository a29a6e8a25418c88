"""Neurons and filters in fixed point: Python's whole numbers, the neurons and filters that they stand for, widths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikebayes import LIF, Alpha, ConfigError, Lowpass
from spikebayes.conversion.whole_lif import fixed_filter
from spikebayes.network import FixedPointAlpha, FixedPointLIF, FixedPointLowpass, WholeRamp
from spikebayes.network.fixed_point import ONE, largest_response

DT = 1e-3


def scaled(value: int, factor: int, shift: int = 12) -> int:
    """value factor / 2^shift, rounded towards zero, in Python's whole numbers."""
    size = abs(value * factor) >> shift
    return size if value * factor >= 0 else -size


def inputs(steps: int, units: int, seed: int, size: float) -> Tensor:
    """``[steps, units]`` whole numbers, float64."""
    generator = torch.Generator().manual_seed(seed)
    return (size * torch.randn(steps, units, generator=generator, dtype=torch.float64)).round()


@given(st.integers(0, 99), st.integers(1, ONE), st.integers(0, 4), st.sampled_from([300.0, 4000.0, 90000.0]))
@settings(max_examples=30, deadline=None)
def test_a_neuron_is_what_whole_numbers_make_it(seed: int, leak: int, refractory: int, size: float) -> None:
    threshold = 5000
    neuron = FixedPointLIF(torch.tensor(float(threshold)), leak, refractory)
    given_ = inputs(40, 6, seed, size) + size / 2
    state = neuron.initial(given_[0])
    expected = [(0, 0, 0)] * 6
    for x in given_:
        spiked, output, state = neuron.step(x, state, DT)
        for i, (v, left, share) in enumerate(expected):
            u = int(x[i])
            v = max(0, scaled(v, ONE - leak) + u if left == 0 else scaled(u, share) if left == 1 else 0)
            left, fires = max(0, left - 1), v > threshold
            if fires:
                share = min(ONE, (v - threshold) * ONE // max(1, u - scaled(threshold, leak)))
                v, left = 0, refractory
            expected[i] = v, left, share
            assert bool(spiked[i]) == fires == bool(output[i] == 1)
        for held, whole in zip(state, zip(*expected, strict=True), strict=True):
            assert held.tolist() == list(whole)


@pytest.mark.parametrize("refractory", [0, 1, 2, 5])
@pytest.mark.parametrize("leak", [200, 400, 1500])
def test_a_wide_neuron_fires_the_spikes_of_lif(refractory: int, leak: int) -> None:
    tau = -DT / math.log1p(-leak / ONE)  # whose leak it is
    lif, theta = LIF(tau_rc=tau, tau_ref=refractory * DT), 2.0**26
    fixed = FixedPointLIF(torch.tensor(theta), leak, refractory, bits=32)
    drive = torch.rand(300, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 0.5
    steady = drive[:1].expand(300, 200)
    for current in (drive, steady):
        state, other = lif.initial(current[0]), fixed.initial(current[0])
        counts, same = torch.zeros(2, 200), []
        for j in current:
            spiked, _, state = lif.step(j, state, DT)
            fired, _, other = fixed.step((j * leak / ONE * theta).round(), other, DT)
            counts += torch.stack([spiked, fired])
            same.append(spiked == fired)
        assert torch.stack(same).double().mean() > 0.99  # of a spike's time in its step 12 bits are held
        assert (counts[0] - counts[1]).abs().max() <= 1
        assert counts[0].min() > 0 or current is steady


@given(st.integers(0, 99), st.integers(1, ONE), st.integers(0, 3 * ONE))
@settings(max_examples=30, deadline=None)
def test_filters_are_what_whole_numbers_make_them(seed: int, leak: int, mix: int) -> None:
    lowpass, alpha = FixedPointLowpass(leak, bits=32), FixedPointAlpha(leak, mix, bits=32)
    zero = torch.zeros(3, dtype=torch.float64)
    low, high = (zero,), (zero, zero)
    x, fine, y = [0] * 3, [0] * 3, [0] * 3
    for u in inputs(25, 3, seed, 500.0):
        low, high = lowpass.step(low, u, DT), alpha.step(high, u, DT)
        s = alpha.fine.bit_length() - 1
        for i in range(3):
            whole = int(u[i])
            total = (ONE - leak) * alpha.fine * y[i] + fine[i] * mix
            y[i] = scaled(total, 1, 12 + s) + whole
            fine[i] = scaled(fine[i], ONE - leak) + alpha.fine * whole
            x[i] = scaled(x[i], ONE - leak) + whole
        assert low[0].tolist() == x
        assert [part.tolist() for part in high] == [fine, y]


@pytest.mark.parametrize("tau", [0.002, 0.005, 0.02, 0.1])
def test_filters_deliver_what_those_do_that_they_stand_for(tau: float) -> None:
    drive = torch.rand(400, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).round()
    for synapse in (Lowpass(tau), Alpha(tau)):
        fixed = fixed_filter(synapse, DT, 32)
        unit = 2.0**16
        zero = torch.zeros(5, dtype=torch.float64)
        exact, other = (zero,) * synapse.order, (zero,) * synapse.order
        for u in drive:
            exact, other = synapse.step(exact, u, DT), fixed.step(other, (u * unit).round(), DT)
        assert (other[-1] / unit / fixed.gain - exact[-1]).abs().max() < 0.005
        assert fixed.time_constants(DT) == pytest.approx([tau] * synapse.order, rel=0.02)


@pytest.mark.parametrize("synapse", [FixedPointLowpass(200), FixedPointAlpha(200, 7852), FixedPointAlpha(2000, 4000)])
@pytest.mark.parametrize("every", [1, 3, 7])
def test_no_state_exceeds_its_bound(synapse: Any, every: int) -> None:
    bound, zero = largest_response(synapse, every), torch.zeros((), dtype=torch.float64)
    size, state, most = 10, (zero,) * synapse.order, 0.0
    for step in range(3000):
        u = torch.tensor(float(size if step % every == 0 else 0), dtype=torch.float64)
        state = synapse.step(state, u, DT)
        most = max(most, *(float(part) for part in state))
    assert 0.95 * size * bound - 30 < most <= size * bound


def test_a_filters_response_is_what_it_gives_to_large_numbers() -> None:
    for synapse in (FixedPointLowpass(300, bits=32), FixedPointAlpha(300, 7000, bits=32)):
        zero, size = torch.zeros((), dtype=torch.float64), 2.0**20
        state, seen = (zero,) * synapse.order, []
        for step in range(60):
            state = synapse.step(state, torch.tensor(0.0 if step else size).double(), DT)
            seen.append(float(state[-1]) / size)
        assert np.allclose(seen, synapse.decay(DT, np.arange(60.0)), atol=1e-4)
        assert synapse.gain == pytest.approx(synapse.decay(DT, np.arange(3000.0)).sum())


def test_states_beyond_their_width_and_other_numbers_are_refused() -> None:
    neuron, much = FixedPointLIF(torch.tensor(100.0), 200, bits=16), torch.tensor([40000.0]).double()
    with pytest.raises(ConfigError, match=r"a voltage reached 40000, beyond 16 bits; .* more state_bits"):
        neuron.step(much, neuron.initial(much), DT)
    with pytest.raises(ConfigError, match=r"a current reached 40000, beyond 16 bits"):
        FixedPointLowpass(200, bits=16).step((much * 0,), much, DT)
    with pytest.raises(ConfigError, match=r"held in float64; got torch.float32: give dtype=torch.float64"):
        neuron.initial(much.float())
    for threshold in (0.0, 0.5, -1.0, 2.0**15, math.nan, math.inf):
        with pytest.raises(ConfigError, match="thresholds must be whole numbers above 0 that 16 bits hold"):
            FixedPointLIF(torch.tensor(threshold), 200, bits=16)
    for leak in (0, ONE + 1):
        with pytest.raises(ConfigError, match="leak must be a whole number from 1 to 4096"):
            FixedPointLowpass(leak)
    for bits in (7, 33):
        with pytest.raises(ConfigError, match="a state may have 8 to 32 bits"):
            FixedPointAlpha(200, 7852, bits)
    with pytest.raises(ConfigError, match="mix must be a whole number"):
        FixedPointAlpha(200, -1)
    with pytest.raises(ConfigError, match="refractory is a number of steps"):
        FixedPointLIF(torch.tensor(1.0), 200, -1)


def test_a_whole_ramp_rounds_to_the_nearest_number() -> None:
    x = torch.arange(-40.0, 41.0)
    unit, below = torch.tensor(7.0), torch.tensor(3.0)
    nearest = torch.floor(x / 7 + 0.5).clamp(min=0)
    assert torch.equal(WholeRamp(unit).numbers(x), nearest)
    assert torch.equal(WholeRamp(unit, limit=torch.tensor(4.0)).numbers(x), nearest.clamp(max=4))
    bent = WholeRamp(unit, below)
    assert torch.equal(bent.numbers(x), torch.where(x < 0, -torch.floor(-x / 3 + 0.5), nearest))
    assert torch.equal(WholeRamp(unit, -below).numbers(x), torch.where(x < 0, torch.floor(-x / 3 + 0.5), nearest))
    for level in (1, 2, 5):
        at = torch.full_like(x, level, dtype=torch.int64)
        assert torch.equal(bent.reaches(x, at), bent.numbers(x).abs() >= level)
    assert WholeRamp(torch.tensor(0.25)).numbers(torch.tensor([1.0, 2.0])).tolist() == [4.0, 8.0]
    for wrong in (0.0, 1.5, 1 / 3, -2.0):
        with pytest.raises(ConfigError, match="unit must"):
            WholeRamp(torch.tensor(wrong))
    with pytest.raises(ConfigError, match="below must"):
        WholeRamp(unit, torch.tensor(2.5))
