"""The study of rates: a small run on real data, what is read from its lines, and its page."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.rates.command import run_rates
from studies.rates.figures import figures
from studies.rates.page import render
from studies.rates.settings import CODE, LIF, QUICK
from studies.rates.summary import curves


@pytest.mark.slow
def test_a_small_study_goes_on_where_it_was(real: Path, tmp_path: Path) -> None:
    told: list[str] = []
    made = run_rates(real, tmp_path / "r.json", tmp_path / "r.md", tmp_path / "work", settings=QUICK, say=told.append)
    stored = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert stored == json.loads(json.dumps(made))
    assert (tmp_path / "r.md").read_text("utf-8") == render(stored)
    assert (tmp_path / "r" / "frontier.svg").read_text("utf-8") == figures(stored)["frontier"]
    assert [(c["kind"], c["penalty"]) for c in made["cases"]] == [(k, p) for k in (LIF, CODE) for p in (0.0, 3.0)]
    for free, penalised in zip(made["cases"][::2], made["cases"][1::2], strict=True):
        assert penalised["spikes"] < 0.9 * free["spikes"]
        assert penalised["operations"] < 0.9 * free["operations"]
        assert penalised["joules"]["events"] < penalised["joules"]["awake"] < free["joules"]["awake"]
    again: list[str] = []
    run_rates(real, tmp_path / "r.json", tmp_path / "r.md", tmp_path / "work", settings=QUICK, say=again.append)
    assert again == [f"{name}: done before" for name in told]
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["cases"] == stored["cases"]


def case(penalty: float, likely: np.ndarray[Any, Any], split: int = 0, outcome: str = "kept") -> dict[str, Any]:
    """A made-up one with the log-likelihoods of its rows."""
    side = {"rmse": 1.0, "log_likelihood": float(likely.mean()), "log_likelihood_std": float(likely.std(ddof=1))}
    spikes = 0.1 / (1 + penalty)
    line = {"set": "yacht", "kind": LIF, "split": split, "penalty": penalty, "rows": len(likely), "outcome": outcome}
    joules = {"all": 9.0, "awake": 8.0 / (1 + penalty), "events": 1.0}
    line |= {"error": 0.02, "std_ratio": 1.0, "spikes": spikes, "operations": 1000 * spikes, "joules": joules}
    return line | {"spiking": side, "classical": dict(side)}


def test_the_standard_error_is_that_of_all_rows_together() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=30), 1 + 2 * rng.normal(size=50)]
    (curve,) = curves({"cases": [case(0.0, each, k) for k, each in enumerate(rows)]})
    together = np.concatenate(rows)
    found = curve["lines"][0]["spiking"]
    assert found["log_likelihood"] == pytest.approx(together.mean())
    assert found["standard_error"] == pytest.approx(together.std(ddof=1) / math.sqrt(80))


def test_the_fewest_spikes_are_before_the_first_fall() -> None:
    rows = np.random.default_rng(1).normal(size=100)
    error = float(rows.std(ddof=1)) / 10
    falls = {0.0: 0.0, 0.1: -0.9, 1.0: -1.1, 10.0: 0.5}  # in standard errors
    found = {"cases": [case(p, rows + fall * error) for p, fall in falls.items()]}
    assert curves(found)[0]["fewest"]["penalty"] == 0.1
    found["cases"][2]["spiking"]["log_likelihood"] += 0.2 * error
    assert curves(found)[0]["fewest"]["penalty"] == 10.0


def test_the_page_says_what_the_lines_hold() -> None:
    rows = np.random.default_rng(2).normal(size=100)
    found = {
        "command": "python -m studies.rates", "seed": 3, "commit": "abc", "seconds": 12.3, "cores": 2,
        "code": "radix 2",
        "settings": {"hidden": [16], "dropout": 0.1, "steps": 9, "burn_in": 3, "splits": 1, "test_rows": 9,
                     "samples": 5},
        "cases": [case(0.0, rows), case(1.0, rows, outcome="undecided"), case(3.0, rows - 9)],
    }  # fmt: skip
    page = render(found)
    assert "without penalty: 0.50 on yacht (penalty 1, 0.100 to 0.050 spikes per neuron and step)" in page
    assert "go from 8.00 without penalty to 4.00" in page
    assert "in 1 of 1 splits without penalty, in 0 at these shares" in page
    lines = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[0] for line in lines] == ["| 0", "| **1**", "| 3"]
    assert lines[1].endswith("| 0, 1, 0 | 0.020 | 1.000 | 0.0500 | 50 | 9.00 | 4.00 | 1.00 |")
