"""The study of sharpening: a small run on made-up data, resumed, stopped and in parts, and its judging by itself."""

from __future__ import annotations

import gzip
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from spikebayes.data.hyperspectral import BANDS, FILE, SIDE
from spikebayes.data.hyperspectral import CLASSES as END_MEMBERS
from spikebayes.errors import ConfigError
from spikebayes.machine.files import make_folder
from spikebayes.training.sharpening import Sharpness
from studies.whetstone2018 import learning
from studies.whetstone2018.command import run_whetstone2018
from studies.whetstone2018.figures import captions, figures, title
from studies.whetstone2018.images import HELD, Rows
from studies.whetstone2018.judging import judge, not_binary
from studies.whetstone2018.page import render
from studies.whetstone2018.recipe import Ablation, Recipe
from studies.whetstone2018.settings import Settings

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"width": 20, "epochs": 2, "batch_size": 32, "seeds": 1}
TINY = Settings(
    recipes={
        "stpu_dnn": Recipe("mnist", hidden=(16,), **{**SHORT, "seeds": 2}),
        "stpu_cnn": Recipe("mnist", convolutions=((3, 5, True),), augmentation="shift", **SHORT),
        "stpu_dnn_masks": Recipe("mnist", hidden=(16,), dropout=0.2, **SHORT),
        "jasper_dnn": Recipe("jasper_ridge", hidden=(8,), augmentation="none", levels=5000, **SHORT),
    },
    ablations={
        "stpu_dnn_adam": Ablation("stpu_dnn", Recipe("mnist", hidden=(16,), **SHORT), "learning_rate", (3e-3,), 2),
        "stpu_dnn_rmsprop": Ablation(
            "stpu_dnn", Recipe("mnist", hidden=(16,), optimizer="rmsprop", **SHORT), "learning_rate", (1e-3, 3e-3), 2
        ),
        "stpu_cnn_patch": Ablation("stpu_cnn", Recipe("mnist", convolutions=((3, 7, True),), **SHORT)),
    },
    posterior={"stpu_dnn": ("stpu_dnn_masks", "fashion-mnist")},
    keeps=(0.9, 0.7),
    samples=4,
    resamples=20,
    rows=160,
    test_rows=60,
)
THREE = replace(TINY.recipes["stpu_cnn"], epochs=3)

Ran = tuple[dict[str, Any], list[str], Path]
Study = Callable[..., Ran]


def write_images(folder: Path, rows: int, seed: int) -> None:
    """Two kinds of images in the official format: bright on the left or on the right."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for part, count in (("train", rows), ("t10k", 80)):
        labels = rng.integers(0, 2, count).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, ::4] = rng.integers(0, 60, (count, 7, 28))
        images[labels == 0, :, :14] += 180
        images[labels == 1, :, 14:] += 180
        head = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes(), 1))
        head = struct.pack(">II", 0x801, count)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes(), 1))


def write_scene(folder: Path) -> None:
    """A scene in the published format: each class is bright in bands of its own."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    kind = rng.integers(0, len(END_MEMBERS), SIDE * SIDE)
    radiance = rng.integers(0, 1000, (BANDS, SIDE * SIDE)).astype(np.uint16)
    radiance += (3000 * (np.arange(BANDS)[:, None] % len(END_MEMBERS) == kind)).astype(np.uint16)
    names = np.array([[f"{i}-{name}"] for i, name in enumerate(END_MEMBERS, start=1)], dtype=object)
    fields = {"Y": radiance, "A": np.eye(len(END_MEMBERS))[:, kind], "maxValue": np.array([[5000]], np.uint16)}
    savemat(folder / FILE, fields | {"cood": names})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder / "mnist", HELD + 160, 0)
    write_images(folder / "fashion-mnist", 10, 1)
    write_scene(folder / "jasper_ridge")
    return folder


