"""Columns that tell the target, and others that only go with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spikebayes.app.cli import main
from spikebayes.app.copies import copies_of_target
from spikebayes.app.table_task import prepare_table
from verbs import fit

N = 200


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=N)
    kind = np.array(["cat", "dog", "hen"], object)[np.arange(N) % 3]
    return pd.DataFrame({"a": a, "y": a + rng.normal(0, 0.01, N), "kind": kind, "legs": (kind != "hen").astype(str)})


@pytest.mark.parametrize("of", [lambda y: y, lambda y: 32 + 1.8 * y, lambda y: 1e9 - y, lambda y: y.round(6)])
def test_a_target_in_another_unit_is_a_copy(table: pd.DataFrame, of: object) -> None:
    copied = table.assign(again=of(table["y"]))  # pyright: ignore[reportCallIssue]
    assert copies_of_target(prepare_table(copied, "y")) == ["again"]
    assert copies_of_target(prepare_table(copied, ["y", "a"])) == ["again"]


def test_a_column_that_goes_with_the_target_is_none(table: pd.DataFrame) -> None:
    assert copies_of_target(prepare_table(table, "y")) == []  # correlation 0.99995
    assert copies_of_target(prepare_table(table, "kind")) == []  # hens alone have two legs
    assert copies_of_target(prepare_table(table.assign(again=table["y"])[:12], "y")) == []  # of few rows by chance


@pytest.mark.parametrize("code", [{"cat": "C", "dog": "D", "hen": "H"}, {"cat": 3, "dog": 1, "hen": 2}])
def test_classes_under_other_names_are_a_copy(table: pd.DataFrame, code: dict) -> None:
    assert copies_of_target(prepare_table(table.assign(code=table["kind"].map(code)), "kind")) == ["code"]


def test_fit_tells_of_it(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table[["a", "y"]].assign(z=table["y"]).to_csv(tmp_path / "t.csv", index=False)
    assert main(fit(tmp_path)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: the target 'y' can be read off 'z': leave out what new rows do not have yet" in said
    assert """--columns '{"z":"drop"}'""" in said
