"""Fitted: a trained module with the scaling of its data and its residual noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from spikebayes.conversion.convert import convert
from spikebayes.conversion.folding import folded
from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.notebook import as_html
from spikebayes.network.codes import Code
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.synapses import Alpha, Synapse
from spikebayes.network.timing import Timing
from spikebayes.nn import DiscreteSoftLIF, Sharpened
from spikebayes.nn.unit import STANDARDISED
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.normal_mixture import log_density
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import Predictive, default_names
from spikebayes.prediction.task import Task
from spikebayes.training.likelihood import mean_and_log_variance, without_noise
from spikebayes.training.scaling import Scaling

DT = 1e-3  # s, of the networks that fit tunes, unless their units say another
VALIDATION_SEED = 0x5EED  # masks of the validation passes; any number does
SAMPLES = 50  # of a validation row, once trained


@checked
@dataclass(frozen=True, eq=False)
class Fitted:
    """What ``fit`` returns.

    Args:
        model: trained module, between scaled inputs and scaled targets (or logits).
        scaling: from data units to the module's and back.
        task: regression or classification.
        noise_std: ``[C]`` standard deviation of an observation about the network's output, in target units; None for
            classes. If the module predicts the noise of each row, the unit of that prediction.
        names: one name per output.
        history: figures of the training (epochs, losses, seconds).
        calibration: some scaled training rows, from which a code learns how large activations become.
        synapse: filter of LIF networks, as ``fit`` tuned it.
        timing: of LIF networks with it, at their units' own steps or of 1 ms; None works it out from the filters.
        noise: ``"constant"``, or ``"row"``: the module has 2C outputs, means and then log variances of the noise.
        conformal: calibration of its predictions on held-out rows, see :meth:`spikebayes.Predictive.calibrate`.
    """

    model: nn.Module
    scaling: Scaling
    task: Task
    noise_std: Tensor | None = None
    names: tuple[str, ...] = ()
    history: dict[str, Any] = field(default_factory=dict)
    calibration: Tensor | None = None
    synapse: Synapse = field(default_factory=lambda: Alpha(0.02))
    timing: Timing | None = None
    noise: Literal["constant", "row"] = "constant"
    conformal: Conformal | None = None

    def __post_init__(self) -> None:
        setattr(self.model, STANDARDISED, not self.scaling.is_identity)  # who gives it raw values is warned

    def __repr__(self) -> str:
        noise = "" if self.noise_std is None else f", {self.noise} noise"
        return f"Fitted({self.task.value}{noise}, after {self.history.get('epochs', 0)} epochs)\n{self.model}"

    def _repr_html_(self) -> str:
        """For notebooks: how the training went, and the module."""
        history = [(name.replace("_", " "), value) for name, value in self.history.items()]
        return as_html(f"fitted {self.task.value}", history, text=str(self.model))

    @checked
    def network(
        self,
        *,
        dt: float | None = None,
        synapse: Synapse | Literal["tuned"] | None = "tuned",
        code: Code | Literal["lif", "auto"] | None = None,
        headroom: float = 4.0,
    ) -> SpikingNetwork:
        """The spiking network of the module, see :func:`spikebayes.convert`; a sharpened module is folded first.

        It carries the timing that ``fit`` found, if it has the filters (``"tuned"``) and the dt of that timing, as by
        default: 1 ms, or the step for which the module's units were trained.
        """
        own = next((m.dt for m in self.model.modules() if isinstance(m, DiscreteSoftLIF)), DT)
        dt = own if dt is None else dt
        example = self.scaling.x_mean[None] if self.calibration is None else self.calibration
        sharpened = any(isinstance(m, Sharpened) for m in self.model.modules())
        model = folded(self.model, example) if sharpened else self.model
        filtered = self.synapse if synapse == "tuned" else synapse
        network = convert(model, example, dt=dt, synapse=filtered, code=code, headroom=headroom)
        known = network.code is not None or network.is_memoryless
        return network if known or (dt, filtered) != (own, self.synapse) else replace(network, timing=self.timing)

    @checked
    def predict(self, x: Tensor, *, network: SpikingNetwork | None = None, **settings: Any) -> Predictive:
        """Predictive distribution in target units.

        Args:
            x: ``[B, *shape]`` in data units.
            network: the spiking network to sample; None samples the module itself.
            settings: as for :func:`spikebayes.predict`.

        Raises:
            DataError: rows of another shape than the training rows, NaN or infinite.
        """
        if x.ndim < 2 or x.shape[1:] != self.scaling.x_mean.shape:
            expected = list(self.scaling.x_mean.shape)
            raise DataError(f"rows must have the shape {expected} of the training rows; got {list(x.shape[1:])}")
        sampled = self.model if network is None else network
        rows = self.scaling.inputs(x.detach().cpu())
        if self.noise == "row":
            made = predict(sampled, rows, **settings)
            mean, log_variance = mean_and_log_variance(made.samples)
            assert self.noise_std is not None
            noise = self.noise_std * (log_variance / 2).exp()
            parts = {"noise_samples": noise, "names": self.names or default_names(mean.shape[2])}
            return replace(made, samples=self.scaling.outputs(mean), conformal=self.conformal, **parts)
        made = predict(sampled, rows, task=self.task, names=self.names, **settings)
        made = replace(made, conformal=self.conformal)
        if self.task is Task.CLASSIFICATION:
            return made
        return replace(made, samples=self.scaling.outputs(made.samples), noise_std=self.noise_std)


def with_noise(fitted: Fitted, x: Tensor, y: Tensor, *, told: bool, keep: bool) -> Fitted:
    """With the noise that makes rows that were not trained on likeliest.

    Args:
        fitted: without a noise.
        x: ``[B, *shape]``, y: ``[B, C]``, in data units.
        told: the module tells that of each row, beside its means.
        keep: that, whatever is likelier; else the module is cut to its means where a constant noise is.
    """
    if not told:
        found = fitted.predict(x, samples=SAMPLES, seed=VALIDATION_SEED)
        return replace(fitted, noise_std=residual_noise(found, y))
    unit = torch.ones(y.shape[1]) if fitted.scaling.y_std is None else fitted.scaling.y_std
    by_row = replace(fitted, noise="row", noise_std=unit)
    found = by_row.predict(x, samples=SAMPLES, seed=VALIDATION_SEED)
    factor = residual_noise(found, y)  # [C]
    means = replace(found, noise_std=None, noise_samples=None)
    one = residual_noise(means, y)
    assert found.noise_samples is not None
    likely = replace(found, noise_std=None, noise_samples=factor * found.noise_samples)
    density = {
        "row": float(likely.log_likelihood(y).mean()),
        "constant": float(replace(means, noise_std=one).log_likelihood(y).mean()),
    }
    by_row = replace(by_row, noise_std=factor * unit, history=fitted.history | {"log_density_by_noise": density})
    if keep or density["row"] > density["constant"]:
        return by_row
    without_noise(fitted.model, y.shape[1])
    return replace(by_row, noise="constant", noise_std=one)


def residual_noise(predictive: Predictive, target: Tensor) -> Tensor:
    """Standard deviation of an observation about the network's output: the maximiser of the log predictive density.

    Maximises mean_b log (1/S) sum_s N(y_b; f_s(x_b), sigma^2) over sigma, output by output; unlike the root mean
    square residual it leaves out the spread that the masks already account for. Where samples tell the noise of each
    row, sigma is what that is to be multiplied by.

    Args:
        predictive: samples on rows the module was not trained on.
        target: ``[B, C]``.

    Returns:
        ``[C]`` float32.

    Raises:
        DataError: a target of another shape.

    Reference:
        Gal & Ghahramani 2016, eq. 8 (their tau is sigma^-2).
    """
    if target.shape != predictive.samples.shape[1:]:
        raise DataError(f"target must be {list(predictive.samples.shape[1:])}; got {list(target.shape)}")
    found = []
    for c in range(target.shape[1]):
        samples, y = predictive.samples[..., c : c + 1], target[:, c : c + 1]
        told = torch.ones(1) if predictive.noise_samples is None else predictive.noise_samples[..., c : c + 1]
        shape = told.double()
        rms = float(((samples.mean(0) - y).double() / shape.square().mean(0).sqrt()).pow(2).mean().sqrt())
        # samples that hit every target leave no residual
        scale = max(rms, 1e-6 * float((y / shape).abs().max()), 1e-30)

        def loss(log_sigma: float, samples: Tensor = samples, y: Tensor = y, shape: Tensor = shape) -> float:
            return -float(log_density(samples, math.exp(log_sigma) * shape, y).mean())

        bounds = (math.log(scale / 100), math.log(scale * 10))
        found.append(math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))  # pyright: ignore[reportAttributeAccessIssue]
    return torch.tensor(found)
