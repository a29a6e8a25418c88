"""The study of the UCI benchmark: a small run on real data, and its page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studies.uci.command import run_uci
from studies.uci.judging import CODE, LIF
from studies.uci.page import render
from studies.uci.published import LOG_LIKELIHOOD, RMSE
from studies.uci.settings import PUBLISHED

SMALL = replace(
    PUBLISHED, sets=("yacht",), splits=2, dropout=(0.01, 0.1), learning_rates=(0.003, 0.01), optimiser_steps=40,
    samples=20, rows=20,
)  # fmt: skip


@pytest.mark.slow
def test_a_small_study_goes_on_with_more_splits(real: Path, tmp_path: Path) -> None:
    if not (real / "uci_regression").is_dir():
        pytest.skip(f"no uci_regression in {real}; set SPIKEBAYES_DATA")
    said: list[str] = []
    places = (real, tmp_path / "uci.json", tmp_path / "uci.md", tmp_path / "work")
    run_uci(*places, settings=replace(SMALL, splits=1), count=1, say=said.append)
    found = run_uci(*places, settings=SMALL, count=1, say=said.append)
    assert [line.split(":")[0] for line in said] == ["yacht 0", "yacht 0", "yacht 1"]
    assert said[1] == "yacht 0: done before"
    assert json.loads((tmp_path / "uci.json").read_text("utf-8")) == json.loads(json.dumps(found))
    assert (tmp_path / "uci.md").read_text("utf-8") == render(found)
    for split in found["sets"][0]["splits"]:
        assert split["rows"] == [277, 20]
        for kind in (LIF, CODE):
            assert split[kind]["dropout"] in SMALL.dropout
            assert split[kind]["learning_rate"] in SMALL.learning_rates
            assert split[kind]["noise_std"][0] > 0
            assert split[kind]["error"] < 0.3
            assert split[kind]["spiking"]["rmse"] == pytest.approx(split[kind]["classical"]["rmse"], rel=0.1)


def found_of(rmse: float, likelihood: float, gap: float) -> dict[str, Any]:
    def side(shift: float, more: float) -> dict[str, float]:
        return {"rmse": rmse + shift, "log_likelihood": likelihood + shift + more}

    def split(shift: float) -> dict[str, Any]:
        one = {"dropout": 0.01, "classical": side(shift, 0.0), "spiking": side(shift, gap)}
        return {kind: one | {"error": 0.02, "outcome": "kept", "steps": 50} for kind in (LIF, CODE)}

    return {
        "command": "x",
        "seed": 0,
        "commits": ["c"],
        "stages": {"a": {"seconds": 2.0}},
        "settings": {"hidden": 50, "wide": {"p": 100}, "held": 0.2, "dropout": [0.01], "optimiser_steps": 3}
        | {"learning_rates": [0.01]}
        | {"samples": 4, "rows": 5},
        "sets": [{"name": "yacht", "splits": [split(-0.01), split(0.01)]}],
    }


def test_the_page_counts_what_is_within_a_standard_error() -> None:
    page = render(found_of(0.70, -1.3, 0.0))
    assert "LIF neurons: 1 of 1 sets within a standard error of Gal & Ghahramani 2016 or better" in page
    assert "0.700 +- 0.010 (0.700)" in page
    worse = render(found_of(3.0, -5.0, -0.02))
    assert "LIF neurons: 0 of 1 sets within a standard error of Gal & Ghahramani 2016 or better" in worse
    assert "In 0 of 2 cases the log-likelihood differs by at most 0.01 nats" in worse


def test_published_figures_are_there_for_every_set() -> None:
    for table in (RMSE, LOG_LIKELIHOOD):
        assert set(table) == set(PUBLISHED.sets)
        assert all(math.isfinite(a) and b >= 0 for one in table.values() for a, b in one.values())
