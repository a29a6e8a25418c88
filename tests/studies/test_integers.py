"""The study of whole numbers: a small run on real data, and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from studies.integers.command import run_integers
from studies.integers.networks import KINDS, QUICK, TRAINED
from studies.integers.page import render


@pytest.mark.slow
def test_a_small_study(real: Path, tmp_path: Path) -> None:
    settings = replace(QUICK, fan_in=200)
    found = run_integers(real, tmp_path / "i.json", tmp_path / "i.md", settings=settings, seed=1)
    assert json.loads((tmp_path / "i.json").read_text("utf-8")) == json.loads(json.dumps(found))
    assert (tmp_path / "i.md").read_text("utf-8") == render(found)
    lines = {(line["set"], line["kind"], line["bits"]): line for line in found["lines"]}
    assert lines.keys() == {(s, k, b) for s in (QUICK.set, QUICK.images) for k in KINDS for b in QUICK.bits}
    for (name, kind, bits), line in lines.items():
        if bits > 4:
            assert line["error"] < lines[name, kind, 4]["error"]
            assert line["alike"] >= lines[name, kind, 4]["alike"]
    for name in (QUICK.set, QUICK.images):
        assert lines[name, TRAINED, 8]["error"] < 0.05
    for line in found["fan_in"]:
        assert line["other_spikes"] == 0
        assert line["same_readout"]
        assert line["fan_in"]["after"] <= 200 < line["fan_in"]["before"]
