"""What users of scikit-learn would take instead, with its defaults, and trees whose intervals are conformal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikebayes import Task

Floats = NDArray[np.float64]
Model = Callable[[], Any]
EPOCHS = 500  # of the MLP, and iterations of logistic regression, at most
MLP: dict[str, Any] = {"hidden_layer_sizes": (100, 100), "max_iter": EPOCHS, "random_state": 0}  # as wide as fit's


def _standardised(model: Any, **settings: Any) -> Any:
    return make_pipeline(StandardScaler(), model(**settings))


def _perceptron() -> Any:
    return TransformedTargetRegressor(_standardised(MLPRegressor, **MLP), transformer=StandardScaler())


RIVALS: dict[Task, dict[str, Model]] = {
    Task.REGRESSION: {
        "scikit-learn's MLP": _perceptron,
        "boosted trees": partial(HistGradientBoostingRegressor, random_state=0),
        "random forest": partial(RandomForestRegressor, random_state=0),
        "linear model": partial(_standardised, RidgeCV, alphas=np.logspace(-3, 3, 13)),
    },
    Task.CLASSIFICATION: {
        "scikit-learn's MLP": partial(_standardised, MLPClassifier, **MLP),
        "boosted trees": partial(HistGradientBoostingClassifier, random_state=0),
        "random forest": partial(RandomForestClassifier, random_state=0),
        "linear model": partial(_standardised, LogisticRegression, max_iter=EPOCHS),
    },
}


def predicted(model: Any, x: Floats, y: NDArray[Any], new: Floats) -> Floats:
    """``[R]`` values, or ``[R, K]`` probabilities of the K classes; ``y`` holds values, or class numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rival that has not quite converged is one all the same
        model.fit(x, y)
        if y.dtype.kind == "f":
            return model.predict(new)
        found = np.zeros((len(new), int(y.max()) + 1))
        found[:, model.classes_] = model.predict_proba(new)
    return found


def conformal_trees(
    x: Floats, y: Floats, known_x: Floats, known_y: Floats, new: Floats, coverage: float
) -> tuple[Floats, Floats]:
    """Boosted trees, with intervals of one width: split conformal prediction.

    Args:
        x, y: ``[B, F]`` and ``[B]`` to learn from.
        known_x, known_y: rows that calibrate.
        new: ``[R, F]``.
        coverage: of the intervals.

    Returns:
        Lower and upper ends, ``[R]`` each.

    Reference:
        Lei et al. 2018, Distribution-free predictive inference for regression, algorithm 2.
    """
    model = HistGradientBoostingRegressor(random_state=0).fit(x, y)
    half, middle = _least(np.abs(known_y - model.predict(known_x)), coverage), model.predict(new)
    return middle - half, middle + half


def quantile_trees(
    x: Floats, y: Floats, known_x: Floats, known_y: Floats, new: Floats, coverage: float
) -> tuple[Floats, Floats]:
    """Trees boosted for both quantiles, made conformal; arguments and result as of :func:`conformal_trees`.

    Reference:
        Romano, Patterson & Candès 2019, Conformalized quantile regression, algorithm 1.
    """
    tails = ((1 - coverage) / 2, (1 + coverage) / 2)
    models = [HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0).fit(x, y) for q in tails]
    low, high = (model.predict(known_x) for model in models)
    more = _least(np.maximum(low - known_y, known_y - high), coverage)
    low, high = (model.predict(new) for model in models)
    return low - more, high + more


CONFORMAL = {"conformal trees": conformal_trees, "conformal quantile trees": quantile_trees}


def _least(scores: Floats, coverage: float) -> float:
    """The score that so many of new ones stay below: the largest, where the rows are too few to say."""
    ranks = int(np.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[min(ranks, len(scores)) - 1])
