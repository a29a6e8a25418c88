"""What papers claim beside what was found: every outcome follows from the figures."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spikebayes import ConfigError
from studies.claims import Claim, Outcome, claims_table
from studies.neftci2017.claims import claims as neftci
from studies.whetstone2018.claims import claims as whetstone
from studies.whetstone2018.claims import tried
from studies.whetstone2018.tries import tries
from studies.wycoff2019.claims import claims as wycoff

RESULTS = Path(__file__).resolve().parents[2] / "results"


def found(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def line(section: list[str], words: str) -> str:
    (one,) = (row for row in section[-1].splitlines() if words in row)
    return one


def test_counts_of_outcomes_are_those_of_the_lines() -> None:
    made = [
        Claim("a", "1", "2", Outcome.NOT),
        Claim("b", "1", "1", Outcome.REPRODUCED),
        Claim("c", "", "", Outcome.NOT),
    ]
    said = claims_table(made, "Of nothing.")
    assert "1 reproduced, 2 not reproduced" in said[1]
    assert said[-1].count("\n") == 4


def test_the_sigmoid_network_is_beaten_only_by_more_than_chance() -> None:
    results = found("neftci2017")
    assert "not reproduced" in line(neftci(results), "beats the same network")
    better = copy.deepcopy(results)
    for theirs, ours in zip(better["table"]["sigmoid"], better["table"]["s2m"], strict=True):
        theirs["mean"]["average"] = ours["mean"]["average"] + 0.004
    assert "not" not in line(neftci(better), "beats the same network")


def test_speed_is_told_by_epochs_and_one_that_never_arrives_is_slower() -> None:
    results = found("neftci2017")
    for late, outcome in (("sigmoid", "| reproduced"), ("s2m", "| not reproduced")):
        never = copy.deepcopy(results)
        for training in never["training"][late]:
            training["average_error"] = [0.05] * 300
        said = line(neftci(never), "converges faster")
        assert "not reached in 3 of 3" in said
        assert outcome in said


def test_points_lost_count_from_two_standard_errors_on() -> None:
    results = found("whetstone2018")
    assert "not reproduced" in line(whetstone(results), "CIFAR-10 CNN")
    for one in results["judged"]["cifar_cnn"]:
        one["spiking"] = one["original"] - 0.02
    assert "| reproduced |" in line(whetstone(results), "CIFAR-10 CNN")


def test_the_larger_test_is_reproduced_only_if_the_posterior_is_kept() -> None:
    results = found("wycoff2019")
    large = results["large_windows"]
    assert large["paired_outcome"] == "kept"
    large["spiking"]["uniformity_pvalue"] = 1e-4  # a difference is found, and it is of no consequence
    assert "| reproduced |" in line(wycoff(results), "footnote")
    large["paired_outcome"] = "not kept"
    assert "not reproduced" in line(wycoff(results), "footnote")
    large |= {"paired_outcome": "kept", "spiking": large["spiking"] | {"uniformity_pvalue": 0.5, "rejections": 0}}
    assert "not reproduced" in line(wycoff(results), "footnote")  # none is found


def test_every_page_has_its_claims() -> None:
    for name in ("neftci2017", "whetstone2018", "wycoff2019"):
        assert "## Claim by claim" in (RESULTS.parent / "docs" / f"{name}.md").read_text("utf-8")


def committed(folder: Path, results: dict[str, Any]) -> None:
    path = folder / "results" / "whetstone2018.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results), encoding="utf-8")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["add", "."], [*author, "commit", "-qm", "measured"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


def results_of(recipe: dict[str, Any], spiking: float) -> dict[str, Any]:
    judged = {"stpu_dnn": [{"original": 0.99, "spiking": spiking}]}
    return {"settings": {"recipes": {"stpu_dnn": recipe}}, "judged": judged}


def test_a_recipe_changed_after_a_committed_run_is_found_with_the_bars_missed(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    committed(tmp_path, results_of({"epochs": 20, "seeds": 1}, 0.98))
    committed(tmp_path, results_of({"epochs": 20, "seeds": 3}, 0.981))  # more seeds are no other recipe
    committed(tmp_path, results_of({"epochs": 30, "seeds": 3}, 0.985))
    (one,) = tries(tmp_path)
    assert one["changed"] == {"epochs": [20, 30]}
    assert one["before"]["spiking"] == 0.981
    said = tried({"tries": [one], "judged": {"stpu_dnn": []}})[-1]
    assert "98.10 % against 98.3" in said
    assert "0.90 points lost against 0.3" in said


def test_without_a_history_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clone with its history"):
        tries(tmp_path)
    assert tried({}) == tried({"tries": [{"network": "stpu_dnn"}], "judged": {}}) == []
