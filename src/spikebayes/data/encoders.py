"""What stands before a spiking network's first layer: values in, spikes or signs out.

Each is a module without parameters to train and may be a network's first. The random ones draw anew on every call,
on their own from torch's generator, in a prediction counter-based.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from spikebayes.errors import ConfigError, DataError
from spikebayes.neurons import Bernoulli, Curve, Neuron, Sign, Threshold
from spikebayes.nn.unit import Unit
from spikebayes.randomly import Draws, randomly


class NoisySign(Unit):
    """Signs of the input under Gaussian noise, drawn anew on every call.

        z = +1 where x + sigma eps >= threshold, else -1,  eps ~ N(0, 1)

    so that P(z = +1) = Phi((x - threshold)/sigma). Meant for inputs in [-1, 1]: much beyond them nothing is random.

    Args:
        sigma: standard deviation of the noise, in units of the input, >= 0; with 0 the plain sign.
        threshold: in units of the input.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: sigma or threshold out of range.

    Reference:
        Neftci 2017, section III.A (Gaussian noise on the input) and eq. 1 (the sign).

    Example:
        >>> import torch
        >>> NoisySign(0.0)(torch.tensor([-0.5, 0.0, 0.5])).tolist()
        [-1.0, 1.0, 1.0]
    """

    def __init__(self, sigma: float, threshold: float = 0.0) -> None:
        super().__init__()
        if not (sigma >= 0 and math.isfinite(sigma)):
            raise ConfigError(f"NoisySign's sigma must be a number >= 0; got {sigma}")
        self.sigma, self.threshold = sigma, _finite(threshold, "NoisySign")

    def forward(self, x: Tensor) -> Tensor:
        if self.sigma == 0:
            return _signs(x >= self.threshold, x)
        return randomly(_noisy_signs, x, self.sigma, self.threshold)

    @property
    def is_random(self) -> bool:
        return self.sigma > 0

    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        if self.sigma == 0:
            return Sign(), 1.0, -self.threshold
        factor = 1 / (self.sigma * math.sqrt(2))
        return Bernoulli(Curve.ERF, site=site), factor, -self.threshold * factor

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}, threshold={self.threshold}"


class BernoulliSpikes(Unit):
    """Spikes 0 or 1 with P(1) = x, drawn anew on every call: a rate code in steps, E[z] = x.

    Shape:
        any floating-point tensor of values in [0, 1], returned as it came.

    Raises:
        DataError: on a value outside [0, 1], or NaN.

    Reference:
        the Poisson spike train in discrete time: Dayan & Abbott 2001, section 1.4.

    Example:
        >>> import torch
        >>> BernoulliSpikes()(torch.tensor([0.0, 1.0, 1.0])).tolist()
        [0.0, 1.0, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        if not ((x >= 0) & (x <= 1)).all():  # NaN is in no interval
            raise DataError(
                f"Bernoulli spikes need values in [0, 1]; got {float(x.min()):g} to {float(x.max()):g}; scale them"
            )
        return randomly(_bernoulli_spikes, x)

    @property
    def is_random(self) -> bool:
        return True

    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        return Bernoulli(Curve.LINEAR, off=0, site=site), 1.0, 0.0


class ThresholdSpikes(Unit):
    """Spikes where the input reaches the threshold: z = 1 where x >= threshold, else 0.

    Args:
        threshold: in units of the input.

    Shape:
        any floating-point tensor, returned as it came.

    Raises:
        ConfigError: a threshold that is no number.

    Reference:
        the step of the ``Threshold`` neuron, taken on the input itself.

    Example:
        >>> import torch
        >>> ThresholdSpikes()(torch.tensor([0.2, 0.5, 0.7])).tolist()
        [0.0, 1.0, 1.0]
    """

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = _finite(threshold, "ThresholdSpikes")

    def forward(self, x: Tensor) -> Tensor:
        return (x >= self.threshold).to(x.dtype)

    def neuron(self, site: int) -> tuple[Neuron, float, float]:
        return Threshold(self.threshold), 1.0, 0.0

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}"


class DirectCurrent(nn.Identity):
    """The input as a constant current into the first layer, which does the spiking: z = x.

    Shape:
        any, returned as it came.

    Reference:
        Rueckauer, Lungu, Hu, Pfeiffer & Liu 2017, Front. Neurosci. 11:682, analog input to the first layer.

    Example:
        >>> import torch
        >>> DirectCurrent()(torch.tensor([0.25])).tolist()
        [0.25]
    """


def _noisy_signs(draws: Draws, x: Tensor, sigma: float, threshold: float) -> Tensor:
    factor = 1 / (sigma * math.sqrt(2))
    return _signs(draws.fire(factor * x - threshold * factor, Curve.ERF), x)


def _bernoulli_spikes(draws: Draws, x: Tensor) -> Tensor:
    return draws.fire(x, Curve.LINEAR).to(x.dtype)


def _signs(up: Tensor, like: Tensor) -> Tensor:
    return up.to(like.dtype) * 2 - 1


def _finite(threshold: float, of: str) -> float:
    if not math.isfinite(threshold):
        raise ConfigError(f"{of}'s threshold must be finite; got {threshold}")
    return threshold
