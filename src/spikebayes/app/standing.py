"""Standing: a trained run beside its simplest rivals, on rows of its table that nobody learned from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from spikebayes.app.table_run import TableRun
from spikebayes.app.table_task import TableTask
from spikebayes.errors import StoreError
from spikebayes.evaluate.arrays import Floats
from spikebayes.evaluate.baselines import boosted_trees, linear_model
from spikebayes.evaluate.class_scores import class_rows
from spikebayes.evaluate.row_scores import r_squared, rmse
from spikebayes.machine.aligned import aligned
from spikebayes.machine.evenly import evenly
from spikebayes.machine.fields import check_fields
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task
from spikebayes.training.calibration_rows import SHARE, set_apart
from spikebayes.training.fitted import SAMPLES, VALIDATION_SEED

ENOUGH, LEAST = 30, 10  # calibration rows that are judged alone; and rows at all, or nothing is said
JUDGED, LEARNED = 1000, 10_000  # most rows
WORK = 10_000_000  # rows x inputs x outputs that rivals learn from, at most
SMALLEST = 500  # rows: rivals that could learn from fewer of a longer table would be none
LEVEL = 0.01  # of the test whether a network loses to the linear model
KEY = "standing"  # in the history of a run
NETWORK, TWIN, LINEAR, TREES = "network", "spiking twin", "linear model", "boosted trees"
ONE = "first member's twin"  # beside those of all members together
Scores = TypeVar("Scores")


@dataclass(frozen=True)
class Standing:
    """Scores of a network, its spiking twin, a linear model and boosted trees on the same held-out rows.

    Args:
        rows: how many are judged.
        chose: whether some of them chose the network's weights, which flatters it.
        learned: rows that linear model and trees learned from; fewer than the network did, if the table is long.
        trained: rows that the network did.
        scores: by name of the score, then of the model.
        chance: of the network and its twin, how probably chance alone lets it lose to the linear model by so much (p
            of a paired one-sided t test on squared errors, of classes on Brier scores).
    """

    rows: int
    chose: bool
    learned: int
    trained: int
    scores: dict[str, dict[str, float | None]]
    chance: dict[str, float]

    def __str__(self) -> str:
        origin = "held out, some of which chose its weights" if self.chose else "not used to choose its weights"
        models = list(next(iter(self.scores.values())))
        lines = [["", *models]]
        lines += [[name, *(_number(by_model[model]) for model in models)] for name, by_model in self.scores.items()]
        text = [f"on {self.rows} rows {origin}:", *(f"  {line}" for line in aligned(lines))]
        if self.learned < self.trained:
            text.append(f"the linear model and the trees learned from {self.learned} of {self.trained} rows")
        return "\n".join([*text, *self.warnings])

    @property
    def warnings(self) -> list[str]:
        """What speaks against the network: that it loses to the linear model, by more than chance."""
        behind = [name for name, p in self.chance.items() if p < LEVEL]
        if not behind:
            return []
        chance = max(self.chance[name] for name in behind)
        return [
            f"warning: the {' and its '.join(behind)} predict{'' if len(behind) > 1 else 's'} worse than the linear "
            f"model, beyond chance (p = {chance:.1g}); more --epochs, other --hidden or another --network may help, "
            "else take the linear model"
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Standing:
        """What :meth:`to_dict` made.

        Raises:
            StoreError: something is missing, or of another kind.
        """
        return read_scores(cls, stored)


def read_scores(kind: type[Scores], stored: Mapping[str, Any]) -> Scores:
    """Scores as the history of a run has them (StoreError if something is missing, or of another kind)."""
    try:
        check_fields(kind, stored)
        return kind(**stored)
    except (TypeError, StoreError) as error:
        raise StoreError(f"the stored scores are damaged: {error}") from error


def standing(run: TableRun, task: TableTask) -> Standing | str:
    """Judge a run just trained on a table; or say why that cannot be done.

    The rows are those that calibrate, which chose nothing, if they are 30 or more, else all that were held out; at
    most 1,000. The rivals learn from the encoded rows that the network was trained on, weighted alike, of
    10,000 at most.
    """
    apart = set_apart((task.held,), SHARE)[1]
    unseen = apart is not None and len(apart[0]) >= ENOUGH
    judged = _some(apart[0] if apart is not None and unseen else task.held, JUDGED)
    if min(len(judged), len(task.train)) < LEAST:
        few = f"{len(task.train)} rows are trained on and {len(task.held)} held out"
        return f"{few}: too few to say whether the network is any good"
    train = task.train if task.weights is None else task.train[task.weights[task.train] > 0]
    most = WORK // (task.x.shape[1] * len(run.schema.output_names))
    learned = _some(train, min(LEARNED, most))
    if len(learned) < min(len(train), SMALLEST):
        return "the table is too wide to be learned by a linear model and trees beside: there is nothing to compare"
    classes = run.schema.task is Task.CLASSIFICATION
    if classes and len(task.y[learned].unique()) < 2:
        return "the training rows are of one class: there is nothing to compare"
    new, target = task.x[judged], task.y[judged]
    means, _ = _means(run, task, learned, new)
    losses = {name: _losses(mean, target, classes) for name, mean in means.items()}
    return Standing(
        rows=len(judged),
        chose=not unseen,
        learned=len(learned),
        trained=len(train),
        scores=_scores(run, means, target),
        chance={name: _by_chance(losses[name] - losses[LINEAR]) for name in (NETWORK, TWIN)},
    )


def scores_beside(
    run: TableRun, task: TableTask, learned: Tensor, new: Tensor, target: Tensor
) -> tuple[dict[str, dict[str, float | None]], Predictive]:
    """Scores by name, then by model, on encoded rows; rivals learn from rows of the task.

    Args:
        run: trained on the task.
        learned: row numbers. new, target: what to predict.

    Returns:
        The scores, and what the spiking twin predicts.
    """
    means, twin = _means(run, task, learned, new)
    return _scores(run, means, target), twin


def _means(run: TableRun, task: TableTask, learned: Tensor, new: Tensor) -> tuple[dict[str, Tensor], Predictive]:
    """``[R, C]`` means or probabilities by model, and what the spiking twin predicts."""
    settings: dict[str, Any] = {"samples": max(SAMPLES, task.members), "seed": VALIDATION_SEED + 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of conversion and inputs, said to who converts and predicts
        twin = run.predict_encoded(new, run.network(), **settings)
        means = {NETWORK: run.predict_encoded(new, None, **settings).mean, TWIN: twin.mean}
        if run.ensemble is not None:
            means[ONE] = run.fitted.predict(new, network=run.fitted.network(), **settings).mean
    weights = None if task.weights is None else task.weights[learned]
    for name, rival in ((LINEAR, linear_model), (TREES, boosted_trees)):
        found = rival(task.x[learned], task.y[learned], new, run.schema.task, weights)
        if run.schema.task is Task.CLASSIFICATION:
            found = np.pad(found, ((0, 0), (0, len(run.schema.classes) - found.shape[1])))
        means[name] = torch.from_numpy(found)
    return {name: mean.double() for name, mean in means.items()}, twin


def _some(rows: Tensor, most: int) -> Tensor:
    """Evenly from all of them."""
    return rows if len(rows) <= most else rows[evenly(len(rows), max(1, most))]


def _losses(mean: Tensor, target: Tensor, classes: bool) -> Floats:
    """``[B]``: Brier scores, or squared errors in units of each output's variance, summed."""
    if classes:
        return class_rows(mean, target).brier
    unit = target.double().std(0)
    return ((mean - target) / torch.where(unit > 0, unit, 1.0)).square().sum(1).numpy()


