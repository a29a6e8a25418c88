"""The study of the Combo network: one small run on real data, its page and figures, and its parts by themselves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from spikebayes import LIF, Alpha, Flat, Hann, convert, predict, simulate
from spikebayes.data.combo import ComboData, PairSplit, load_almanac
from spikebayes.data.combo.almanac import EXPRESSION, SCORES, STRUCTURES
from spikebayes.errors import DataError
from spikebayes.nn import LIFRate, SoftLIF, zoo
from studies.wycoff2019 import redraws as redrawing
from studies.wycoff2019.command import run_wycoff2019
from studies.wycoff2019.learning import Task, scores
from studies.wycoff2019.methods import Bench, Method, faster, fitting_filters, hardened, with_gamma
from studies.wycoff2019.search import Candidate, averaged, fewest
from studies.wycoff2019.settings import QUICK
from studies.wycoff2019.windows import chosen as chosen_code
from studies.wycoff2019.windows import windows

pytestmark = pytest.mark.slow

TINY = replace(
    QUICK,
    learning=replace(QUICK.learning, width=24, epochs=2, batch_size=4096, boosting=5, seeds=1, validation_rows=300),
    probe_rows=3,
    probe_samples=4,
    redraw_rows=2,
    redraw_samples=6,
    longest=200,
)


@pytest.fixture(scope="module")
def almanac(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real files, the table of scores with a twelfth of its pairs."""
    if not (real / "nci_almanac").is_dir():
        pytest.skip(f"no nci_almanac in {real}; set SPIKEBAYES_DATA")
    folder = tmp_path_factory.mktemp("few_pairs")
    for name in (STRUCTURES, f"{EXPRESSION}.gz"):
        shutil.copy(real / "nci_almanac" / name, folder)
    scores = pd.read_csv(real / "nci_almanac" / f"{SCORES}.gz", dtype=str)
    scores[::12].to_csv(folder / SCORES, index=False)
    return folder


@pytest.fixture(scope="module")
def bench() -> Bench:
    """A small network on made-up pairs, untrained."""
    rng = torch.Generator().manual_seed(0)
    index = torch.stack([torch.randint(n, (400,), generator=rng) for n in (5, 8, 8)], 1)
    target = torch.randn(400, 1, generator=rng)
    names = [tuple(f"{letter}{i}" for i in range(n)) for letter, n in (("c", 5), ("d", 8), ("g", 12), ("m", 10))]
    cells, drugs = torch.randn(5, 12, generator=rng), torch.randn(8, 10, generator=rng)
    data = ComboData(cells, drugs, *names, index, target, "score", {"missing": 3})  # pyright: ignore[reportArgumentType]
    torch.manual_seed(1)
    net = with_gamma(zoo.combo(12, 10, 60, 0.2), 1e-3).eval()
    return Bench(Task.prepare(data, 0), net, 5)


# -- the whole ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(almanac: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    folder, said = tmp_path_factory.mktemp("wycoff2019"), []
    found = run_wycoff2019(
        almanac,
        folder / "r.json",
        folder / "docs",
        folder / "work",
        settings=TINY,
        progress=False,
        say=said.append,
    )
    return folder, found, said


