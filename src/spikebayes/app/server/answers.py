"""What a prediction answers, as tensors by name: the columns of a prediction table, and the samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from spikebayes.prediction.columns import columns, value_parts
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task

VALUES = ("mean", "std", "lower", "upper")  # what comes unasked, of a regression
ASKED = ("mean", "samples")  # what does not, of classes


def answers(p: Predictive, coverage: float) -> dict[str, np.ndarray]:
    """Every output of a prediction.

    Values: ``mean``, ``model_std``, ``noise_std``, ``std``, ``lower`` and ``upper``, each ``[B, C]``. Classes: the
    columns of a table of predictions, each ``[B]``, and all probabilities as ``mean``, ``[B, K]``. Of both
    ``samples``, ``[S, B, C]``.

    Example:
        >>> from spikebayes import Draw
        >>> draw, probabilities = Draw(0, "row", torch.arange(1)), torch.tensor([[[0.25, 0.75]]])
        >>> found = answers(Predictive(probabilities, draw, Task.CLASSIFICATION, names=("no", "yes")), 0.7)
        >>> {name: found[name].tolist() for name in ("class", "p_no", "set", "mean")}
        {'class': ['yes'], 'p_no': [0.25], 'set': ['yes'], 'mean': [[0.25, 0.75]]}
    """
    if p.task is Task.CLASSIFICATION:
        found = columns(p, (), coverage).items()
        told = {name: np.array(v, object) if isinstance(v, list) else v for name, v in found}
        return told | {"mean": p.mean.numpy(), "samples": p.samples.numpy()}
    parts = value_parts(p, (), coverage) | {"samples": p.samples}
    return {name: torch.as_tensor(part).to(p.samples).numpy() for name, part in parts.items()}


def unasked(known: Mapping[str, np.ndarray], task: Task) -> tuple[str, ...]:
    """The outputs that come where none are named, of all that are known."""
    return VALUES if task is Task.REGRESSION else tuple(name for name in known if name not in ASKED)
