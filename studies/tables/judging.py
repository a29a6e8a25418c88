"""One split of one table: the network that ``spikebayes fit`` trains, its spiking twin, and their rivals."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spikebayes import SpikebayesError, Task
from spikebayes.app.cli import main
from spikebayes.data import encode_features, encode_target, encode_training, infer_schema, read_table
from studies.tables.rivals import CONFORMAL, RIVALS, Floats, predicted
from studies.tables.sets import Table, load
from studies.tables.settings import Settings

NETWORK, TWIN = "network", "spiking twin"
FIFTHS = 5
HELD = 0.1  # of the rows that trees learn from, to calibrate them: as many as fit holds out


def judge(name: str, split: int, settings: Settings, data: Path) -> dict[str, Any]:
    """Scores of all models on the test rows of a split, and what intervals or sets of both networks hold.

    Returns:
        ``rows``: trained on, test. ``score``: RMSE or accuracy by model, and of classes ``log_loss``. ``held``: what
        intervals or sets hold, by network and conformal trees. ``seconds`` of the training.
    """
    torch.set_num_threads(1)
    table, task = load(name, data), task_of(name, settings)
    train, test = parts(table, split, settings)
    with TemporaryDirectory() as folder:
        seconds = fitted(Path(folder), train, table.target, task, split, {})
        made = {side: predicted_by(Path(folder), test, settings, split, side) for side in (NETWORK, TWIN)}
    found: dict[str, Any] = {"rows": [len(train), len(test)], "seconds": seconds}
    schema = infer_schema(train, table.target, (), task)
    encoded = encode_training(train, schema, split), encode_target(train, schema), encode_features(test, schema)
    learned, target, new = (each.double().numpy() for each in encoded)
    if task is Task.CLASSIFICATION:
        y = test[table.target].astype(str).to_numpy()
        columns = [f"p_{label}" for label in schema.classes]
        chances = {side: table.reindex(columns=columns, fill_value=0.0).to_numpy() for side, table in made.items()}
        for rival, model in RIVALS[task].items():
            chances[rival] = predicted(model(), learned, target.astype(np.int64), new)
        labels = np.array(schema.classes)
        found["score"] = {model: float((labels[p.argmax(1)] == y).mean()) for model, p in chances.items()}
        found["log_loss"] = {model: log_loss(p, labels, y) for model, p in chances.items()}
        found["held"] = {side: _sets(frame, y, -found["log_loss"][side]) for side, frame in made.items()}
        return found
    y = test[table.target].to_numpy(np.float64)
    means = {side: frame["mean"].to_numpy(np.float64) for side, frame in made.items()}
    offset = y.mean() - encode_target(test, schema).double().mean().item()  # encoded targets may have one
    for rival, model in RIVALS[task].items():
        means[rival] = offset + predicted(model(), learned, target[:, 0], new)
    found["score"] = {model: float(np.sqrt(np.mean((mean - y) ** 2))) for model, mean in means.items()}
    found["held"] = {side: _intervals(frame, y) for side, frame in made.items()}
    known = np.random.default_rng(split).random(len(learned)) < HELD
    calibrated = (learned[~known], target[~known, 0], learned[known], target[known, 0], new, settings.coverage)
    for rival, intervals in CONFORMAL.items():
        low, high = (offset + end for end in intervals(*calibrated))
        found["held"][rival] = {
            "coverage": float(((low <= y) & (y <= high)).mean()),
            "width": float((high - low).mean()),
        }
    return found


def parts(table: Table, split: int, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows of a split."""
    order = np.random.default_rng(split).permutation(len(table.rows))[: settings.most]
    count = round(settings.test * len(order))
    train, test = (table.rows.iloc[rows].reset_index(drop=True) for rows in (order[count:], order[:count]))
    return train, test


def task_of(name: str, settings: Settings) -> Task:
    """What a table is for."""
    return Task.CLASSIFICATION if name in settings.classes else Task.REGRESSION


def fitted(
    folder: Path, train: pd.DataFrame, target: str, task: Task, seed: int, changed: Mapping[str, Any]
) -> float:
    """Write the rows, type ``spikebayes fit``; the run is in the folder. Returns seconds."""
    train.to_csv(folder / "train.csv", index=False)
    given = ["--target", target, "--task", task.value, "--seed", str(seed), "--out", str(folder / "run")]
    for option, value in changed.items():
        values = value if isinstance(value, list | tuple) else [value]
        given += [f"--{option.replace('_', '-')}", *map(str, values)]
    started = time.perf_counter()
    _typed("fit", str(folder / "train.csv"), *given)
    return time.perf_counter() - started


def predicted_by(folder: Path, test: pd.DataFrame, settings: Settings, seed: int, side: str) -> pd.DataFrame:
    """What ``spikebayes predict`` writes."""
    test.to_csv(folder / "test.csv", index=False)
    given = ["--data", str(folder / "test.csv"), "--samples", str(settings.samples), "--seed", str(seed)]
    given += ["--coverage", str(settings.coverage), *(["--classical"] if side == NETWORK else [])]
    _typed("predict", str(folder / "run"), *given, "--out", str(folder / f"{side}.parquet"))
    return read_table(folder / f"{side}.parquet")


def log_loss(p: Floats, labels: NDArray[Any], y: NDArray[Any]) -> float:
    """Mean negative log-likelihood, nats; of a class that no training row has, of the smallest float."""
    own = np.where(labels[None] == y[:, None], p, 0.0).sum(1)
    return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())


def log_likelihood(frame: pd.DataFrame, y: Floats) -> float:
    """Mean over rows of that of a normal distribution with the predicted mean and std, nats."""
    mean, std = (frame[name].to_numpy(np.float64) for name in ("mean", "std"))
    return float(np.mean(-0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)))


def _intervals(frame: pd.DataFrame, y: Floats) -> dict[str, Any]:
    low, high = (frame[name].to_numpy(np.float64) for name in ("lower", "upper"))
    return _held((low <= y) & (y <= high), high - low, frame["std"].to_numpy()) | {
        "log_likelihood": log_likelihood(frame, y)
    }


def _sets(frame: pd.DataFrame, y: NDArray[Any], likelihood: float) -> dict[str, Any]:
    sets = [str(labels).split("|") for labels in frame["set"]]
    holds = np.array([label in labels for label, labels in zip(y, sets, strict=True)])
    found = _held(holds, np.array([len(labels) for labels in sets]), frame["entropy"].to_numpy())
    return found | {"log_likelihood": likelihood}


def _held(holds: NDArray[Any], width: NDArray[Any], unsure: NDArray[Any]) -> dict[str, Any]:
    """Coverage and width, and by fifths of how unsure a row is: rows and coverage."""
    fifths = np.array_split(holds[np.argsort(unsure, kind="stable")], FIFTHS)
    return {
        "coverage": float(holds.mean()),
        "width": float(width.mean()),
        "fifths": [[len(part), float(part.mean())] for part in fifths],
    }


def _typed(*words: str) -> None:
    """A command of the program, silent unless it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few rows and the like, said to who fits
        code = main(list(words))
    if code:
        raise SpikebayesError(f"spikebayes {words[0]} ended with {code}: {said.getvalue().strip()[-500:]}")
