"""Scores that are functions of one or two numbers per row: calibration, ranking by uncertainty, errors, intervals.

One that is a mean over rows goes to ``bootstrap`` as ``np.mean`` of its rows. All sums are float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.arrays import Floats, aligned, finite, floats, rows_last
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.machine.numbers import check_count

BINS = 15  # of the calibration error, as in Guo et al. 2017
MOST_BINS = 1 << 20


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
    check_count("bins", bins, 1, MOST_BINS, "with few rows a bin, a gap is mostly chance")
    c, w = aligned(axis, confidence=confidence, wrong=wrong)
    if c.min() < 0 or c.max() > 1:
        raise DataError(f"confidence must lie in [0, 1]; got {c.min():g} to {c.max():g}")
    lead, sets = c.shape[:-1], math.prod(c.shape[:-1])
    check_size("bins of sets", bins, sets)
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
    a, b = (rows_last(finite(n, v), axis) for n, v in (("inside", inside), ("outside", outside)))
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
        >>> import torch
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
