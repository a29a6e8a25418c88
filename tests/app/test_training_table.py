"""A run knows the table that it was trained on by its content: to go on with it, and to say what was held out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from problems import table
from spikebayes.app import run_folder
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.app.training_table import rows_to_judge, table_digest
from spikebayes.data import read_table, write_table
from verbs import BRIEF, content, fit

FRAME = table().drop(columns=["kind", "color"])

Change = Callable[[pd.DataFrame], pd.DataFrame]
CHANGES: dict[str, Change] = {
    "a value": lambda t: t.assign(a=[*t["a"][:-1], t["a"].iloc[-1] + 1e-9]),
    "a row less": lambda t: t.iloc[:-1],
    "a row more": lambda t: pd.concat([t, t.iloc[-1:]]),
    "rows in another order": lambda t: t.iloc[::-1],
    "columns in another order": lambda t: t[["b", "a", "y"]],
    "columns whose names changed places": lambda t: t.set_axis(["b", "a", "y"], axis=1),
    "another target": lambda t: t.assign(y=t["y"] * 2),
    "another name": lambda t: t.rename(columns={"b": "c"}),
    "a column more": lambda t: t.assign(c=1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_table_has_another_digest(change: Change) -> None:
    assert table_digest(change(FRAME)) != table_digest(FRAME)


def test_numbers_and_the_same_numbers_as_text_are_two_tables() -> None:
    numbers = pd.DataFrame({"a": [0, 1]})
    found = {table_digest(numbers.astype(kind)) for kind in ("int64", "float64", "bool", "str")}
    assert len(found) == 4
    assert table_digest(pd.DataFrame({"a": ["x", None]})) != table_digest(pd.DataFrame({"a": ["x", "None"]}))


def test_the_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    moved = FRAME.set_index(np.arange(len(FRAME)) + 7)
    text = pd.DataFrame({"a": ["x", "y"]})
    assert table_digest(moved) == table_digest(FRAME)
    assert table_digest(text.astype(object)) == table_digest(text)


NESTED: dict[str, list[list]] = {  # tables of one column, no two alike
    "lists": [[[1.0, 2.0], [3.0]], [[1.0, 2.0], [4.0]], [[1.0], [2.0, 3.0]], [[1.0, 2.0], None], [["1.0"], ["2.0"]]],
    "long lists": [[[0.0] * 5000], [[0.0] * 2500 + [1.0] + [0.0] * 2499]],
    "lists of lists": [[[[1], [2]]], [[[1, 2]]], [[[1], [3]]]],
    "structs": [[{"a": 1, "b": "x"}], [{"a": 2, "b": "x"}], [{"a": 1, "c": "x"}], [{"a": 1, "b": None}]],
    "structs of lists": [[{"a": [1, 2]}], [{"a": [1, 3]}]],
}


@pytest.mark.parametrize("tables", NESTED.values(), ids=NESTED)
def test_values_that_hold_others_count_whole(tables: list[list], tmp_path: Path) -> None:
    frames = [pd.DataFrame({"a": column}) for column in tables]
    assert len(set(map(table_digest, frames))) == len(frames)
    for frame in frames:
        stored = []
        for suffix in ("parquet", "arrow"):
            write_table(frame, tmp_path / f"t.{suffix}")
            stored.append(table_digest(read_table(tmp_path / f"t.{suffix}")))
        assert stored == [table_digest(frame)] * 2  # lists, and the arrays that a file gives back


def test_the_digest_of_plain_columns_is_what_stored_runs_hold() -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": [1, 2], "d": [True, False]})
    assert table_digest(frame) == "5f9571ff516bb61ff97f8783f4e5c2c8b0953a8eb7213a2a4ca66378c3e06fba"


def test_a_column_of_lists_is_dropped_in_fit_and_extra_in_score(here: Path) -> None:
    FRAME.assign(lists=[[1.0, 2.0]] * len(FRAME)).to_parquet("t.parquet")
    renamed = [word.replace("t.csv", "t.parquet") for word in fit(here, "--overwrite")]
    assert main([*renamed, "--columns", '{"lists": "drop"}']) == 0
    assert main(["score", "run", "--data", "t.parquet", *BRIEF]) == 0


@pytest.fixture
def interrupted(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a training was stopped just before its end."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "save_run", stop)
        assert main(fit(here, "--overwrite", "--seed", "1")) == 130
    assert (here / "run" / "checkpoints" / "last.ckpt").exists()
    return here


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_training_goes_on_with_its_own_table_only(
    change: Change, interrupted: Path, refused: Callable[..., str]
) -> None:
    change(FRAME).to_csv("t.csv", index=False)
    said = refused(*fit(interrupted, "--resume", "--seed", "1"), says="is not the table")
    assert "--overwrite" in said


def test_training_goes_on_where_the_table_is_the_same(interrupted: Path) -> None:
    FRAME.to_csv("t.csv", index=False, lineterminator="\r\n")  # other bytes, the same content
    assert main(fit(interrupted, "--resume", "--seed", "1")) == 0
    assert run_folder.load_run(interrupted / "run").config["seed"] == 1
    assert {p.name for p in (interrupted / "run").iterdir()} == {"run.json", "run.safetensors", "fit.json"}


def test_rows_were_held_out_of_the_same_table_only(here: Path, refused: Callable[..., str]) -> None:
    assert main(fit(here, "--overwrite")) == 0
    for change in (CHANGES["a value"], CHANGES["rows in another order"]):  # as many rows as there were
        change(FRAME).to_csv("t.csv", index=False)
        refused("energy", "run", *BRIEF, says="is no longer the table that the run was trained on; give --data")


def test_the_table_is_found_from_any_folder(
    here: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data").mkdir()
    Path("t.csv").rename("data/t.csv")
    named = ["data/t.csv" if word.endswith("t.csv") else word for word in fit(here, "--overwrite")]
    assert main(named) == 0
    table(5, seed=1).to_csv("data/new.csv", index=False)
    monkeypatch.chdir("data")
    refused("predict", "../run", "--data", "new.csv", "--out", "t.csv", *BRIEF, says="it is an input")
    assert main(["energy", "../run", "--rows", "2", *BRIEF]) == 0
    monkeypatch.chdir(here.rename(here.with_name("moved")))
    assert main(["energy", "run", "--rows", "2", *BRIEF]) == 0
    Path("data/t.csv").unlink()
    refused("energy", "run", "--rows", "2", *BRIEF, says="t.csv, is missing; give --data")


def test_rows_that_were_trained_on_are_called_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(9, seed=1).to_csv("new.csv", index=False)
    for verb, out in (("compare", ["--out", "r.html"]), ("energy", ["--rows", "2", "--json", "e.json"])):
        for data, known in (("t.csv", True), ("new.csv", False)):
            assert main([verb, "run", "--data", data, *out, *BRIEF]) == 0
            said = capsys.readouterr().out
            assert ("the table that the run was trained on" in said) == known
            page = content(here)[out[-1]].decode()
            assert ("the table that the run was trained on" in page) == known


def test_rows_that_were_trained_on_are_named_when_others_are_judged(here: Path) -> None:
    known = pd.read_csv("t.csv")
    known.iloc[:20].to_csv("some.csv", index=False)
    _, origin = rows_to_judge(load_run(here / "run"), Path("some.csv"))
    assert re.fullmatch(r"some\.csv, of which \d+ rows, or rows equal to them, were trained on", origin)
    known.assign(a=known["a"] + 100).to_csv("new.csv", index=False)
    assert rows_to_judge(load_run(here / "run"), Path("new.csv"))[1] == "new.csv"
