"""The page and the figures of the sharpening study: true of any numbers, and of any part of the networks."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest

from sharpening_results import ablation_of, judged_of, made_up
from studies.whetstone2018.accuracies import architecture
from studies.whetstone2018.figures import captions, figures, title
from studies.whetstone2018.page import render
from studies.whetstone2018.settings import RECIPES, SLIDES, TRUENORTH, VARIANTS

PARTS = [tuple(RECIPES), *((name,) for name in RECIPES), ("stpu_dnn", "jasper_dnn")]


@pytest.mark.parametrize("names", PARTS, ids=lambda names: "+".join(names) if len(names) < 3 else "all")
def test_the_page_tells_of_the_networks_that_are_there(names: Sequence[str]) -> None:
    found = made_up(names)
    page = render(found)
    assert page == render(json.loads(json.dumps(found)))
    assert not re.search(r"\bnan\b|\binf\b|None|\{|\}", page)
    assert all(line.count("|") == table[0].count("|") for table in tables(page) for line in table)
    for name in RECIPES:
        if name in {VARIANTS[other][0] for other in names if other in VARIANTS}:
            continue  # their table names it
        if name not in names:
            assert f"| {title(name)} |" not in page
            assert f"training, {title(name)} |" not in page
        elif name in VARIANTS:
            assert f"| {title(name)} | {architecture(RECIPES[name])} |" not in page
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
        assert (title(name) in drawn["accuracy"]) == (name not in VARIANTS)


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


# -- inputs, ablations, TrueNorth, logistic regression -----------------------------------------------------


def test_the_three_inputs_are_columns_and_a_claim() -> None:
    names = [name for base in SLIDES for name in (base, f"{base}_binarised", f"{base}_contours")]
    found = made_up(names)
    found["judged"]["stpu_dnn_contours"] = [judged_of(RECIPES["stpu_dnn_contours"], 0.95, 0.949)]
    page = render(found)
    assert "| network | direct current | binarised | contours |" in page
    assert "| STPU DNN | 98.70 -> 98.50 | 98.60 -> 98.40 | 95.00 -> 94.90 |" in page
    assert "12 of 12 lose no more points than in the slides" in claimed(page, "binarised images")
    assert claimed(page, "binarised images").endswith("| reproduced |")
    found["judged"]["stpu_dnn_contours"] = [judged_of(RECIPES["stpu_dnn_contours"], 0.95, 0.9)]
    line = claimed(render(found), "binarised images")
    assert "11 of 12 lose no more points than in the slides; STPU DNN, contours 5.00 +- 0.37" in line
    assert line.endswith("| in part |")
    part = claimed(render(made_up(("stpu_dnn", "stpu_dnn_contours"))), "binarised images")
    assert part.endswith("| in part: 2 of 12 networks |")
    assert claimed(render(made_up(("stpu_dnn",))), "binarised images").endswith("pixels are currents here |")


def test_lessons_count_from_two_standard_errors_on() -> None:
    found = made_up(("stpu_dnn", "cnn_restricted"))
    for name in ("stpu_dnn", "cnn_restricted"):
        found["judged"][name] = [judged_of(RECIPES[name], 0.986, 0.984)]
    assert "### Changes" not in render(found)
    assert claimed(render(found), "RMSprop is the best").endswith("every network here learns by Adam |")
    found["ablations"] = {
        "stpu_dnn_adam": ablation_of("stpu_dnn", "learning_rate", 0.003, 0.984),
        "stpu_dnn_rmsprop": ablation_of("stpu_dnn", "learning_rate", 0.001, 0.99, optimizer="rmsprop"),
        "stpu_dnn_noise": ablation_of("stpu_dnn", "noise", 0.1, 0.985, noise=0.1),
        "cnn_restricted_patch10": ablation_of(
            "cnn_restricted", "", 0, 0.98, convolutions=((8, 10, False), (8, 10, False))
        ),
    }
    page = render(found)
    best = claimed(page, "RMSprop is the best of the optimisers: STPU DNN")
    assert "RMSprop 99.00 %, Adam 98.40 %: +0.60 +- 0.16 points | reproduced |" in best
    assert claimed(page, "additive noise").endswith("| not reproduced |")  # better by less than two errors
    assert "10 x 10 98.00 %, as it is 98.40 %: -0.40 +- 0.19 points | not reproduced |" in claimed(page, "patches")
    assert "| STPU DNN | Adam, learning rate 0.003 | 0.5: 90.00; 0.003: 95.00 (6 epochs) | 1 |" in page
    assert "| restricted CNN | patches of 10 x 10 | - | 1 | 98.20 | 98.00 | 0.14 | +0.20 |" in page
    assert "| trainings, STPU DNN: rmsprop |  | 1 | 600 |" in page
    alone = render(made_up(("stpu_dnn", "cnn_restricted")))
    with_them, without = (int(re.findall(r"(\d+) core-minutes", text)[0]) for text in (page, alone))
    assert with_them - without == 40


def test_a_frame_on_truenorth_has_a_price() -> None:
    found = made_up((TRUENORTH,))
    page = render(found)
    assert "20,000 of pixels and 80,000 of neurons" in page
    assert "At 26 pJ each (Merolla et al. 2014, Science 345:668, per synaptic event) that is 2.60 uJ a frame" in page
    assert claimed(page, "TrueNorth: 95 %").endswith("| in part: 99.4 % is not reached |")
    for one in found["judged"][TRUENORTH]:
        one["spiking"] = 0.994
    assert claimed(render(found), "TrueNorth: 95 %").endswith("| reproduced |")
    for one in found["judged"][TRUENORTH]:
        one["truenorth"] = one["truenorth"] | {"joules": 5e-6}
    assert claimed(render(found), "TrueNorth: 95 %").endswith("| in part: 1.25 times the joules |")


def test_logistic_regression_stands_beside_the_pixels() -> None:
    found = made_up(("jasper_dnn",))
    assert "ogistic" not in render(found)
    found["linear"] = {"jasper_dnn": {"test": 0.98, "rows": 4000, "parameters": 796}}
    page = render(found)
    assert "| hyperspectral DNN: logistic regression | none | 796 | 98.00 | - | - | - |" in page
    assert "has 98.00 +- 0.22 %. Hyperspectral DNN gains +0.50 +- 0.30 points on it as spikes" in page


def test_how_a_network_was_taught_is_said() -> None:
    found = made_up(("cifar_cnn",))
    recipe = replace(RECIPES["cifar_cnn"], distil=0.25, later=6, exact=0.2, bottom_up=True)
    found["settings"]["recipes"]["cifar_cnn"] = asdict(recipe)
    page = render(found)
    assert "of which 25 % give way, in the spiking network" in page
    assert "bfloat16, float32 in the last 20 % of the epochs" in page
    assert "Layers sharpen one after another" in page
    assert "| 24, spiking 30 |" in page
    assert "1 x (24 + 22)" in page
    assert "Some spiking networks train for more epochs" in page


def claimed(page: str, words: str) -> str:
    """The line of a claim."""
    section = page.split("## Claim by claim")[1].split("## Test accuracy")[0]
    (line,) = (line for line in section.splitlines() if words in line)
    return line
