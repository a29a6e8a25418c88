"""Simpler models on the same rows: linear ones and trees, a setting of theirs chosen on the validation rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from studies.growth.settings import Settings
from studies.wycoff2019.learning import Task, boosted_trees, scores

STRENGTHS = np.logspace(-1, 5, 13).tolist()  # of the ridge penalty
FOREST = 100  # trees of it


def rivals(task: Task, settings: Settings, seed: int) -> dict[str, dict[str, float]]:
    """R2, MAE and Pearson's r on the test rows, by model."""
    found = {
        "ridge on the features": _ridge(task, features(task)),
        "ridge on the identities": _ridge(task, identities(task)),
    }
    for name in ("components", "identities"):
        each = [
            boosted_trees(task, settings.learning, seed, min_samples_leaf=leaf)[name]
            for leaf in settings.smallest_leaves
        ]
        best = max(each, key=lambda one: one["validation"]["mean"]["r2"])
        found[f"boosted trees on {'the identities' if name == 'identities' else name}"] = best["test"]["mean"]
    split, columns, truth = task.split, identities(task), task.data.target[:, 0].numpy()
    forest = RandomForestRegressor(FOREST, random_state=seed).fit(columns[split.train], truth[split.train])
    found["random forest on the identities"] = scores(truth[split.test], forest.predict(columns[split.test]))
    return found


def features(task: Task) -> NDArray[np.float64]:
    """``[N, columns]``: what the network sees, of the cell line and of either drug, side by side."""
    return torch.cat(task.tables.inputs(torch.arange(len(task.data))), 1).double().numpy()


def identities(task: Task) -> NDArray[np.float64]:
    """``[N, cells + drugs]``: 1 for the row's cell line and for its drugs, whichever comes first."""
    index, cells = task.data.index.numpy(), len(task.data.cells)
    made, row = np.zeros((len(index), cells + len(task.data.drugs))), np.arange(len(index))
    made[row, index[:, 0]] = 1
    for side in (1, 2):
        made[row, cells + index[:, side]] += 1
    return made


def _ridge(task: Task, columns: NDArray[np.float64]) -> dict[str, float]:
    split, truth = task.split, task.data.target[:, 0].double().numpy()
    train, held, test = (rows.numpy() for rows in (split.train, split.validation, split.test))
    fitted = [Ridge(strength).fit(columns[train], truth[train]) for strength in STRENGTHS]
    best = max(fitted, key=lambda model: model.score(columns[held], truth[held]))
    return scores(truth[test], best.predict(columns[test]))
