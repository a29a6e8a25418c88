"""How much each row of a table counts in its training: by a column of it, by its class, or by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.data.columns import as_written, checked_numbers, column_names, listed
from spikebayes.data.kinds import Number
from spikebayes.data.row_numbers import numbering
from spikebayes.data.schema import TableSchema
from spikebayes.data.targets import target_columns
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.choices import near, unknown
from spikebayes.prediction.task import Task
from spikebayes.training.weighting import balanced

ClassWeights = Literal["balanced"] | Mapping[str, float]


def check_weights_column(table: pd.DataFrame, column: str, target: str | Sequence[str]) -> None:
    """Refuse a column of weights (``--weights``) that the table lacks, or that is a target (DataError)."""
    names = column_names(table)
    if column not in names:
        raise DataError(
            f"no column {column!r} of weights{near(column, names)}; the columns are {listed(map(repr, names), 20)}"
        )
    if column in target_columns(target, names):
        raise DataError(f"the target {column!r} cannot hold the weights of rows as well; name another column")


def read_weights(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """``[B]``, how much each row counts (DataError: weights that are missing or negative)."""
    kind = (Number.found(pd.Series(table[column]), as_written(table)) or [Number()])[0]
    weights = checked_numbers(table, {column: kind.read}, "weights are numbers, 0 or more", (column,))[column]
    if (weights < 0).any():
        row = numbering(table)(int((weights < 0).argmax()))
        raise DataError(f"weights must be 0 or more; row {row} of {column!r} is not")
    return weights


def row_weights(
    table: pd.DataFrame,
    schema: TableSchema,
    y: Tensor,
    train: Tensor,
    column: str | None,
    classes: ClassWeights | None,
) -> Tensor | None:
    """A weight for each row ``[B]``; None if all count alike.

    Args:
        table: B rows.
        schema: of it.
        y: encoded targets.
        train: numbers of the training rows, among which classes are balanced.
        column: that holds weights, 0 or more.
        classes: weights by class, 1 for those that are not named; ``"balanced"`` lets all classes count alike.

    Raises:
        DataError: weights that are missing or negative, or 0 on every training row.
        ConfigError: a class that is none, or weights of classes where there are none.
    """
    if column is None and classes is None:
        return None
    weights = np.ones(len(table)) if column is None else read_weights(table, column)
    found = torch.tensor(weights, dtype=torch.float32)
    if classes is not None:
        found = found * _of_classes(schema, y[train], classes)[y]
    if not bool(found[train].any()):
        raise DataError("every training row has the weight 0: nothing to learn; give some a weight above 0")
    return found


def _of_classes(schema: TableSchema, y: Tensor, given: ClassWeights) -> Tensor:
    """A weight for each class; ``y`` are those of the training rows."""
    if schema.task is Task.REGRESSION:
        raise ConfigError(
            f"{schema.target!r} has no classes to weigh; for rows, name a column of weights (--weights)"
        )
    if isinstance(given, str):
        if given != "balanced":
            raise ConfigError(unknown("class_weights", given, ["balanced"]) + ", or a mapping of classes to numbers")
        return balanced(y, len(schema.classes))
    for name, weight in given.items():
        if name not in schema.classes:
            raise ConfigError(f"there is no class {name!r}{near(str(name), schema.classes)} to weigh")
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"the weight of a class must be 0 or more; that of {name!r} is {weight}")
    return torch.tensor([float(given.get(name, 1.0)) for name in schema.classes])