def test_the_run_is_written_with_page_and_figures(
    almanac: Path, study: tuple[Path, dict[str, Any], list[str]]
) -> None:
    folder, found, said = study
    rows = len(load_almanac(almanac))
    assert rows > 10_000
    assert json.loads((folder / "r.json").read_text()) == json.loads(json.dumps(found))
    page = (folder / "docs" / "wycoff2019.md").read_text()
    names = [f"figure2-{k}-{n}-raw" for k in ("few", "many") for n in ("paper", "fewest")]
    for name in (
        *names,
        "figure3",
        "figure3-fitting",
        "figure3-fewest",
        "figure4",
        "figure4-large",
        "steps",
        "redraws",
    ):
        assert f"wycoff2019/{name}.svg" in page
        assert "</svg>" in (folder / "docs" / "wycoff2019" / f"{name}.svg").read_text()
    assert f"{found['data']['rows']:,} rows" in page
    assert found["data"]["rows"] == rows
    assert f"{found['few_paper']['paired_rmse']:.3f}" in page
    assert f"{found['training']['parameters']:,} parameters" in page
    coded = found["scored"]["windows"]
    assert coded["rows"] == found["settings"]["learning"]["scored"] > found["scored"]["fewest"]["rows"] == 50
    assert f"{coded['spiking']['r2']:.4f}" in page
    assert f"{found['windows']['codes'][0]['paired_rmse']:.3f}" in page
    decided = found["decisions"]
    assert sum(len(pair["drugs"]) for pair in decided["next"]) == 20
    assert decided["next"][0]["information"] >= decided["next"][-1]["information"] > 0
    assert decided["coverage"]["calibrated"] > decided["coverage"]["samples alone"]
    assert " + ".join(decided["next"][0]["drugs"]) in page
    assert {f"training, {by} split, seed 0" for by in ("random", "pair", "drug", "cell")} <= {
        line.split(":")[0] for line in said
    }
    assert found["splits"].keys() == {"random", "pair", "drug", "cell"}
    assert f"{found['splits']['pair']['trees']['identities']['test']['mean']['r2']:.3f}" in page
    digests = {name: stage["weights_sha256"] for name, stage in found["stages"].items() if name != "data"}
    assert digests["search"] == digests["training, random split, seed 0"] != digests["training, cell split, seed 0"]
    (learned,) = (folder / "work" / "learning").iterdir()
    assert len(PairSplit.load(learned / "split.json", rows).test) == found["data"]["test"]
    assert sum(stage["seconds"] for stage in found["stages"].values()) == pytest.approx(found["seconds"])
    for source in ("Davies", "Hoeppner", "Degnan"):
        assert source in page


def test_a_study_goes_on_where_it_was_stopped(
    almanac: Path, study: tuple[Path, dict[str, Any], list[str]], tmp_path: Path
) -> None:
    folder, found, _ = study
    (judged,) = (folder / "work" / "judging").iterdir()
    (judged / "figure 3.json").unlink()  # as if it had been stopped there
    said: list[str] = []
    again = run_wycoff2019(
        almanac,
        tmp_path / "r.json",
        tmp_path / "docs",
        folder / "work",
        settings=TINY,
        progress=False,
        say=said.append,
    )
    assert [line for line in said if not line.endswith(": done before")] == ["figure 3"]
    assert again["trace"] == found["trace"]
    assert again["search"] == found["search"]


def test_missing_data_is_reported_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"DTP_NCI60_ALMANAC_COMBO_SCORE"):
        run_wycoff2019(tmp_path, tmp_path / "r.json", tmp_path / "docs", tmp_path / "work", progress=False)
    assert not (tmp_path / "work").exists()


# -- methods -----------------------------------------------------------------------------------------------


def test_faster_neurons_fire_more_often_for_the_same_output() -> None:
    x = torch.linspace(-0.5, 0.5, 9)[:, None]
    model = nn.Sequential(nn.Linear(1, 40), SoftLIF(1e-3), nn.Linear(40, 1))
    network = convert(model, x)
    rapid = replace(network, populations=tuple(replace(p, neuron=faster(p.neuron, 2)) for p in network.populations))
    assert isinstance(rapid.populations[0].neuron, LIF)
    runs = [simulate(n, x, steps=3000, burn_in=500) for n in (network, replace(rapid, dt=5e-4))]
    # at half the step the faster network counts in steps as the slower one at the whole
    assert torch.equal(runs[0].counts["layer1"], runs[1].counts["layer1"])


def test_hardened_is_the_limit_of_sharp_thresholds(bench: Bench) -> None:
    rows = bench.rows(6)
    hard, sharp = hardened(bench.net), with_gamma(bench.net, 1e-6)
    assert not any(isinstance(m, SoftLIF) for m in hard.modules())
    assert any(type(m) is LIFRate for m in hard.modules())
    made = [bench.classical(rows, 4, net=net).samples for net in (hard, sharp, with_gamma(bench.net, 0.5))]
    torch.testing.assert_close(made[0], made[1], atol=1e-4, rtol=1e-3)
    assert (made[0] - made[2]).abs().max() > 1e-3


def test_rows_that_choose_and_rows_that_judge_are_apart(bench: Bench) -> None:
    assert not set(bench.rows(30).tolist()) & set(bench.search_rows(30).tolist())


def test_long_simulations_keep_the_classical_samples(bench: Bench) -> None:
    rows = bench.rows(5)
    method = Method("long", Alpha(0.002), None, steps=600, burn_in=200, window=Hann())
    classical, spiking = bench.classical(rows, 10), bench.spiking(method, rows, 10)
    error = (spiking.samples - classical.samples).pow(2).mean(0).sqrt() / classical.model_std
    assert float(error.median()) < 0.1
    assert spiking.settings["window"] == "Hann"


