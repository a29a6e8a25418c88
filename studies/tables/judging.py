"""One split of one table: the network that ``fit`` trains with its defaults, its spiking twin, and their rivals."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes import Predictive, Task
from spikebayes.app.fit_command import fit_run
from spikebayes.app.table_run import TableRun, TableTask, prepare_table, train_table
from spikebayes.data.encoding import encode_features
from spikebayes.evaluate.baselines import boosted_trees, linear_model
from spikebayes.evaluate.class_scores import class_rows
from spikebayes.evaluate.groups import coverage_by_group
from spikebayes.evaluate.scores import scores
from spikebayes.training.calibration_rows import SHARE, set_apart
from studies.tables.rivals import conformal_trees, multilayer_perceptron, quantile_trees, random_forest
from studies.tables.sets import Table, load
from studies.tables.settings import Settings

Rival = Callable[[Tensor, Tensor, Tensor, Task], NDArray[np.float64]]
NETWORK, TWIN = "network", "spiking twin"
RIVALS: dict[str, Rival] = {
    "scikit-learn's MLP": multilayer_perceptron,
    "boosted trees": boosted_trees,
    "random forest": random_forest,
    "linear model": linear_model,
}
CONFORMAL = {"conformal trees": conformal_trees, "conformal quantile trees": quantile_trees}
TRAINING = ("epochs", "batch_size", "learning_rate", "weight_decay", "patience")


def judge(name: str, split: int, settings: Settings, data: Path) -> dict[str, Any]:
    """Scores of all models on the test rows of a split, and what intervals or sets of both networks hold.

    Returns:
        ``rows``: trained on, test. ``score``: RMSE or accuracy by model, and of classes ``log_loss``. ``held``: what
        intervals or sets hold, by network and conformal trees. ``seconds`` of the training.
    """
    torch.set_num_threads(1)
    table = load(name, data)
    train, test = parts(table, split, settings)
    task = task_of(name, settings)
    started = time.perf_counter()
    run, made = trained(train, table.target, {"seed": split, "task": task})
    seconds = time.perf_counter() - started
    y = run.targets(test)
    assert y is not None
    sides = predictions(run, test, settings, split)
    new = encode_features(test, run.schema)
    learned, target = made.x[made.train], made.y[made.train]
    rivals = {rival: torch.from_numpy(predict(learned, target, new, task)) for rival, predict in RIVALS.items()}
    if task is Task.CLASSIFICATION:
        rivals = {rival: _all_classes(p, len(run.schema.classes)) for rival, p in rivals.items()}
    else:
        rivals = {rival: run.in_units(mean) for rival, mean in rivals.items()}
    found = {
        "rows": [len(train), len(test)],
        **_scores({**{n: side.mean for n, side in sides.items()}, **rivals}, y, task),
        "held": {side: _held(p, y, settings.coverage) for side, p in sides.items()},
        "seconds": seconds,
    }
    if task is Task.REGRESSION:
        chosen, apart = set_apart((made.held,), SHARE)
        known = made.held if apart is None else apart[0]  # the rows that calibrate the network calibrate the trees
        fits = made.train if apart is None else torch.cat([made.train, chosen[0]])
        calibrated = (made.x[fits], made.y[fits, 0], made.x[known], made.y[known, 0], new, settings.coverage)
        for rival, intervals in CONFORMAL.items():
            low, high = (run.in_units(torch.from_numpy(end)[:, None]) for end in intervals(*calibrated))
            holds = (low <= y) & (y <= high)
            found["held"][rival] = {"coverage": float(holds.double().mean()), "width": float((high - low).mean())}
    return found


def parts(table: Table, split: int, settings: Settings) -> tuple[Any, Any]:
    """Training and test rows of a split."""
    order = np.random.default_rng(split).permutation(len(table.rows))[: settings.most]
    count = round(settings.test * len(order))
    train, test = (table.rows.iloc[rows].reset_index(drop=True) for rows in (order[count:], order[:count]))
    return train, test


def task_of(name: str, settings: Settings) -> Task:
    """What a table is for."""
    return Task.CLASSIFICATION if name in settings.classes else Task.REGRESSION


def trained(train: Any, target: str, given: Mapping[str, Any]) -> tuple[TableRun, TableTask]:
    """As ``spikebayes fit`` does, with its defaults but for what is given."""
    defaults = {n: p.default for n, p in inspect.signature(fit_run).parameters.items()}
    options = {n: given.get(n, defaults[n]) for n in ("hidden", "dropout", "validation", "noise", "seed", *TRAINING)}
    training = {n: options.pop(n) for n in TRAINING}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few rows and the like, said to who fits
        made = prepare_table(train, target, task=given["task"], **options)
        return train_table(made, **training), made


def predictions(run: TableRun, test: Any, settings: Settings, seed: int) -> dict[str, Predictive]:
    """Those of both networks."""
    budget = {"samples": settings.samples, "seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return {n: run.predict(test, network=k, **budget) for n, k in ((NETWORK, None), (TWIN, run.network()))}


def _all_classes(found: Tensor, count: int) -> Tensor:
    """``[B, K]``: classes that no training row has get 0."""
    return torch.nn.functional.pad(found, (0, count - found.shape[1]))


def _scores(means: Mapping[str, Tensor], y: Tensor, task: Task) -> dict[str, Any]:
    if task is Task.REGRESSION:
        return {"score": {n: float((mean.double() - y.double()).square().mean().sqrt()) for n, mean in means.items()}}
    rows = {n: class_rows(mean, y) for n, mean in means.items()}
    return {
        "score": {n: 1 - float(each.wrong.mean()) for n, each in rows.items()},
        "log_loss": {n: float(each.log_loss.mean()) for n, each in rows.items()},
    }


def _held(side: Predictive, y: Tensor, coverage: float) -> dict[str, Any]:
    """Coverage and width of intervals or sets, in all and by fifths; the likelihood of observations."""
    groups = coverage_by_group(side, y, coverage=coverage)
    rows = groups["rows"].to_numpy()
    found = scores(side, y, coverage)
    likelihood = found.get("Mean log-likelihood (nats)", -found.get("Negative log-likelihood (nats)", np.nan))
    return {
        "coverage": float((groups["coverage"] * rows).sum() / rows.sum()),
        "width": float((groups["width"] * rows).sum() / rows.sum()),
        "fifths": [[int(r), float(c)] for r, c in zip(rows, groups["coverage"], strict=True)],
        "log_likelihood": likelihood,
    }
