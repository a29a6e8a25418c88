"""Noise that hangs on the row: told by a second half of the outputs, spiking like the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from problems import network, quick_fit, rings
from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate import compare
from spikebayes.nn import Permadrop, SoftLIF, few_bits
from spikebayes.noise.masks import evaluating
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task
from spikebayes.training.fitted import Fitted, residual_noise, with_noise
from spikebayes.training.likelihood import gaussian_loss, without_noise
from spikebayes.training.scaling import Scaling


def fan(rows: int = 1500, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs ``[B, 2]``, targets ``[B, 1]``, and their noise ``[B, 1]``, 0.1 on the left and 0.6 on the right."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 2, generator=rng)
    std = torch.where(x[:, :1] > 0.5, 0.6, 0.1)
    return x, x[:, 1:] + std * torch.randn(rows, 1, generator=rng), std


# -- the loss ------------------------------------------------------------------------------------------------


def test_the_loss_is_the_normal_density() -> None:
    rng = torch.Generator().manual_seed(0)
    output, y = torch.randn(5, 7, 4, generator=rng), torch.randn(7, 2, generator=rng)
    mean, std = output[..., :2].double().numpy(), np.exp(output[..., 2:].double().numpy() / 2)
    density = stats.norm.logpdf(y.double().numpy(), mean, std) + np.log(2 * np.pi) / 2
    expected = -np.log(np.exp(density).mean(0)).mean()
    assert gaussian_loss(output, y).mean().item() == pytest.approx(expected, rel=1e-5)


# -- training ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> Fitted:
    x, y, _ = fan()
    return quick_fit(network(2, 64), x, y, epochs=40, learning_rate=1e-2)


@pytest.mark.slow
def test_noise_that_differs_is_told_row_by_row(told: Fitted) -> None:
    assert told.noise == "row"
    density = told.history["log_density_by_noise"]
    assert density["row"] > density["constant"] + 0.2
    x, y, _ = fan(600, 1)
    p = told.predict(x, samples=50)
    assert p.noise_std is not None
    left = x[:, 0] < 0.4
    assert p.noise_std[left].median().item() == pytest.approx(0.1, rel=0.4)
    assert p.noise_std[x[:, 0] > 0.6].median().item() == pytest.approx(0.6, rel=0.25)
    lower, upper = p.interval(0.9)
    held = ((lower <= y) & (y <= upper)).double()
    assert held.mean() > 0.85  # 0.9 -+ the calibration's own 0.025
    assert held[left].mean() > 0.8
    assert (upper - lower)[left].mean() < 0.5 * (upper - lower)[~left].mean()
    assert p.log_likelihood(y).mean() > stats.norm.logpdf(y, x[:, 1:], 0.43).mean()  # the best of one noise


@pytest.mark.slow
def test_the_spiking_network_tells_it_too_and_is_judged_on_it(told: Fitted) -> None:
    x, y, _ = fan(100, 2)
    spikes = told.network()
    classical, control, spiking = (
        told.predict(x, network=net, samples=60, seed=seed) for seed, net in ((1, None), (2, None), (3, spikes))
    )
    verdict = compare(classical, spiking, control=control)
    assert verdict.outcome == "kept", verdict.summary()
    assert {f.about for f in verdict.findings if f.about} >= {"log noise of y"}
    assert verdict.std_ratio.shape == (100, 2)
    lower, upper = spiking.interval(0.9)
    assert ((lower <= y) & (y <= upper)).double().mean() > 0.8
    # a network that spoils the noise, and the noise alone
    assert spiking.noise_samples is not None
    spoiled = replace(spiking, noise_std=None, noise_samples=1.5 * spiking.noise_samples)
    broken = compare(classical, spoiled)
    assert broken.outcome == "not kept"
    assert all("log noise of y" in reason for reason in broken.reasons)
    means = [replace(side, noise_std=None, noise_samples=None) for side in (classical, spoiled)]
    assert compare(*means).outcome == "kept"
    with pytest.raises(DataError, match="reference has 2 outputs, candidate 1"):
        compare(classical, means[1])


def test_noise_that_does_not_help_is_dropped() -> None:
    """The module tells a noise that is far off: one for all rows is likelier, and the module is cut to its means."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 30), SoftLIF(1e-3), Permadrop(0.1), nn.Linear(30, 2))
    x = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    y = x + 0.3 * torch.randn(200, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model[3].weight[1] *= 30  # from e^-12 to e^6, at random
    wild = Fitted(model.eval(), Scaling.learn(x, y), Task.REGRESSION)
    torch.manual_seed(0)  # of the masks
    with evaluating(model):
        expected = model(x)[:, :1]
    kept = with_noise(wild, x, y, told=True, keep=True)
    assert kept.noise == "row"
    found = with_noise(wild, x, y, told=True, keep=False)
    assert found.noise == "constant"
    torch.manual_seed(0)
    with evaluating(found.model):
        torch.testing.assert_close(found.model(x), expected)
    p = found.predict(x, samples=50, seed=0x5EED)
    torch.testing.assert_close(found.noise_std, residual_noise(replace(p, noise_std=None), y))
    assert p.noise_samples is None


def test_a_factor_makes_told_noise_likeliest() -> None:
    x, y, std = fan(4000)
    samples = x[None, :, 1:].expand(2, -1, -1)
    p = Predictive(samples, Draw(0, "row", torch.arange(4000)), noise_samples=(std / 3)[None].repeat(2, 1, 1))
    assert residual_noise(p, y).item() == pytest.approx(3, rel=0.05)


# -- what fits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "outputs"), [("constant", 2), ("row", 1), ("auto", 3)])
def test_outputs_that_do_not_fit_the_noise_are_refused(noise: str, outputs: int) -> None:
    x, y, _ = fan(50)
    with pytest.raises(DataError, match=rf"the model has {outputs} outputs; the targets' rows have the shape \[1\]"):
        quick_fit(network(outputs), x, y, noise=noise)


class Swapped(nn.Module):
    """Ends in no linear layer whose first outputs are the means."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network(2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(self.inner(x)[:, 1:], (0, 1)) + self.inner(x)


def test_means_that_cannot_be_cut_off_are_refused_unless_the_noise_is_kept() -> None:
    x, y, _ = fan(50)
    with pytest.raises(ConfigError, match=r"must end in nn\.Linear\(\.\.\., 2\): let it, or pass noise='row'"):
        quick_fit(Swapped(), x, y)
    assert quick_fit(Swapped(), x, y, noise="row", spiking=False, epochs=2).noise == "row"


def test_weights_that_something_else_makes_are_not_cut() -> None:
    model, (x, y, _) = network(2), fan(50)
    weight_norm(model[-1])
    with pytest.raises(ConfigError, match=r"let it, or pass noise='row' to keep it"):
        quick_fit(model, x, y)


def test_weights_of_few_bits_may_tell_the_noise() -> None:
    x, y, _ = fan(50)
    assert quick_fit(few_bits(network(2)), x, y, epochs=2).predict(x, samples=2).samples.shape == (2, 50, 1)


@pytest.mark.parametrize("bits", [None, {"bits": 4}, {"bits": 4, "span": 3.0}])
def test_a_cut_leaves_the_first_outputs(bits: dict[str, Any] | None) -> None:
    model, x = network(6).eval(), torch.randn(4, 2)
    if bits is not None:
        few_bits(model, **bits)
    with evaluating(model):
        torch.manual_seed(0)  # of the masks
        whole = model(x)
        without_noise(model, 3)
        torch.manual_seed(0)
        torch.testing.assert_close(model(x), whole[:, :3])


def test_classes_have_no_noise_and_are_calibrated() -> None:
    fitted = quick_fit(network(3), *rings(), epochs=2)
    assert fitted.noise == "constant"
    assert fitted.conformal is not None
    assert fitted.history["calibration_rows"] == fitted.conformal.rows == 19
    assert quick_fit(network(3), *rings(), epochs=2, calibration=0.1).conformal is None  # 4 rows
