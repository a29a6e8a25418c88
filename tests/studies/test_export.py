"""The study of exports: a small run on real data, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studies.export.command import run_export
from studies.export.importers import IMPORTERS
from studies.export.networks import KINDS, PORTABLE
from studies.export.page import render
from studies.export.settings import Settings

pytest.importorskip("nir")
pytest.importorskip("nengo")

SMALL = Settings(
    set="yacht", hidden=(10, 8), epochs=20, rows=5, masks=2, judge_rows=10, judge_samples=20, steps=120, burn_in=60,
    sets=("yacht",), wide=(12, 12), trainings=2, optimiser_steps=100, images=(),
    units=(("gain", 12.0), ("reset", "subtract")), readings=((25, "Flat"),),
)  # fmt: skip


@pytest.mark.slow
def test_a_small_study(real: Path, tmp_path: Path) -> None:
    found = run_export(real, tmp_path / "e.json", tmp_path / "e.md", settings=SMALL, seed=1)
    assert json.loads((tmp_path / "e.json").read_text("utf-8")) == json.loads(json.dumps(found))
    assert (tmp_path / "e.md").read_text("utf-8") == render(found)
    assert found["missing"].keys() == {name for name, importer in IMPORTERS.items() if importer.missing}
    assert found["certificates"].keys() == KINDS.keys()
    assert found["certificates"]["threshold"]["outcome"] == "kept"
    assert found["certificates"][PORTABLE]["differs"] == []
    (line,) = found["sets"]
    assert (line["set"], line["steps"], line["burn_in"]) == ("yacht", 120, 60)
    assert line["error"] < 0.5
    settings = ["as they are", "25 steps left out, Flat window", "gain 12.0", "reset subtract"]
    assert [tried["setting"] for tried in found["tried"]] == settings
    errors = [tried["errors"]["yacht"] for tried in found["tried"]]
    assert all(0 < error < 1 for error in errors)
    assert len(set(errors)) == len(errors)
    assert 0.8 < line["ratio"] < 1.25
    wide = found["certificates"][PORTABLE] | {"error_rate": 0.03, "neurons": 3000}
    assert "3,000 neurons" in render(found | {"images": wide})
    here = [name for name in IMPORTERS if name not in found["missing"]]
    lines = {(line["importer"], line["profile"]): line for line in found["lines"]}
    assert lines.keys() == {(n, p) for n in here for p in KINDS} | {("Nengo", "to_nengo, as converted")}
    for (importer, profile), line in lines.items():
        known = IMPORTERS.get(importer)  # Nengo runs a network of its own, not a file
        if known and profile != PORTABLE and not known.one_step:  # its IF layers give what the next cannot take
            assert line["failed"].startswith("TypeError")
            continue
        if known and profile == PORTABLE and not known.leaks:
            assert line.get("equal", 0.0) < 0.999
            continue
        assert line["equal"] > 0.999  # float32, summed up in other orders
        assert line["std"] < 1e-4
