"""Committed pages and figures are what the code makes of the committed results, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.page import render
from studies.pages import STUDIES, made, main
from studies.results import HEAVIEST, read_results, results_text

ROOT = Path(__file__).parents[2]
DOCS, RESULTS = ROOT / "docs", ROOT / "results"


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_and_its_figures(name: str) -> None:
    text, figures = made(name, read_results(RESULTS / f"{name}.json"))
    assert (DOCS / f"{name}.md").read_text("utf-8") == text
    there = {p.stem: p.read_text("utf-8") for p in (DOCS / name).glob("*")}
    assert there.keys() == figures.keys()
    for figure, svg in figures.items():
        assert there[figure] == svg, figure
        assert len(svg.encode()) <= HEAVIEST


def test_the_page_of_the_benchmarks() -> None:
    assert (DOCS / "performance.md").read_text("utf-8") == render(read_results(RESULTS / "bench.json"))


@pytest.mark.parametrize("path", sorted(RESULTS.iterdir()), ids=lambda p: p.name)
def test_results_are_as_the_code_writes_them(path: Path) -> None:
    assert path.read_text("utf-8") == results_text(read_results(path))


def test_the_command_makes_the_same_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--results={RESULTS}", f"--docs={tmp_path}", "--only=posterior,neftci2017"]) == 0
    assert "neftci2017.md and 4 figures" in capsys.readouterr().out
    files = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 6
    for path in files:
        assert (tmp_path / path).read_bytes() == (DOCS / path).read_bytes()


def test_an_unknown_study_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--docs={tmp_path}", "--only=posteror"]) == 2
    assert "there is no study 'posteror'; there are codes, chips, models, posterior" in capsys.readouterr().err
    assert main([f"--docs={tmp_path}", f"--results={tmp_path}"]) == 2
    assert "no results in" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
