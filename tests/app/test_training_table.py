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
