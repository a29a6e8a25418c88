"""Cross-validation: each row is judged once, by networks that have not seen it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from problems import table
from spikebayes.app.cli import main
from spikebayes.app.cross_validation import KEY, CrossValidation, cross_validate
from spikebayes.app.run_folder import load_run
from spikebayes.app.standing import LINEAR, NETWORK, TREES, TWIN
from spikebayes.data.tables import split_rows
from spikebayes.errors import ConfigError, StoreError
from spikebayes.evaluate.baselines import PENALTIES

QUICK = {"epochs": 2, "error": None}


def test_scores_are_those_of_each_fold() -> None:
    rows = table(90)[["a", "b", "y"]]
    found = cross_validate(rows, "y", 3, given={"hidden": [8], "seed": 4}, training=QUICK)
    assert (found.folds, found.rows, len(found.coverage)) == (3, 90, 3)
    assert list(found.scores["RMSE"]) == [NETWORK, TWIN, LINEAR, TREES]
    x, y = rows.drop(columns="y").to_numpy(np.float64), rows["y"].to_numpy(np.float64)
    for fold, (train, test) in enumerate(KFold(3, shuffle=True, random_state=4).split(x)):
        learned = train[split_rows(len(train), 0.1, 4)[0].numpy()]  # fit holds out some of them
        scale = StandardScaler().fit(x[learned])
        ridge = RidgeCV(PENALTIES).fit(scale.transform(x[learned]), y[learned])
        error = np.sqrt(np.mean((ridge.predict(scale.transform(x[test])) - y[test]) ** 2))
        assert found.scores["RMSE"][LINEAR][fold] == pytest.approx(error, rel=1e-4)
    assert CrossValidation.from_dict(found.to_dict()) == found
    with pytest.raises(StoreError):
        CrossValidation.from_dict({"folds": 3})


def test_classes_have_their_share_in_each_fold() -> None:
    rows = table(60).assign(y=["a"] * 54 + ["b"] * 6)
    found = cross_validate(rows, "y", 3, given={"hidden": [8]}, training=QUICK)
    assert set(found.scores) == {"accuracy", "log loss (nats)", "Brier score"}
    with pytest.raises(ConfigError, match="10 folds need as many rows of each class; 'b' has 6: take fewer folds"):
        cross_validate(rows, "y", 10, given={}, training=QUICK)


@pytest.mark.parametrize("folds", [-1, 1, 61])
def test_folds_must_be_possible(folds: int) -> None:
    with pytest.raises(ConfigError, match=f"folds must be at least 2, and at most the 60 rows; got {folds}"):
        cross_validate(table(60), "y", folds, given={}, training=QUICK)


def test_the_command_shows_and_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(60).to_csv(tmp_path / "rows.csv", index=False)
    given = [str(tmp_path / "rows.csv"), "--target", "y", "--hidden", "8", "--epochs", "2", "--folds", "2"]
    assert main(["fit", *given, "--out", str(tmp_path / "run")]) == 0
    head = "in 2-fold cross-validation over 60 rows"
    assert head in capsys.readouterr().out
    assert pd.Series(load_run(tmp_path / "run").fitted.history[KEY]["coverage"]).between(0, 1).all()
    assert main(["info", str(tmp_path / "run")]) == 0
    assert head in capsys.readouterr().out


@pytest.mark.parametrize("odd", ["closed", "$0.5"])
def test_columns_are_what_they_are_in_the_whole_table(odd: str) -> None:
    rows = table(60)[["a", "y"]].assign(b=[f"{n / 10:.1f}" for n in range(60)])
    rows.loc[7, "b"] = odd
    assert cross_validate(rows, "y", 3, given={"hidden": [8]}, training=QUICK).folds == 3


def test_a_run_is_there_whatever_becomes_of_the_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(60).to_csv(tmp_path / "rows.csv", index=False)
    given = [str(tmp_path / "rows.csv"), "--target", "y", "--hidden", "8", "--epochs", "2", "--folds", "2"]

    def failing(*_: object, **__: object) -> None:
        raise ConfigError("as asked")

    monkeypatch.setattr("spikebayes.app.cross_validation.cross_validate", failing)
    assert main(["fit", *given, "--out", str(tmp_path / "run")]) == 2
    assert load_run(tmp_path / "run").schema.target == "y"
