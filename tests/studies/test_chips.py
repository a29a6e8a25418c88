"""The study of imperfect chips, small; it goes on where it was, and its page is made from its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from studies.chips.command import QUICK, run_chips
from studies.chips.figures import figures
from studies.chips.page import LIMIT, _bits, _stands, render

DATA = Path(os.environ.get("SPIKEBAYES_DATA", "nowhere"))
LINE = {"perfect": [0.05, 1.0], "loss": [[0.1, 0.1, 1.0], [0.2, 0.2, 1.0], [0.3, 0.1, 1.0]]}


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "uci_regression" / "yacht").exists(), reason="$SPIKEBAYES_DATA holds no UCI sets")
def test_a_small_study_and_its_page(tmp_path: Path) -> None:
    told: list[str] = []
    given = DATA, tmp_path / "chips.json", tmp_path / "chips.md", tmp_path / "work"
    found = run_chips(*given, settings=QUICK, say=told.append)
    for case in found["cases"]:
        first, *others, graded = case["codes"]
        assert not graded["jitter"]
        for code in (first, *others, graded):
            for what in ("loss", "bits"):
                errors = [error for _, error, _ in code[what]]
                least, most = (errors[-1], errors[0]) if what == "bits" else (errors[0], errors[-1])
                assert least < most / 2
        for other in others:
            assert first["jitter"][3][1] < other["jitter"][3][1] / 3  # bends, breaks
    stored = json.loads((tmp_path / "chips.json").read_text("utf-8"))
    assert (tmp_path / "chips.md").read_text("utf-8") == render(stored)
    assert figures(stored)["curves"].startswith("<svg")
    again: list[str] = []
    run_chips(*given, settings=QUICK, say=again.append)
    assert again == [f"{name}: done before" for name in told]


def test_what_a_code_stands_is_read_from_its_curve() -> None:
    """On straight lines, up to the first that leaves the limit; of bits, down to the last."""
    assert _stands(LINE, "loss") == pytest.approx(0.15)
    assert _stands({"perfect": [LIMIT / 2, 1.0], "loss": [[0.1, LIMIT, 1.0]]}, "loss") == 0.1
    assert _stands({"perfect": [2 * LIMIT, 1.0], "loss": [[0.1, 3 * LIMIT, 1.0]]}, "loss") == 0
    assert _bits({"bits": [[3, 0.9, 1.0], [4, 0.1, 1.0], [5, 0.2, 1.0], [6, 0.1, 1.0], [8, 0.05, 1.0]]}) == "6"
    assert _bits({"bits": [[3, 0.9, 1.0]]}) == "-"
