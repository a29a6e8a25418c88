"""What the networks' samples are worth: scores of the predictive distribution, on digits and on what is none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import Predictive, Task, predict
from spikebayes.nn import NoisySign
from studies.neftci2017.learning import Digits
from studies.neftci2017.networks import CONV, DROPOUT, RELU, S2M, SIGMOID, Run, Trained, rows
from studies.neftci2017.sampling import DRAWN_SEED, sampled, spiking
from studies.scoring import certain, scored

DETERMINISTIC = "deterministic"  # the network of ReLUs, without the noise on its inputs
JUDGED = {S2M: S2M, SIGMOID: SIGMOID, CONV: CONV, DROPOUT: DROPOUT, RELU: RELU, DETERMINISTIC: RELU}


def predicted(name: str, images: Tensor, trained: Trained, seed: int, samples: int) -> Predictive:
    """A network's predictive distribution; the deterministic one has a single sample."""
    run = Run(JUDGED[name], seed)
    x = rows(run.kind, images)
    if run.kind in (S2M, SIGMOID, CONV):
        return sampled(spiking(trained, run), x, samples)
    net = trained.module(run)
    if name != DETERMINISTIC:
        return predict(net, x, samples=samples, seed=DRAWN_SEED, task=Task.CLASSIFICATION)
    first, *others = net
    assert isinstance(first, NoisySign)
    quiet = nn.Sequential(NoisySign(0.0), *others).eval()
    with torch.no_grad():
        return certain(torch.cat([quiet(part) for part in x.split(1000)]), DRAWN_SEED)


def judge(name: str, digits: Digits, trained: Trained, seed: int, samples: int, resamples: int) -> dict[str, Any]:
    """Scores of a network on digits, and on images that are none."""
    known = predicted(name, digits.x_test, trained, seed, samples)
    unknown = predicted(name, digits.unknown, trained, seed, samples)
    return scored(known, unknown, digits.y_test, resamples, seed)
