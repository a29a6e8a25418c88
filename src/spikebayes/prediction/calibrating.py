"""From predictions of held-out rows, and what was observed there, to a calibration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.prediction.class_sets import class_scores
from spikebayes.prediction.conformal import Conformal

if TYPE_CHECKING:
    from spikebayes.prediction.predictive import Predictive


def on_values(p: Predictive, target: Tensor, method: Literal["scaled", "quantile"], coverage: float) -> Conformal:
    """Of a regression on ``[B, C]`` float64 targets, see :meth:`Predictive.calibrate`."""
    errors, spread = target - p.mean.double(), p.std.double()
    if not bool((spread > 0).all()):
        raise DataError("a row has a standard deviation of 0, in which no residual can be told: give noise_std")
    settings = {"noise": float(p.noise_std is not None)}
    if method == "scaled":
        return Conformal(method, errors / spread, errors, spread, p.disagreement, settings)
    lower, upper = p.predicted_quantile(((1 - coverage) / 2, (1 + coverage) / 2)).double()
    outside = torch.maximum(lower - target, target - upper)
    return Conformal(method, outside, errors, spread, p.disagreement, settings | {"coverage": coverage})


def on_classes(p: Predictive, target: Tensor, penalty: float, free: int) -> Conformal:
    """Of classes on ``[B]`` indices."""
    if not (penalty >= 0 and math.isfinite(penalty) and free >= 0):
        raise ConfigError(f"penalty and free must be 0 or more; got {penalty} and {free}")
    mean, truth = p.mean, target[:, None]
    best, favourite = mean.double().max(-1, keepdim=True)
    scores = class_scores(mean, penalty, free).gather(1, truth)
    settings = {"penalty": penalty, "free": float(free), "u": 0.0}
    return Conformal("sets", scores, (favourite != truth).double(), 1 - best, p.disagreement, settings)
