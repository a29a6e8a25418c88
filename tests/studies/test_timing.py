"""The study of steps: a small run on real data, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gamma

from spikebayes import compare, convert, predict
from studies.timing.command import run_timing
from studies.timing.networks import regression
from studies.timing.page import render
from studies.timing.settings import Settings

SMALL = Settings(
    depths=(3,), width=8, deep="yacht", sets=("yacht",), hidden=(10, 8), optimiser_steps=1, rows=12, samples=10
)


@pytest.mark.slow
def test_a_small_study(real: Path, tmp_path: Path) -> None:
    found = run_timing(
        real, tmp_path / "t.json", tmp_path / "t.md", tmp_path / "work", settings=SMALL, seed=1, progress=False
    )
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == json.loads(json.dumps(found))
    assert (tmp_path / "t.md").read_text("utf-8") == render(found)
    assert "combo" not in found  # nobody has trained it there
    (deep,), (wide,) = found["depths"], found["sets"]
    assert [line["way"] for line in deep["lines"]] == ["default", "300 steps", "tuned"]
    assert [line["way"] for line in wide["lines"]] == ["default", "300 steps", *["by hand"] * 3, "tuned"]
    default, before, tuned = deep["lines"]
    assert default["burn_in"] == int(20 * gamma.ppf(0.99, 6))
    assert default["steps"] == default["burn_in"] + 100
    assert (before["steps"], before["burn_in"]) == (300, 200)
    assert tuned["steps"] < 300

    case = regression(real, "", "yacht", (8, 8, 8), SMALL, 1)
    sides = [predict(m, case.judge, samples=10, seed=2) for m in (case.model, convert(case.model, case.calibrate[0]))]
    assert default["error"] == pytest.approx(float(np.median(compare(*sides).paired_rmse)), rel=1e-6)  # pyright: ignore
