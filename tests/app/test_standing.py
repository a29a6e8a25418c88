"""Is it any good: a run beside a linear model and trees, on rows that it has not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV

from spikebayes.app import standing as module
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.app.standing import KEY, LINEAR, NETWORK, TREES, TWIN, Standing, standing
from spikebayes.app.table_run import TableRun, train_table
from spikebayes.app.table_task import TableTask, prepare_table
from spikebayes.errors import StoreError
from spikebayes.prediction.task import Task
from verbs import fit

QUICK = {"epochs": 3, "error": None}


def lines(rows: int = 700, seed: int = 0) -> pd.DataFrame:
    """A target that a linear model gets right but for a noise of 0.1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(y=x @ [3.0, -1.0, 0.5] + rng.normal(0, 0.1, rows))


def trained(frame: pd.DataFrame, target: str = "y", **settings: object) -> tuple[TableRun, TableTask]:
    task = prepare_table(frame, target, hidden=(20,), **settings)  # pyright: ignore[reportArgumentType]
    return train_table(task, **QUICK), task


@pytest.fixture(scope="module")
def barely() -> tuple[TableRun, TableTask]:
    """A network that has seen each row three times."""
    return trained(lines())


def test_who_loses_to_a_linear_model_is_told_so(barely: tuple[TableRun, TableTask]) -> None:
    stands = standing(*barely)
    assert isinstance(stands, Standing)
    rmse = stands.scores["RMSE"]
    assert list(rmse) == [NETWORK, TWIN, LINEAR, TREES]
    assert rmse[LINEAR] == pytest.approx(0.1, rel=0.35)
    assert rmse[NETWORK] > 2 * rmse[LINEAR]
    assert max(stands.chance.values()) < 1e-4
    (warning,) = stands.warnings
    assert warning.startswith("warning: the network and its spiking twin predict worse than the linear model")
    assert str(stands).endswith(warning)


def test_scores_are_those_of_rows_that_chose_nothing(barely: tuple[TableRun, TableTask]) -> None:
    run, task = barely
    stands = standing(run, task)
    assert isinstance(stands, Standing)
    assert not stands.chose
    assert stands.rows == run.fitted.history["calibration_rows"] == 39
    assert "on 39 rows not used to choose its weights:" in str(stands)
    known = run.fitted.conformal
    assert known is not None
    sizes = float(known.errors.square().mean().sqrt())  # of the very rows that calibrate
    assert stands.scores["RMSE"][NETWORK] == pytest.approx(sizes, rel=0.1)  # by other masks
    x, y = task.x[task.train].numpy(), task.y[task.train].numpy()
    ridge = RidgeCV(np.logspace(-3, 3, 13)).fit((x - x.mean(0)) / x.std(0), y[:, 0])
    every = ridge.predict((task.x[task.held].numpy() - x.mean(0)) / x.std(0)) - task.y[task.held, 0].numpy()
    assert stands.scores["RMSE"][LINEAR] == pytest.approx(np.sqrt((every**2).mean()), rel=0.3)


def test_few_calibration_rows_are_judged_with_those_that_chose() -> None:
    stands = standing(*trained(lines(200)))
    assert isinstance(stands, Standing)
    assert (stands.rows, stands.chose) == (20, True)
    assert "on 20 rows held out, some of which chose its weights:" in str(stands)


def test_where_there_is_nothing_to_compare_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    run, task = trained(lines(60))
    assert (
        standing(run, task) == "54 rows are trained on and 6 held out: too few to say whether the network is any good"
    )
    run, task = trained(lines(15), validation=0.8)
    assert "3 rows are trained on and 12 held out" in str(standing(run, task))
    run, task = trained(lines(700))
    monkeypatch.setattr(module, "WORK", 1000)
    assert "too wide" in str(standing(run, task))


def test_rivals_learn_from_so_many_rows_at_most(
    barely: tuple[TableRun, TableTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARNED", 550)
    stands = standing(*barely)
    assert isinstance(stands, Standing)
    assert (stands.learned, stands.trained) == (550, 630)
    assert "learned from 550 of 630 rows" in str(stands)


def test_a_loss_within_chance_is_no_loss() -> None:
    """Networks as good as the linear model are warned of in 1 of 100 cases; of these 200, in 0 to 8."""
    rng = np.random.default_rng(0)
    found = [module._by_chance(rng.normal(size=40)) < module.LEVEL for _ in range(200)]
    assert sum(found) <= 8
    assert module._by_chance(np.zeros(9)) == 1
    assert module._by_chance(np.full(9, 0.5)) == 0
    assert module._by_chance(rng.normal(0.5, 1, 100)) < 1e-3


def test_classes_have_scores_of_probabilities() -> None:
    frame = lines(400).assign(y=lambda t: np.where(t["y"] > 0, "up", "down"))
    stands = standing(*trained(frame, task=Task.CLASSIFICATION))
    assert isinstance(stands, Standing)
    assert list(stands.scores) == ["accuracy", "log loss (nats)", "Brier score"]
    assert stands.scores["accuracy"][LINEAR] > 0.9
    assert 0 <= stands.scores["Brier score"][TREES] < 0.3


def test_several_targets_have_scores_each_and_a_constant_one_no_r2() -> None:
    frame = lines(200).assign(z=lambda t: t["a"] * 2)
    run, task = trained(frame, "y,z")
    stands = standing(run, task)
    assert isinstance(stands, Standing)
    assert list(stands.scores) == ["RMSE of y", "R² of y", "RMSE of z", "R² of z"]
    y = task.y.clone()
    y[task.held, 1] = 1.0
    stands = standing(run, replace(task, y=y))
    assert isinstance(stands, Standing)
    assert set(stands.scores["R² of z"].values()) == {None}
    assert "-" in str(stands).splitlines()[5].split()


def test_what_is_stored_is_what_was_found(barely: tuple[TableRun, TableTask]) -> None:
    stands = standing(*barely)
    assert isinstance(stands, Standing)
    assert Standing.from_dict(stands.to_dict()) == stands
    for damage in ({"rows": "many"}, {"other": 1}):
        with pytest.raises(StoreError, match="damaged"):
            Standing.from_dict(stands.to_dict() | damage)
    assert KEY == "standing"


def test_weights_count_for_the_rivals_too() -> None:
    frame = lines(300).assign(w=np.arange(300) % 3 == 0, y=lambda t: t["y"].where(t["w"], 50.0))
    run, task = trained(frame.assign(w=frame["w"].astype(float)), weights="w")
    assert task.weights is not None
    held = task.held[task.weights[task.held] > 0]
    stands = standing(run, replace(task, held=held))
    assert isinstance(stands, Standing)
    assert stands.trained < 100
    linear = stands.scores["RMSE"][LINEAR]
    assert linear is not None
    assert linear < 0.3  # of rows that count: the others are no plane


def test_fit_ends_with_it_and_info_says_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines(200).to_csv(tmp_path / "t.csv", index=False)
    assert main(fit(tmp_path)) == 0
    ended = capsys.readouterr().out
    run = tmp_path / "run"
    stored = load_run(run).fitted.history[KEY]
    said = str(Standing.from_dict(stored))
    assert ended.endswith(said + "\n")
    assert said.count("warning: ") == 1  # of a training that has hardly begun
    assert main(["info", str(run)]) == 0
    told = capsys.readouterr().out
    assert f"scores    {said}\n" in told
    assert KEY not in told


def test_a_run_of_before_has_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert KEY not in load_run(here / "run").fitted.history
    assert main(["info", "run"]) == 0
    assert "scores    " not in capsys.readouterr().out
