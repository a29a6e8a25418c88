"""Sharpened activations: their formulas, exactly a step in the end, and which slope they are learned by."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.nn import Sharpened
from spikebayes.nn.sharpened import Kind

KINDS = [kind.value for kind in Kind]
INPUTS = st.lists(st.floats(-5, 5), min_size=1, max_size=20)
BELOW_ONE = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.5, 0.999])
SOFT = [0.0, 0.3, 0.9, 0.99]


def curve(kind: str, x: NDArray[np.float64], s: float) -> NDArray[np.float64]:
    """The activation below sharpness 1 as the class's text has it."""
    w = 1 - s + 0.001
    if kind == "sigmoid":
        return (1 + np.tanh(2 * np.log(2 + np.sqrt(3)) * (x - 0.5) / w)) / 2
    y = np.minimum(np.maximum((x - 0.5) / w + 0.5, 0), 1)
    if kind in ("relu", "leaky_relu"):
        y = y + (1 - s) * np.maximum(x - (1 + w) / 2, 0)
    if kind == "leaky_relu":
        y = y - 0.01 * (1 - s) * np.maximum((1 - w) / 2 - x, 0)
    return y


def slope(unit: Sharpened, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(unit(x).sum(), x)
    return gradient


def inputs(rows: int = 400) -> Tensor:
    """Many of them near the step."""
    x = torch.randn(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.cat([x, 0.5 + 0.01 * x, 0.5 + 0.3 * x])


# -- values ------------------------------------------------------------------------------------------------


@given(st.sampled_from(KINDS), INPUTS, BELOW_ONE, st.floats(0, 1))
def test_below_sharpness_1_it_is_its_formula(kind: str, x: list[float], s: float, learnable: float) -> None:
    unit = Sharpened(kind, s, learnable=learnable)
    found = unit(torch.tensor(x, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found, curve(kind, np.array(x), s), rtol=1e-9, atol=1e-9)
    assert not unit.is_step


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        ("brelu", lambda x: x.clamp(0, 1)),
        ("relu", torch.relu),
        ("leaky_relu", lambda x: torch.nn.functional.leaky_relu(x, 0.01)),
        ("sigmoid", lambda x: torch.sigmoid(4 * math.log(2 + math.sqrt(3)) * (x - 0.5))),
    ],
)
def test_at_sharpness_0_it_is_the_activation_of_its_name(kind: str, plain: Any) -> None:
    torch.testing.assert_close(Sharpened(kind)(inputs()), plain(inputs()), rtol=0, atol=1.5e-3)


@pytest.mark.parametrize("learnable", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_at_sharpness_1_it_is_exactly_a_step(kind: str, dtype: torch.dtype, learnable: float) -> None:
    half = torch.tensor(0.5, dtype=dtype)
    sides = [torch.nextafter(half, torch.tensor(to, dtype=dtype)) for to in (-1.0, 1.0)]
    x = torch.stack([half, *sides, *torch.tensor([-1e30, -3.0, 0.0, -0.0, 0.4, 0.7, 1.0, 1e30], dtype=dtype)])
    expected = torch.tensor([1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1], dtype=dtype)
    unit = Sharpened(kind, learnable=learnable)
    unit.sharpen(1.0)
    for model in (unit, copy.deepcopy(unit).to(dtype)):
        for learning in (False, True):
            y = model(x.clone().requires_grad_(learning)).detach()
            assert y.dtype == dtype
            assert torch.equal(y, expected)
        assert model.is_step


@given(st.sampled_from(KINDS), INPUTS, BELOW_ONE | st.just(1.0))
def test_it_never_falls(kind: str, x: list[float], s: float) -> None:
    rising = torch.tensor(sorted(x), dtype=torch.float64)
    assert (Sharpened(kind, s)(rising).diff() >= -1e-12).all()


@given(
    st.sampled_from(KINDS), st.floats(-2, 3).filter(lambda x: abs(x - 0.5) > 1e-3), st.floats(0, 1), st.floats(0, 1)
)
def test_a_sharper_one_is_nearer_the_step(kind: str, x: float, a: float, b: float) -> None:
    def away(s: float) -> float:
        return abs(float(Sharpened(kind, s)(torch.tensor(x, dtype=torch.float64))) - (x >= 0.5))

    if kind in ("brelu", "sigmoid"):
        assert away(max(a, b)) <= away(min(a, b)) + 1e-9
    assert away(1.0) == 0


# -- slopes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("s", SOFT)
@pytest.mark.parametrize("kind", KINDS)
def test_the_slope_is_that_of_the_formula(kind: str, s: float) -> None:
    x, h = inputs().numpy(), 1e-7
    expected = (curve(kind, x + h, s) - curve(kind, x - h, s)) / (2 * h)
    np.testing.assert_allclose(slope(Sharpened(kind, s), inputs()).numpy(), expected, rtol=1e-4, atol=1e-4)
    assert (expected > 0).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("s", [0.8, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_learnable_caps_the_sharpness_of_the_slope_alone(kind: str, s: float, dtype: torch.dtype) -> None:
    x = inputs().to(dtype)
    capped, own, soft = Sharpened(kind, s, learnable=0.5), Sharpened(kind, s), Sharpened(kind, 0.5)
    assert torch.equal(slope(capped, x), slope(soft, x))
    assert torch.equal(capped(x), own(x))
    assert torch.equal(capped(x.clone().requires_grad_()).detach(), own(x))
    assert not torch.equal(slope(own, x), slope(soft, x))


@pytest.mark.parametrize("kind", KINDS)
def test_learnable_above_the_sharpness_changes_nothing(kind: str) -> None:
    assert torch.equal(slope(Sharpened(kind, 0.5, learnable=0.6), inputs()), slope(Sharpened(kind, 0.5), inputs()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_has_slope_zero_but_a_network_of_steps_can_be_walked_back(kind: str) -> None:
    gradient = slope(Sharpened(kind, 1.0), inputs())
    assert torch.equal(gradient, torch.zeros_like(gradient))


# -- noise, settings, state --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_added_to_the_input_only_in_training(kind: str) -> None:
    x, noisy, quiet = inputs(), Sharpened(kind, 0.3, noise=0.2), Sharpened(kind, 0.3)
    torch.manual_seed(1)
    found = noisy.train()(x)
    torch.manual_seed(1)
    assert torch.equal(found, quiet(x + 0.2 * torch.randn_like(x)))
    assert torch.equal(noisy.eval()(x), quiet(x))
    assert not torch.equal(found, quiet(x))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "gelu"}, "kind must be one of brelu, sigmoid, relu, leaky_relu; got 'gelu'"),
        ({"sharpness": -0.1}, r"sharpness must lie in \[0, 1\]; got -0.1"),
        ({"sharpness": 1.1}, r"sharpness must lie in \[0, 1\]; got 1.1"),
        ({"sharpness": math.nan}, r"sharpness must lie in \[0, 1\]; got nan"),
        ({"learnable": 2}, r"learnable must lie in \[0, 1\]; got 2"),
        ({"noise": -1.0}, "noise must be a number >= 0; got -1"),
        ({"noise": math.nan}, "noise must be a number >= 0; got nan"),
        ({"noise": math.inf}, "noise must be a number >= 0; got inf"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Sharpened(**settings)


@pytest.mark.parametrize("s", [-1e-9, 1.0000001, math.nan])
def test_a_sharpness_out_of_range_leaves_it_as_it_was(s: float) -> None:
    unit = Sharpened(sharpness=0.25)
    with pytest.raises(ConfigError, match="sharpness must lie in"):
        unit.sharpen(s)
    assert float(unit.sharpness) == 0.25


@pytest.mark.parametrize("s", [0.1, 0.999, 1.0])
def test_its_state_carries_the_sharpness(s: float) -> None:
    one, other = Sharpened("sigmoid"), Sharpened("sigmoid", 0.5)
    one.sharpen(s)
    other.load_state_dict(one.state_dict())
    assert float(other.sharpness) == s
    assert torch.equal(other(inputs()), one(inputs()))
    assert other.is_step == (s == 1)


def test_casting_or_moving_its_module_leaves_the_sharpness_as_it_is() -> None:
    unit = nn.Sequential(Sharpened("brelu", 0.999)).bfloat16()[0]
    assert isinstance(unit, Sharpened)
    assert (float(unit.sharpness), unit.is_step) == (0.999, False)
    moved = unit.to("meta").sharpness  # as to a device that has no float64
    assert (moved.device.type, float(moved)) == ("cpu", 0.999)


def test_it_says_what_it_is() -> None:
    assert repr(Sharpened()) == "Sharpened('brelu', sharpness=0)"
    whole = repr(Sharpened("relu", 0.5, learnable=0.9, noise=0.1))
    assert whole == "Sharpened('relu', sharpness=0.5, learnable=0.9, noise=0.1)"
