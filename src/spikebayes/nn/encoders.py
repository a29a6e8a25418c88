"""Encoders before a spiking network's first layer: values in, spikes or signs out.

Each is a module without trainable parameters and may be a network's first. The random ones draw anew on every call:
from torch's generator when called on their own, from the counter-based one in a prediction. Spikes where the input
reaches a threshold are ``unit.Step``; values that go into the first layer as a constant current need no encoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.network.neurons import Bernoulli, Curve, Sign
from spikebayes.nn.signs import plus_minus
from spikebayes.nn.unit import Place, Spiking, Step, Units
from spikebayes.noise.random_layers import Draws, randomly


@checked
class NoisySign(Spiking):
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

    sigma: float
    threshold: float

    def __init__(self, sigma: float, threshold: float = 0.0) -> None:
        super().__init__()
        if not (sigma >= 0 and math.isfinite(sigma)):
            raise ConfigError(f"NoisySign's sigma must be a number >= 0; got {sigma}")
        self.sigma, self.threshold = sigma, _finite(threshold, "NoisySign")

    def forward(self, x: Tensor) -> Tensor:
        if self.sigma == 0:
            return plus_minus(x >= self.threshold, x)
        return randomly(_noisy_signs, x, self.sigma, self.threshold)

    def units(self, place: Place) -> Units:
        if self.sigma == 0:
            return Units(Sign(), shift=-self.threshold)
        factor = 1 / (self.sigma * math.sqrt(2))
        return Units(Bernoulli(Curve.ERF, site=place.site), factor=factor, shift=-self.threshold * factor)

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}, threshold={self.threshold}"


class BernoulliSpikes(Spiking):
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

    def units(self, place: Place) -> Units:
        return Units(Bernoulli(Curve.LINEAR, off=0, site=place.site))


@checked
class Contours(nn.Module):
    """Contours of an image as spikes: z = 1 where it gets brighter in a direction by the threshold or more, else 0.

    Each channel is filtered by the Sobel mask turned into each direction, positive weights adding up to 1, then

        z = 1 where mask * x >= threshold,

    so that the two sides of a line are distinguished, and only the step is not linear. Directions go
    counter-clockwise from the right: 0, 90, 180 and 270 degrees, or with 8 the diagonals as well.

    Nothing is padded, so that the border of a bright picture is not a contour; a pixel is lost on each side.
    For pictures of 8 bits, x = k/255, mask * x is a multiple of 1/1020. The default threshold lies halfway between
    two of them, where rounding changes no spike: module and network give the same, in float32 and in float64.

    Args:
        channels: C, each filtered separately.
        directions: D, 4 or 8.
        threshold: contrast in (0, 1]; 1 is a straight edge between black and white.

    Shape:
        ``[B, C, H, W]`` in [0, 1], to ``[B, C * D, H - 2, W - 2]``: a channel's directions side by side.

    Raises:
        ConfigError: channels, directions or threshold out of range.

    Reference:
        Sandia 2017, "Steep Deep Spiking Networks" (contours as input; without a formula); the masks are those of
        Robinson 1977, Computer Graphics and Image Processing 6:492, and their threshold is ours.

    Example:
        >>> import torch
        >>> edge = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 3, 4)  # brighter to the right
        >>> Contours()(edge).flatten(1).tolist()
        [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """

    weight: Tensor
    channels: int
    spikes: Step

    def __init__(self, channels: int = 1, directions: int = 4, threshold: float = 0.125) -> None:
        super().__init__()
        if channels < 1:
            raise ConfigError(f"Contours needs at least 1 channel; got {channels}")
        if directions not in (4, 8):
            raise ConfigError(f"Contours's directions must be 4 or 8; got {directions}")
        if not 0 < threshold <= 1:
            raise ConfigError(f"Contours's threshold must lie in (0, 1]; got {threshold}")
        check_size("masks", channels, directions, 3, 3)
        self.channels, self.directions = channels, directions
        self.register_buffer("weight", _compass(directions).repeat(channels, 1, 1, 1), persistent=False)
        self.spikes = Step(threshold)

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(F.conv2d(x, self.weight, groups=self.channels))

    def extra_repr(self) -> str:
        return f"channels={self.channels}, directions={self.directions}"


def _noisy_signs(draws: Draws, x: Tensor, sigma: float, threshold: float) -> Tensor:
    factor = 1 / (sigma * math.sqrt(2))
    return plus_minus(draws.fire(factor * x - threshold * factor, Curve.ERF), x)


def _bernoulli_spikes(draws: Draws, x: Tensor) -> Tensor:
    return draws.fire(x, Curve.LINEAR).to(x.dtype)


def _compass(directions: int) -> Tensor:
    """Sobel's mask turned by 360/D degrees counter-clockwise each time, ``[D, 1, 3, 3]``."""
    rows, columns = [1, 0, 0, 0, 1, 2, 2, 2], [2, 2, 1, 0, 0, 0, 1, 2]  # around the middle, from the right
    right = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, -1.0, 0.0, 1.0]) / 4
    masks = torch.zeros(directions, 1, 3, 3)
    for d in range(directions):
        masks[d, 0, rows, columns] = right.roll(d * 8 // directions)
    return masks


def _finite(threshold: float, of: str) -> float:
    if not math.isfinite(threshold):
        raise ConfigError(f"{of}'s threshold must be finite; got {threshold}")
    return threshold
