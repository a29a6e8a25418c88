"""The whole bench on a network of 90 neurons, with a peer that is the reference engine, and its command line."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import command, engine, memory, race, sweeps
from benchmarks.__main__ import main
from benchmarks.measure import fresh
from benchmarks.peers import Outcome
from benchmarks.roofline import roofline
from benchmarks.starts import FIRST_CALL
from benchmarks.synapses_bound import measure_bound
from benchmarks.workloads import Workload, workload
from spikebayes.engine.contract import Engine
from spikebayes.engine.reference import ReferenceEngine
from spikebayes.errors import ConfigError

SMALL_ROOFLINE = {"widths": (64,), "kibibytes": (64, 256), "neurons": (128,), "repeats": 1, "amount": 20_000}
SMALL_BOUND = {"words": (64,), "sources": (9,), "vectors": (2,), "sizes": ((4, 5, 6),), "repeats": 1, "amount": 2000}


def small(name: str, *, rows: int = 4, width: int | None = None, **options: Any) -> Workload:
    return workload("A", rows=rows, width=30 if width is None else width, **options)


class Reference:
    """The reference engine as a peer."""

    name = "reference"
    package = "torch"

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or ReferenceEngine()

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        run, work = self.engine.prepare(workload.network, torch.float32), engine.whole(workload)
        return lambda: engine.outcome(workload, run(work))


class Broken(Reference):
    """A peer that fails in a way of its own."""

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        raise ValueError("no such layer")


class Refusing(Reference):
    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        raise ConfigError("it has no convolutions")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "workload", small)
    monkeypatch.setattr(sweeps, "workload", small)
    monkeypatch.setattr(command, "roofline", functools.partial(roofline, **SMALL_ROOFLINE))
    monkeypatch.setattr(command, "ROWS", 4)
    monkeypatch.setattr(command, "SECONDS", 1e9)  # on a busy machine too all rows are run
    monkeypatch.setattr(command, "available", lambda: {"reference": Reference(), "broken": Broken()})
    monkeypatch.setattr(command, "missing", lambda: {"nengo": "the package nengo is not installed"})
    for name, values in {"STEPS": (3, 6, 9), "SAMPLES": (1, 2, 3), "ROWS": (2, 3, 4), "WIDTHS": (10, 20, 30)}.items():
        monkeypatch.setattr(sweeps, name, values)
    monkeypatch.setattr(sweeps, "RATES", (0.01, 0.02, 0.03))
    monkeypatch.setattr(sweeps, "SOME_ROWS", 2)
    monkeypatch.setattr(sweeps, "alternate", functools.partial(sweeps.alternate, least=0.0))
    monkeypatch.setattr(race, "alternate", functools.partial(race.alternate, least=0.0))


@pytest.mark.slow
def test_a_run_writes_its_results_and_its_page(tiny: None, tmp_path: Path) -> None:
    said: list[str] = []
    results, page = tmp_path / "bench.json", tmp_path / "performance.md"
    only = ["peers", "sweeps"]
    made = command.run_bench(results, page, workloads=["A"], only=only, repeats=2, count=1, say=said.append)
    assert json.loads(results.read_text()) == made
    assert page.read_text() == command.render(made)

    case = made["workloads"]["A"]
    ours, peer = (case["competitors"][name] for name in ("spikebayes", "reference"))
    assert case["refused"] == {"broken": "it failed: ValueError: no such layer"}
    assert made["missing"] == {"nengo": "the package nengo is not installed"}
    assert case["neurons"] == 90
    assert case["neuron_updates"] == 90 * 4 * 300
    assert ours["rates"] == pytest.approx(peer["rates"])  # the same network under the same masks
    assert peer["rate_gap"] == pytest.approx(0, abs=1e-6)
    assert ours["row_steps_per_second"] == pytest.approx(4 * 300 / ours["seconds"]["median"])
    assert peer["ratio"] == pytest.approx(ours["row_steps_per_second"] / peer["row_steps_per_second"])
    spikes = {name: rate * 30 * 4 * 300 for name, rate in ours["rates"].items()}
    assert case["spikes"] == pytest.approx(sum(spikes.values()), abs=1)
    assert case["synaptic_events"] == pytest.approx(30 * (spikes["layer1"] + spikes["layer4"]), abs=1)
    assert [s["over"] for s in made["sweeps"]] == ["steps", "samples", "rows", "rate", "width"]
    assert said[0] == "roofline"
    assert "A: matching the rates of reference" in said


def test_parts_that_are_not_asked_for_are_not_measured(tiny: None, tmp_path: Path) -> None:
    made = command.run_bench(tmp_path / "b.json", tmp_path / "p.md", workloads=["A"], only=[], repeats=1, count=1)
    assert list(made["workloads"]["A"]["competitors"]) == ["spikebayes"]
    assert not {"memory", "growth", "sweeps", "starts", "classical", "synapses"} & set(made)


@pytest.mark.slow
def test_an_update_changes_its_parts_alone(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, page = tmp_path / "bench.json", tmp_path / "performance.md"
    whole = command.run_bench(results, page, workloads=["A"], only=["sweeps"], repeats=1, count=1)
    asked: dict[str, Any] = {}

    def synapses(rows: int, samples: int, **options: Any) -> dict[str, Any]:
        asked.update(options, rows=rows, samples=samples)
        return measured(6, 2, widths=(8, 6, 6, 3), repeats=1, bound=functools.partial(measure_bound, **SMALL_BOUND))

    measured = command.synapses
    monkeypatch.setattr(command, "synapses", synapses)
    monkeypatch.setattr(command, "synapses_memory", lambda *given: {"before": 1, "peak": 2**29, "seconds": 1.0})
    monkeypatch.setattr(command, "roofline", lambda *_: pytest.fail("it measured more than it was asked"))
    made = command.update_bench(results, page, only=["synapses"], quick=True, repeats=5, count=1, seed=4)
    assert json.loads(results.read_text()) == made
    assert page.read_text() == command.render(made)
    assert (asked["rows"], asked["samples"], asked["repeats"], asked["seed"]) == (200, 20, 3, 4)
    changed = {key for key in made if made[key] != whole.get(key)}
    assert changed == {"synapses", "updates", "bars", "summary"}
    update = made["updates"]["synapses"]
    assert update["command"] == "python -m benchmarks --only synapses --update"
    assert update["settings"] == {"quick": True, "repeats": 3, "threads": 1}
    assert {"commit", "machine", "seconds", "seed", "versions"} <= set(update)
    assert {"what": "sampling synapses: exact, peak memory, GiB", "wanted": 1, "got": 0.5, "met": True} in made[
        "bars"
    ]
    assert "sampling synapses: exact, peak memory, GiB: 0.50 (at most 1), met" in made["summary"]


def test_an_update_needs_results_to_update(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no results in .*bench\.json"):
        command.update_bench(tmp_path / "bench.json", tmp_path / "p.md", only=["synapses"], count=1)
    assert not list(tmp_path.iterdir())


def test_a_peer_that_cannot_is_listed_with_its_reason() -> None:
    limit = roofline(1, **SMALL_ROOFLINE)
    found = race.race(small("A", rows=2), {"r": Refusing()}, limit, repeats=1)
    assert found["refused"] == {"r": "it has no convolutions"}


def test_samples_of_rows_are_one_piece_of_work() -> None:
    work = engine.whole(small("A", rows=3), samples=2, steps=9)
    assert work.position.tolist() == work.keys.rows.tolist() == [0, 1, 2, 0, 1, 2]
    assert work.keys.samples.tolist() == [0, 0, 0, 1, 1, 1]
    assert (work.timing.steps, work.timing.burn_in) == (9, 6)


@pytest.mark.slow
def test_memory_is_of_a_process_of_its_own() -> None:
    found = memory.memory_of(small("A", rows=2), {"spikebayes": 2, "nobody": 1}, 1)
    assert 50e6 < found["spikebayes"]["before"] <= found["spikebayes"]["peak"] < 2e9
    assert "nobody" in found["nobody"]["failed"]


def test_a_process_finds_the_benchmarks_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found, _ = fresh("-c", "import benchmarks, json; print(json.dumps({'file': benchmarks.__file__}))")
    assert Path(found["file"]).parents[1] == Path(command.__file__).parents[1]


@pytest.mark.slow
def test_the_first_call_is_timed_from_the_start_of_a_process() -> None:
    seconds, _ = fresh("-c", FIRST_CALL)
    assert 0 < seconds["import_torch"] < seconds["import"]
    assert seconds["first"] > 0


# -- the command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--workloads", "A,X"], "there is no workload 'X' in the bench; there are A, B, C, D"),
        (["--workloads", ","], "give at least one workload"),
        (["--only", "peer"], "there is no part 'peer' in the bench; there are peers, memory"),
        (
            ["--update"],
            "an update measures one or several of sweeps, starts, classical, synapses, thresholds and nothing else",
        ),
        (["--only", "engine", "--update"], "an update measures one or several"),
        (["--only", "synapses,memory", "--update"], "an update measures one or several"),
        (["--repeats", "0"], "repeats must be at least 1"),
        (["--threads", "100000"], "threads must be from 1 to"),
        (["--seed", "-1"], "a seed must be an integer in [0, 2^64)"),
        (["--results", "no/such/folder"], "cannot write"),
        (["--docs", "no/such/folder"], "cannot write"),
    ],
)
def test_bad_settings_are_refused_before_any_work(
    given: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run_bench", "update_bench"):
        monkeypatch.setattr(command, name, lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.chdir(tmp_path)
    for folder in ("results", "docs"):
        (tmp_path / folder).mkdir()
    assert main(given) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_the_command_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def run(results: Path, page: Path, **options: Any) -> dict[str, Any]:
        asked.update(options, results=results, page=page)
        return {"summary": ["A: fast, met"], "seconds": 2.0}

    monkeypatch.setattr(command, "run_bench", run)
    given = ["--workloads", "B, C", "--only", "engine", "--threads", "1", "--quick"]
    assert main([*given, "--results", str(tmp_path), "--docs", str(tmp_path)]) == 0
    assert asked["results"] == tmp_path / "bench.json"
    assert asked["page"] == tmp_path / "performance.md"
    assert (asked["workloads"], asked["only"], asked["quick"], asked["count"]) == (["B", "C"], [], True, 1)
    assert "A: fast, met" in capsys.readouterr().out


def test_the_verb_updates_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def update(results: Path, page: Path, **options: Any) -> dict[str, Any]:
        asked.update(options)
        return {"summary": ["synapses: fast, met"]}

    monkeypatch.setattr(command, "run_bench", lambda *_, **__: pytest.fail("it ran whole"))
    monkeypatch.setattr(command, "update_bench", update)
    given = ["--only", "synapses", "--update", "--threads", "1", "--results", str(tmp_path), "--docs", str(tmp_path)]
    assert main(given) == 0
    assert asked["only"] == ["synapses"]
    assert "synapses: fast, met" in capsys.readouterr().out


def test_the_page_alone(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, page = tmp_path / "bench.json", tmp_path / "performance.md"
    command.run_bench(results, page, workloads=["A"], only=[], repeats=1, count=1)
    kept, text = results.read_bytes(), page.read_text()
    page.unlink()
    for name in ("run_bench", "update_bench"):
        monkeypatch.setattr(command, name, lambda *_, **__: pytest.fail("it ran"))
    assert main(["--page", "--results", str(tmp_path)]) == 0
    assert page.read_text() == text
    assert results.read_bytes() == kept
