"""Other settings of ``fit`` in place of its defaults, one at a time, on rows held out of a training part."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from spikebayes import Task
from studies.tables.judging import TWIN, fitted, log_likelihood, log_loss, parts, predicted_by, task_of
from studies.tables.sets import Table, load
from studies.tables.settings import Settings

FIRST = 1000  # of the splits: others than those that are reported


def try_out(name: str, attempt: int, changed: dict[str, Any], settings: Settings, data: Path) -> dict[str, Any]:
    """The mean negative log-likelihood (nats) of the spiking network on rows of the training part.

    The test rows of the split are never looked at.
    """
    torch.set_num_threads(1)
    table, split, task = load(name, data), FIRST + attempt, task_of(name, settings)
    learned, _ = parts(table, split, settings)
    train, judged = parts(Table(learned, table.target), split, settings)
    with TemporaryDirectory() as folder:
        fitted(Path(folder), train, table.target, task, split, changed)
        twin = predicted_by(Path(folder), judged, settings, split, TWIN)
    y = judged[table.target]
    if task is Task.REGRESSION:
        return {"loss": -log_likelihood(twin, y.to_numpy(np.float64))}
    labels = [column.removeprefix("p_") for column in twin.columns if column.startswith("p_")]
    chances = twin[[f"p_{label}" for label in labels]].to_numpy(np.float64)
    return {"loss": log_loss(chances, np.array(labels), y.astype(str).to_numpy())}
