"""Results as files: whole or not at all, and with what is needed to get them again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import spikebayes
from spikebayes.errors import ConfigError
from spikebayes.machine.versions import versions
from studies.results import markdown_table, provenance, write_page, write_results


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
    found = provenance("spikebayes study x", 7)
    assert (found["command"], found["seed"]) == ("spikebayes study x", 7)
    assert found["versions"] == versions()
    assert found["versions"]["spikebayes"] == spikebayes.__version__
    here = Path(spikebayes.__file__).parent
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    if head.returncode:
        assert found["commit"] is None
    else:
        assert found["commit"].removesuffix("+changes") == head.stdout.strip()


def test_a_table_has_a_line_for_each_row() -> None:
    text = markdown_table(["set", "p"], [["yacht", "0.1"], ["energy", "0.2"]])
    assert text.splitlines() == ["| set | p |", "| --- | --- |", "| yacht | 0.1 |", "| energy | 0.2 |"]
