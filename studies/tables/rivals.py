"""What users of scikit-learn would take instead, with its defaults, and trees whose intervals are conformal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from spikebayes import Task
from spikebayes.evaluate.baselines import predicted

Floats = NDArray[np.float64]
HIDDEN = (100, 100)  # those of spikebayes fit; scikit-learn's default of one layer is behind on most tables
EPOCHS = 500  # at most


def multilayer_perceptron(x: Tensor, y: Tensor, new: Tensor, task: Task) -> Floats:
    """scikit-learn's, of standardised inputs and targets."""
    kind = MLPClassifier if task is Task.CLASSIFICATION else MLPRegressor
    model = make_pipeline(StandardScaler(), kind(hidden_layer_sizes=HIDDEN, max_iter=EPOCHS, random_state=0))
    if task is Task.REGRESSION:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return predicted(model, x, y, new, task)


def random_forest(x: Tensor, y: Tensor, new: Tensor, task: Task) -> Floats:
    """scikit-learn's."""
    kind = RandomForestClassifier if task is Task.CLASSIFICATION else RandomForestRegressor
    return predicted(kind(random_state=0), x, y, new, task)


def conformal_trees(
    x: Tensor, y: Tensor, known_x: Tensor, known_y: Tensor, new: Tensor, coverage: float
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
    model = HistGradientBoostingRegressor(random_state=0).fit(x.double().numpy(), y.double().numpy())
    errors = np.abs(known_y.double().numpy() - model.predict(known_x.double().numpy()))
    middle, half = model.predict(new.double().numpy()), _least(errors, coverage)
    return middle - half, middle + half


def quantile_trees(
    x: Tensor, y: Tensor, known_x: Tensor, known_y: Tensor, new: Tensor, coverage: float
) -> tuple[Floats, Floats]:
    """Trees boosted for both quantiles, made conformal; arguments and result as of :func:`conformal_trees`.

    Reference:
        Romano, Patterson & Candès 2019, Conformalized quantile regression, algorithm 1.
    """
    tails = ((1 - coverage) / 2, (1 + coverage) / 2)
    models = [
        HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0).fit(
            x.double().numpy(), y.double().numpy()
        )
        for q in tails
    ]
    low, high = (model.predict(known_x.double().numpy()) for model in models)
    target = known_y.double().numpy()
    more = _least(np.maximum(low - target, target - high), coverage)
    low, high = (model.predict(new.double().numpy()) for model in models)
    return low - more, high + more


def _least(scores: Floats, coverage: float) -> float:
    """The score that so many of new ones stay below: the largest, where the rows are too few to say."""
    ranks = int(np.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[min(ranks, len(scores)) - 1])
