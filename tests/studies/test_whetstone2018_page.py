"""The page and the figures of the sharpening study: true of any numbers, and of any part of the networks."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from sharpening_results import judged_of, made_up
from studies.whetstone2018.accuracies import architecture
from studies.whetstone2018.figures import captions, figures, title
from studies.whetstone2018.page import render
from studies.whetstone2018.settings import RECIPES

PARTS = [tuple(RECIPES), *((name,) for name in RECIPES), ("stpu_dnn", "jasper_dnn")]


@pytest.mark.parametrize("names", PARTS, ids=lambda names: "+".join(names) if len(names) < 3 else "all")
def test_the_page_tells_of_the_networks_that_are_there(names: Sequence[str]) -> None:
    found = made_up(names)
    page = render(found)
    assert page == render(json.loads(json.dumps(found)))
    assert not re.search(r"\bnan\b|\binf\b|None|\{|\}", page)
    assert all(line.count("|") == table[0].count("|") for table in tables(page) for line in table)
    for name in RECIPES:
        if name not in names:
            assert f"| {title(name)} |" not in page
            assert f"training, {title(name)} |" not in page
        elif not RECIPES[name].dropout:
            assert f"| {title(name)} | {architecture(RECIPES[name])} |" in page
    assert set(re.findall(r"\(whetstone2018/(\w+)\.svg\)", page)) == set(captions(found))


@pytest.mark.parametrize("names", [tuple(RECIPES), ("stpu_dnn_masks",), ("stpu_cnn",)], ids=len)
def test_figures_are_those_of_the_page_and_the_same_twice(names: Sequence[str]) -> None:
    found = made_up(names)
    drawn = figures(found)
    assert drawn.keys() == captions(found).keys()
    assert drawn == figures(json.loads(json.dumps(found)))
    for text in drawn.values():
        assert ET.fromstring(text).get("role") == "img"
        assert "nan" not in re.sub(r'href="[^"]*"', "", text)
    for name in names:
        assert title(name) in drawn["accuracy"]


def test_accuracies_and_bars_are_computed() -> None:
    found = made_up(("stpu_dnn", "cifar_cnn", "jasper_dnn"))
    found["judged"]["stpu_dnn"] = [judged_of(RECIPES["stpu_dnn"], 0.987, s) for s in (0.982, 0.983, 0.986)]
    found["judged"]["cifar_cnn"] = [judged_of(RECIPES["cifar_cnn"], 0.85, 0.8349)]
    found["judged"]["jasper_dnn"] = [judged_of(RECIPES["jasper_dnn"], 0.98, 0.98)] * 3
    page = render(found)
    row = "| 98.70 (98.70 to 98.70) | 98.37 (98.20 to 98.60) | +0.33 | 97.3 -> 97.3 |"
    assert row in page
    assert "| STPU DNN | 98.3 | tied, better by 0.07 +- 0.17 | 0.3 | missed, short by 0.03 +- 0.21 |" in page
    assert "| CIFAR-10 CNN | 85 | missed, short by 1.51 +- 0.37 | 1.5 | missed, short by 0.01 +- 0.52 |" in page
    assert "| hyperspectral DNN | - | - | 0.5 | met, better by 0.50 +- 0.31 |" in page
    assert "5 bars: 1 met, 1 tied, 3 missed." in page
    assert "CIFAR-10: 9980 test images of the 10000 published." in page
    assert "stands in for the slides' hyperspectral set" in page


def test_a_bar_that_is_just_met_is_tied() -> None:
    found = made_up(("stpu_dnn",))
    found["judged"]["stpu_dnn"] = [judged_of(RECIPES["stpu_dnn"], 0.986, 0.983)]
    assert (
        "| STPU DNN | 98.3 | tied, better by less than 0.01 +- 0.13 | 0.3 | tied, better by less than 0.01 +- 0.17 |"
        in render(found)
    )
    found["judged"]["stpu_dnn"] = [judged_of(RECIPES["stpu_dnn"], 0.98604, 0.983)]
    assert "| 0.3 | missed, short by less than 0.01 +- 0.17 |" in render(found)


def test_what_does_not_agree_is_said() -> None:
    found = made_up(("stpu_dnn",))
    assert "agree on all 30,000 rows; every activation is exactly 0 or 1." in render(found)
    assert "exactly one spike for every row" in render(found)
    assert "(the bar) with every network." in render(found)
    one = found["judged"]["stpu_dnn"][1]
    one["other_classes"] |= {"spiking": 3, "whole_numbers": 31}
    one |= {"not_binary": 12, "spikes_per_winner": [0.0, 1.0]}
    page = render(found)
    assert "differ on 3 of 30,000 rows; 12 activations are neither 0 nor 1." in page
    assert "gives 0, 1 spikes a row, not always one" in page
    assert "(the bar) but for: STPU DNN." in page
    assert "| 30,000 | 3 | 3 | 0 | 35 | 99.883 | 12 |" in page


def test_shared_epochs_cost_once() -> None:
    found = made_up(("fashion_cnn",))
    recipe = RECIPES["fashion_cnn"]
    alone = recipe.epochs - recipe.fork
    seconds = 10 * (recipe.epochs + alone)
    assert (
        f"| training, Fashion-MNIST CNN | 1 x ({recipe.epochs} + {alone}) | {recipe.threads} | {seconds} |"
        in render(found)
    )
    assert f"{recipe.threads * seconds / 60:.0f} core-minutes" in render(found)


def test_the_posterior_says_which_differences_are_shown() -> None:
    page = render(made_up(("stpu_dnn", "stpu_dnn_masks")))
    assert "original, no spikes -0.0150 [-0.0200, -0.0100], lower" in page
    assert "with a temperature +0.0000 [-0.0100, 0.0100], no difference shown" in page
    assert "unreliable synapses +0.0150 [0.0100, 0.0200], higher" in page
    assert "keep 0.900, by the NLL on 1,000 validation rows (0.95: 0.0700, 0.9: 0.0600)" in page
    assert "## A posterior" not in render(made_up(("stpu_dnn",)))  # its masks are not there


def tables(page: str) -> list[list[str]]:
    blocks = [block.splitlines() for block in page.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]
