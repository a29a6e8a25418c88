"""What the networks' samples are worth: scores of the predictive distribution, on digits and on what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikebayes import Predictive, Task, predict
from studies.neftci2017 import learning
from studies.neftci2017.sampling import DRAWN_SEED, sampled, spiking
from studies.neftci2017.settings import Learning
from studies.scoring import certain, scored

NETWORKS = ("s2m", "sigmoid", "conv", "dropout", "deterministic")


def predicted(kind: str, images: Tensor, s: Learning, folder: Path, samples: int) -> Predictive:
    """A network's predictive distribution; the deterministic one has a single sample."""
    x = learning.rows(kind, images)
    if kind in learning.STOCHASTIC:
        return sampled(spiking(kind, s, folder), x, samples)
    net = learning.trained(kind, s, folder)
    if kind == "dropout":
        return predict(net, x, samples=samples, seed=DRAWN_SEED, task=Task.CLASSIFICATION)
    with torch.no_grad():
        return certain(torch.cat([net(part) for part in x.split(1000)]), DRAWN_SEED)


def judge(
    kind: str, digits: learning.Digits, s: Learning, folder: Path, samples: int, resamples: int, seed: int
) -> dict[str, Any]:
    """Scores of a network on digits, and on images that are none."""
    known = predicted(kind, digits.x_test, s, folder, samples)
    unknown = predicted(kind, digits.unknown, s, folder, samples)
    return scored(known, unknown, digits.y_test, resamples, seed)
