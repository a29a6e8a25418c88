"""Standardising, against NumPy and there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikebayes.errors import DataError
from spikebayes.training.scaling import Scaling

VALUES = st.integers(-(10**6), 10**6).map(lambda n: n / 1000)  # of targets whose variance float32 holds
COLUMNS = hnp.arrays(np.float32, (7, 3), elements=VALUES)


@given(COLUMNS)
def test_moments_are_numpys(values: np.ndarray) -> None:
    scaling = Scaling.learn(torch.from_numpy(values), torch.from_numpy(values[:, :2]))
    mean, std = values.astype(float).mean(0), values.astype(float).std(0)
    np.testing.assert_allclose(scaling.x_mean, mean, rtol=1e-6, atol=1e-6)
    varies = std > 1e-4
    np.testing.assert_allclose(scaling.x_std[varies], std[varies], rtol=1e-5)
    assert torch.equal(scaling.y_mean, scaling.x_mean[:2])
    assert torch.equal(scaling.y_std, scaling.x_std[:2])


@given(COLUMNS)
def test_outputs_undo_targets(values: np.ndarray) -> None:
    y = torch.from_numpy(values)
    scaling = Scaling.learn(y, y)
    np.testing.assert_allclose(scaling.outputs(scaling.targets(y)), y, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_units_do_not_matter(unit: float) -> None:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    scaled = Scaling.learn(x * unit, None).inputs(x * unit)
    np.testing.assert_allclose(scaled, Scaling.learn(x, None).inputs(x), atol=1e-5)
    np.testing.assert_allclose(scaled.std(0, correction=0), 1, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e6])
def test_a_constant_column_becomes_zero_and_other_values_stay_finite(value: float) -> None:
    x = torch.tensor([[value, 1.0], [value, 2.0]])
    scaling = Scaling.learn(x, None)
    assert scaling.inputs(x)[:, 0].tolist() == [0, 0]
    assert scaling.inputs(torch.tensor([[value + 2, 0.0]]))[0, 0].item() == 2


def test_classes_are_not_scaled() -> None:
    scaling = Scaling.learn(torch.randn(4, 2), None)
    y = torch.tensor([0, 2, 1])
    assert scaling.targets(y) is y
    assert scaling.outputs(y) is y


def test_every_pixel_has_its_own_scale() -> None:
    x = torch.arange(24.0).reshape(4, 2, 3) ** 2
    scaling = Scaling.learn(x, None)
    assert scaling.x_mean.shape == (2, 3)
    np.testing.assert_allclose(scaling.x_std, x.numpy().std(0), rtol=1e-5)
    np.testing.assert_allclose(scaling.inputs(x).mean(0), 0, atol=1e-6)


def test_identity_leaves_everything_as_it_is() -> None:
    scaling, x, y = Scaling.identity((2, 3)), torch.randn(5, 2, 3), torch.randn(5, 1)
    assert torch.equal(scaling.inputs(x), x)
    assert torch.equal(scaling.targets(y), y)
    assert torch.equal(scaling.outputs(y), y)


def test_rows_of_another_shape_are_not_broadcast() -> None:
    scaling = Scaling.learn(torch.randn(9, 3), torch.randn(9, 2))
    for rows in (torch.randn(4, 1), torch.randn(3), torch.randn(2, 4, 3)):
        with pytest.raises(DataError, match="must have the shape"):
            scaling.inputs(rows)
    for y in (torch.randn(4, 1), torch.randn(4, 3), torch.tensor(1.0)):
        with pytest.raises(DataError, match="must have 2 columns"):
            scaling.targets(y)
        with pytest.raises(DataError, match="must have 2 columns"):
            scaling.outputs(y)
    assert scaling.outputs(torch.randn(5, 4, 2)).shape == (5, 4, 2)


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e20, 1e30])
def test_targets_whose_variance_float32_does_not_hold_are_refused(unit: float) -> None:
    """Else the noise of rows would be 0 or infinite."""
    y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    Scaling.learn(y * unit, None)
    with pytest.raises(DataError, match=r"the target has a standard deviation .* give it in another unit"):
        Scaling.learn(y, y[:, :1] * unit)
    with pytest.raises(DataError, match="column 1 of the targets has a standard deviation"):
        Scaling.learn(y, y * torch.tensor([1.0, unit]))
