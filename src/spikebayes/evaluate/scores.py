"""How good a prediction is against the targets: the scores of its task, by name."""

from __future__ import annotations

from torch import Tensor

from spikebayes.evaluate.class_scores import class_rows
from spikebayes.evaluate.row_scores import binned_gap, coverage, crps, r_squared, risk_area, rmse
from spikebayes.prediction.predictive import Predictive, Task

LEVEL = 0.9  # of the intervals shown and scored


def scores(side: Predictive, targets: Tensor) -> dict[str, float]:
    """Scores of the mean prediction and of the distribution about it, by name.

    Args:
        side: ``[S, B, C]``.
        targets: ``[B, C]`` (or ``[B]`` when C = 1) values, or ``[B]`` class indices.

    Returns:
        For classes accuracy, negative log-likelihood, Brier score, calibration error and area under the risk-coverage
        curve. For values RMSE, R^2, fair CRPS of the network's output (from 2 samples on) and the share inside the
        interval, by output, and the mean log-likelihood where the noise is known.

    Raises:
        DataError: targets that do not fit.

    Example:
        >>> import torch
        >>> from spikebayes.prediction.predictive import Draw
        >>> p = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]])
        >>> found = scores(Predictive(p, Draw(0, "row", torch.arange(2)), Task.CLASSIFICATION), torch.tensor([0, 1]))
        >>> found["Accuracy"], found["Brier score"]
        (0.5, 0.3125)
    """
    if side.task is Task.CLASSIFICATION:
        rows = class_rows(side.mean, targets)
        return {
            "Accuracy": 1 - float(rows.wrong.mean()),
            "Negative log-likelihood (nats)": float(rows.log_loss.mean()),
            "Brier score": float(rows.brier.mean()),
            "Expected calibration error": float(binned_gap(rows.confidence, rows.wrong)),
            "Area under the risk-coverage curve": float(risk_area(rows.confidence, rows.wrong)),
        }
    y = targets[:, None] if targets.ndim == 1 else targets  # [B, C]
    by_output = {
        "RMSE": rmse(side.mean, y),
        "R²": r_squared(side.mean, y),
        "CRPS without observation noise": crps(side.samples, y).mean(0) if len(side.samples) > 1 else None,
        f"Targets inside the {interval_name(side)}": coverage(*intervals(side), y),
    }
    found = {
        f"{score} of {name}" if len(side.names) > 1 else score: float(values[c])
        for c, name in enumerate(side.names)
        for score, values in by_output.items()
        if values is not None
    }
    if side.noise_std is not None:
        found["Mean log-likelihood (nats)"] = float(side.log_likelihood(targets).mean())
    return found


def intervals(side: Predictive) -> tuple[Tensor, Tensor]:
    """Two ``[B, C]`` ends: of a new observation where noise or calibration rows are known, else of the output."""
    return side.interval(LEVEL)


def interval_name(side: Predictive) -> str:
    """What :func:`intervals` gives, in words."""
    return f"{LEVEL:.0%} {'observation' if is_of_observations(side) else 'model'} interval"


def is_of_observations(side: Predictive) -> bool:
    """Whether more is known of a new observation than what samples of the output say."""
    return side.noise_std is not None or side.conformal is not None
