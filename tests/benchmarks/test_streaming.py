"""The measurement of a streamed prediction, on a table of a few rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.streaming import streaming


@pytest.mark.slow
def test_all_ways_write_one_file(tmp_path: Path) -> None:
    streaming(rows=300, samples=3, kills=0, suffix="csv", out=tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["same"]
    assert found["whole"]["bytes"] > 300 * 20
    assert 100 < found["whole"]["peak MiB"] < 1024
