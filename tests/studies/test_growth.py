"""The growth study: files in the benchmark's format, one small run on real data, and its page."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from spikebayes.data.combo import ComboData, SplitBy, load_benchmark
from spikebayes.errors import DataError
from studies.growth import files
from studies.growth.command import run_growth
from studies.growth.files import write_benchmark
from studies.growth.page import render
from studies.growth.rivals import identities, rivals
from studies.growth.settings import PUBLISHED
from studies.wycoff2019.learning import Task

TINY = replace(
    PUBLISHED,
    learning=replace(PUBLISHED.learning, width=8, accuracy_samples=10, boosting=10),
    epochs=(2, 3),
    held_out=(SplitBy.PAIR,),
    splits=1,
    compared=10,
)
NAMES = ((("line", 4), ("drug", 6)), (("gene", 4), ("mass", 6)))
DOSES = "PairIndex,Drug1,Drug2,Conc1,Conc2,Response,Cell\n"


@pytest.fixture(scope="module")
def tables(real: Path) -> Path:
    for name in (files.SOURCE, files.ALMANAC):
        if not (real / name).is_dir():
            pytest.skip(f"no {name} in {real}; set SPIKEBAYES_DATA")
    return real


@pytest.fixture(scope="module")
def study(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("growth")
    return folder, run_growth(tables, folder / "g.json", folder / "g.md", folder / "work", settings=TINY)


def test_the_run_is_written_with_its_page(study: tuple[Path, dict[str, Any]]) -> None:
    folder, found = study
    assert json.loads((folder / "g.json").read_text("utf-8")) == json.loads(json.dumps(found))
    page = (folder / "g.md").read_text("utf-8")
    assert page == render(found)
    (split,) = found["splits"]["pair"]
    assert len(split["scores"]) == 8
    for scores in split["scores"].values():
        assert f"{scores['r2']:.3f}" in page
        assert scores["mae"] > 0
    assert split["new"]["pair"] == split["data"]["test"]
    losses = {int(epochs): told["validation_loss"] for epochs, told in split["tried"].items()}
    assert split["epochs"] == min(losses, key=lambda epochs: losses[epochs])
    coded = split["spikes"]["windows of ticks"]
    assert coded["paired_rmse"] < 0.2  # 8 bits against reals, in standard deviations
    assert found["stages"]["pair split, seed 0"]["weights_sha256"]


def test_the_loader_takes_the_least_viability_over_doses_of_two_drugs(study: tuple[Path, dict[str, Any]]) -> None:
    folder, found = study
    (benchmark,) = (folder / "work").glob("*/benchmark")
    data = load_benchmark(benchmark)
    told = found["files"]
    assert len(data) == found["rows"] == 210
    assert told["measurements"] - told["of_pairs"] == data.unused["single drug"]
    assert sum(data.unused.values()) == data.unused["single drug"]
    genes = data.cells[:, : told["cells"]["columns"]]
    described = ~genes.isnan().all(1)
    assert [data.cell_names[row] for row in described.nonzero()[:, 0]] == told["cells"]["known"]
    assert torch.equal(data.cells[:, -len(data.cells) :], torch.eye(len(data.cells)))


def test_targets_are_those_of_the_tables(tables: Path, study: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = study
    (benchmark,) = (folder / "work").glob("*/benchmark")
    data = load_benchmark(benchmark)
    least = []
    for name, sign, offset in (("combos_192.csv.gz", 1, 0), ("combos_18.csv.gz", -1, 100)):
        doses = pd.read_csv(tables / files.SOURCE / name)
        doses = doses[(doses["Conc1"] > 0) & (doses["Conc2"] > 0)]
        living = offset + sign * doses["Response"]
        least.append(living.groupby(doses["PairIndex"]).min() / 100)
    expected = np.sort(np.concatenate(least))
    assert np.sort(data.target[:, 0].numpy()) == pytest.approx(expected, abs=1e-6)


def test_a_table_that_says_something_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / files.SOURCE
    folder.mkdir()
    with pytest.raises(DataError, match=r"combos_192\.csv\.gz is no table of dose responses"):
        write_benchmark(tmp_path, tmp_path / "made")
    inhibition = DOSES + "1,a,b,0,0,2,X\n1,a,b,10,10,90,X\n"
    (folder / "combos_192.csv.gz").write_bytes(gzip.compress(inhibition.encode()))
    with pytest.raises(DataError, match="taken for percent viability, but then 2 % live untreated and 90 %"):
        write_benchmark(tmp_path, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def additive() -> Task:
    """Growth that is a sum over the line and the two drugs, whichever comes first."""
    rng = np.random.default_rng(0)
    index = np.column_stack([rng.integers(4, size=300), rng.integers(6, size=(300, 2))])
    line, drug = rng.standard_normal(4), rng.standard_normal(6)
    target = line[index[:, 0]] + drug[index[:, 1]] + drug[index[:, 2]]
    (c, d), (g, m) = (tuple(tuple(f"{of}{k}" for k in range(n)) for of, n in pair) for pair in NAMES)
    targets = torch.from_numpy(target.astype(np.float32))[:, None]
    data = ComboData(torch.eye(4), torch.eye(6), c, d, g, m, torch.from_numpy(index), targets, "growth", {})
    return Task.prepare(data, 0, test=0.2, validation=0.15)


def test_a_linear_model_finds_a_sum_and_identities_count_both_drugs() -> None:
    task = additive()
    made = identities(task)
    assert (made.sum(1) == 3).all()
    both = task.data.index[:, 1] == task.data.index[:, 2]
    assert (made[both.numpy()].max(1) == 2).all()
    found = rivals(task, TINY, 0)
    assert found["ridge on the identities"]["r2"] > 0.999
    assert all(-1 < scores["r2"] <= 1 for scores in found.values())
