"""How good a prediction is against the targets: proper scores, calibration, ranking by uncertainty, intervals.

Every score is a function of one or two numbers per row (``row_scores.py``), of which :func:`class_rows` are those of
classes; one that is a mean over rows goes to ``bootstrap`` as ``np.mean`` of its rows. All sums are float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.prediction.predictive import Predictive, Task

Floats = NDArray[np.float64]

BINS = 15  # of the calibration error, as in Guo et al. 2017


@checked
def binned_gap(confidence: ArrayLike, wrong: ArrayLike, *, bins: int = BINS, axis: int = -1) -> Floats:
    """Gap between confidence and accuracy, sum_b (n_b / B) abs(accuracy_b - mean confidence_b).

    Bin b of M holds confidences in [b/M, (b+1)/M), the last one 1 too.

    Args:
        confidence: B numbers in [0, 1] along the axis.
        wrong: in the same shape, 1 where the prediction is wrong, 0 where it is right.
        bins: M.
        axis: of the rows.

    Returns:
        The error, without the axis.

    Raises:
        DataError: shapes that differ, no rows, values out of range.
        ConfigError: M < 1.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, eq. 3.

    Example:
        >>> binned_gap([0.0, 0.9, 1.0], [1, 0, 1], bins=2).round(3)  # (abs(0 - 0) + abs(1.9 - 1)) / 3
        np.float64(0.3)
    """
    # torchmetrics gives confidences of 1 a bin of their own, beside the last one
    if bins < 1:
        raise ConfigError(f"bins must be 1 or more; got {bins}")
    c, w = aligned(axis, confidence=confidence, wrong=wrong)
    if c.min() < 0 or c.max() > 1:
        raise DataError(f"confidence must lie in [0, 1]; got {c.min():g} to {c.max():g}")
    lead, sets = c.shape[:-1], math.prod(c.shape[:-1])
    place = np.minimum((c * bins).astype(np.int64), bins - 1).reshape(sets, -1)  # [sets, B]
    place += bins * np.arange(sets)[:, None]
    sums = np.bincount(place.ravel(), (c - 1 + w).ravel(), minlength=sets * bins)
    return np.abs(sums).reshape(*lead, bins).sum(-1) / c.shape[-1]


@checked
def risk_area(confidence: ArrayLike, wrong: ArrayLike, *, axis: int = -1) -> Floats:
    """Mean over k = 1..B of the error rate among the k most confident rows, (1/B) sum_k errors(k) / k.

    Rows of equal confidence count as the average over all their orders, so the order given does not matter:
    row i of rank r(i) has weight (1/B) sum_{k >= r(i)} 1/k, and tied rows share the mean of their weights.

    Args:
        confidence: B numbers along the axis, larger on rows to trust more.
        wrong: in the same shape, 1 where the prediction is wrong, 0 where it is right.
        axis: of the rows.

    Returns:
        The area, without the axis.

    Raises:
        DataError: shapes that differ, no rows, values that are not finite or errors other than 0 and 1.

    Reference:
        Geifman, Uziel & El-Yaniv 2019, Bias-reduced uncertainty estimation for deep neural classifiers, eq. 2.

    Example:
        >>> risk_area([3, 2, 1], [0, 0, 1]).round(3), risk_area([1, 1, 1], [0, 0, 1]).round(3)
        (np.float64(0.111), np.float64(0.333))
    """
    c, w = aligned(axis, confidence=confidence, wrong=wrong)
    rows = c.shape[-1]
    order = np.argsort(-c, axis=-1)
    c, w = np.take_along_axis(c, order, -1), np.take_along_axis(w, order, -1)  # [..., B], most confident first
    weights = np.cumsum(1 / np.arange(rows, 0, -1))[::-1] / rows
    upto = np.concatenate([[0.0], np.cumsum(weights)])  # [B + 1]
    new = c[..., 1:] != c[..., :-1]
    place = np.arange(rows)
    first, end = np.zeros(c.shape, np.int64), np.full(c.shape, rows)  # of the tied rows that a row is among
    first[..., 1:] = np.maximum.accumulate(np.where(new, place[1:], 0), -1)
    end[..., :-1] = np.minimum.accumulate(np.where(new, place[1:], rows)[..., ::-1], -1)[..., ::-1]
    return (w * (upto[end] - upto[first]) / (end - first)).sum(-1)


@checked
def excess_risk_area(confidence: ArrayLike, wrong: ArrayLike, *, axis: int = -1) -> Floats:
    """:func:`risk_area` less the least that these errors allow, where every right row is the more confident one.

    Example:
        >>> excess_risk_area([3, 2, 1], [0, 0, 1]), excess_risk_area([1, 2, 3], [0, 0, 1]).round(3)
        (np.float64(0.0), np.float64(0.5))
    """
    return risk_area(confidence, wrong, axis=axis) - risk_area(-floats(wrong), wrong, axis=axis)


@checked
def out_of_distribution_auroc(inside: ArrayLike, outside: ArrayLike, *, axis: int = -1) -> Floats:
    """P(an outside row is the more uncertain one), equal uncertainties counted half: the area under the ROC curve.

    Args:
        inside: uncertainties of N rows like those trained on, in any unit.
        outside: of M rows unlike them, along the same axis.
        axis: of the rows.

    Returns:
        The area, without the axis: 1 when every outside row is more uncertain, 1/2 when nothing tells them apart.

    Raises:
        DataError: no rows, other axes that differ, or values that are not finite.

    Reference:
        Hendrycks & Gimpel 2017; the Mann-Whitney statistic over N M.

    Example:
        >>> out_of_distribution_auroc([0.1, 0.2, 0.3], [0.3, 0.4])  # 5.5 of 6 pairs
        np.float64(0.9166666666666666)
    """
    a, b = (np.moveaxis(finite(n, v), axis, -1) for n, v in (("inside", inside), ("outside", outside)))
    if a.shape[:-1] != b.shape[:-1]:
        raise DataError(f"inside and outside may differ in rows only; got {list(a.shape)} and {list(b.shape)}")
    n, m = a.shape[-1], b.shape[-1]
    # roc_auc_score takes one resample at a time
    ranks = stats.rankdata(np.concatenate([a, b], -1), axis=-1)[..., n:]  # [..., M], ties the mean rank
    return (ranks.sum(-1) - m * (m + 1) / 2) / (n * m)


@checked
def rmse(prediction: ArrayLike, target: ArrayLike, *, axis: int = 0) -> Floats:
    """Root of the mean squared error over the rows along an axis, in the targets' unit.

    Example:
        >>> rmse([1.0, 2.0], [1.0, 4.0]).round(3)
        np.float64(1.414)
    """
    a, y = aligned(axis, prediction=prediction, target=target)
    return np.sqrt(((a - y) ** 2).mean(-1))


@checked
def r_squared(prediction: ArrayLike, target: ArrayLike, *, axis: int = 0) -> Floats:
    """Share of the targets' variance that is explained, 1 - SSE / SST; NaN where targets are constant.

    Example:
        >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 6.0]).round(3)  # 1 - 9 / 14
        np.float64(0.357)
    """
    # scikit-learn's is 0, 1 or -inf for constant targets, and warns of a single row
    a, y = aligned(axis, prediction=prediction, target=target)
    square, total = ((a - y) ** 2).sum(-1), ((y - y.mean(-1, keepdims=True)) ** 2).sum(-1)
    constant = np.ptp(y, axis=-1) == 0  # the mean of equal values may be off by a rounding
    return np.where(constant, np.nan, 1 - square / np.where(constant, 1.0, total))[()]


@checked
def coverage(lower: ArrayLike, upper: ArrayLike, target: ArrayLike, *, axis: int = 0) -> Floats:
    """Share of the rows along an axis whose target lies in [lower, upper].

    Example:
        >>> coverage([0, 0], [1, 1], [1, 2])
        np.float64(0.5)
    """
    low, high, y = aligned(axis, lower=lower, upper=upper, target=target)
    return ((low <= y) & (y <= high)).mean(-1)


def floats(values: ArrayLike | Tensor) -> Floats:
    """As a float64 array."""
    if isinstance(values, Tensor):
        return values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def finite(name: str, values: ArrayLike | Tensor) -> Floats:
    """As a float64 array of one row or more, all finite (DataError)."""
    found = floats(values)
    if found.ndim == 0 or 0 in found.shape:
        raise DataError(f"{name} must hold 1 row or more; got shape {list(found.shape)}")
    if not np.isfinite(found).all():
        raise DataError(f"{name}: {int((~np.isfinite(found)).sum())} of {found.size} values are NaN or infinite")
    return found


def aligned(axis: int, **values: ArrayLike | Tensor) -> list[Floats]:
    """Arrays of one shape, their rows last; errors are 0 or 1."""
    found = {name: finite(name, given) for name, given in values.items()}
    shapes = {name: list(array.shape) for name, array in found.items()}
    if len({array.shape for array in found.values()}) > 1:
        raise DataError(f"one shape is needed; got {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
    if "wrong" in found and not np.isin(found["wrong"], (0, 1)).all():
        raise DataError("wrong must be 1 where a prediction is wrong and 0 where it is right; got other values")
    return [np.moveaxis(array, axis, -1) for array in found.values()]


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


@checked
def excess_risk_coverage_area(probabilities: Tensor, target: Tensor, confidence: Tensor | None = None) -> float:
    """:func:`risk_coverage_area` above that of the best order of the same errors, all of them last (E-AURC)."""
    return float(excess_risk_area(*_ranked(probabilities, target, confidence)))


@checked
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
