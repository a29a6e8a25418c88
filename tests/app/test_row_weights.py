"""Weights of a table's rows, by a column and by class."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

from problems import table
from spikebayes.app.table_run import train_table
from spikebayes.app.table_task import prepare_table
from spikebayes.errors import ConfigError, DataError

FRAME = table(40).drop(columns="y").assign(w=["2", *["1"] * 39], kind=["up"] * 10 + ["down"] * 30)


def test_a_column_of_weights_is_no_feature() -> None:
    task = prepare_table(FRAME, "kind", weights="w")
    assert "w" not in task.schema.features
    assert task.weights is not None
    assert task.weights.tolist() == [2.0, *[1.0] * 39]


def test_classes_count_by_their_weights() -> None:
    frame = FRAME.assign(w=1)
    named = prepare_table(frame, "kind", class_weights={"up": 3}).weights
    assert named is not None
    assert named.tolist() == [3.0] * 10 + [1.0] * 30
    task = prepare_table(frame, "kind", class_weights="balanced", weights="w")
    assert task.weights is not None
    sums = [float(task.weights[task.train][task.y[task.train] == c].sum()) for c in (0, 1)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)
    assert sum(sums) == pytest.approx(len(task.train), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"weights": "v"}, DataError, "no column 'v' of weights.*; the columns are 'a', 'b'"),
        ({"weights": "kind"}, DataError, "the target 'kind' cannot hold the weights of rows"),
        ({"class_weights": {"upp": 1}}, ConfigError, r"no class 'upp' \(did you mean 'up'\?\)"),
        ({"class_weights": {"up": -1.0}}, ConfigError, "0 or more; that of 'up' is -1"),
        ({"class_weights": "balancd"}, ConfigError, r"did you mean 'balanced'\?\), or a mapping"),
        ({"weights": "v"}, DataError, "no column 'v'"),
        ({"weights": "color"}, DataError, "'color' .*weights are numbers"),
        ({"class_weights": {"up": 0, "down": 0}}, DataError, "every training row has the weight 0"),
    ],
)
def test_weights_that_are_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        prepare_table(FRAME, "kind", **options)


def test_weights_below_0_and_classes_of_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="weights must be 0 or more; row 3 of 'w' is not"):
        prepare_table(FRAME.assign(w=[1, 1, -1, *[1] * 37]), "kind", weights="w")
    with pytest.raises(ConfigError, match="'a' has no classes to weigh"):
        prepare_table(FRAME, "a", class_weights="balanced")


@pytest.mark.slow
def test_a_class_that_counts_more_is_predicted_more() -> None:
    frame = table(200).drop(columns="y").assign(kind=["up", "down", "down", "down"] * 50)  # by nothing else
    shares = []
    for weights in (None, {"up": 9.0}):
        task = prepare_table(frame, "kind", class_weights=weights, hidden=(8,))
        run = train_table(task, epochs=60, learning_rate=1e-2)
        shares.append(float(run.predict(frame, samples=10).mean[:, 1].mean()))
    assert shares[0] < 0.4 < 0.6 < shares[1]


def test_rows_without_a_target_are_left_out() -> None:
    frame = table(40).drop(columns="kind")
    frame.loc[[0, 7], "y"] = None
    task = prepare_table(frame, "y")
    assert len(task.x) == len(task.y) == 38
    assert torch.equal(task.y[:2, 0], torch.tensor(frame["y"][1:3].to_numpy(), dtype=torch.float32))
    with pytest.raises(DataError, match="1 of 40 rows have a target"):
        prepare_table(pd.DataFrame({"x": range(40), "y": [1.5, *[None] * 39]}), "y")


def test_messages_count_the_rows_that_were_left_out() -> None:
    frame = table(40).drop(columns="kind").assign(w=1.0)
    frame.loc[[0, 7], "y"] = None
    frame.loc[9, "w"] = -1
    with pytest.raises(DataError, match="row 10 of 'w' is not"):
        prepare_table(frame, "y", weights="w")
    frame.loc[[3, 9], "w"] = 0
    frame.loc[11, "a"] = float("inf")
    with pytest.raises(DataError, match=r"\(of 36\): 'a' \(1 infinite\), first in row 12"):
        prepare_table(frame, "y", weights="w")


def test_rows_of_weight_0_are_as_if_they_were_not_there() -> None:
    frame = table(60)[["a", "y"]].assign(w=[0, 1, 2] * 20)
    spoilt = frame.assign(y=frame["y"].where(frame["w"] > 0, 1e6), a=frame["a"].where(frame["w"] > 0, -1e6))
    left, removed = prepare_table(spoilt, "y", weights="w"), prepare_table(frame[frame["w"] > 0], "y", weights="w")
    assert left.schema == removed.schema
    assert torch.equal(left.x, removed.x)
    assert torch.equal(left.y, removed.y)
    with pytest.raises(DataError, match="weight 0: nothing to learn"):
        prepare_table(frame.assign(w=0), "y", weights="w")
