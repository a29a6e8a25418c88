"""Neurons against closed forms and against a scalar transcription of Nengo's LIF step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.network.neurons import LIF, Bernoulli, Curve, Sign, Threshold

time_constants = st.floats(1e-3, 0.1)
refractory_times = st.floats(0, 0.02)


def rate(current: float, lif: LIF) -> float:
    """Hz; Hunsberger & Eliasmith 2015, eq. 3."""
    return 1 / (lif.tau_ref + lif.tau_rc * math.log1p(1 / (current - 1))) if current > 1 else 0.0


class Scalar:
    """One neuron as Nengo 4.1 steps it, in plain Python floats."""

    def __init__(self, lif: LIF) -> None:
        self.lif, self.v, self.ref = lif, 0.0, 0.0

    def step(self, x: float, dt: float) -> bool:
        current = self.lif.gain * x + self.lif.bias
        self.ref -= dt
        delta = min(max(dt - self.ref, 0.0), dt)
        self.v += (current - self.v) * (1 - math.exp(-delta / self.lif.tau_rc))
        if self.v > 1:
            t = dt + self.lif.tau_rc * math.log1p(-(self.v - 1) / (current - 1))
            self.v, self.ref = 0.0, self.lif.tau_ref + t
            return True
        self.v = max(self.v, 0.0)
        return False


@pytest.mark.slow
@given(st.floats(-2, 60), time_constants, refractory_times, st.sampled_from([1e-4, 1e-3, 2e-3]))
@settings(max_examples=60)
def test_constant_current_never_strays_a_spike_from_the_rate(
    current: float, tau_rc: float, beyond: float, dt: float
) -> None:
    lif = LIF(tau_rc, dt + beyond)
    x = torch.tensor([current], dtype=torch.float64)
    state, count = lif.initial(x), 0
    for t in range(1, 301):
        spiked, _, state = lif.step(x, state, dt)
        count += int(spiked)
        assert abs(count - t * dt * rate(current, lif)) < 1 + 1e-9


@given(
    st.lists(st.floats(-5, 20), min_size=1, max_size=80),
    st.builds(
        LIF, time_constants, refractory_times, st.floats(0.01, 2), st.sampled_from([0.5, 1.0, 5.0]), st.floats(-1, 2)
    ),
    st.sampled_from([1e-4, 1e-3, 1e-2]),
)
@settings(max_examples=150)
def test_the_step_is_nengos_for_any_input(inputs: list[float], lif: LIF, dt: float) -> None:
    scalar = Scalar(lif)
    state = lif.initial(torch.zeros(1, dtype=torch.float64))
    for x in inputs:
        spiked, output, state = lif.step(torch.tensor([x], dtype=torch.float64), state, dt)
        expected = scalar.step(x, dt)
        assert float(state[0]) == pytest.approx(scalar.v, rel=1e-9, abs=1e-12)
        assert float(state[1]) == pytest.approx(scalar.ref, rel=1e-9, abs=1e-12)
        assert bool(spiked) == expected
        assert float(output) == pytest.approx(expected * lif.amplitude / dt)


def test_neurons_of_a_population_do_not_touch_one_another() -> None:
    lif = LIF(gain=3.0, bias=0.5)
    x = torch.linspace(-2, 5, 12, dtype=torch.float64).reshape(3, 4)
    together, alone = lif.initial(x), [lif.initial(v) for v in x.flatten()]
    for _ in range(100):
        spiked, _, together = lif.step(x, together, 1e-3)
        for i, v in enumerate(x.flatten()):
            one, _, alone[i] = lif.step(v, alone[i], 1e-3)
            assert bool(one) == bool(spiked.flatten()[i])
    assert torch.equal(together[0].flatten(), torch.stack([v for v, _ in alone]))


def test_at_and_below_threshold_a_neuron_is_silent_and_its_voltage_stays_in_range() -> None:
    lif = LIF()
    x = torch.tensor([-1e30, -3.0, 0.0, 0.5, 1.0])
    state = lif.initial(x)
    for _ in range(2000):
        spiked, _, state = lif.step(x, state, 1e-3)
        assert not spiked.any()
        assert bool(((state[0] >= 0) & (state[0] <= 1)).all())
    assert torch.allclose(state[0], x.clamp(min=0), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_huge_current_fires_at_the_refractory_limit(dtype: torch.dtype) -> None:
    lif = LIF()
    state, count = lif.initial(torch.zeros(1, dtype=dtype)), 0
    for _ in range(1000):
        spiked, _, state = lif.step(torch.full((1,), 1e30, dtype=dtype), state, 1e-3)
        count += int(spiked)
        assert bool(torch.isfinite(torch.stack(state)).all())
    assert count == pytest.approx(500, abs=1)


@given(st.floats(-3, 3), st.floats(-2, 2))
def test_threshold_units_spike_at_and_above_their_threshold(x: float, threshold: float) -> None:
    unit = Threshold(threshold)
    spiked, output, state = unit.step(torch.tensor([x, threshold], dtype=torch.float64), (), 1.0)
    assert spiked.tolist() == [x >= threshold, True]
    assert output.tolist() == [float(x >= threshold), 1.0]
    assert state == unit.initial(output) == ()


def test_sign_units_give_plus_or_minus_one() -> None:
    x = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    spiked, output, _ = Sign().step(x, (), 1.0)
    assert output.tolist() == [-1, -1, 1, 1, 1, 1]
    assert torch.equal(spiked, output > 0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"tau_rc": 0.0}, "tau_rc must be a positive number of seconds; got 0.0"),
        ({"tau_rc": math.inf}, "tau_rc must be"),
        ({"tau_ref": -1e-3}, "tau_ref must be a number of seconds >= 0; got -0.001"),
        ({"tau_ref": math.nan}, "tau_ref must be"),
        ({"amplitude": 0.0}, "amplitude must be positive; got 0.0"),
        ({"amplitude": math.inf}, "amplitude must be"),
        ({"gain": 0.0}, "gain must be finite and not 0"),
        ({"gain": math.nan}, "gain must be finite"),
        ({"bias": math.inf}, "bias finite"),
    ],
)
def test_parameters_out_of_range_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LIF(**setting)


@pytest.mark.parametrize("threshold", [math.nan, math.inf])
def test_a_threshold_that_is_not_finite_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="a threshold must be finite"):
        Threshold(threshold)


@pytest.mark.parametrize(("off", "outputs"), [(-1, [-1.0, 1.0]), (0, [0.0, 1.0])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_unit_that_fires_by_chance_has_two_outputs(off: int, outputs: list[float], dtype: torch.dtype) -> None:
    unit, x = Bernoulli(Curve.ERF, off=off, site=3), torch.tensor([-1.0, 2.0], dtype=dtype)
    asked = []

    def chance(x: Tensor, curve: Curve, site: int) -> Tensor:
        asked.append((curve, site))
        return x > 0

    spiked, output, state = unit.step(x, unit.initial(x), 1e-3, chance)
    assert (spiked.tolist(), output.tolist(), output.dtype, state) == ([False, True], outputs, dtype, ())
    assert asked == [(Curve.ERF, 3)]
    with pytest.raises(ConfigError, match="needs the chance that it draws by"):
        unit.step(x, (), 1e-3)


def test_a_curve_may_be_named() -> None:
    assert Bernoulli("sigmoid").curve is Curve.SIGMOID  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="curve must be one of erf, sigmoid, linear; got 'tanh'"):
        Bernoulli("tanh")  # pyright: ignore[reportArgumentType]


def test_only_lif_neurons_remember() -> None:
    neurons = LIF(), Threshold(), Sign(), Bernoulli(Curve.ERF)
    assert [neuron.memoryless for neuron in neurons] == [False, True, True, True]
    assert [neuron.random for neuron in neurons] == [False, False, False, True]
    assert [(neuron.off, neuron.on(1e-3)) for neuron in neurons] == [(0, 1000.0), (0, 1.0), (-1, 1.0), (-1, 1.0)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"off": 1}, "output when it is off must be -1 or 0; got 1"),
        ({"site": 4096}, "site 4096 was asked for"),
        ({"site": -1}, "site -1 was asked for"),
    ],
)
def test_settings_of_a_chance_unit_out_of_range_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Bernoulli(Curve.ERF, **setting)
