"""The study of public tables: a small run, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikebayes.errors import ConfigError
from studies.tables import sets
from studies.tables.command import run_tables
from studies.tables.judging import NETWORK, TWIN, parts
from studies.tables.page import render
from studies.tables.rivals import conformal_trees, quantile_trees
from studies.tables.settings import PUBLISHED, Settings

SMALL = Settings(
    values=("diabetes",), classes=("iris",), splits=2, most=60, samples=10, alternatives={"epochs": (2,)}, tried=1
)


@pytest.mark.slow
def test_a_small_study(tmp_path: Path) -> None:
    given = (tmp_path, tmp_path / "t.json", tmp_path / "t.md", tmp_path / "work")
    found = run_tables(*given, settings=SMALL, count=1)
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == json.loads(json.dumps(found))
    assert (tmp_path / "t.md").read_text("utf-8") == render(found)
    values, classes = found["tables"]
    for split in values["splits"]:
        assert split["rows"] == [48, 12]
        assert set(split["held"]) == {NETWORK, TWIN, "conformal trees", "conformal quantile trees"}
        assert sum(rows for rows, _ in split["held"][TWIN]["fifths"]) == 12
    assert all(split["score"]["random forest"] > 0.7 for split in classes["splits"])
    assert [each["change"] for each in found["alternatives"]] == [{}, {"epochs": 2}]
    again = run_tables(*given, settings=SMALL, count=1)  # from its stages
    assert again["tables"] == found["tables"]


def test_parts_are_of_the_table_and_none_is_in_both() -> None:
    whole = sets.load("diabetes", Path())
    train, test = parts(whole, 3, PUBLISHED)
    assert len(test) == round(0.2 * len(whole.rows))
    both = {tuple(row) for row in train.to_numpy()} & {tuple(row) for row in test.to_numpy()}
    assert not both
    assert len(train) + len(test) == len(whole.rows)


def test_friedmans_noise_varies_by_row() -> None:
    rows = sets.load("Friedman", Path()).rows
    x = rows.to_numpy()
    mean = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    noise = (x[:, -1] - mean) / (0.2 + 2.8 * x[:, 5])
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "palmerpenguins", None)
    with pytest.raises(ConfigError, match=r"pip install 'spikebayes\[studies\]'"):
        sets.load("penguins", Path())


@pytest.mark.parametrize("intervals", [conformal_trees, quantile_trees])
def test_conformal_intervals_hold_what_they_say(intervals: object) -> None:
    made = np.random.default_rng(0)
    x = made.random((4000, 3))
    y = x.sum(1) + x[:, 0] * made.standard_normal(4000)
    low, high = intervals(x[:500], y[:500], x[500:1499], y[500:1499], x[1499:], 0.9)  # pyright: ignore
    held = ((low <= y[1499:]) & (y[1499:] <= high)).mean()
    assert held == pytest.approx(0.9, abs=0.03)
