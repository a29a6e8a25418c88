"""The study of unreliable synapses: a small run on made-up images, resumed, and its parts by themselves."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikebayes.errors import DataError, StoreError
from spikebayes.network.noise import Exact, Law
from studies.neftci2017.command import run_neftci2017
from studies.neftci2017.learning import LAST_CHECKPOINT, Digits, train, tried
from studies.neftci2017.networks import Choice, Run, Trained, rows
from studies.neftci2017.sampling import errors, law, spiking
from studies.neftci2017.settings import QUICK

TINY = replace(
    QUICK,
    learning=replace(
        QUICK.learning,
        hidden=(20, 20),
        images=150,
        epochs=2,
        conv_epochs=1,
        averaged=1,
        few_epochs=1,
        rate_epochs=2,
        noise_epochs=1,
    ),
    samples=4,
    resamples=30,
    law_draws=4000,
    imperfect_samples=2,
)


def write_set(folder: Path, rows: int, seed: int) -> None:
    """Two kinds of images in the official format: bright on the left or on the right."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for part, count in (("train", rows), ("t10k", rows // 4)):
        labels = rng.integers(0, 2, count).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        images[labels == 0, :, :14] += 180
        images[labels == 1, :, 14:] += 180
        head = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = struct.pack(">II", 0x801, count)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_set(folder / "mnist", 200, 0)
    write_set(folder / "fashion-mnist", 200, 1)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[dict[str, Any], list[str], Path]]:
    home = tmp_path_factory.mktemp("study")

    def again() -> tuple[dict[str, Any], list[str], Path]:
        said: list[str] = []
        options: dict[str, Any] = {"settings": TINY, "progress": False, "say": said.append}
        found = run_neftci2017(data, home / "neftci2017.json", home / "docs", home / "work", **options)
        return found, said, home

    return again


@pytest.mark.slow
def test_the_whole_study_runs_once(run: Callable[[], tuple[dict[str, Any], list[str], Path]]) -> None:
    found, said, home = run()
    assert json.loads((home / "neftci2017.json").read_text()) == json.loads(json.dumps(found))
    assert any(line.startswith("training, s2m, seed 1: ") for line in said)
    assert found["images"] == {"train": 150, "validation": 50, "test": 50, "unknown": 50}
    for kind, seeds, epochs in (("s2m", 2, 2), ("sigmoid", 2, 2), ("conv", 1, 1), ("s2m, 4 bits", 1, 1)):
        assert [len(t["test_error"]) for t in found["training"][kind]] == [epochs] * seeds
    for each in found["table"].values():
        assert len(each) == 2
        for line in each:
            assert line["epochs"] == len(line["lines"]) == 1
            assert line["mean"] == pytest.approx(line["lines"][0])
    tries = found["choosing"]["tried"]
    assert sum(t["network"] == "s2m" for t in tries) == 5  # two learning rates, two noises, one range
    for kind, choice in found["choosing"]["chosen"].items():
        for what, epochs in (("learning_rate", 2), ("noise", 1)):
            some = [t for t in tries if t["network"] == kind and not t["bits"] and t["epochs"] == epochs]
            assert choice[what] == min(some, key=lambda t: t["log_loss"])[what]
    assert all(stage["weights_sha256"] for name, stage in found["stages"].items() if name.startswith("training"))
    assert [line["change"] for line in found["few_bits"]["4"]["s2m"]] == ["none", "noise", "noise", "noise"]
    for kind, judged in found["uncertainty"].items():
        scores = judged["scores"]
        assert ("auroc_mutual_information" in scores) == (kind != "deterministic")
        assert all(s["low"] <= s["high"] and s["value"] >= 0 for s in scores.values())
        assert "log_losses" not in judged
    assert [line["fan_in"] for line in found["law"]] == [8, 16, 32, 300]
    page = (home / "docs/neftci2017.md").read_text()
    for name in ("figure2", "figure3", "figure4", "robustness"):
        assert f"neftci2017/{name}.svg" in page
        assert (home / f"docs/neftci2017/{name}.svg").read_text().startswith("<svg")
    assert "nan" not in page.lower()

    again, said, _ = run()
    assert said
    assert all(line.endswith("done before") for line in said)
    del found["seconds"], again["seconds"], found["stages"]["data"], again["stages"]["data"]
    assert again == found


