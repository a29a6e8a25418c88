"""Architectures of the papers, as plain modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.machine.numbers import check_count
from spikebayes.network.noise import Law, Sampling
from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear
from spikebayes.nn.combo import Combo, ComboRows, combo
from spikebayes.nn.decoding import PopulationDecode
from spikebayes.nn.discrete import DiscreteSoftLIF
from spikebayes.nn.encoders import NoisySign
from spikebayes.nn.few_bits import few_bits
from spikebayes.nn.first_weights import spread_weights
from spikebayes.nn.hidden import check_widths, hidden_layers
from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.sharpened import Sharpened
from spikebayes.nn.signs import SigmoidSign
from spikebayes.nn.softlif import SoftLIF

__all__ = ["Combo", "ComboRows", "combo", "discrete", "mlp", "s2m", "s2m_conv", "sharpened", "sigmoid_network"]

CENTRE = 0.5  # mean input of a new dense unit, where sharpened activations step: it halves its inputs
# Mean input of a new feature map. An image's empty background is close to a map's mean; were that at the step, the
# slightest difference between the statistics of a batch and those of prediction would turn all of it on or off.
BACKGROUND = 0.0
LEARNING = partial(Sharpened, learnable=0.0)  # goes on learning when it is a step


@checked
def mlp(
    inputs: int,
    outputs: int,
    hidden: Sequence[int] = (100, 100),
    dropout: float = 0.1,
    *,
    activation: Callable[[], nn.Module] = SoftLIF,
    spread: float | None = None,
) -> nn.Sequential:
    """Dense layers with an activation and permanent dropout after each, then a linear read-out.

    Args:
        inputs, outputs: F and C.
        hidden: width of each hidden layer.
        dropout: drop probability in [0, 1).
        activation: makes one activation; SoftLIF with its defaults unless given.
        spread: of first weights, see :func:`~spikebayes.nn.spread_weights`; None leaves torch's.

    Raises:
        ConfigError: no hidden layer, a width below 1, or a spread that is not positive.

    Example:
        >>> [type(m).__name__ for m in mlp(10, 1, (200,))]
        ['Linear', 'SoftLIF', 'Permadrop', 'Linear']
    """
    check_widths(inputs, outputs, hidden)
    made = nn.Sequential(*hidden_layers([inputs, *hidden], dropout, activation), nn.Linear(hidden[-1], outputs))
    return made if spread is None else spread_weights(made, spread)


@checked
def discrete(
    inputs: int,
    outputs: int,
    hidden: Sequence[int] = (100, 100),
    dropout: float = 0.1,
    *,
    unit: Callable[..., nn.Module] = DiscreteSoftLIF,
) -> nn.Sequential:
    """Dense layers for neurons in discrete steps: a batch norm before each activation, permanent dropout after it.

    The norm, which conversion folds into the weights, keeps currents where neurons fire often enough to be read in a
    few hundred steps, and seldom enough for an interval to have several steps. It needs a higher learning rate than
    the default of ``spikebayes.fit``, such as 0.01.

    Args:
        inputs, outputs: F and C.
        hidden: width of each hidden layer.
        dropout: drop probability in [0, 1).
        unit: makes an activation; called with ``constant=True`` for the first layer.

    Raises:
        ConfigError: no hidden layer, or a width below 1.

    Example:
        >>> [type(m).__name__ for m in discrete(10, 1, (200,))]
        ['Linear', 'BatchNorm1d', 'DiscreteSoftLIF', 'Permadrop', 'Linear']
    """
    check_widths(inputs, outputs, hidden)
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(pairwise([inputs, *hidden])):
        layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), unit(constant=k == 0), Permadrop(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))


@checked
def s2m(
    inputs: int = 784,
    outputs: int = 10,
    hidden: Sequence[int] = (300, 300, 300),
    *,
    keep: float = 0.5,
    noise: float = 0.6,
    encoders: int = 0,
    sampling: Sampling = Law(),
) -> nn.Sequential:
    """A synaptic sampling machine: noisy signs of the input, layers of blank-out synapses, a linear read-out.

    Args:
        inputs, outputs: K and C. hidden: width of each hidden layer.
        keep: probability that a synapse transmits.
        noise: standard deviation of the Gaussian noise on the input, which lies in [-1, 1]; or on its encoders.
        encoders: number of trained mixtures of the inputs, each with its own threshold, to take signs of. A single
            sign of each input (0, as in the paper) can encode black and white pixels, but not quantities. With
            encoders the read-out has a bias, too.
        sampling: of the layers.

    Raises:
        ConfigError: no hidden layer, a width below 1, or a setting out of range.

    Reference:
        Neftci 2017, section III.A.

    Example:
        >>> [type(m).__name__ for m in s2m(4, 2, (3,))]
        ['NoisySign', 'BlankOutLinear', 'Linear']
    """
    check_widths(inputs, outputs, hidden)
    check_count("encoders", encoders, 0)
    check_size("a layer", inputs, encoders)
    widths = [encoders or inputs, *hidden]
    layers = [BlankOutLinear(a, b, keep, sampling=sampling) for a, b in pairwise(widths)]
    mixed = [_thresholds(inputs, encoders)] if encoders else []
    return nn.Sequential(*mixed, NoisySign(noise), *layers, nn.Linear(hidden[-1], outputs, bias=encoders > 0))


@checked
def sigmoid_network(
    inputs: int = 784, outputs: int = 10, hidden: Sequence[int] = (300, 300, 300), *, noise: float = 0.6
) -> nn.Sequential:
    """The same network of binary stochastic units with a sigmoid law, without biases.

    Reference:
        Neftci 2017, section III.A.

    Example:
        >>> [type(m).__name__ for m in sigmoid_network(4, 2, (3,))]
        ['NoisySign', 'Linear', 'SigmoidSign', 'Linear']
    """
    check_widths(inputs, outputs, hidden)
    layers = [m for a, b in pairwise([inputs, *hidden]) for m in (_unit_variance(a, b), SigmoidSign())]
    return nn.Sequential(NoisySign(noise), *layers, nn.Linear(hidden[-1], outputs, bias=False))


@checked
def s2m_conv(
    outputs: int = 10, *, keep: float = 0.5, noise: float = 0.6, sampling: Sampling = Law()
) -> nn.Sequential:
    """A small convolutional S2M for images ``[B, 1, 28, 28]``: two layers of 5 x 5 kernels in steps of 2, one dense.

    Example:
        >>> s2m_conv()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    check_widths(512, outputs, (128,))
    options = {"keep": keep, "sampling": sampling}
    return nn.Sequential(
        NoisySign(noise),
        BlankOutConv2d(1, 16, 5, stride=2, **options),
        BlankOutConv2d(16, 32, 5, stride=2, **options),
        nn.Flatten(),
        BlankOutLinear(512, 128, **options),
        nn.Linear(128, outputs, bias=False),
    )


