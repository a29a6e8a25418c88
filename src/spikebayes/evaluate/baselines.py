"""What the simplest rivals of a network predict: a linear model and boosted trees, with scikit-learn's defaults."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.evaluate.arrays import Floats
from spikebayes.machine.extras import needed
from spikebayes.prediction.task import Task

PENALTIES = np.logspace(-3, 3, 13)  # of ridge regression, which takes what predicts left-out rows best
ITERATIONS = 1000  # of logistic regression, at most


def linear_model(x: Tensor, y: Tensor, new: Tensor, task: Task, weights: Tensor | None = None) -> Floats:
    """Ridge regression, its penalty by leaving rows out; of classes logistic regression.

    Args:
        x: ``[B, F]`` inputs to learn from; they are standardised.
        y: ``[B, C]`` targets, or ``[B]`` class indices, of at least two classes.
        new: ``[R, F]`` inputs to predict.
        task: regression or classification.
        weights: ``[B]``, how much each row counts.

    Returns:
        ``[R, C]`` targets, or ``[R, K]`` probabilities of the classes 0 to the largest that occurs.

    Reference:
        Hastie, Tibshirani & Friedman 2009, sections 3.4.1 and 4.4.

    Example:
        >>> import torch
        >>> x = torch.linspace(0, 1, 20)[:, None]
        >>> linear_model(x, 3 * x, torch.tensor([[2.0]]), Task.REGRESSION).round(2)
        array([[6.]])
    """
    needed("sklearn", "a linear model")
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task is Task.CLASSIFICATION:
        model, name = LogisticRegression(max_iter=ITERATIONS), "logisticregression"
    else:
        model, name = RidgeCV(PENALTIES, alpha_per_target=y.shape[1] > 1), "ridgecv"
    return _predicted(make_pipeline(StandardScaler(), model), x, y, new, task, weights, f"{name}__sample_weight")


def boosted_trees(x: Tensor, y: Tensor, new: Tensor, task: Task, weights: Tensor | None = None) -> Floats:
    """Histogram-based gradient boosting; arguments and result as of :func:`linear_model`.

    A class of one row is left out, unless fewer than two others are left: scikit-learn's steps for it grow without
    bounds and spoil the other classes, and of more than 10,000 rows it cannot hold one out of each class.

    Reference:
        Ke et al. 2017, LightGBM.
    """
    needed("sklearn", "a model of boosted trees")
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if task is Task.CLASSIFICATION:
        counts = _of_classes_with_rows(y)
        some = x[counts], y[counts], new, task, None if weights is None else weights[counts]
        stops: Any = "auto" if _can_be_held_out(y[counts]) else False
        trees = HistGradientBoostingClassifier(random_state=0, early_stopping=stops)
        found = _predicted(trees, *some, "sample_weight")
        return np.pad(found, ((0, 0), (0, int(y.max()) + 1 - found.shape[1])))
    parts = [
        _predicted(HistGradientBoostingRegressor(random_state=0), x, column, new, task, weights, "sample_weight")
        for column in y.T
    ]
    return np.concatenate(parts, 1)


def _of_classes_with_rows(y: Tensor) -> Tensor:
    """``[B]`` bool, rows that are not the only one of their class; all, if fewer than two classes had more."""
    rows = torch.bincount(y)
    return rows[y] > (1 if int((rows > 1).sum()) > 1 else 0)


def _can_be_held_out(y: Tensor) -> bool:
    """Whether a tenth of the rows, some of each class: of two rows or more each, and not too many classes for it."""
    rows = y.unique(return_counts=True)[1]
    return int(rows.min()) > 1 and 10 * len(rows) <= len(y)


def _predicted(
    model: Any, x: Tensor, y: Tensor, new: Tensor, task: Task, weights: Tensor | None, weighted: str
) -> Floats:
    """Fit and predict in float64; ``weighted`` is what fit calls the weights."""
    counts = {} if weights is None else {weighted: weights.double().numpy()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rival that has not quite converged is one all the same
        model.fit(x.double().numpy(), y.double().numpy() if task is Task.REGRESSION else y.numpy(), **counts)
        if task is Task.REGRESSION:
            return model.predict(new.double().numpy()).reshape(len(new), -1)  # [R, C], of one output too
        found = model.predict_proba(new.double().numpy())
    probabilities = np.zeros((len(new), int(model.classes_.max()) + 1))
    probabilities[:, model.classes_] = found
    return probabilities