def test_a_torn_stage_is_named(run: Callable[[], tuple[dict[str, Any], list[str], Path]]) -> None:
    _, _, home = run()
    (stage,) = (home / "work/judging").glob("*/erf law.json")
    whole = stage.read_text()
    stage.write_text(whole[:20])
    with pytest.raises(StoreError, match=r"erf law\.json is torn"):
        run()
    stage.write_text(whole)


def test_missing_images_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikebayes.data.fetching.TIMEOUT", 1.0)
    monkeypatch.setattr("spikebayes.data.images.PUBLISHERS", {"mnist": "https://127.0.0.1:9", "fashion-mnist": ""})
    with pytest.raises(DataError, match=r"put train-images-idx3-ubyte\.gz"):
        Digits.load(tmp_path, 10, 0)


def test_training_goes_on_from_its_last_epoch(data: Path, tmp_path: Path) -> None:
    s, run, choice = TINY.learning, Run("s2m", 3), Choice(0.6, 1e-4)
    whole = train(run, choice, data, 3, s, tmp_path / "whole")
    train(run, choice, data, 3, replace(s, epochs=1), tmp_path / "parts")
    assert torch.load(tmp_path / "parts" / LAST_CHECKPOINT, weights_only=True)["epoch"] == 0
    resumed = train(run, choice, data, 3, s, tmp_path / "parts")
    assert whole["epochs"] == resumed["epochs"] == 2
    assert len(resumed["test_error"]) == 2
    assert resumed["test_error"][0] == pytest.approx(whole["test_error"][0], abs=0.2)


def test_a_network_of_few_bits_learns_with_them(data: Path, tmp_path: Path) -> None:
    s, choice = TINY.learning, Choice(0.3, 3e-4, {2: 1.5})
    for kind in ("s2m", "sigmoid"):
        run = Run(kind, 1, 2)
        train(run, choice, data, 0, s, tmp_path / run.name)
        trained = Trained(s, {kind: choice, "s2m": choice}, tmp_path)
        network = spiking(trained, run)
        weights = [c.operator.weight for c in network.connections if c.operator.weight is not None]
        assert [len(w.abs().round(decimals=5).unique()) for w in weights] == [2] * 3


def test_what_is_tried_is_judged_on_validation_images(data: Path) -> None:
    short = tried(Run("s2m"), Choice(0.3, 1e-3), 1, data, 0, TINY.learning)
    longer = tried(Run("s2m"), Choice(0.3, 1e-3), 20, data, 0, TINY.learning)
    assert longer["log_loss"] < short["log_loss"]
    assert longer["error"] <= 0.1


def test_the_law_is_missed_where_synapses_are_few() -> None:
    few, many = law((8, 300), 400_000, seed=0)
    assert few["p_value"] < 1e-6 < many["p_value"]
    assert few["rms_deviation"] > 5 * many["rms_deviation"]


def test_exact_and_law_make_the_same_errors(data: Path, tmp_path: Path) -> None:
    s, run, choice = TINY.learning, Run("s2m"), Choice(0.6, 1e-4)
    train(run, choice, data, 0, s, tmp_path / run.name)
    trained, digits = Trained(s, {"s2m": choice}, tmp_path), Digits.load(data, s.images, 0)
    x = rows("s2m", digits.x_test)
    exact, by_law = (
        errors(spiking(trained, run, sampling=sampling), x, digits.y_test, 200) for sampling in (Exact(), Law())
    )
    assert exact["single"] == pytest.approx(by_law["single"], abs=0.05)
