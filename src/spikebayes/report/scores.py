"""How well a prediction meets the targets, by name of the score."""

from __future__ import annotations

import math

from torch import Tensor

from spikebayes.predictive import Predictive, Task

LEVEL = 0.9  # of the intervals shown and scored


def scores(side: Predictive, targets: Tensor) -> dict[str, float]:
    """Scores of the mean prediction and of the distribution about it.

    Args:
        side: ``[S, B, C]``.
        targets: ``[B, C]`` (or ``[B]`` when C = 1) values, or ``[B]`` class indices.

    Returns:
        For classes accuracy and negative log-likelihood (nats). For values RMSE, R^2 = 1 - SSE/SST (NaN for
        constant targets) and the share inside the interval, by output, and the mean log-likelihood where the
        noise is known.
    """
    if side.task is Task.CLASSIFICATION:
        right = side.mean.argmax(-1) == targets.long()
        nll = -float(side.log_likelihood(targets).mean())
        return {"Accuracy": float(right.double().mean()), "Negative log-likelihood (nats)": nll}
    found: dict[str, float] = {}
    y = targets.reshape(len(targets), -1).double().numpy()  # [B, C]
    mean = side.mean.double().numpy()
    lower, upper = intervals(side)
    for c, name in enumerate(side.names):
        of = f" of {name}" if len(side.names) > 1 else ""
        square, total = ((y[:, c] - mean[:, c]) ** 2).mean(), y[:, c].var()
        found[f"RMSE{of}"] = math.sqrt(square)
        found[f"R²{of}"] = float(1 - square / total) if total > 0 else math.nan
        inside = (lower[:, c].numpy() <= y[:, c]) & (y[:, c] <= upper[:, c].numpy())
        found[f"Targets inside the {interval_name(side)}{of}"] = float(inside.mean())
    if side.noise_std is not None:
        found["Mean log-likelihood (nats)"] = float(side.log_likelihood(targets).mean())
    return found


def intervals(side: Predictive) -> tuple[Tensor, Tensor]:
    """Two ``[B, C]`` ends: of a new observation where the noise is known, else of the network's output."""
    return side.interval(LEVEL) if side.noise_std is None else side.observation_interval(LEVEL)


def interval_name(side: Predictive) -> str:
    """What :func:`intervals` gives, in words."""
    return f"{LEVEL:.0%} {'model' if side.noise_std is None else 'observation'} interval"