@pytest.fixture(scope="module")
def study(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    home = tmp_path_factory.mktemp("study")

    def run(place: str = "all", **options: Any) -> Ran:
        said: list[str] = []
        options = {"settings": TINY, "say": said.append} | options
        (home / place / "docs").mkdir(parents=True, exist_ok=True)
        results, docs = home / place / "whetstone2018.json", home / place / "docs"
        return run_whetstone2018(data, results, docs, home / "work", **options), said, home / place

    return run


@pytest.fixture(scope="module")
def first(study: Study) -> Ran:
    return study()


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """Training sets torch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# -- the command -------------------------------------------------------------------------------------------


def test_the_whole_study_runs_once(first: Ran) -> None:
    found, said, _ = first
    assert any(re.fullmatch(r"training of stpu_dnn, seed 0: \d+ s", line) for line in said)
    assert found["networks"] == list(TINY.recipes)
    assert found["rows"]["mnist"] | {"classes": 10} == {"train": 160, "validation": 160, "test": 60, "classes": 10}
    assert [len(found["training"][name]) for name in found["networks"]] == [2, 1, 1, 1]
    for name, trained in found["training"].items():
        layers = len(TINY.recipes[name].convolutions) + len(TINY.recipes[name].hidden) + 1
        for one in trained:
            for curve in ("loss", "validation", "test", "between", "sharpness", "seconds"):
                assert len(one["original"][curve]) == len(one["spiking"][curve]) == 2
            assert len(one["original"]["revived"]) <= 1  # not after the last epoch
            assert one["original"]["test"][0] == one["spiking"]["test"][0]  # the first epoch is shared
            assert one["spiking"]["sharpness"] == [[], [1.0] * layers]
            assert one["spiking"]["between"][-1] == [0.0] * layers
    assert found["judged"].keys() == {"stpu_dnn", "stpu_cnn", "jasper_dnn"}
    for name, judged in found["judged"].items():
        for one, trained in zip(judged, found["training"][name], strict=True):
            for kind, which in (("original", "original"), ("spiking", "sharpened")):
                assert one[which] == pytest.approx(trained[kind]["test"][-1])
            assert one["other_classes"]["spiking"] == one["not_binary"] == 0
            assert one["spikes_per_winner"] == [1.0]
            assert one["rows"] == 60
    posterior = found["posterior"]["stpu_dnn"]
    assert posterior["networks"].keys() == {"original", "sharpened", "scaled", "blank_out", "masks"}
    assert posterior["keep"] in TINY.keeps
    assert "log_losses" not in posterior["networks"]["masks"]
    assert found["linear"].keys() == {"jasper_dnn"}
    assert [layer["shape"] for layer in found["pictures"]["stpu_cnn"]["layers"]] == [[3, 28, 28], [3, 14, 14]]


def test_a_second_run_trains_and_judges_nothing(first: Ran, study: Study) -> None:
    again, said, _ = study()
    assert len(said) == len(first[1])
    assert all(line.endswith("done before") for line in said)
    assert again == first[0]


def test_the_file_makes_the_same_page_and_figures(first: Ran) -> None:
    found, _, home = first
    read = json.loads((home / "whetstone2018.json").read_text())
    assert read == json.loads(json.dumps(found))
    page, drawn = render(read), figures(read)
    assert page == render(found) == (home / "docs/whetstone2018.md").read_text()
    assert drawn.keys() == {"accuracy", "sharpening", "spikes_stpu_cnn", "aggregation"} == captions(read).keys()
    for name, text in drawn.items():
        assert f"whetstone2018/{name}.svg" in page
        assert (home / f"docs/whetstone2018/{name}.svg").read_text() == text
    assert not re.search(r"\bnan\b", page.lower())


@pytest.mark.usefixtures("first")
def test_a_part_of_the_networks(study: Study) -> None:
    found, said, home = study("part", networks=["jasper_dnn", "stpu_dnn_masks"])
    assert found["networks"] == ["stpu_dnn_masks", "jasper_dnn"]  # in the recipes' order
    assert [line for line in said if line.startswith("training")] == [
        f"training of {name}, seed 0: done before" for name in ("stpu_dnn_masks", "jasper_dnn")
    ]
    assert found["judged"].keys() == {"jasper_dnn"}
    assert found["ablations"] == {}
    assert found["posterior"] == found["pictures"] == {}
    page = (home / "docs/whetstone2018.md").read_text()
    assert title("jasper_dnn") in page
    assert "STPU CNN" not in page


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("named", [["stpu_dnn", "jasper_dnn", "stpu_dnn_rmsprop"], ["stpu_dnn_masks"]], ids=len)
def test_two_runs_of_parts_give_the_same_as_one_whole(named: list[str], study: Study, first: Ran) -> None:
    """Whichever comes first; the second completes the file, and says of nothing that it is dropped."""
    place, every = f"parts{len(named)}", [*TINY.recipes, *TINY.ablations]
    study(place, networks=named)
    _, said, home = study(place, networks=[name for name in every if name not in named])
    assert all(line.endswith("done before") for line in said), said
    for file in ("whetstone2018.json", "docs/whetstone2018.md"):
        assert (home / file).read_text() == (first[2] / file).read_text()


@pytest.mark.usefixtures("first")
def test_networks_of_another_recipe_leave_the_results(study: Study) -> None:
    study("changed")
    recipes = TINY.recipes | {"stpu_dnn": replace(TINY.recipes["stpu_dnn"], learning_rate=1e-3)}
    found, said, _ = study("changed", settings=replace(TINY, recipes=recipes), networks=["jasper_dnn"])
    assert found["networks"] == ["stpu_cnn", "stpu_dnn_masks", "jasper_dnn"]
    assert "stpu_dnn will be dropped from the results: another recipe: learning_rate differ" in said
    assert "stpu_dnn is dropped from the results: another recipe: learning_rate differ" in said
    assert any(line.startswith("the posterior of stpu_dnn is dropped") for line in said)
    assert found["posterior"] == {}
    assert not [stage for stage in found["stages"]["judging"] if stage.endswith("stpu_dnn")]
    assert found["stages"]["judging"]["stpu_cnn, seed 0"]["commit"] == found["commits"][0]


def test_ablations_choose_on_validation_rows_and_tell_accuracies(first: Ran) -> None:
    found, said, home = first
    changed = found["ablations"]
    assert list(changed) == list(TINY.ablations)
    rmsprop = changed["stpu_dnn_rmsprop"]
    tried = rmsprop["chosen"]["tried"]
    assert tried.keys() == {"0.001", "0.003"}
    assert tried[f"{rmsprop['chosen']['value']:g}"] == max(tried.values())
    assert rmsprop["recipe"]["learning_rate"] == rmsprop["chosen"]["value"]
    assert rmsprop["recipe"]["optimizer"] == "rmsprop"
    assert len(found["stages"]["training"]["stpu_dnn_rmsprop"]["trainings"]) == 3
    assert changed["stpu_cnn_patch"]["chosen"] is None
    adam, itself = changed["stpu_dnn_adam"]["judged"], found["judged"]["stpu_dnn"]
    assert [(one["original"], one["spiking"]) for one in adam] == [(itself[0]["original"], itself[0]["spiking"])]
    assert "training of stpu_dnn, seed 0: done before" in said  # the recipe of the base is not trained again
    page = (home / "docs/whetstone2018.md").read_text()
    assert "| STPU DNN | RMSprop, learning rate 0.00" in page
    assert "| STPU CNN | patches of 7 x 7 | - | 1 |" in page


def test_an_unknown_network_is_named(study: Study) -> None:
    with pytest.raises(ConfigError, match=r"no network 'stpu_dn' \(did you mean 'stpu_dnn'"):
        study(networks=["jasper_dnn", "stpu_dn"])


# -- training and judging ----------------------------------------------------------------------------------


def made_up(rows: int = 96) -> Rows:
    """Rows on the grid of 256 grey levels, 1 x 8 x 8, of two classes."""
    rng = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.randint(0, 2, (count,), generator=rng)
        x = torch.randint(0, 128, (count, 1, 8, 8), generator=rng)
        x[:, :, :, 4:] += 127 * y[:, None, None, None]
        return x / 255, y

    return Rows(*part(rows), *part(20), *part(40), classes=("left", "right"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A training that was never stopped: three epochs of the original, one of them shared, and two by itself."""
    home = tmp_path_factory.mktemp("whole")
    return learning.train(THREE, made_up(), 5, home), home


@pytest.mark.parametrize(
    ("looks", "kind", "kept"), [(2, "original", True), (4, "spiking", False), (5, "spiking", True)]
)
def test_a_stopped_training_goes_on(
    whole: tuple[dict[str, Any], Path], looks: int, kind: str, kept: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    look, seen = learning.between, []

    def stops(*arguments: Any) -> list[float]:
        seen.append(1)
        if len(seen) == looks:
            raise RuntimeError("stopped here")
        return look(*arguments)

    monkeypatch.setattr(learning, "between", stops)
    with pytest.raises(RuntimeError, match="stopped here"):
        learning.train(THREE, made_up(), 5, tmp_path)
    assert (tmp_path / kind / learning.LAST_CHECKPOINT).exists() == kept
    assert not (tmp_path / kind / learning.WEIGHTS).exists()
    resumed, (found, home) = learning.train(THREE, made_up(), 5, tmp_path), whole
    for part in (learning.ORIGINAL, learning.SPIKING):
        assert resumed[part] | {"seconds": 0} == found[part] | {"seconds": 0}
        assert (tmp_path / part / learning.WEIGHTS).read_bytes() == (home / part / learning.WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", ["stpu_dnn", "stpu_cnn"])
def test_judging_tells_the_truth(name: str, tmp_path: Path) -> None:
    recipe, rows = replace(TINY.recipes[name], width=12), made_up()
    nets = {kind: learning.network(recipe, (1, 8, 8), 2, 3).eval() for kind in (learning.ORIGINAL, learning.SPIKING)}
    for unit in Sharpness().layers(nets[learning.SPIKING]):
        unit.sharpen(1.0)
    for kind, net in nets.items():
        make_folder(tmp_path / kind)
        save_file(net.state_dict(), tmp_path / kind / learning.WEIGHTS)
    found = judge(recipe, rows, tmp_path)
    assert found["rows"] == 40
    x = learning.rows(recipe, rows.x_test)
    for kind, which in ((learning.ORIGINAL, "original"), (learning.SPIKING, "sharpened")):
        with torch.no_grad():
            assert found[which] == pytest.approx(float((nets[kind](x).argmax(1) == rows.y_test).double().mean()))
    assert found["other_classes"] == {"spiking": 0, "folding": 0, "winner_take_all": 0, "whole_numbers": 0}
    assert found["sharpened"] == found["spiking"] == found["winner_take_all"]
    assert found["spikes_per_winner"] == [1.0]
    assert found["not_binary"] == 0
    assert found["whole_numbers"]["bits"] == 8
    assert 0 < found["whole_numbers"]["largest_sum"] < 2**31
    neurons = {"stpu_dnn": 16 + 12, "stpu_cnn": 3 * 64 + 3 * 16 + 12}[name]
    assert found["demand"]["neurons"] == neurons
    assert found["demand"]["fan_in"] == {"stpu_dnn": 64, "stpu_cnn": 3 * 16}[name]
    assert 0 < sum(found["spikes"].values()) < neurons
    assert json.loads(json.dumps(found)) == found


def test_activations_that_are_no_steps_are_counted() -> None:
    recipe, rows = TINY.recipes["stpu_dnn"], made_up()
    net = learning.network(recipe, (1, 8, 8), 2, 3).eval()
    assert not_binary(net, learning.rows(recipe, rows.x_test)) > 0
