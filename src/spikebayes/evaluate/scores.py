"""How good a prediction is against the targets: the scores of its task, by name."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikebayes.evaluate.class_scores import class_rows
from spikebayes.evaluate.row_scores import binned_gap, coverage, crps, r_squared, risk_area, rmse
from spikebayes.prediction import normal_mixture
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task

LEVEL = 0.9  # of the intervals shown and scored


def scores(side: Predictive, targets: Tensor, level: float = LEVEL) -> dict[str, float]:
    """Scores of the mean prediction and of the distribution about it, by name.

    Args:
        side: ``[S, B, C]``.
        targets: ``[B, C]`` (or ``[B]`` when C = 1) values, or ``[B]`` class indices.
        level: coverage of intervals and sets.

    Returns:
        For classes accuracy, negative log-likelihood, Brier score, calibration error, area under the risk-coverage
        curve, the share inside the set and its mean size. By output for values RMSE, R^2, mean absolute error, fair
        CRPS of the network's output (from 2 samples on), the share inside the interval and its mean width (from 2
        samples on, or where the noise is known); where it is, the CRPS of a new observation, and the mean
        log-likelihood.

    Raises:
        DataError: targets that do not fit.

    Example:
        >>> import torch
        >>> from spikebayes.prediction.draw import Draw
        >>> p = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]])
        >>> found = scores(Predictive(p, Draw(0, "row", torch.arange(2)), Task.CLASSIFICATION), torch.tensor([0, 1]))
        >>> found["Accuracy"], found["Brier score"]
        (0.5, 0.3125)
    """
    if side.task is Task.CLASSIFICATION:
        rows, sets = class_rows(side.mean, targets), side.sets(level)
        return {
            "Accuracy": 1 - float(rows.wrong.mean()),
            "Negative log-likelihood (nats)": float(rows.log_loss.mean()),
            "Brier score": float(rows.brier.mean()),
            "Expected calibration error": float(binned_gap(rows.confidence, rows.wrong)),
            "Area under the risk-coverage curve": float(risk_area(rows.confidence, rows.wrong)),
            f"Targets inside the {100 * level:g}% set": float(
                sets.gather(1, targets.long()[:, None]).double().mean()
            ),
            f"Mean size of the {100 * level:g}% set (classes)": float(sets.double().sum(1).mean()),
        }
    y = targets[:, None] if targets.ndim == 1 else targets  # [B, C]
    by_output = {
        "RMSE": rmse(side.mean, y),
        "R²": r_squared(side.mean, y),
        "Mean absolute error": (side.mean.double() - y.double()).abs().mean(0),
        **_crps(side, y),
        **_intervals(side, y, level),
    }
    found = {
        f"{score} of {name}" if len(side.names) > 1 else score: float(values[c])
        for c, name in enumerate(side.names)
        for score, values in by_output.items()
    }
    if side.noise_std is not None:
        found["Mean log-likelihood (nats)"] = float(side.log_likelihood(targets).mean())
    return found


def _crps(side: Predictive, y: Tensor) -> dict[str, Any]:
    """``[C]`` each, of what is known."""
    found = {"CRPS without observation noise": crps(side.samples, y).mean(0)} if len(side.samples) > 1 else {}
    if side.noise_std is None:
        return found
    noise = side.noise_std if side.noise_samples is None else side.noise_samples
    return {"CRPS": normal_mixture.crps(side.samples, noise, y).mean(0)} | found


def _intervals(side: Predictive, y: Tensor, level: float) -> dict[str, Any]:
    """``[C]`` each; a single sample without noise has no interval."""
    if len(side.samples) < 2 and side.noise_std is None:
        return {}
    (lower, upper), name = side.interval(level), interval_name(side, level)
    return {
        f"Targets inside the {name}": coverage(lower, upper, y),
        f"Mean width of the {name}": (upper - lower).double().mean(0),
    }


def intervals(side: Predictive) -> tuple[Tensor, Tensor]:
    """Two ``[B, C]`` ends: of a new observation where noise or calibration rows are known, else of the output."""
    return side.interval(LEVEL)


def interval_name(side: Predictive, level: float = LEVEL) -> str:
    """What :meth:`Predictive.interval` gives, in words."""
    return f"{100 * level:g}% {'observation' if is_of_observations(side) else 'model'} interval"


def is_of_observations(side: Predictive) -> bool:
    """Whether more is known of a new observation than what samples of the output say."""
    return side.noise_std is not None or side.conformal is not None
