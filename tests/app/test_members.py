"""Runs of several networks that predict together."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from problems import table
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run, save_run
from spikebayes.app.standing import KEY, ONE
from spikebayes.app.table_run import TableRun, networks_of, train_table
from spikebayes.app.table_task import prepare_table
from spikebayes.app.unfinished import CHECKPOINTS
from spikebayes.errors import ConfigError, StoreError
from spikebayes.network.codes import Digits


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and the run of two networks."""
    folder = tmp_path_factory.mktemp("members")
    table(120).to_csv(folder / "rows.csv", index=False)
    given = [str(folder / "rows.csv"), "--target", "y", "--hidden", "8", "--epochs", "2", "--members", "2"]
    assert main(["fit", *given, "--out", str(folder / "run")]) == 0
    return folder


def test_members_differ_and_share_the_samples(both: Path) -> None:
    run, rows = load_run(both / "run"), pd.read_csv(both / "rows.csv")
    first, second = run.members
    assert not torch.equal(first.model[0].weight, second.model[0].weight)  # pyright: ignore
    made = run.predict(rows, network=run.network(), samples=10, seed=3)
    assert made.settings["members"] == 2
    assert (made.settings["samples"], made.settings["seed"]) == (10, 3)
    alone = TableRun(first, run.schema, run.architecture).predict(rows, network=first.network(), samples=5, seed=3)
    assert torch.equal(made.samples[:5], alone.samples)
    (name, spikes), *_ = alone.settings["spikes_per_prediction"].items()
    assert made.settings["spikes_per_prediction"][name] != spikes  # the other member has its own
    assert not torch.equal(made.samples[5:], alone.samples)
    assert made.conformal == run.predictor.conformal


def test_a_stored_run_predicts_as_before(tmp_path: Path) -> None:
    rows = table(60)
    run = train_table(prepare_table(rows, "y", hidden=(8,), members=3, seed=1), epochs=2, error=None)
    save_run(run, tmp_path / "run")
    again = load_run(tmp_path / "run")
    assert len(again.members) == 3
    for network in (False, True):
        one, other = (
            r.predict(rows, network=r.network() if network else None, samples=6).samples for r in (run, again)
        )
        assert torch.equal(one, other)
    stored = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert stored["format"] == "spikebayes.ensemble-run/1"  # who knows of single networks only is told
    stored["members"].pop()
    (tmp_path / "run" / "run.json").write_text(json.dumps(stored), "utf-8")
    with pytest.raises(StoreError):
        load_run(tmp_path / "run")


def test_codes_are_of_each_member(both: Path) -> None:
    run, rows = load_run(both / "run"), pd.read_csv(both / "rows.csv")
    coded = networks_of(run.network(code=Digits(4, 4), calibrate=rows))
    assert [network.code for network in coded] == [Digits(4, 4)] * 2


def test_every_verb_takes_such_a_run(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, rows = str(both / "run"), str(both / "rows.csv")
    few = ["--data", rows, "--samples", "4"]
    assert main(["predict", run, *few, "--out", str(both / "p.csv")]) == 0
    made = load_run(both / "run")
    expected = made.predict(pd.read_csv(rows), network=made.network(), samples=4)
    assert pd.read_csv(both / "p.csv")["mean"].to_numpy() == pytest.approx(expected.mean[:, 0].numpy(), rel=1e-5)
    for verb in ("score", "energy"):
        assert main([verb, run, *few]) == 0
    assert main(["energy", run, "--data", rows, "--samples", "3"]) == 2  # two of each at least
    assert "member 2 of 2, which gives one of 2 samples:" in capsys.readouterr().out
    assert main(["compare", run, "--data", rows, "--samples", "10", "--out", str(both / "r.html")]) == 0
    assert main(["info", run]) == 0
    assert capsys.readouterr().out.count("SpikingNetwork") == 2


def test_one_member_stands_beside_all(both: Path) -> None:
    scores = load_run(both / "run").fitted.history[KEY]["scores"]
    assert ONE in scores["RMSE"]


def test_resuming_trains_what_is_missing(
    both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from spikebayes.training import ensemble

    fit, done = ensemble.fit, list[int]()

    def once(*given: object, **settings: object) -> object:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return fit(*given, **settings)  # pyright: ignore

    given = [str(both / "rows.csv"), "--target", "y", "--hidden", "8", "--epochs", "2", "--members", "2"]
    given += ["--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "fit", once)
        assert main(["fit", *given]) == 130
    assert [path.name for path in (tmp_path / "run" / CHECKPOINTS).iterdir()] == ["member-1"]
    capsys.readouterr()
    assert main(["fit", *given, "--resume"]) == 0
    rows = pd.read_csv(both / "rows.csv")
    one, other = (load_run(folder / "run").predict(rows, samples=4).samples for folder in (both, tmp_path))
    assert torch.equal(one, other)


def test_no_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="members"):
        prepare_table(table(20), "y", members=0)
