"""Filters against SciPy's and Nengo's discretisation of the same transfer functions."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from spikebayes.errors import ConfigError
from spikebayes.network.synapses import Alpha, Lowpass, Synapse, impulse_response

taus = st.floats(1e-4, 1.0)
dts = st.floats(1e-5, 0.05)
kinds = st.sampled_from([Lowpass, Alpha])


def stepped(synapse: Synapse, u: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
    """What the filter delivers in each step for inputs ``[T]``: its state before the step's own input."""
    state = (torch.zeros(1, dtype=torch.float64),) * synapse.order
    out = []
    for value in u:
        out.append(float(state[-1]))
        state = synapse.step(state, torch.tensor([value], dtype=torch.float64), dt)
    return np.array(out)


def zero_order_hold(synapse: Synapse, u: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
    denominator = np.poly1d([synapse.tau, 1.0]) ** synapse.order
    b, a, _ = signal.cont2discrete(([1.0], denominator.coeffs), dt, method="zoh")
    return signal.lfilter(np.ravel(b), a, u)


@given(kinds, st.floats(0.02, 20), st.integers(0, 9))
def test_the_step_is_the_zero_order_hold_of_the_continuous_filter(
    kind: type[Synapse], ratio: float, seed: int
) -> None:
    u = np.random.default_rng(seed).normal(size=60)
    synapse, dt = kind(1e-3 / ratio), 1e-3
    assert np.allclose(stepped(synapse, u, dt), zero_order_hold(synapse, u, dt), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", [Lowpass, Alpha])
@pytest.mark.parametrize("tau", [1e-3, 5e-3, 20e-3])
def test_nengo_filters_alike(kind: type[Synapse], tau: float) -> None:
    nengo: ModuleType = pytest.importorskip("nengo")
    u = np.random.default_rng(1).normal(size=200)
    theirs = getattr(nengo, kind.__name__)(tau).filt(u[:, None], dt=1e-3, y0=0)[:, 0]
    assert np.allclose(stepped(kind(tau), u, 1e-3)[1:], theirs[:-1], rtol=0, atol=1e-12)  # its filt has no delay


@given(kinds, taus, dts, st.integers(0, 60))
def test_the_impulse_response_is_what_stepping_gives(kind: type[Synapse], tau: float, dt: float, steps: int) -> None:
    impulse = np.zeros(steps)
    impulse[:1] = 1.0
    synapse = kind(tau)
    assert np.allclose(impulse_response(synapse, dt, steps), stepped(synapse, impulse, dt), rtol=1e-9, atol=1e-15)


def test_alpha_starts_as_its_closed_form_says_and_two_lowpass_do_not() -> None:
    tau, dt = 5e-3, 1e-3
    response = impulse_response(Alpha(tau), dt, 3)
    assert response[0] == 0
    assert response[1] == pytest.approx(1 - (1 + dt / tau) * np.exp(-dt / tau), rel=1e-12)
    lowpass = impulse_response(Lowpass(tau), dt, 3)
    assert response[1] != pytest.approx(np.convolve(lowpass, lowpass)[2], rel=0.1)


@given(kinds, taus, dts)
def test_a_constant_passes_unchanged_in_the_end(kind: type[Synapse], tau: float, dt: float) -> None:
    steps = int(min(40 * tau / dt, 40_000)) + 3
    left = (1 + 40 * (kind is Alpha)) * np.exp(-(steps - 1) * dt / tau)
    assert impulse_response(kind(tau), dt, steps).sum() == pytest.approx(1, abs=1e-9 + left)


def test_no_filter_delivers_at_once() -> None:
    assert impulse_response(None, 1e-3, 4).tolist() == [1, 0, 0, 0]
    assert impulse_response(None, 1e-3, 0).tolist() == []


@pytest.mark.parametrize("kind", [Lowpass, Alpha])
@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_constant_out_of_range_is_refused(kind: type[Synapse], tau: float) -> None:
    with pytest.raises(ConfigError, match="positive number of seconds; got"):
        kind(tau)
