"""What samples of class probabilities are worth: scores on rows with a class, and on rows that have none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes import Draw, Predictive, Task
from spikebayes.evaluate import (
    binned_gap,
    bootstrap,
    class_rows,
    out_of_distribution_auroc,
    risk_area,
    single_sample_error,
)

SCORES = {  # and how a page names them
    "error": "error (%)",
    "nll": "NLL (nats)",
    "brier": "Brier",
    "ece": "ECE",
    "aurc": "AURC x 1000",
    "auroc_entropy": "AUROC, entropy",
    "auroc_mutual_information": "AUROC, mutual information",
}
SCALES = {"error": (100, 2), "aurc": (1000, 2)}  # factor and decimals in a page


def certain(logits: Tensor, seed: int = 0) -> Predictive:
    """A deterministic network's logits ``[B, C]`` as a predictive distribution of one sample."""
    return Predictive(
        logits.float().softmax(-1)[None], Draw(seed, "row", torch.arange(len(logits))), Task.CLASSIFICATION
    )


def scored(known: Predictive, unknown: Predictive, y: Tensor, resamples: int, seed: int) -> dict[str, Any]:
    """Scores with 95 % bootstrap intervals over rows; the log losses are kept to compare networks.

    Args:
        known: of rows with classes ``y [B]``. unknown: of rows that belong to none.
        resamples, seed: of the bootstrap.
    """
    rows = class_rows(known.mean, y)
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
        "single_sample_error": single_sample_error(known.samples, y),
        "scores": {name: asdict(interval) for name, interval in found.items()},
        "uncertainty": {
            name: {"known": float(a.mean()), "unknown": float(b.mean())} for name, (a, b) in measures.items()
        },
        "log_losses": [round(float(loss), 6) for loss in rows.log_loss],
    }


def compared(judged: dict[str, dict[str, Any]], against: str, resamples: int, seed: int) -> dict[str, Any]:
    """NLL of each network minus that of one of them, with its paired bootstrap interval."""
    base = np.array(judged[against]["log_losses"])
    return {
        name: asdict(bootstrap(np.mean, np.array(found["log_losses"]) - base, resamples=resamples, seed=seed))
        for name, found in judged.items()
        if name != against
    }


def score_text(scores: dict[str, dict[str, float]], name: str) -> str:
    """A score of :func:`scored` and its interval; a dash for one that a network does not have."""
    if name not in scores:
        return "-"
    factor, digits = SCALES.get(name, (1, 4))
    return f"{factor * scores[name]['value']:.{digits}f} {interval_text(scores[name], factor, digits)}"


def interval_text(found: dict[str, float], factor: float = 1.0, digits: int = 4) -> str:
    """The interval of a score."""
    return f"[{factor * found['low']:.{digits}f}, {factor * found['high']:.{digits}f}]"
