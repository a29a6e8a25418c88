"""The study of codes in windows, small; it goes on where it was, and its page is made from its file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from studies.codes.command import run_codes
from studies.codes.figures import figures
from studies.codes.page import render
from studies.codes.settings import QUICK

DATA = Path(os.environ.get("SPIKEBAYES_DATA", "nowhere"))
HERE = DATA / "uci_regression" / "yacht"
SMALL = replace(QUICK, images=300, image_rows=5, test_rows=8, image_samples=5, samples=8)


@pytest.mark.slow
@pytest.mark.skipif(
    not HERE.exists() or not (DATA / "mnist").exists(), reason="$SPIKEBAYES_DATA holds no UCI sets, or no MNIST"
)
@pytest.mark.filterwarnings(
    "ignore:the model's outputs are log-probabilities", "ignore:.*lie above its highest level"
)
def test_a_small_study_and_its_page(tmp_path: Path) -> None:
    told: list[str] = []
    found = run_codes(DATA, tmp_path / "codes.json", tmp_path, tmp_path / "work", settings=SMALL, say=told.append)
    cases = {case["group"]: case for case in found["cases"]}
    assert set(cases) == {"uci", "softlif", "wide", "images"}
    for case in found["cases"]:
        for line in case["codes"]:
            assert line["error"] < 0.5
            assert 0.5 < line["std_ratio"] < 2
            assert line["energy"]["events"] <= line["energy"]["awake"] <= line["energy"]["all"]
    assert abs(cases["images"]["accuracy"]["classical"] - cases["images"]["accuracy"]["spiking"]) < 0.01
    stored = json.loads((tmp_path / "codes.json").read_text("utf-8"))
    assert (tmp_path / "codes.md").read_text("utf-8") == render(stored)
    assert figures(stored)["frontier"].startswith("<svg")
    again: list[str] = []
    run_codes(DATA, tmp_path / "codes.json", tmp_path, tmp_path / "work", settings=SMALL, say=again.append)
    assert again == [f"{name}: done before" for name in told]
