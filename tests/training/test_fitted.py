"""The residual noise against its closed form, and predictions in the units of the targets."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from problems import network, plane, quick_fit, rings
from spikebayes import Alpha, ConfigError, ConversionError, DataError, Digits
from spikebayes.nn import DiscreteSoftLIF, zoo
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import Predictive
from spikebayes.training.fitted import VALIDATION_SEED, Fitted, residual_noise

pytestmark = pytest.mark.slow  # networks are trained first


def drawn(spread: float, samples: int = 40, rows: int = 100, outputs: int = 1) -> Predictive:
    """Samples that scatter by ``spread`` about means that differ from row to row."""
    generator = torch.Generator().manual_seed(5)
    means = torch.randn(rows, outputs, generator=generator)
    values = means + spread * torch.randn(samples, rows, outputs, generator=generator)
    return Predictive(values, Draw(0, "row", torch.arange(rows)))


def observed(about: Predictive, sigma: float) -> torch.Tensor:
    """Targets as the mixture draws them: noise about the first sample, which is then left out."""
    return about.samples[0] + sigma * torch.randn(about.samples.shape[1:], generator=torch.Generator().manual_seed(6))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return quick_fit(network(), *plane(), epochs=120)


# -- residual noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e6])
def test_without_a_spread_it_is_the_root_mean_square_residual(unit: float) -> None:
    p = drawn(0.0, samples=3, rows=50, outputs=2)
    y = observed(p, 0.3)
    expected = (y - p.samples[0]).double().pow(2).mean(0).sqrt() * unit
    found = residual_noise(replace(p, samples=p.samples * unit), y * unit)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_the_spread_of_the_samples_is_left_out(spread: float) -> None:
    p = drawn(spread, samples=400, rows=1000)  # many samples, so that they stand for their distribution
    y = observed(p, 0.5)
    found = residual_noise(replace(p, samples=p.samples[1:]), y).item()
    residual = (p.samples[1:].mean(0) - y).pow(2).mean().sqrt().item()
    assert residual == pytest.approx((spread**2 + 0.25) ** 0.5, rel=0.1)
    assert found == pytest.approx(0.5, rel=0.12)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_no_other_sigma_makes_the_targets_likelier(spread: float) -> None:
    p = drawn(spread, rows=100)
    y = observed(p, 0.4)
    best = residual_noise(p, y)
    likely = replace(p, noise_std=best).log_likelihood(y).mean()
    for factor in (0.1, 0.9, 0.99, 1.01, 1.1, 10):
        assert replace(p, noise_std=best * factor).log_likelihood(y).mean() < likely


def test_outputs_have_their_own_noise() -> None:
    p = drawn(0.3, rows=100, outputs=2)
    y = observed(p, 0.4) * torch.tensor([1.0, 3.0])
    alone = [residual_noise(replace(p, samples=p.samples[..., [c]], names=("y",)), y[:, [c]]) for c in range(2)]
    assert torch.equal(residual_noise(p, y), torch.cat(alone))


def test_it_is_positive_when_every_target_is_hit() -> None:
    p = drawn(0.0, samples=2, rows=5)
    assert 0 < residual_noise(p, p.samples[0]).item() < 1e-5
    zero = replace(p, samples=torch.zeros_like(p.samples))
    assert 0 < residual_noise(zero, torch.zeros(5, 1)).item() < 1e-20


@pytest.mark.parametrize("shape", [(5,), (4, 1), (5, 2)])
def test_targets_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"target must be \[5, 1\]"):
        residual_noise(drawn(0.1, rows=5), torch.zeros(shape))


# -- predictions -------------------------------------------------------------------------------------------


def test_predictions_are_the_scaled_modules(fitted: Fitted) -> None:
    x, y = plane(20, seed=1)
    s, noise = fitted.scaling, fitted.noise_std
    by_hand = predict(fitted.model, (x - s.x_mean) / s.x_std, samples=10, seed=4).samples * s.y_std + s.y_mean
    made = fitted.predict(x, samples=10, seed=4)
    assert torch.equal(made.samples, by_hand)
    assert torch.equal(made.noise_std, noise)
    assert made.names == ("y",)
    assert (made.mean - y).pow(2).mean() < 0.2 * y.var()


def test_class_probabilities_are_the_softmax_of_the_modules_logits() -> None:
    x, y = rings(100)
    fitted = quick_fit(network(3), x, y, names=("in", "ring", "out"))
    assert fitted.noise_std is None
    s = fitted.scaling
    logits = predict(fitted.model, (x - s.x_mean) / s.x_std, samples=5, seed=4).samples
    made = fitted.predict(x, samples=5, seed=4)
    np.testing.assert_allclose(made.samples, logits.softmax(-1), atol=1e-7)
    assert made.names == ("in", "ring", "out")


def test_the_spiking_network_has_the_modules_masks(fitted: Fitted) -> None:
    x, _ = plane(12, seed=2)
    net = fitted.network()
    spiking = fitted.predict(x, network=net, samples=30, seed=7, steps=400)
    same, other = (fitted.predict(x, samples=30, seed=seed) for seed in (7, 8))

    def apart(p: Predictive) -> float:
        return float(((spiking.samples - p.samples).pow(2).mean(0).sqrt() / p.model_std).median())

    assert apart(same) < 0.1
    assert apart(other) > 1  # two independent draws are sqrt(2) standard deviations apart


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (4, 2, 1)])
def test_rows_of_another_shape_are_refused(fitted: Fitted, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"the shape \[2\] of the training rows"):
        fitted.predict(torch.zeros(shape))


# -- raw values into a network of standardised ones ---------------------------------------------------------------


def test_who_gives_measured_values_to_the_network_is_warned() -> None:
    x, y = plane()[:2]
    measured = 40.0 + 3.0 * x
    made = quick_fit(network(), measured, y, epochs=2)
    for model in (made.model, made.network()):
        with pytest.warns(UserWarning, match=r"trained on standardised inputs.*use fitted.predict\(x\)"):
            predict(model, measured, samples=2, seed=0)
        with pytest.warns(UserWarning, match="inputs are about"):
            predict(model, 1e-3 * x, samples=2, seed=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            predict(model, made.scaling.inputs(measured), samples=2, seed=2)
            predict(nn.Sequential(nn.Identity(), made.model), measured, samples=2)  # which may scale


# -- filters and timing ------------------------------------------------------------------------------------


def test_fit_tunes_filters_and_timing_on_its_validation_rows(fitted: Fitted) -> None:
    tuning = fitted.history["tuning"]
    network = fitted.network()
    assert network.timing == fitted.timing is not None
    assert {c.synapse for c in network.connections} == {None, fitted.synapse}
    assert str(network.timing) in tuning["found"]
    x, _ = plane()
    given = fitted.scaling.inputs(x[96:])  # the rows that were held out
    module, spiking = (predict(m, given, samples=20, seed=VALIDATION_SEED).samples for m in (fitted.model, network))
    error = float(((spiking - module).pow(2).mean(0).sqrt() / module.std(0)).median())
    assert tuning["error"] == pytest.approx(error, rel=1e-3)
    assert fitted.predict(x, network=network, samples=2).settings["steps"] == fitted.timing.steps


def test_other_filters_or_steps_have_another_timing(fitted: Fitted) -> None:
    assert fitted.network(synapse=fitted.synapse).timing == fitted.timing
    others = ({"dt": 5e-4}, {"synapse": Alpha(0.015)}, {"synapse": None})
    assert [fitted.network(**other).timing for other in others] == [None] * 3
    coded = replace(fitted, calibration=torch.randn(100, 2)).network(code=Digits(4, 4))
    assert coded.timing is None


@pytest.mark.parametrize("settings", [{"error": None}, {"spiking": False}, {"validation": plane(9, seed=3)}])
def test_without_tuning_the_filters_say_how_long(settings: dict[str, Any]) -> None:
    fitted = quick_fit(network(), *plane(), **settings)
    assert fitted.timing is None
    assert "tuning" not in fitted.history
    assert fitted.predict(plane()[0], network=fitted.network(), samples=2).settings["steps"] == 232


def test_an_error_out_of_reach_is_told_and_does_not_stop_a_fit() -> None:
    fitted = quick_fit(network(), *plane(), error=1e-5)
    assert fitted.history["tuning"]["error"] > 1e-5 == fitted.history["tuning"]["asked"]
    assert fitted.timing is not None


def test_a_looser_error_takes_fewer_steps_and_classes_are_tuned_too() -> None:
    steps = [quick_fit(network(3), *rings(), error=error).timing.steps for error in (0.5, 0.1)]  # pyright: ignore
    assert steps[0] < steps[1]


@pytest.mark.parametrize("error", [0.0, -1.0, float("nan")])
def test_no_error_to_tune_for_is_refused_before_training(error: float) -> None:
    with pytest.raises(ConfigError, match="error must be a positive number of standard deviations"):
        quick_fit(network(), *plane(), error=error, epochs=10**6)


def test_units_that_know_their_step_are_trained_and_tuned_for_it() -> None:
    torch.manual_seed(0)
    model = zoo.discrete(2, 1, (30, 20), unit=partial(DiscreteSoftLIF, dt=2e-3))
    trained = quick_fit(model, *plane(), epochs=30, learning_rate=0.01, error=0.1)
    made = trained.network()
    assert (made.dt, made.timing) == (2e-3, trained.timing)
    assert made.timing is not None
    assert made.timing.steps < 300
    assert trained.history["tuning"]["error"] < 0.2
    with pytest.raises(ConversionError, match=r"give dt=0\.002"):
        trained.network(dt=1e-3)
