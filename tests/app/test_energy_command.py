"""The verb energy as its user meets it: the table that it prints, the file that it writes, what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import table
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.data import encode_features, read_table, split_rows
from spikebayes.evaluate.energy.energy import energy
from spikebayes.evaluate.energy.meter import Meter
from spikebayes.machine.checked_files import read_json

BRIEF = ["--samples", "4", "--steps", "30", "--burn-in", "10"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("energy")
    table(50).drop(columns="kind").to_csv(folder / "train.csv", index=False)
    given = ["fit", "--data", str(folder / "train.csv"), "--target", "y", "--categorical", "color", "--epochs", "3"]
    assert main([*given, "--out", str(folder / "run"), "--hidden", "[12]", "--validation", "0.2"]) == 0
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def stored(path: Path) -> dict:
    found = read_json(path, "spikebayes.energy/1")
    assert found.pop("versions")["spikebayes"]
    return found


def test_the_held_out_rows_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(run), *BRIEF, "--seed", "3"]) == 0
    said = capsys.readouterr().out
    for words in (
        "all 10 rows",
        "held out",
        "synaptic events",
        "Loihi",
        "SpiNNaker 2",
        "ARM",
        "not measured",
        "vs GPU",
    ):
        assert words in said
    assert str(run / "energy.json") in said
    found = stored(run / "energy.json")

    loaded = load_run(run)
    frame = read_table(loaded.config["data"])
    held = split_rows(len(frame), 0.2, 0)[1]
    x = loaded.fitted.scaling.inputs(encode_features(frame.iloc[held.numpy()], loaded.schema))
    expected = energy(loaded.network(), x, samples=4, steps=30, burn_in=10, seed=3, meter=Meter(Path("nowhere")))
    assert found["spiking"] == expected.spiking.to_dict()
    assert found["classical"] == expected.classical.to_dict()
    assert found["table"][:7] == expected.table()[:7]
    assert f"{expected.spiking.synaptic_events}" in said


def test_the_first_rows_of_a_table(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(20, seed=1).drop(columns=["kind", "y"]).to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "mine.json"
    given = ["energy", str(run), "--data", str(tmp_path / "new.csv"), "--rows", "6", "--json", str(out), *BRIEF]
    assert main([*given, "--mask-scope", "pass"]) == 0
    assert "on the first 6 of 20 rows of" in capsys.readouterr().out
    found = stored(out)
    assert found["spiking"]["rows"] == 6
    assert found["settings"] == {
        "samples": 4, "seed": 0, "mask_scope": "pass", "steps": 30, "burn_in": 10, "dt": 0.001,
    }  # fmt: skip
    assert not (run / "energy.json").exists()


def test_a_result_is_replaced_as_a_whole(run: Path) -> None:
    (run / "energy.json").write_text("old")
    assert main(["energy", str(run), "--rows", "1", *BRIEF]) == 0
    assert json.loads((run / "energy.json").read_text())["spiking"]["rows"] == 1
    assert {p.name for p in run.iterdir()} == {"run.json", "run.safetensors", "fit.json", "energy.json"}


def spoil(run: Path, change: Callable[[dict], None]) -> None:
    """Change what a run says of its training, as a run that was made so would say it."""
    from dataclasses import replace

    from spikebayes.app.run_folder import save_run

    loaded = load_run(run)
    config = dict(loaded.config)
    change(config)
    save_run(replace(loaded, config=config), run)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--rows", "0"], "rows must be a whole number, at least 1"),
        (["--samples", "1"], "samples must be a whole number, at least 2"),
        (["--burn-in", "300"], "in [0, steps); got 300"),
        (["--dt", "0"], "dt must be a positive"),
        (["--tau", "0"], "time constant must be a positive"),
        (["--seed", "-1"], "a seed must be an integer"),
        (["--data", "no.csv"], "no such file"),
        (["--json", "no/such/folder.json"], "cannot write"),
        (["--devices", "all"], "unknown option --devices"),
    ],
)
def test_bad_input_is_one_line(run: Path, given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(run), *given]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (run / "energy.json").exists()


def test_a_run_without_its_table(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(run, lambda config: config.update(data=str(tmp_path / "gone.csv")))
    assert main(["energy", str(run)]) == 2
    assert "gone.csv, is missing; give --data" in capsys.readouterr().err
    table(30).to_csv(tmp_path / "gone.csv", index=False)
    assert main(["energy", str(run)]) == 2
    assert "is no longer the table that the run was trained on; give --data" in capsys.readouterr().err
    spoil(run, lambda config: config.clear())
    assert main(["energy", str(run)]) == 2
    assert "does not record which table it was trained on; give --data" in capsys.readouterr().err


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(tmp_path / "none")]) == 2
    assert "no run folder" in capsys.readouterr().err
