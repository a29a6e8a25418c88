"""Tables that say for which rows a prediction holds what it says: coverage by group, risk by coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from spikebayes.errors import DataError
from spikebayes.evaluate.arrays import aligned
from spikebayes.machine.arguments import checked
from spikebayes.machine.extras import needed
from spikebayes.machine.numbers import check_count
from spikebayes.prediction.predictive import COVERAGE, Predictive
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    import pandas as pd


@checked
def coverage_by_group(
    prediction: Predictive,
    target: Tensor | np.ndarray,
    groups: Any = None,
    *,
    coverage: float = COVERAGE,
    bins: int = 5,
) -> pd.DataFrame:
    """How often intervals, or sets of classes, contain what was observed, group by group.

    A good coverage over all rows may hide groups with too much and groups with too little.

    Args:
        prediction: ``[S, B, C]``, of rows that neither trained nor calibrated it.
        target: as for :meth:`Predictive.log_likelihood`.
        groups: ``[B]`` levels of a column, as they are named; None groups by the predicted std (of classes, the
            entropy) into ``bins`` of equal size, the surest first.
        coverage: of the intervals or sets.
        bins: 5 are quintiles.

    Returns:
        A line for each group and output: ``output`` (of values), ``group``, ``rows``, ``coverage``, its 95 % bounds
        ``lowest`` and ``highest`` (Clopper & Pearson 1934), and ``width``, the mean one (of a set, its classes).

    Raises:
        DataError: a target or groups that do not fit.

    Example:
        >>> import torch
        >>> from spikebayes.prediction.draw import Draw
        >>> p = Predictive(torch.tensor([[[-1.0], [-1]], [[1], [1]]]), Draw(0, "row", torch.arange(2)))
        >>> coverage_by_group(p, torch.tensor([0.0, 5.0]), ["a", "b"])[["group", "rows", "coverage"]]
          group  rows  coverage
        0     a     1       1.0
        1     b     1       0.0
    """
    pd = needed("pandas", "coverage_by_group")
    check_count("bins", bins, 1)
    rows = len(prediction.draw.rows)
    observed = prediction.observed(target)
    if prediction.task is Task.CLASSIFICATION:
        sets = prediction.sets(coverage)
        holds = sets.gather(1, observed.long()[:, None])
        width, unsure = sets.sum(1, keepdim=True), prediction.entropy[:, None]
    else:
        lower, upper = prediction.interval(coverage)
        holds = (lower <= observed) & (observed <= upper)
        width, unsure = upper - lower, prediction.std
    if groups is not None and np.shape(groups) != (rows,):
        raise DataError(f"groups must be [{rows}], a level for each row; got {list(np.shape(groups))}")
    found = []
    for c in range(holds.shape[1]):
        if groups is None:
            place = np.empty(rows, np.int64)
            place[np.argsort(unsure[:, c].numpy(), kind="stable")] = np.arange(rows) * min(bins, rows) // rows
            levels = pd.Series(place + 1)
        else:
            levels = pd.Series(np.asarray(groups))
        table = pd.DataFrame({"held": holds[:, c].numpy(), "width": width[:, c].double().numpy()})
        by = table.groupby(levels.to_numpy(), dropna=False, sort=True)
        part = by.agg(rows=("held", "size"), coverage=("held", "mean"), width=("width", "mean"))
        k, n = part["coverage"] * part["rows"], part["rows"]
        bounds = [np.where(k > 0, stats.beta.ppf(0.025, k, n - k + 1), 0.0)]
        bounds += [np.where(k < n, stats.beta.ppf(0.975, k + 1, n - k), 1.0)]
        part = part.rename_axis("group").reset_index()
        part.insert(3, "lowest", bounds[0])
        part.insert(4, "highest", bounds[1])
        if prediction.task is Task.REGRESSION:
            part.insert(0, "output", prediction.names[c])
        found.append(part)
    return pd.concat(found, ignore_index=True)


@checked
def risk_coverage_curve(confidence: ArrayLike, wrong: ArrayLike) -> pd.DataFrame:
    """Share of rows answered, and risk of the answers, for each confidence from which on answers are given.

    Args:
        confidence: ``[B]``, larger on rows to trust more.
        wrong: ``[B]``, 1 where the answer is wrong, 0 where it is right; or any loss, of which the risk is the mean.

    Returns:
        A line for each confidence that occurs, the highest first: ``confidence``, ``coverage``, ``risk``.

    Raises:
        DataError: shapes that differ, no rows, or values that are not finite.

    Reference:
        El-Yaniv & Wiener 2010, On the foundations of noise-free selective classification.

    Example:
        >>> risk_coverage_curve([3, 2, 2, 1], [0, 0, 1, 1]).round(3)
           confidence  coverage   risk
        0         3.0      0.25  0.000
        1         2.0      0.75  0.333
        2         1.0      1.00  0.500
    """
    pd = needed("pandas", "risk_coverage_curve")
    c, w = aligned(-1, confidence=confidence, loss=wrong)
    if c.ndim != 1:
        raise DataError(f"confidence must be [B]; got {list(c.shape)}")
    order = np.argsort(-c, kind="stable")
    c, count = c[order], np.arange(1, len(c) + 1)
    last = np.append(c[1:] != c[:-1], True)
    risk = np.cumsum(w[order]) / count
    return pd.DataFrame({"confidence": c[last], "coverage": count[last] / len(c), "risk": risk[last]})
