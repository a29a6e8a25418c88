"""The posterior study: one small run on real data, its summary by hand, and its page against its figures."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from spikebayes.data.uci import load_split
from spikebayes.errors import ConfigError
from studies.posterior.command import Figures, Settings, run_case, run_posterior, summarise
from studies.posterior.page import render

SMALL = Settings(
    sets=("yacht",),
    dropout=(0.2,),
    hidden=(12,),
    optimiser_steps=1,
    test_rows=12,
    samples=30,
    steps=200,
    burn_in=100,
)


def figures(**changed: Any) -> Figures:
    """One made-up case."""
    words = {"set": "yacht", "method": "spikebayes", "dropout": 0.1, "rows": 100, "rejections": 2}
    words |= {"outcome": "kept", "control_outcome": "kept", "paired_outcome": "undecided"}
    numbers = {
        "rate_hz": 60.0,
        "uniformity_pvalue": 0.4,
        "control_uniformity_pvalue": 0.6,
        "paired_rmse": 0.02,
        "std_ratio": 1.0,
        "std_ratio_independent": 1.1,
        "wasserstein": 0.1,
        "control_wasserstein": 0.12,
        "pooled_mean_difference": 0.01,
        "log_likelihood_classical": -1.25,
        "log_likelihood_spiking": -1.2,
        "rmse_classical": 0.75,
        "rmse_spiking": 0.7512,
        "train_seconds": 31.0,
        "classical_seconds": 1.5,
        "spiking_seconds": 12.25,
    }
    return Figures(**(words | numbers | changed))


@pytest.fixture(scope="module")
def found(real: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("posterior")
    made = run_posterior(real, folder / "p.json", folder / "p.md", settings=SMALL, seed=1, progress=False)
    return made, folder


# -- a run on real data ------------------------------------------------------------------------------------


def test_files_hold_what_is_returned(found: tuple[dict[str, Any], Path]) -> None:
    made, folder = found
    stored = json.loads((folder / "p.json").read_text())
    assert stored == json.loads(json.dumps(made))
    assert (folder / "p.md").read_text() == render(stored)
    assert stored["settings"] == {**json.loads(json.dumps(asdict(SMALL))), "dt": 1e-3, "synapse": "Alpha(0.02)"}
    assert [(c["set"], c["dropout"], c["method"]) for c in stored["cases"]] == [
        ("yacht", 0.2, "spikebayes"),
        ("yacht", 0.1, "plain"),
    ]


def test_figures_of_a_case_hang_together(found: tuple[dict[str, Any], Path]) -> None:
    ours, plain = found[0]["cases"]
    assert all(math.isfinite(value) for value in ours.values() if isinstance(value, float))
    assert ours["rows"] == 12
    assert 0 < ours["paired_rmse"] < 0.3
    assert 0.8 < ours["std_ratio"] < 1.2
    assert ours["rmse_spiking"] == pytest.approx(ours["rmse_classical"], rel=0.05)
    assert ours["log_likelihood_spiking"] == pytest.approx(ours["log_likelihood_classical"], abs=0.1)
    assert ours["rate_hz"] > 2 * plain["rate_hz"] > 2  # what the method is about
    assert ours["paired_rmse"] < plain["paired_rmse"]


def test_a_case_is_a_function_of_its_seed(found: tuple[dict[str, Any], Path], real: Path) -> None:
    again = asdict(run_case(load_split(real, "yacht"), 0.2, "spikebayes", 1, SMALL))
    first = found[0]["cases"][0]
    timed = {name for name in again if name.endswith("_seconds")}
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in first.items() if k not in timed}


def test_an_unknown_set_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no set 'yatch'"):
        run_posterior(tmp_path, tmp_path / "p.json", tmp_path / "p.md", settings=replace(SMALL, sets=("yatch",)))
    assert list(tmp_path.iterdir()) == []


# -- summary and page --------------------------------------------------------------------------------------


def test_the_summary_by_hand() -> None:
    cases = [
        figures(paired_rmse=0.01, std_ratio=0.9, rate_hz=30.0, uniformity_pvalue=0.01, outcome="not kept"),
        figures(paired_rmse=0.05, std_ratio=1.2, rate_hz=60.0, control_uniformity_pvalue=0.001),
        figures(paired_rmse=0.03, std_ratio=1.0, rate_hz=90.0, log_likelihood_spiking=-1.5),
    ]
    assert summarise(cases) == {
        "cases": 3,
        "kept": 2,
        "not kept": 1,
        "undecided": 0,
        "control_kept": 3,
        "control_not kept": 0,
        "control_undecided": 0,
        "paired_kept": 0,
        "paired_not kept": 0,
        "paired_undecided": 3,
        "uniform": 2,
        "control_uniform": 2,
        "paired_rmse_median": 0.03,
        "paired_rmse_largest": 0.05,
        "std_ratio_median": 1.0,
        "std_ratio_smallest": 0.9,
        "std_ratio_largest": 1.2,
        "log_likelihood_gap_largest": 0.25,
        "rate_hz_mean": 60.0,
    }


def test_the_page_has_a_line_per_case_with_its_figures() -> None:
    cases = [figures(set=name, dropout=p) for name in ("yacht", "energy") for p in (0.05, 0.5)]
    cases += [figures(method="plain", rate_hz=9.4)]
    page = render(results_of(cases, [asdict(c) for c in cases]))
    ours, plain = lines_of(page)
    assert [line.split(" | ")[:2] for line in ours] == [
        ["| yacht", "0.05"],
        ["| yacht", "0.5"],
        ["| energy", "0.05"],
        ["| energy", "0.5"],
    ]
    figures_of_plain = "0.400 | 0.600 | 0.020 | 1.000 | -1.250 | -1.200 | 0.75 | 0.7512 | 31 | 1.5 | 12.2 |"
    assert plain == [f"| yacht | 0.1 | 9 | kept | undecided | {figures_of_plain}"]
    assert "Kept in 4 of 4 cases, not kept in 0, undecided in the others (control 4, 0); in pairs kept in 0" in page
    assert "Uniform in 4 of 4 cases (control 4); median error 0.020" in page
    assert "(seed 3, commit `abc`, 12 s on 2 cores)" in page

    words = ("outcome", "control_outcome", "paired_outcome")  # which results of before do not hold
    page = render(results_of(cases, [{k: v for k, v in asdict(c).items() if k not in words} for c in cases]))
    assert lines_of(page)[1] == [f"| yacht | 0.1 | 9 | {figures_of_plain}"]
    assert "Kept in" not in page


def lines_of(page: str) -> list[list[str]]:
    """The lines of both tables, without their heads."""
    return [[line for line in part.splitlines() if line.startswith("|")][2:] for part in page.split("## ")[1:]]


def results_of(cases: list[Figures], stored: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "command": "python -m studies.posterior",
        "seed": 3,
        "commit": "abc",
        "seconds": 12.3,
        "cores": 2,
        "settings": {**asdict(SMALL), "dt": 1e-3, "synapse": "Alpha(0.02)"},
        "summary": {m: summarise([c for c in cases if c.method == m]) for m in ("spikebayes", "plain")},
        "cases": stored,
    }
