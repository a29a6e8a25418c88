"""Other settings of ``fit`` in place of its defaults, one at a time, on rows held out of a training part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from spikebayes import Task
from spikebayes.evaluate.class_scores import negative_log_likelihood
from studies.tables.judging import TWIN, parts, predictions, task_of, trained
from studies.tables.sets import Table, load
from studies.tables.settings import Settings

FIRST = 1000  # of the splits: others than those that are reported


def try_out(name: str, attempt: int, changed: dict[str, Any], settings: Settings, data: Path) -> dict[str, Any]:
    """The mean negative log-likelihood (nats) of the spiking network on rows of the training part.

    The test rows of the split are never looked at.
    """
    torch.set_num_threads(1)
    table, split = load(name, data), FIRST + attempt
    learned, _ = parts(table, split, settings)
    train, judged = parts(Table(learned, table.target), split, settings)
    task = task_of(name, settings)
    run, _ = trained(train, table.target, {"seed": split, "task": task, **changed})
    y = run.targets(judged)
    assert y is not None
    twin = predictions(run, judged, settings, split)[TWIN]
    loss = (
        negative_log_likelihood(twin.mean, y)
        if task is Task.CLASSIFICATION
        else -float(twin.log_likelihood(y).mean())
    )
    return {"loss": loss}
