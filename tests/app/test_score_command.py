"""``spikebayes score``: both networks against what was observed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from problems import table
from served import BRIEF as STEPS
from served import untrained
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.app.table_comparison import compare_table
from spikebayes.app.table_scores import score_table, with_targets
from spikebayes.data.tables import split_rows
from spikebayes.evaluate.row_scores import rmse
from verbs import BRIEF, fit

NEW = table(40, seed=1)


def score(*more: str) -> list[str]:
    return ["score", "run", "--data", "new.csv", *BRIEF, *more]


def test_scores_of_values_are_those_of_the_predictions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NEW.to_csv("new.csv", index=False)
    assert main(score("--json", "s.json", "--coverage", "0.8", "--seed", "3")) == 0
    said = capsys.readouterr().out
    found = json.loads(Path("s.json").read_text())
    for name, flags in (("spiking", []), ("classical", ["--classical"])):
        given = ["--out", "p.csv", "--coverage", "0.8", "--seed", "3", *BRIEF, *flags]
        assert main(["predict", "run", "--data", "new.csv", *given]) == 0
        p = pd.read_csv("p.csv")
        scores, y = found["scores"][name], NEW["y"]
        inside = (p["lower"] <= y) & (y <= p["upper"])
        assert scores["RMSE"] == pytest.approx(float(rmse(p["mean"], y)), rel=1e-5)
        assert scores["Mean absolute error"] == pytest.approx((p["mean"] - y).abs().mean(), rel=1e-5)
        assert scores["Targets inside the 80% observation interval"] == inside.mean()
        width = (p["upper"] - p["lower"]).mean()
        assert scores["Mean width of the 80% observation interval"] == pytest.approx(width, rel=1e-5)
        groups = pd.DataFrame(found["coverage_by_group"][name])
        assert groups["rows"].tolist() == [8] * 5
        assert groups["coverage"].mean() == pytest.approx(inside.mean())
        surest = p.sort_values("std").index[:8]
        assert groups["coverage"][0] == inside[surest].mean()
    outside = pd.read_csv("p.csv")["outside"].notna().sum()
    assert found["outside"] == outside
    assert f"{outside} of 40 rows lie outside what was trained on" in said
    assert (found["trained_on"], found["seed"], found["rows"]) == (0, 3, 40)
    assert "warning" not in said
    for name in ("RMSE", "R²", "CRPS", "Mean log-likelihood (nats)"):
        assert f"\n{name} " in said


def test_scores_of_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def classes(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(y=np.where(frame["y"] > frame["y"].median(), "high", "low"))

    classes(table(60)).to_csv("t.csv", index=False)
    classes(NEW).to_csv("new.csv", index=False)
    assert main(fit(here, "--overwrite")) == 0
    assert main(score("--json", "s.json")) == 0
    assert main(["predict", "run", "--data", "new.csv", "--out", "p.csv", *BRIEF]) == 0
    p, y = pd.read_csv("p.csv"), classes(NEW)["y"]
    found = json.loads(Path("s.json").read_text())["scores"]["spiking"]
    true = np.where(y == "high", p["p_high"], p["p_low"])
    assert found["Accuracy"] == pytest.approx((p["class"] == y).mean())
    assert found["Negative log-likelihood (nats)"] == pytest.approx(-np.log(true).mean(), rel=1e-4)
    assert found["Brier score"] == pytest.approx(2 * ((1 - true) ** 2).mean(), rel=1e-4)
    sets = p["set"].str.split("|")
    assert found["Mean size of the 90% set (classes)"] == pytest.approx(sets.str.len().mean())
    assert found["Targets inside the 90% set"] == pytest.approx(
        np.mean([a in b for a, b in zip(y, sets, strict=True)])
    )
    assert "by entropy" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_that_were_trained_on_are_counted_however_they_come(
    here: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fit(here, "--overwrite")) == 0  # by this folder's table
    capsys.readouterr()
    known = pd.read_csv("t.csv")
    mixed = pd.concat([known.iloc[::-1].iloc[:30], NEW[known.columns]])[["y", "b", "a"]]
    mixed.to_csv("m.csv", index=False) if suffix == "csv" else mixed.to_parquet("m.parquet")
    assert main(["score", "run", "--data", f"m.{suffix}", "--json", "s.json", *BRIEF]) == 0
    run = load_run(Path("run"))
    train = split_rows(len(known), run.config["validation"], run.config["seed"])[0].numpy()
    seen = json.loads(Path("s.json").read_text())["trained_on"]
    assert seen == sum(row >= len(known) - 30 for row in train)
    assert f"warning: {seen} of 70 rows were trained on" in capsys.readouterr().out
    Path("t.csv").unlink()
    assert main(["score", "run", "--data", f"m.{suffix}", "--json", "s.json", *BRIEF]) == 0
    assert json.loads(Path("s.json").read_text())["trained_on"] is None
    assert "not known" in capsys.readouterr().out


def test_the_training_table_is_known_again_wherever_it_lies(here: Path) -> None:
    Path("t.csv").rename("new.csv")
    assert main(score("--json", "s.json")) == 0
    rows = load_run(Path("run")).fitted.history["training_rows"]
    assert json.loads(Path("s.json").read_text())["trained_on"] == rows


def test_rows_without_a_target_are_left_out_and_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NEW.assign(y=NEW["y"].where(NEW["a"] > 0)).to_csv("new.csv", index=False)
    assert main(score("--json", "s.json")) == 0
    there = int((NEW["a"] > 0).sum())
    assert json.loads(Path("s.json").read_text())["rows"] == there
    assert f"{40 - there} of 40 rows are left out: their target is missing" in capsys.readouterr().out
    NEW[NEW["a"] > 0].iloc[:1].to_csv("new.csv", index=False)  # R2 of a single row is undefined
    assert main(score("--json", "s.json")) == 0
    assert json.loads(Path("s.json").read_text())["scores"]["spiking"]["R²"] is None


@pytest.mark.filterwarnings("ignore")  # of so few samples and steps
def test_rows_that_are_left_out_leave_the_others_their_numbers_and_masks() -> None:
    frame = table(40).drop(columns=["kind", "color"])
    run = untrained(frame, "y")
    there = np.flatnonzero(frame["a"] > 0)
    known = with_targets(run, frame.assign(y=frame["y"].where(frame["a"] > 0)))
    made, network = compare_table(run, known, samples=10, **STEPS)
    assert made.verdict.rows.tolist() == made.spiking.draw.rows.tolist() == there.tolist()
    whole = run.predict(frame, samples=10, seed=0)
    assert torch.equal(made.classical.samples, whole.samples[:, there])
    found = score_table(run, known, network=network, samples=10, **STEPS).scores["classical"]
    error = rmse(whole.mean[there, 0], torch.tensor(frame["y"][there].to_numpy()))
    assert found["RMSE"] == pytest.approx(float(error), rel=1e-5)


@pytest.mark.parametrize("verb", ["score", "compare"])
def test_messages_name_rows_by_their_place_in_the_file(verb: str, here: Path, refused: Callable[..., str]) -> None:
    frame = NEW.drop(columns=["kind", "color"])
    frame.loc[[0, 2, 9], "y"] = np.nan
    frame.loc[5, "a"] = np.inf
    frame.to_csv("new.csv", index=False)
    refused(verb, "run", "--data", "new.csv", *BRIEF, says="(of 37): 'a' (1 infinite), first in row 6;")


def test_what_cannot_be_scored_is_refused(here: Path, refused: Callable[..., str]) -> None:
    NEW.rename(columns={"y": "Y"}).to_csv("new.csv", index=False)
    said = refused(*score(), says="no target column 'y' (did you mean 'Y'?)")
    assert "ask predict, which needs none" in said
    NEW.assign(y=np.nan).to_csv("new.csv", index=False)
    refused(*score(), says="the target is missing on all 40 rows")
    NEW.to_csv("new.csv", index=False)
    refused(*score("--json", "new.csv"), says="new.csv")
    refused(*score("--json", "run/run.json"), says="run.json")
    refused(*score("--coverage", "1"), says="coverage must lie in (0, 1)")
    refused("score", "run", "--data", "new.csv", "--samples", "1", says="samples")
