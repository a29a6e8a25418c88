"""The study of models that nobody here wrote, small; its page is made from its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from torch import nn

from spikebayes import Digits, Graded
from studies.models.command import run_models
from studies.models.networks import WRITTEN, Model
from studies.models.page import render

DATA = Path(os.environ.get("SPIKEBAYES_DATA", "nowhere"))


def normed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.LayerNorm(6), nn.ReLU(), nn.Dropout(0.2), nn.Flatten())


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "mnist").exists(), reason="$SPIKEBAYES_DATA holds no MNIST")
def test_a_small_study_and_its_page(tmp_path: Path) -> None:
    models = (*WRITTEN[:2], Model("with layer norm", normed, 8))
    codes = ((Digits(4, 4), 4.0), (Graded(14), 8.0))
    found = run_models(DATA, tmp_path / "models.json", tmp_path / "models.md", models=models, codes=codes)
    lines = {(line["model"], line["code"]): line for line in found["lines"]}
    for model in WRITTEN[:2]:
        rough, fine = (lines[model.name, str(code)] for code, _ in codes)
        assert fine["error"] < 0.02 < rough["error"] < 0.5
    refused = lines["with layer norm", str(codes[0][0])]["refused"]
    assert "use BatchNorm" in refused
    stored = json.loads((tmp_path / "models.json").read_text("utf-8"))
    page = (tmp_path / "models.md").read_text("utf-8")
    assert page == render(stored)
    assert refused in page
