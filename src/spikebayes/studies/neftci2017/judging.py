"""What the networks' samples are worth: scores of the predictive distribution, on digits and on what is none."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.draw import Draw
from spikebayes.evaluate.bootstrap import bootstrap
from spikebayes.evaluate.row_scores import binned_gap, out_of_distribution_auroc, risk_area
from spikebayes.evaluate.scores import class_rows, single_sample_error
from spikebayes.predict import predict
from spikebayes.predictive import Predictive, Task
from spikebayes.studies.neftci2017 import learning
from spikebayes.studies.neftci2017.sampling import DRAWN_SEED, sampled, spiking
from spikebayes.studies.neftci2017.settings import Learning

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
        probabilities = torch.cat([net(part) for part in x.split(1000)]).softmax(-1)
    draw = Draw(DRAWN_SEED, "row", torch.arange(len(x)))
    return Predictive(probabilities[None], draw, Task.CLASSIFICATION)


def judge(
    kind: str, digits: learning.Digits, s: Learning, folder: Path, samples: int, resamples: int, seed: int
) -> dict[str, Any]:
    """Scores with 95 % bootstrap intervals over test images; the log losses are kept to compare networks."""
    known = predicted(kind, digits.x_test, s, folder, samples)
    unknown = predicted(kind, digits.unknown, s, folder, samples)
    rows = class_rows(known.mean, digits.y_test)
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    found = {
        "error": bootstrap(np.mean, rows.wrong, **options),
        "nll": bootstrap(np.mean, rows.log_loss, **options),
        "brier": bootstrap(np.mean, rows.brier, **options),
        "ece": bootstrap(binned_gap, rows.confidence, rows.wrong, **options),
        "aurc": bootstrap(risk_area, rows.confidence, rows.wrong, **options),
    }
    measures = {"entropy": (known.entropy, unknown.entropy)}
    if len(known.samples) > 1:
        measures["mutual_information"] = (known.mutual_information, unknown.mutual_information)
    for name, (inside, outside) in measures.items():
        found[f"auroc_{name}"] = bootstrap(
            out_of_distribution_auroc, inside.numpy(), outside.numpy(), paired=False, **options
        )
    return {
        "samples": len(known.samples),
        "single_sample_error": single_sample_error(known.samples, digits.y_test),
        "scores": {name: asdict(interval) for name, interval in found.items()},
        "uncertainty": {
            name: {"known": float(a.mean()), "unknown": float(b.mean())} for name, (a, b) in measures.items()
        },
        "log_losses": [round(float(loss), 6) for loss in rows.log_loss],
    }


def compared(judged: dict[str, dict[str, Any]], resamples: int, seed: int) -> dict[str, dict[str, float]]:
    """NLL of each network minus the deterministic one's, with its paired bootstrap interval."""
    against = np.array(judged["deterministic"]["log_losses"])
    return {
        kind: asdict(bootstrap(np.mean, np.array(found["log_losses"]) - against, resamples=resamples, seed=seed))
        for kind, found in judged.items()
        if kind != "deterministic"
    }
