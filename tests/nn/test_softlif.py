"""SoftLIF and LIFRate against closed forms evaluated in high precision."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from spikebayes.errors import ConfigError
from spikebayes.nn import LIFRate, SoftLIF

GAMMAS = [1e-4, 1e-3, 0.02, 0.1]
RELATIVE = 5e-7  # four units in the last place of float32
TAU_RC, TAU_REF = 0.02, 0.002


def exact(current: float | mpmath.mpf, gamma: float) -> mpmath.mpf:
    """Hunsberger & Eliasmith 2015, eqs. 4 and 5, to 60 digits; amplitude 1."""
    with mpmath.workdps(60):
        z = (mpmath.mpf(current) - 1) / mpmath.mpf(gamma)
        rho = mpmath.mpf(gamma) * mpmath.log1p(mpmath.exp(z))
        return 1 / (mpmath.mpf(TAU_REF) + mpmath.mpf(TAU_RC) * mpmath.log1p(1 / rho))


def curve(gamma: float) -> SoftLIF:
    """A SoftLIF whose input is the current itself."""
    return SoftLIF(gamma, TAU_RC, TAU_REF, amplitude=1.0, gain=1.0, bias=0.0)


def extremes(gamma: float) -> Tensor:
    """Currents from very negative to very large, dense about the threshold and about the switch to the tail."""
    about = torch.linspace(-45, 45, 181) * gamma + 1
    switch = torch.linspace(-20.01, -19.99, 41) * gamma + 1
    far = torch.logspace(-6, 4, 41)
    return torch.cat([-far, far, about, switch, torch.zeros(1)]).sort().values


# -- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("differentiable", [True, False])
def test_float32_is_exact_from_far_below_to_far_above_threshold(gamma: float, differentiable: bool) -> None:
    soft, current = curve(gamma), extremes(gamma)
    with torch.set_grad_enabled(differentiable):
        values = soft(current)
    for j, y in zip(current.tolist(), values.tolist(), strict=True):
        expected = exact(j, float(soft.gamma))
        assert abs(mpmath.mpf(y) / expected - 1) < RELATIVE, j


@given(st.floats(-1e4, 1e4, width=32), st.floats(2**-13, 0.125, width=32))
@example(-1e4, 2.0**-13)
@example(1.0, 2.0**-13)
def test_float32_is_exact_anywhere(current: float, gamma: float) -> None:
    for differentiable in (True, False):
        with torch.set_grad_enabled(differentiable):
            y = float(curve(gamma)(torch.tensor(current)))
        assert abs(mpmath.mpf(y) / exact(current, gamma) - 1) < RELATIVE


@torch.no_grad()
def test_a_value_does_not_depend_on_the_values_beside_it() -> None:
    """The kernel leaves softplus out where a chunk is far from threshold."""
    soft, x = curve(0.02), torch.cat([extremes(0.02), torch.linspace(5, 50, 300)])
    together = soft(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    assert torch.equal(soft(x[order]), together[order])
    assert torch.equal(torch.stack([soft(value) for value in x]), together)


@torch.no_grad()
def test_without_a_gradient_shapes_stay_and_nan_and_infinity_come_out_as_with_one() -> None:
    soft = SoftLIF(0.02)
    x = torch.randn(3, 4, 50).transpose(0, 2)
    x[0, 0, 0], x[1, 0, 0], x[2, 0, 0] = math.nan, math.inf, -math.inf
    with torch.enable_grad():
        expected = soft(x)
    before = x.clone()
    torch.testing.assert_close(soft(x), expected, rtol=1e-5, atol=0, equal_nan=True)
    torch.testing.assert_close(soft(x.double()), expected.double(), rtol=1e-5, atol=0, equal_nan=True)
    assert torch.equal(x.nan_to_num(7), before.nan_to_num(7))
    assert soft(x[:0]).shape == (0, 4, 3)


@torch.no_grad()
def test_float32_stays_whatever_new_tensors_are() -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    torch.set_default_dtype(torch.float64)
    try:
        assert SoftLIF()(x).dtype == SoftLIF()(x.detach()).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_under_vmap() -> None:
    soft, x = SoftLIF(0.02), torch.randn(5, 7)
    torch.testing.assert_close(torch.func.vmap(soft)(x), soft(x))


@given(st.floats(-30, 30), st.sampled_from(GAMMAS))
def test_amplitude_gain_and_bias_act_as_their_names_say(x: float, gamma: float) -> None:
    soft = SoftLIF(gamma, TAU_RC, TAU_REF, amplitude=0.25, gain=-2.0, bias=1.5).double()
    expected = 0.25 * exact(-2.0 * x + 1.5, float(soft.gamma))
    assert float(soft(torch.tensor(x, dtype=torch.float64))) == pytest.approx(float(expected), rel=1e-8)


@given(st.floats(-1e3, 1e3), st.sampled_from([1e-4, 1e-6, 1e-9]))
def test_it_becomes_the_hard_curve_as_gamma_goes_to_zero(current: float, gamma: float) -> None:
    x = torch.tensor(current, dtype=torch.float64)
    soft = curve(gamma).double()
    hard = LIFRate(TAU_RC, TAU_REF, amplitude=1.0, gain=1.0, bias=0.0)
    difference = float((soft(x) - hard(x)).abs())
    width = float(soft.gamma)
    if current > 1 + 25 * width:
        assert difference < 1e-9 * float(hard(x))
    elif current < 1 - 25 * width:  # what is left is the tail, gamma / (tau_rc |J - 1|) at most
        assert difference <= width / (TAU_RC * (1 - current))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2), st.sampled_from(GAMMAS))
def test_more_current_never_means_fewer_spikes(currents: list[float], gamma: float) -> None:
    y = curve(gamma)(torch.cat([torch.tensor(currents), extremes(gamma)]).sort().values)
    assert bool((y[1:] >= y[:-1] * (1 - RELATIVE)).all())


@given(st.floats(-5, 50))
def test_the_hard_curve(current: float) -> None:
    y = float(LIFRate(TAU_RC, TAU_REF, 1.0, 1.0, 0.0)(torch.tensor(current, dtype=torch.float64)))
    rate = 1 / (TAU_REF + TAU_RC * math.log1p(1 / (current - 1))) if current > 1 else 0.0
    assert y == pytest.approx(rate, rel=1e-12)


# -- gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_gradient_is_finite_and_right_in_float32(gamma: float) -> None:
    def slope(soft: SoftLIF, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(soft(x).sum(), x)[0]

    x = extremes(gamma)
    single, double = slope(curve(gamma), x), slope(curve(gamma).double(), x.double())
    assert torch.allclose(single.double(), double, rtol=1e-5, atol=1e-30)
    assert bool((single > 0).all())


@pytest.mark.parametrize("layer", [curve(1e-4), curve(0.1), LIFRate(), LIFRate(gain=1.0, bias=0.0)])
def test_no_input_gives_a_gradient_that_is_not_finite(layer: LIFRate) -> None:
    x = torch.tensor([-math.inf, -3e38, -1e20, -1.0, -1e-38, 0.0, 1e-38, 1e-8, 1.0, 1 + 2**-23, 1e20, 3e38])
    x.requires_grad_()
    y = layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert bool(y.isfinite().all())
    assert bool(gradient.isfinite().all())
    assert bool((gradient >= 0).all())


@given(st.floats(-100, 100), st.sampled_from(GAMMAS))
def test_the_gradient_is_the_derivative(z: float, gamma: float) -> None:
    soft = curve(gamma).double()
    width = float(soft.gamma)
    x = torch.tensor(1 + z * width, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(soft(x), x)
    with mpmath.workdps(30):
        derivative = mpmath.diff(lambda current: exact(current, width), x.item())
    assert float(gradient) == pytest.approx(float(derivative), rel=1e-6)


def test_the_hard_curves_gradient_equals_finite_differences() -> None:
    x = torch.tensor([-3.0, 0.0, 0.9, 1.1, 2.0, 40.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LIFRate(gain=1.0, bias=0.0), (x,))


# -- gamma -------------------------------------------------------------------------------------------------


def test_gamma_is_state_and_no_parameter() -> None:
    soft = SoftLIF(0.05)
    assert list(soft.parameters()) == []
    other = SoftLIF(0.02)
    other.load_state_dict(soft.state_dict())
    x = torch.linspace(-1, 1, 9)
    assert torch.equal(other(x), soft(x))
    assert soft.double().gamma.dtype == torch.float64


def test_annealing_gamma_changes_the_curve() -> None:
    soft = SoftLIF(0.1)
    soft.gamma.fill_(0.001)
    x = torch.linspace(-1, 1, 9)
    assert torch.equal(soft(x), SoftLIF(0.001)(x))


@pytest.mark.parametrize("gamma", [0.0, -0.1, math.nan, math.inf])
def test_a_width_out_of_range_is_refused(gamma: float) -> None:
    with pytest.raises(ConfigError, match="gamma must be positive; got"):
        SoftLIF(gamma)


@pytest.mark.parametrize("layer", [LIFRate, SoftLIF])
@pytest.mark.parametrize("setting", [{"tau_rc": 0.0}, {"tau_ref": -1.0}, {"amplitude": 0.0}, {"gain": 0.0}])
def test_neuron_parameters_out_of_range_are_refused(layer: type[LIFRate], setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        layer(**setting)


def test_what_it_is_can_be_read_off() -> None:
    settings = "tau_rc=0.02, tau_ref=0.001, amplitude=0.002, gain=30.0, bias=4.0"
    assert repr(SoftLIF(0.05)) == f"SoftLIF(gamma=0.05, {settings})"
    assert repr(LIFRate()) == f"LIFRate({settings})"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's own, in its forward mode
def test_the_second_derivative_and_transformations_are_those_of_the_formula() -> None:
    soft = SoftLIF(0.02)
    x = torch.linspace(-0.2, 1.0, 13)

    def summed(v: Tensor) -> Tensor:
        return soft.formula(v).sum()

    expected = torch.autograd.functional.hessian(summed, x)
    actual = torch.autograd.functional.hessian(lambda v: soft(v).sum(), x)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)
    slope = torch.autograd.functional.jacobian(summed, x)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(soft(forward_ad.make_dual(x, torch.ones(13)))).tangent
        torch.testing.assert_close(tangent, slope, rtol=1e-5, atol=0)
    rows = torch.func.vmap(torch.func.grad(lambda v: soft(v).sum()))(x[None].repeat(2, 1))
    torch.testing.assert_close(rows, slope[None].repeat(2, 1), rtol=1e-5, atol=0)
