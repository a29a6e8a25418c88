"""Training a network that tells the noise of each row beside its mean: outputs ``[..., 2C]``.

The first C outputs are means, the others log variances of an observation about them, both in standardised targets
(Kendall & Gal 2017, eq. 8): one network, whose samples differ in either.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spikebayes.conversion.faults import copied
from spikebayes.errors import ConfigError
from spikebayes.nn.few_bits import has_few_bits
from spikebayes.noise.masks import evaluating

QUIETEST, LOUDEST = -12.0, 6.0  # log variances: a standard deviation of 1/400, and of 20, of the targets'


def mean_and_log_variance(output: Tensor) -> tuple[Tensor, Tensor]:
    """Each ``[..., C]`` of ``[..., 2C]``, log variances within bounds beyond which none is learned.

    Example:
        >>> mean_and_log_variance(torch.tensor([1.0, 2.0, -100.0, 0.5]))
        (tensor([1., 2.]), tensor([-12.0000,   0.5000]))
    """
    mean, log_variance = output.float().chunk(2, -1)
    return mean, log_variance.clamp(QUIETEST, LOUDEST)


def gaussian_loss(output: Tensor, y: Tensor) -> Tensor:
    """``[B, C]``, negative log density of targets ``[B, C]`` under the mixture of samples ``[S, B, 2C]``.

    Up to a constant: log(2 pi) / 2 is left out. Its means were as good as those of the mean squared error. Weighting
    rows by the root of their variance (Seitzer et al. 2022) made them 1 to 8 % better on three tables of four, and
    noise that differs between rows differ too little: 90 % intervals held 85 % in the fourth fifth of the rows.

    Reference:
        Kendall & Gal 2017, What uncertainties do we need in Bayesian deep learning, eq. 8 (one sample).
    """
    mean, log_variance = mean_and_log_variance(output)
    density = -((y - mean) ** 2 * (-log_variance).exp() + log_variance) / 2
    return math.log(len(output)) - density.logsumexp(0)


def without_noise(model: nn.Module, outputs: int) -> None:
    """Cut the last linear layer of a model with ``2 outputs``, in place, to its means."""
    last: Any = _last_linear(model, 2 * outputs)
    assert last is not None  # as check_means looked for
    last.out_features = outputs
    weight = (last.parametrizations.weight, "original") if has_few_bits(last) else (last, "weight")
    for home, name in (weight, (last, "bias")):
        if (whole := getattr(home, name)) is not None:
            setattr(home, name, nn.Parameter(whole.detach()[:outputs].clone()))


def check_means(model: nn.Module, x: Tensor, outputs: int) -> None:
    """Refuse a model with ``2 outputs`` from which :func:`without_noise` would not leave the means.

    Raises:
        ConfigError: it does not end in a linear layer whose first outputs they are.
    """
    cut = copied(model, ConfigError)
    if _last_linear(cut, 2 * outputs) is not None:
        without_noise(cut, outputs)
        found = []
        for each in (model, cut):
            torch.manual_seed(0)
            with torch.no_grad(), evaluating(each):
                found.append(each(x[:2]))
        if found[1].shape == (len(x[:2]), outputs) and torch.allclose(found[0][:, :outputs], found[1], atol=1e-4):
            return
    raise ConfigError(
        f"a model with {2 * outputs} outputs for {outputs} targets predicts means and noise; to drop the noise where "
        f"it does not help, it must end in nn.Linear(..., {2 * outputs}): let it, or pass noise='row' to keep it"
    )


def _last_linear(model: nn.Module, outputs: int) -> nn.Linear | None:
    """A model's, if it has so many outputs, and weights of its own or of few bits, which can be cut."""
    last = next((m for m in reversed([*model.modules()]) if isinstance(m, nn.Linear)), None)
    if last is None or last.out_features != outputs:
        return None
    return last if has_few_bits(last) or not parametrize.is_parametrized(last, "weight") else None
