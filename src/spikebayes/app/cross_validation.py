"""Cross-validation: every row of a table is predicted by a network that did not learn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spikebayes.app.standing import TWIN, read_scores, scores_beside
from spikebayes.app.table_run import train_table
from spikebayes.app.table_task import TableTask, learnable, prepare_table
from spikebayes.errors import ConfigError
from spikebayes.evaluate.groups import coverage_by_group
from spikebayes.machine.aligned import aligned
from spikebayes.machine.progress import track
from spikebayes.prediction.predictive import COVERAGE
from spikebayes.prediction.task import Task

KEY = "cross_validation"  # in the history of a run


@dataclass(frozen=True)
class CrossValidation:
    """Scores of a network, its spiking twin and their rivals, a number for each fold.

    Args:
        folds: parts of the table, each of which was predicted by networks trained on the others.
        rows: of the table.
        scores: by name of the score, then of the model.
        coverage: of each fold, the share of its rows that 90 % intervals or sets of the spiking twin hold.
    """

    folds: int
    rows: int
    scores: dict[str, dict[str, list[float | None]]]
    coverage: list[float]

    def __str__(self) -> str:
        models = list(next(iter(self.scores.values())))
        lines = [["", *models]]
        lines += [[name, *(_mean(by_model[model]) for model in models)] for name, by_model in self.scores.items()]
        held = f"{100 * COVERAGE:g}% intervals or sets of the {TWIN} hold {_mean(self.coverage)} of the rows"
        head = f"in {self.folds}-fold cross-validation over {self.rows} rows (mean +- standard error over folds):"
        return "\n".join([head, *(f"  {line}" for line in aligned(lines)), held])

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CrossValidation:
        """What :meth:`to_dict` made (StoreError if something is missing, or of another kind)."""
        return read_scores(cls, stored)


def cross_validate(
    table: pd.DataFrame,
    target: str | Sequence[str],
    folds: int,
    *,
    given: Mapping[str, Any],
    training: Mapping[str, Any],
    progress: bool = False,
) -> CrossValidation:
    """Train on all parts of a table but one, and score on that one; each part in turn.

    Args:
        table, target: as for :func:`prepare_table`.
        folds: K parts of equal size; each has its share of every class.
        given: settings of :func:`prepare_table`, whose seed shuffles the rows too.
        training: settings of :func:`train_table`.
        progress: show a bar.

    Raises:
        ConfigError: fewer than 2 folds, or more than rows, or than a class has rows.
        DataError: a table that cannot be learned.
    """
    rows = learnable(table, target, weights=given.get("weights"), task=given.get("task"))
    whole = prepare_table(rows, target, **given)
    found = dict[str, dict[str, list[float | None]]]()
    coverage = list[float]()
    for train, test in track(_parts(whole, folds), "folds", progress):
        kept: dict[str, Any] = dict(given) | {"task": whole.schema.task}
        part = prepare_table(rows, target, **kept, among=train)
        run = train_table(part, **training)
        y = part.y[test]
        scores, twin = scores_beside(run, part, part.train, part.x[test], y)
        for score, by_model in scores.items():
            for model, value in by_model.items():
                found.setdefault(score, {}).setdefault(model, []).append(value)
        groups = coverage_by_group(twin, y, coverage=COVERAGE, bins=1)
        coverage.append(float(groups["coverage"].to_numpy().mean()))
    return CrossValidation(folds, len(rows), found, coverage)


def check_folds(whole: TableTask, folds: int) -> None:
    """Refuse folds that a table cannot be cut into (ConfigError)."""
    if not 2 <= folds <= len(whole.y):
        raise ConfigError(f"folds must be at least 2, and at most the {len(whole.y)} rows; got {folds}")
    if whole.schema.task is Task.CLASSIFICATION:
        rows = torch.bincount(whole.y, minlength=len(whole.schema.classes))
        if (fewest := int(rows.min())) < folds:
            name = whole.schema.classes[int(rows.argmin())]
            raise ConfigError(
                f"{folds} folds need as many rows of each class; {name!r} has {fewest}: take fewer folds"
            )


def _parts(whole: TableTask, folds: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row numbers to train on and to judge."""
    from sklearn.model_selection import KFold, StratifiedKFold

    check_folds(whole, folds)
    classes = whole.schema.task is Task.CLASSIFICATION
    kind = StratifiedKFold if classes else KFold
    split = kind(folds, shuffle=True, random_state=whole.seed % (1 << 32))
    return list(split.split(np.zeros(len(whole.y)), whole.y.numpy() if classes else None))


def _mean(found: Sequence[float | None]) -> str:
    values = [value for value in found if value is not None]
    if not values:
        return "-"
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.4g} +- {error:.2g}"
