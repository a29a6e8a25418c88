"""How good class probabilities are: proper scores, calibration, ranking by confidence.

:func:`class_rows` gives the numbers per row that they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spikebayes.errors import DataError
from spikebayes.evaluate.arrays import Floats, finite, floats
from spikebayes.evaluate.row_scores import BINS, binned_gap, excess_risk_area, risk_area
from spikebayes.machine.arguments import checked


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


@checked
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


@checked
def error_rate(probabilities: Tensor, target: Tensor) -> float:
    """Share of rows whose most probable class is not the target; arguments as in :func:`class_rows`."""
    return float(class_rows(probabilities, target).wrong.mean())


@checked
def negative_log_likelihood(probabilities: Tensor, target: Tensor) -> float:
    """Mean of -log p(target) in nats, floored as in :meth:`Predictive.log_likelihood`; see :func:`class_rows`."""
    return float(class_rows(probabilities, target).log_loss.mean())


@checked
def brier(probabilities: Tensor, target: Tensor) -> float:
    """Mean over rows of sum_c (p_c - [c = target])^2 (Brier 1950); arguments as in :func:`class_rows`."""
    return float(class_rows(probabilities, target).brier.mean())


@checked
def single_sample_error(samples: Tensor, target: Tensor) -> float:
    """Error rate of one sample by itself, averaged over samples; averaging their probabilities improves on it.

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


@checked
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


@checked
def risk_coverage_area(probabilities: Tensor, target: Tensor, confidence: Tensor | None = None) -> float:
    """Area under the risk-coverage curve (AURC): small if the confident rows have few errors; see :func:`risk_area`.

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


@checked
def excess_risk_coverage_area(probabilities: Tensor, target: Tensor, confidence: Tensor | None = None) -> float:
    """:func:`risk_coverage_area` above that of the best order of the same errors, all of them last (E-AURC)."""
    return float(excess_risk_area(*_ranked(probabilities, target, confidence)))


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
