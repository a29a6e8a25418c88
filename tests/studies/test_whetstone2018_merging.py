"""A results file that is completed network by network: what stays, what is dropped, and what is said of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpening_results import made_up
from studies.results import read_results
from studies.whetstone2018.merging import merged, outdated
from studies.whetstone2018.page import render
from studies.whetstone2018.recipe import Recipe, differing, learning_part
from studies.whetstone2018.settings import PUBLISHED, RECIPES

ROOT = Path(__file__).resolve().parents[2]
STAGE = {"commit": "new", "seed": 0, "seconds": 7.0, "weights_sha256": ["ab"]}


def told(names: tuple[str, ...]) -> dict[str, Any]:
    """What a run of today finds: every stage tells its commit."""
    found = made_up(names)
    found["stages"] = {
        "training": {n: {"seconds": 7.0, "trainings": {"seed 0": STAGE}} for n in names},
        "judging": dict.fromkeys(found["stages"]["judging"], STAGE),
    }
    found["stages"]["judging"] |= {f"posterior, {name}": STAGE for name in found["posterior"]}
    found["stages"]["judging"] |= {f"pictures, {name}": STAGE for name in found["pictures"]}
    return found


def test_what_stands_there_stays_with_its_own_commits() -> None:
    before, said = made_up(("stpu_dnn", "jasper_dnn")), []
    before["commits"] = ["old"]
    found = merged(told(("stpu_cnn",)), before, PUBLISHED, said.append)
    assert said == []
    assert found["networks"] == ["stpu_dnn", "stpu_cnn", "jasper_dnn"]  # in the order of the recipes
    assert list(found["judged"]) == list(found["training"]) == found["networks"]
    assert found["commits"] == ["old", "new"]  # a stage of before tells none: that of its file counts
    assert found["judged"]["stpu_dnn"] == before["judged"]["stpu_dnn"]
    assert found["rows"].keys() == {"mnist", "jasper_ridge"}
    assert found["seconds"] == 2 * 12.0 + 2 * 7.0  # two that were judged, one judged and drawn
    assert list(found["stages"]["judging"])[-1] == "pictures, stpu_cnn"
    assert render(json.loads(json.dumps(found))) == render(found)
    again = merged(told(("stpu_dnn", "jasper_dnn")), found, PUBLISHED, said.append)
    assert again["commits"] == ["new"]  # nothing of before is left


def test_what_is_of_another_recipe_or_other_rows_is_dropped() -> None:
    before, said = told(tuple(RECIPES)), []
    recipes = json.loads(json.dumps(before["settings"]["recipes"]))
    recipes["cifar_cnn"]["epochs"] += 1
    recipes["stpu_cnn_masks"]["dropout"] = 0.3
    recipes["fashion_cnn"]["threads"] = 16  # of no figure
    before["settings"]["recipes"] = recipes
    before["rows"]["jasper_ridge"] |= {"train": 4000}
    settings = replace(PUBLISHED, samples=PUBLISHED.samples)
    run = told(("jasper_dnn",))
    found = merged(run, before, settings, said.append)
    assert [name for name in RECIPES if name not in found["networks"]] == ["stpu_cnn_masks", "cifar_cnn"]
    assert said == [
        "stpu_cnn_masks is dropped from the results: another recipe: dropout differ",
        "cifar_cnn is dropped from the results: another recipe: epochs differ",
        "the posterior of stpu_cnn is dropped from the results: its networks or settings are others",
    ]
    assert list(found["posterior"]) == ["stpu_dnn"]
    assert "posterior, stpu_cnn" not in found["stages"]["judging"]
    assert found["settings"]["recipes"]["fashion_cnn"]["threads"] == 16  # as it was run
    before["rows"]["mnist"] |= {"test": 20}
    other = merged(told(("stpu_dnn",)), before, settings, said.append)
    assert other["networks"] == ["stpu_dnn", "fashion_cnn", "jasper_dnn"]
    assert "stpu_cnn is dropped from the results: other rows of mnist" in said


def test_a_posterior_of_the_same_networks_stays_when_one_is_trained_again() -> None:
    before, said = told(("stpu_dnn", "stpu_dnn_masks")), []
    run = told(("stpu_dnn",))
    assert run["posterior"] == {}
    found = merged(run, before, PUBLISHED, said.append)
    assert found["posterior"].keys() == {"stpu_dnn"}
    assert "posterior, stpu_dnn" in found["stages"]["judging"]
    found = merged(run, before, replace(PUBLISHED, samples=3), said.append)
    assert found["posterior"] == {}
    assert said == ["the posterior of stpu_dnn is dropped from the results: its networks or settings are others"]


def test_another_study_is_not_completed() -> None:
    before = made_up(("stpu_dnn", "jasper_dnn"))
    assert outdated(before, PUBLISHED, 0) == {}
    assert outdated(before, PUBLISHED, 1)["stpu_dnn"] == "another study: seed differ"
    quick = replace(PUBLISHED, rows=100, test_rows=10)
    assert outdated(before, quick, 0)["jasper_dnn"] == "another study: rows, test_rows differ"
    fewer = replace(PUBLISHED, recipes={"stpu_dnn": RECIPES["stpu_dnn"]})
    assert outdated(before, fewer, 0) == {"jasper_dnn": "no network of this study"}


def test_recipes_of_older_files_have_the_defaults() -> None:
    old = {"data": "mnist", "hidden": [512, 512], "augmentation": "shift", "epochs": 30, "threads": 2}
    assert differing(old, copy.deepcopy(old) | {"threads": 1, "noise": 0.0}) == []
    assert differing(old, old | {"noise": 0.1}) == ["noise"]
    part = learning_part(old)
    assert part["hidden"] == [512, 512]
    assert part["start"] == Recipe("mnist").start
    assert not part.keys() & {"seeds", "threads", "levels"}


def test_the_published_results_can_be_completed() -> None:
    """Their file has fewer fields than today's recipes, and stages that tell only seconds."""
    before, said = read_results(ROOT / "results" / "whetstone2018.json"), []
    gone = outdated(before, PUBLISHED, 0)
    run = told(("stpu_dnn",)) | {"rows": {"mnist": before["rows"]["mnist"]}}
    found = merged(run, before, PUBLISHED, said.append)
    assert set(found["networks"]) == set(before["networks"]) - gone.keys() | {"stpu_dnn"}
    assert found["commits"] == [*before["commits"], "new"]
    assert "STPU DNN" in render(found)
