"""Results as files: whole or not at all, and with what is needed to get them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikebayes
from spikebayes.errors import ConfigError
from spikebayes.machine.versions import versions
from studies.results import (
    HEAVIEST,
    markdown_table,
    provenance,
    read_results,
    results_text,
    write_page,
    write_results,
)
from studies.tree import tree


def test_results_come_back(tmp_path: Path) -> None:
    results = {"seed": 3, "cases": [{"set": "yacht", "dropout": 0.05}], "commit": None}
    write_results(results, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == results
    assert (tmp_path / "r.json").read_text().endswith("}\n")


def test_results_that_cannot_be_written_leave_the_old_ones(tmp_path: Path) -> None:
    write_results({"seed": 1}, tmp_path / "r.json")
    with pytest.raises(TypeError):
        write_results({"seed": 2, "figures": object()}, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == {"seed": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    with pytest.raises(ConfigError, match="cannot write"):
        write_results({}, tmp_path / "no" / "r.json")
    with pytest.raises(ConfigError, match="cannot write"):
        write_page("text", tmp_path / "no" / "r.md")


def test_provenance_names_the_commit_and_the_versions() -> None:
    found = provenance("python -m studies.x", 7)
    assert (found["command"], found["seed"]) == ("python -m studies.x", 7)
    assert found["versions"] == versions()
    assert found["versions"]["spikebayes"] == spikebayes.__version__
    assert found["commit"] == tree().label


NUMBERS = st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
VALUES = st.recursive(NUMBERS | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), VALUES))
def test_text_of_results_holds_what_they_are(results: dict[str, Any]) -> None:
    assert json.loads(results_text(results)) == results
    assert list(json.loads(results_text(results))) == list(results)  # in their order


@settings(max_examples=40)
@given(st.lists(st.lists(NUMBERS, min_size=1), min_size=1))
def test_a_list_of_numbers_stands_on_one_line(curves: list[list[Any]]) -> None:
    lines = results_text({"curves": curves}).splitlines()
    assert lines[:2] == ["{", ' "curves": [']
    assert [json.loads(line.strip().removesuffix(",")) for line in lines[2:-2]] == curves
    assert results_text({"curve": curves[0]}).splitlines()[1] == f' "curve": {json.dumps(curves[0])}'


def test_keys_and_tuples_become_what_json_has() -> None:
    results: dict[Any, Any] = {1: (2, 3), "a": {0.5: None}}
    assert json.loads(results_text(results)) == {"1": [2, 3], "a": {"0.5": None}}


def test_a_page_stands_beside_a_folder_of_its_figures(tmp_path: Path) -> None:
    write_page("text", tmp_path / "name.md", {"one": "<svg>1</svg>", "two": "<svg>2</svg>"})
    assert {p.name for p in tmp_path.iterdir()} == {"name.md", "name"}
    assert (tmp_path / "name.md").read_text() == "text"
    assert {p.name: p.read_text() for p in (tmp_path / "name").iterdir()} == {
        "one.svg": "<svg>1</svg>",
        "two.svg": "<svg>2</svg>",
    }


def test_a_figure_that_is_too_heavy_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    figures = {"light": "x" * HEAVIEST, "heavy": "x" * (HEAVIEST + 1)}
    with pytest.raises(ConfigError, match=r"heavy has 150,001 bytes, more than 150,000; draw fewer points"):
        write_page("text", tmp_path / "name.md", figures)
    assert not list(tmp_path.iterdir())
    write_page("text", tmp_path / "name.md", {"light": figures["light"]})


@pytest.mark.parametrize("text", [None, "", '{"a": '])
def test_results_that_are_missing_or_torn_are_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"no results in .*r\.json: .*; run the study, or give --results FOLDER"):
        read_results(path)


def test_a_table_has_a_line_for_each_row() -> None:
    text = markdown_table(["set", "p"], [["yacht", "0.1"], ["energy", "0.2"]])
    assert text.splitlines() == ["| set | p |", "| --- | --- |", "| yacht | 0.1 |", "| energy | 0.2 |"]
