"""Columns that tell the target: copies of it, in any unit or under other labels, which a new row seldom has."""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.app.table_task import TableTask
from spikebayes.prediction.task import Task

LEAST, MOST = 20, 1000  # rows: of fewer, columns follow a target by chance; more would tell no more
ALIKE = 1e-6  # of the variance of one that the other leaves, at most


def copies_of_target(task: TableTask) -> list[str]:
    """The features that are one-to-one with the classes, or of which an input is a target but for scale and offset.

    Example:
        >>> import pandas as pd
        >>> from spikebayes.app.table_task import prepare_table
        >>> table = pd.DataFrame({"a": [1.0, 4.0, 2.0, 7.0] * 10, "cents": range(0, 4000, 100), "euros": range(40)})
        >>> copies_of_target(prepare_table(table, "euros"))
        ['cents']
    """
    rows = task.train[:: -(-len(task.train) // MOST)]
    x, y = task.x[rows].double(), task.y[rows]
    if len(rows) < LEAST:
        return []
    found, at = [], 0
    for name in task.schema.features:
        width = len(task.schema.columns[name].inputs(name))
        own, at = x[:, at : at + width], at + width
        if _names_classes(own, y) if task.schema.task is Task.CLASSIFICATION else _follows(own, y.double()):
            found.append(name)
    return found


def _names_classes(x: Tensor, y: Tensor) -> bool:
    """Whether the rows ``[B, K]`` of each class ``[B]`` are equal, and those of any two classes are not."""
    _, values = x.unique(dim=0, return_inverse=True)
    pairs = torch.stack([values, y]).unique(dim=1).shape[1]
    return pairs == len(y.unique()) == len(values.unique())


def _follows(x: Tensor, y: Tensor) -> bool:
    """Whether a column of ``[B, K]`` is one of ``[B, C]``, times a number, plus another."""
    x, y = x - x.mean(0), y - y.mean(0)
    sizes = x.square().sum(0)[:, None] * y.square().sum(0)  # [K, C]
    return bool(((sizes > 0) & ((x.T @ y).square() >= (1 - ALIKE) * sizes)).any())
