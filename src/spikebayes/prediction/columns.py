"""What a table of predictions says of each row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.bars import joined
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    from spikebayes.prediction.predictive import Predictive


def columns(p: Predictive, quantiles: tuple[float, ...], coverage: float) -> dict[str, Any]:
    """Columns ``[B]`` by name.

    Values: ``mean``; ``model_std``, what samples disagree on; ``noise_std``, of an observation about the output (NaN
    where it is not known); ``std``, both; ``lower`` and ``upper`` of a new observation at the coverage; ``q0.05`` and
    other quantiles of it, where asked for; behind ``NAME.`` if there are several outputs. From a single sample there
    is no spread: NaN. Classes: ``class``, the most probable one; ``p_LABEL``; ``entropy`` and ``mutual_information``
    (nats); ``set``, the labels of the set at the coverage, separated by "|" (one within a label is written ``\\|``,
    and a backslash twice).

    Raises:
        ConfigError: quantiles of classes, or a setting out of range.
    """
    if p.task is Task.CLASSIFICATION:
        if quantiles:
            raise ConfigError("quantiles are for values; this prediction is of classes: leave them out")
        return _of_classes(p, coverage)
    parts = value_parts(p, quantiles, coverage)
    prefixes = [f"{name}." for name in p.names] if len(p.names) > 1 else [""]
    return {f"{prefix}{key}": part[:, c].numpy() for c, prefix in enumerate(prefixes) for key, part in parts.items()}


def value_parts(p: Predictive, quantiles: tuple[float, ...], coverage: float) -> dict[str, Tensor]:
    """What :func:`columns` says of values, ``[B, C]`` by name."""
    many = len(p.samples) > 1
    nothing = torch.full_like(p.mean, math.nan)
    lower, upper = p.interval(coverage) if many else (nothing, nothing)
    parts = {
        "mean": p.mean,
        "model_std": p.model_std if many else nothing,
        "noise_std": nothing if p.noise_std is None else torch.as_tensor(p.noise_std).expand(nothing.shape),
        "std": p.std if many else nothing,
        "lower": lower,
        "upper": upper,
    }
    if quantiles:
        found = p.quantile(quantiles) if many else nothing.expand(len(quantiles), *nothing.shape)
        parts |= {f"q{q:.10g}": each for q, each in zip(quantiles, found, strict=True)}
    return parts


def _of_classes(p: Predictive, coverage: float) -> dict[str, Any]:
    mean = p.mean
    labels = [[p.names[k] for k in each.nonzero()[:, 0].tolist()] for each in p.sets(coverage)]
    return {
        "class": [p.names[k] for k in mean.argmax(-1).tolist()],
        **{f"p_{name}": mean[:, k].numpy() for k, name in enumerate(p.names)},
        "entropy": p.entropy.numpy(),
        "mutual_information": p.mutual_information.numpy(),
        "set": list(map(joined, labels)),
    }