@checked
def sharpened(
    shape: Sequence[int],
    outputs: int,
    *,
    convolutions: Sequence[tuple[int, int, bool]] = (),
    padding: Literal["same", "valid"] = "same",
    hidden: Sequence[int] = (),
    width: int | None = 100,
    scale: float = 0.25,
    dropout: float = 0.0,
    bits: int | None = None,
    activation: Callable[[], nn.Module] = LEARNING,
) -> nn.Sequential:
    """Convolutions and dense layers with batch norm and a sharpened activation after each, read out by keys.

    Every layer, the read-out's units included, ends in activations that training can turn into steps; batch norm
    folds into weights and thresholds. The four networks of the slides:

    - DNN: ``sharpened((784,), 10, hidden=(512, 512))``
    - STPU CNN: ``sharpened((1, 28, 28), 10, convolutions=[(3, 11, True)])``
    - CNN restricted: ``sharpened((1, 28, 28), 10, convolutions=[(8, 3, False)] * 2, hidden=(100, 100))``
    - CNN unrestricted: the same with ``(32, 10, False)`` and ``padding="valid"``; according to the slides large
      patches sharpen better

    Args:
        shape: of a row: ``[F]``, or ``[C, H, W]`` for convolutions.
        outputs: classes, or numbers if ``width`` is None.
        convolutions: channels, kernel size, and whether 2 x 2 max pooling follows, of each.
        padding: ``"same"`` keeps an image's size by zeros around it, ``"valid"`` does without.
        hidden: widths of the dense layers.
        width: units that the classes' keys read; None uses a linear read-out of the last hidden layer instead, for
            regression. scale: of the keys' logits.
        dropout: drop probability of permanent dropout after every hidden activation, in [0, 1).
        bits: of weights that are trained as whole numbers times one factor a unit
            (:func:`~spikebayes.nn.few_bits.few_bits`); None for float32.
        activation: makes one activation; by default a bounded relu that goes on learning when it is a step.

    Raises:
        ConfigError: convolutions on rows that are not images, or nothing but a read-out.

    References:
        Sandia 2017, "Steep Deep Spiking Networks"; Severa et al. 2019, Whetstone.

    Example:
        >>> [type(m).__name__ for m in sharpened((4,), 2, hidden=(8,), width=6)]  # doctest: +NORMALIZE_WHITESPACE
        ['Linear', 'BatchNorm1d', 'Sharpened', 'Linear', 'BatchNorm1d', 'Sharpened', 'PopulationDecode']
    """
    if not convolutions and not hidden:
        raise ConfigError("a network needs hidden layers: convolutions, dense ones or both")
    if convolutions and len(shape) != 3:
        raise ConfigError(f"convolutions need rows [C, H, W]; got shape {list(shape)}")
    drop = [Permadrop(dropout)] if dropout else []
    layers: list[nn.Module] = []
    size = torch.Size(shape)
    for channels, kernel, pooled in convolutions:
        check_size("a convolution", size[0], channels, kernel, kernel)
        layers += [nn.Conv2d(size[0], channels, kernel, padding=padding, bias=False)]
        layers += [_normed(nn.BatchNorm2d(channels), BACKGROUND), activation()]
        layers += [nn.MaxPool2d(2)] if pooled else []
        layers += drop
        lost = kernel - 1 if padding == "valid" else 0
        size = torch.Size([channels, *((n - lost) // (2 if pooled else 1) for n in size[1:])])
        if min(size) < 1:
            raise ConfigError(f"images of {list(shape)} are too small for a convolution of size {kernel}")
    layers += [nn.Flatten()] if len(size) > 1 else []
    widths = [size.numel(), *hidden]
    for a, b in pairwise([*widths, outputs if width is None else width]):
        check_size("a layer", a, b)
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b, bias=False), _normed(nn.BatchNorm1d(b), CENTRE), activation(), *drop]
    if width is None:
        layers += [nn.Linear(widths[-1], outputs)]
    else:
        layers += [nn.Linear(widths[-1], width, bias=False), _normed(nn.BatchNorm1d(width), CENTRE), activation()]
        layers += [PopulationDecode(outputs, width, scale=scale)]
    net = nn.Sequential(*layers)
    if bits is not None:
        few_bits(net, bits)
    return net


def _normed(norm: nn.BatchNorm1d | nn.BatchNorm2d, mean: float) -> nn.Module:
    """A batch norm that gives its units inputs of a mean, and of standard deviation 1/2, to begin with."""
    nn.init.constant_(norm.weight, 0.5)
    nn.init.constant_(norm.bias, mean)
    return norm


def _thresholds(inputs: int, outputs: int) -> nn.Linear:
    """A layer whose outputs for standardised inputs have variance 1, and thresholds all over their range."""
    layer = _unit_variance(inputs, outputs)
    layer.bias = nn.Parameter(torch.randn(outputs))
    return layer


def _unit_variance(inputs: int, outputs: int) -> nn.Linear:
    """A layer without biases whose outputs for inputs of variance 1 have it too, as a new BlankOutLinear's."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    return layer