def _scores(run: TableRun, means: Mapping[str, Tensor], target: Tensor) -> dict[str, dict[str, float | None]]:
    if run.schema.task is Task.CLASSIFICATION:
        return _class_scores(means, target)
    return _value_scores(means, target, run.schema.output_names)


def _class_scores(means: Mapping[str, Tensor], target: Tensor) -> dict[str, dict[str, float | None]]:
    rows = {name: class_rows(mean, target) for name, mean in means.items()}
    return {
        "accuracy": {name: 1 - float(each.wrong.mean()) for name, each in rows.items()},
        "log loss (nats)": {name: float(each.log_loss.mean()) for name, each in rows.items()},
        "Brier score": {name: float(each.brier.mean()) for name, each in rows.items()},
    }


def _value_scores(
    means: Mapping[str, Tensor], target: Tensor, outputs: tuple[str, ...]
) -> dict[str, dict[str, float | None]]:
    found = {}
    for c, output in enumerate(outputs):
        of = f" of {output}" if len(outputs) > 1 else ""
        for score, compute in (("RMSE", rmse), ("R²", r_squared)):
            values = {name: float(compute(mean[:, c], target[:, c])) for name, mean in means.items()}
            found[score + of] = {name: value if np.isfinite(value) else None for name, value in values.items()}
    return found


def _by_chance(more: Floats) -> float:
    """P of a mean difference as large or larger, if the expected one is 0: one-sided t test."""
    error = more.std(ddof=1) / np.sqrt(len(more))
    if error == 0:
        return float(more.mean() <= 0)
    return float(stats.t.sf(more.mean() / error, len(more) - 1))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