def test_the_fewest_steps_are_those_from_which_on_errors_stay_small(bench: Bench) -> None:
    line = fewest(bench, Candidate(Method("m", Alpha(0.002), None, window=Hann())), 6, 10)
    errors = {part["steps"]: part["paired_rmse"] for part in line["lines"]}
    assert line["steps"] is not None
    assert all(error <= 0.08 for steps, error in errors.items() if steps >= line["steps"])
    before = [steps for steps in errors if steps < line["steps"]]
    last = next(part for part in line["lines"] if part["steps"] == max(before))
    assert last["paired_rmse"] > 0.08 or not 0.97 <= last["std_ratio"] <= 1.03


def test_averaged_reads_the_steps_it_is_told() -> None:
    trace = torch.arange(12, dtype=torch.float64).reshape(1, 2, 6)
    assert averaged(trace, 2, 4, Flat()).tolist() == [[2.5, 8.5]]


def test_the_chosen_redraw_is_the_line_it_was_chosen_by(bench: Bench) -> None:
    like = Method("like", steps=40)
    found = redrawing.redraws(bench, 3, 8, like)
    made_up = {**found["lines"][-1], "kept": True}
    method = redrawing.chosen(found | {"best": made_up}, like)
    assert method is not None
    assert method.redraw is not None
    assert (method.redraw.hold, method.redraw.gap) == (made_up["hold"], made_up["best"]["gap"])
    rows = bench.search_rows(3)
    truth = bench.classical(rows, 8).samples[..., 0].double()
    network = bench.network(method)
    made = predict(network, bench.inputs(rows), samples=8, seed=bench.seed, rows=rows, **method.sampling())
    error = ((made.samples[..., 0] - truth).pow(2).mean(0).sqrt() / truth.std(0)).median()
    assert float(error) == pytest.approx(made_up["best"]["paired_rmse"], rel=1e-4)
    assert redrawing.chosen(found | {"best": None}, like) is None


def test_the_code_that_judges_is_the_quickest_of_those_that_keep(bench: Bench) -> None:
    found = windows(bench, 4, 6)
    kept = [line for line in found["codes"] if line["kept"] and not line["payload"]]
    assert kept
    method = chosen_code(found)
    assert method is not None
    assert method.name == found["best"]
    assert next(c for c in kept if c["name"] == method.name)["ticks"] == min(line["ticks"] for line in kept)
    assert chosen_code(found | {"best": None}) is None
    line = next(c for c in found["codes"] if c["name"] == method.name)
    rows = bench.search_rows(4)
    truth, made = (run.samples[..., 0].double() for run in (bench.classical(rows, 6), bench.spiking(method, rows, 6)))
    error = ((made - truth).pow(2).mean(0).sqrt() / truth.std(0)).median()
    assert float(error) == pytest.approx(line["paired_rmse"], rel=1e-4)


def test_filters_that_fit_have_started_when_the_papers_burn_in_is_over(bench: Bench) -> None:
    method = fitting_filters(bench)
    own = replace(bench.network(method), timing=None)
    made = predict(own, bench.inputs(bench.rows(1)), samples=2)
    assert made.settings["burn_in"] == pytest.approx(method.burn_in, abs=2)
    assert (method.steps, method.burn_in) == (300, 200)


def test_scores_by_hand() -> None:
    truth, prediction = (torch.tensor(v).numpy() for v in ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0]))
    found = scores(truth, prediction)
    assert found["r2"] == pytest.approx(1 - 4 / 5)
    assert found["mae"] == pytest.approx(0.5)


def test_rows_of_tables_give_what_their_features_give(bench: Bench) -> None:
    """The layers before the first dropout once per table line: the same samples, to rounding."""
    rows: Tensor = bench.rows(7)
    tables = bench.task.tables
    together = predict(
        zoo.ComboRows(bench.net, tables.cells, tables.drugs).eval(), tables.index[rows].float(), seed=2
    )  # pyright: ignore[reportArgumentType]
    apart = predict(bench.net, bench.inputs(rows), seed=2)
    torch.testing.assert_close(together.samples, apart.samples, atol=1e-3, rtol=1e-3)
