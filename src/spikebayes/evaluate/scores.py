"""How good a prediction is against the targets: proper scores, calibration, ranking by uncertainty, intervals.

Every score is a function of one or two numbers per row (``row_scores.py``), of which :func:`class_rows` are those of
classes; one that is a mean over rows goes to ``bootstrap`` as ``np.mean`` of its rows. All sums are float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.row_scores import (
    BINS,
    Floats,
    binned_gap,
    coverage,
    excess_risk_area,
    finite,
    floats,
    r_squared,
    risk_area,
    rmse,
)
from spikebayes.predictive import Predictive, Task

LEVEL = 0.9  # of the intervals shown and scored


@dataclass(frozen=True, eq=False)
class ClassRows:
    """What the scores of class probabilities are made of, row by row.

    Args:
        wrong: ``[B]``, 1 where the most probable class (the first of equals) is not the target, else 0.
        confidence: ``[B]``, the probability of the most probable class.
        log_loss: ``[B]``, -log p(target) in nats, p floored at the smallest normal float32.
        brier: ``[B]``, sum_c (p_c - [c = target])^2, in 0..2.
    """

    wrong: Floats
    confidence: Floats
    log_loss: Floats
    brier: Floats


def class_rows(probabilities: Tensor, target: Tensor) -> ClassRows:
    """Error, confidence and losses of each row.

    Args:
        probabilities: ``[B, C]``, 0 or more, summing to 1 over C.
        target: ``[B]`` class indices.

    Raises:
        DataError: other shapes, no probabilities, or no class indices.

    Example:
        >>> rows = class_rows(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1]))
        >>> rows.wrong, rows.brier
        (array([0., 1.]), array([0.125, 0.5  ]))
    """
    p, y = _probabilities(probabilities, 2), _classes(target, *probabilities.shape)
    chosen = np.take_along_axis(p, y[:, None], -1)[:, 0]  # [B]
    return ClassRows(
        wrong=(p.argmax(-1) != y).astype(np.float64),
        confidence=np.minimum(p.max(-1), 1.0),  # a float32 sum may round above 1
        log_loss=-np.log(np.maximum(chosen, torch.finfo(torch.float32).tiny)),
        brier=((p - np.eye(p.shape[1])[y]) ** 2).sum(-1),
    )


def error_rate(probabilities: Tensor, target: Tensor) -> float:
    """Share of rows whose most probable class is not the target; arguments as in :func:`class_rows`."""
    return float(class_rows(probabilities, target).wrong.mean())


def negative_log_likelihood(probabilities: Tensor, target: Tensor) -> float:
    """Mean of -log p(target) in nats, floored as in :meth:`Predictive.log_likelihood`; see :func:`class_rows`."""
    return float(class_rows(probabilities, target).log_loss.mean())


def brier(probabilities: Tensor, target: Tensor) -> float:
    """Mean over rows of sum_c (p_c - [c = target])^2 (Brier 1950); arguments as in :func:`class_rows`."""
    return float(class_rows(probabilities, target).brier.mean())


def single_sample_error(samples: Tensor, target: Tensor) -> float:
    """Error rate of one sample by itself, averaged over samples: what averaging their probabilities improves on.

    Args:
        samples: ``[S, B, C]`` class probabilities.
        target: ``[B]`` class indices.

    Raises:
        DataError: as :func:`class_rows`.

    Example:
        >>> single_sample_error(torch.tensor([[[0.9, 0.1]], [[0.4, 0.6]]]), torch.tensor([0]))
        0.5
    """
    p = _probabilities(samples, 3)
    return float((p.argmax(-1) != _classes(target, *p.shape[1:])).mean())


def calibration_error(probabilities: Tensor, target: Tensor, *, bins: int = BINS) -> float:
    """Expected calibration error of the most probable class: :func:`binned_gap` over bins of equal width.

    Args:
        probabilities: ``[B, C]``.
        target: ``[B]`` class indices.
        bins: their number.

    Raises:
        DataError: as :func:`class_rows`.
        ConfigError: no bins.

    Example:
        >>> calibration_error(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
        0.5
    """
    rows = class_rows(probabilities, target)
    return float(binned_gap(rows.confidence, rows.wrong, bins=bins))


def risk_coverage_area(probabilities: Tensor, target: Tensor, confidence: Tensor | None = None) -> float:
    """Area under the risk-coverage curve (AURC): how few errors the confident rows hold; see :func:`risk_area`.

    Args:
        probabilities: ``[B, C]``.
        target: ``[B]`` class indices.
        confidence: ``[B]``, larger on rows to trust more, in any unit; by default the largest probability.

    Raises:
        DataError: as :func:`class_rows`, or confidences that do not fit or are not finite.

    Example:
        >>> risk_coverage_area(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1]))  # (0/1 + 1/2) / 2
        0.25
    """
    return float(risk_area(*_ranked(probabilities, target, confidence)))


def excess_risk_coverage_area(probabilities: Tensor, target: Tensor, confidence: Tensor | None = None) -> float:
    """:func:`risk_coverage_area` above that of the best order of the same errors, all of them last (E-AURC)."""
    return float(excess_risk_area(*_ranked(probabilities, target, confidence)))


def crps(samples: Tensor, target: Tensor, *, fair: bool = True) -> Floats:
    """Continuous ranked probability score of each row, E abs(Y - y) - E abs(Y - Y') / 2; smaller is better.

    The second expectation is read from the sorted samples, sum_{i<j} (y_(j) - y_(i)) = sum_i (2i - S - 1) y_(i).
    The fair estimator divides it by S (S - 1): unbiased for the distribution the samples come from, and negative on
    some rows. Otherwise by S^2: the score of the S samples themselves.

    Args:
        samples: ``[S, B, C]``.
        target: ``[B, C]`` (or ``[B]`` when C = 1), in the same unit.
        fair: the unbiased estimator; needs S >= 2.

    Returns:
        ``[B, C]``, in the unit of the targets.

    Raises:
        DataError: shapes that do not fit, or values that are not finite.
        ConfigError: a fair estimate from one sample.

    Reference:
        Gneiting & Raftery 2007, eq. 21; Ferro 2014, Fair scores for ensemble forecasts.

    Example:
        >>> y, target = torch.tensor([[[0.0]], [[2.0]]]), torch.tensor([1.0])
        >>> crps(y, target).item(), crps(y, target, fair=False).item()
        (0.0, 0.5)
    """
    # scoringrules takes seconds to import (it compiles its kernels), and its fair estimator looks at all S^2 pairs
    x = finite("samples", samples)
    if x.ndim != 3:
        raise DataError(f"samples must be [S, B, C]; got {list(x.shape)}")
    s, rows, outputs = x.shape
    if fair and s < 2:
        raise ConfigError("the fair CRPS needs at least 2 samples; got 1: pass fair=False")
    y = finite("target", target)
    y = y[:, None] if y.ndim == outputs == 1 else y
    if y.shape != (rows, outputs):
        raise DataError(f"target must be {[rows, outputs]}; got {list(y.shape)}")
    x = np.sort(x - y, axis=0)  # about the target, so that a large mean cancels before it is multiplied
    rank = np.arange(1 - s, s, 2.0)  # 2i - S - 1
    return np.abs(x).mean(0) - np.tensordot(rank, x, 1) / (s * (s - 1 if fair else s))


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
        >>> from spikebayes.predictive import Draw
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
    """Two ``[B, C]`` ends: of a new observation where the noise is known, else of the network's output."""
    return side.interval(LEVEL) if side.noise_std is None else side.observation_interval(LEVEL)


def interval_name(side: Predictive) -> str:
    """What :func:`intervals` gives, in words."""
    return f"{LEVEL:.0%} {'model' if side.noise_std is None else 'observation'} interval"


def _probabilities(values: Tensor, axes: int) -> Floats:
    shape = "[B, C]" if axes == 2 else "[S, B, C]"
    if values.ndim != axes:
        raise DataError(f"class probabilities must be {shape}; got {list(values.shape)}")
    p = finite("class probabilities", values)
    off = float(np.abs(p.sum(-1) - 1).max())
    if off > 1e-3 or p.min() < 0:
        raise DataError(f"class probabilities must be 0 or more and sum to 1; a sum is off by {off:.3g}")
    return p


def _classes(target: Tensor, rows: int, classes: int) -> NDArray[np.int64]:
    if tuple(target.shape) != (rows,):
        raise DataError(f"target must be {[rows]} class indices; got {list(target.shape)}")
    y = finite("target", target)
    if y.min() < 0 or y.max() >= classes or (y != np.floor(y)).any():
        raise DataError(f"class indices must be whole, in 0..{classes - 1}; got {y.min():g} to {y.max():g}")
    return y.astype(np.int64)


def _ranked(probabilities: Tensor, target: Tensor, confidence: Tensor | None) -> tuple[ArrayLike, Floats]:
    rows = class_rows(probabilities, target)
    return rows.confidence if confidence is None else floats(confidence), rows.wrong
