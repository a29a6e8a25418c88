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
from studies.neftci2017 import learning
from studies.neftci2017.command import run_neftci2017
from studies.neftci2017.sampling import errors, law, spiking
from studies.neftci2017.settings import QUICK

TINY = replace(
    QUICK,
    learning=replace(
        QUICK.learning, hidden=(20, 20), images=150, epochs=2, conv_epochs=1, averaged=1, plain_epochs=2
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
    assert any(line.startswith("training, s2m: ") for line in said)
    assert found["images"] == {"train": 150, "validation": 50, "test": 50, "unknown": 50}
    for kind in ("s2m", "sigmoid", "conv"):
        assert len(found["training"][kind]["test_error"]) == (1 if kind == "conv" else 2)
    for line in found["table"].values():
        assert line["epochs"] == len(line["lines"]) == 1
        assert line["mean"] == pytest.approx(line["lines"][0])
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
        learning.Digits.load(tmp_path, 10, 0)


def test_training_goes_on_from_its_last_epoch(data: Path, tmp_path: Path) -> None:
    s = TINY.learning
    whole = learning.train("s2m", data, s, 3, tmp_path / "whole")
    learning.train("s2m", data, replace(s, epochs=1), 3, tmp_path / "parts")
    assert torch.load(tmp_path / "parts/s2m" / learning.LAST_CHECKPOINT, weights_only=True)["epoch"] == 0
    resumed = learning.train("s2m", data, s, 3, tmp_path / "parts")
    assert whole["epochs"] == resumed["epochs"] == 2
    assert len(resumed["test_error"]) == 2
    assert resumed["test_error"][0] == pytest.approx(whole["test_error"][0], abs=0.2)


def test_the_law_is_missed_where_synapses_are_few() -> None:
    few, many = law((8, 300), 400_000, seed=0)
    assert few["p_value"] < 1e-6 < many["p_value"]
    assert few["rms_deviation"] > 5 * many["rms_deviation"]


def test_exact_and_law_make_the_same_errors(data: Path, tmp_path: Path) -> None:
    s = TINY.learning
    learning.train("s2m", data, s, 0, tmp_path)
    digits = learning.Digits.load(data, s.images, 0)
    x = learning.rows("s2m", digits.x_test)
    exact, by_law = (
        errors(spiking("s2m", s, tmp_path, sampling=sampling), x, digits.y_test, 200) for sampling in (Exact(), Law())
    )
    assert exact["single"] == pytest.approx(by_law["single"], abs=0.05)
