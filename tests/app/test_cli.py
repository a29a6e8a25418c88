"""The command line as its user meets it: what it prints, what it writes, and its exit code."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from spikebayes.app.cli import main
from spikebayes.machine.files import locked

QUICK = ["--epochs", "12", "--hidden", "[12]", "--patience", "5"]


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    frame["color"] = rng.choice(["red", "green", "blue"], rows)
    frame["y"] = 3 * frame["a"] - frame["b"] + (frame["color"] == "red") + rng.normal(0, 0.1, rows)
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    table().to_csv(folder / "train.csv", index=False)
    given = ["fit", "--data", str(folder / "train.csv"), "--target", "y", "--categorical", "color"]
    assert main([*given, "--out", str(folder / "run"), *QUICK]) == 0
    return folder / "run"


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Run a command that must be refused: exit code 2, one line, no traceback, nothing written."""

    def check(*arguments: str | Path, says: str) -> str:
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        assert main([str(a) for a in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1, captured.err
        assert "Traceback" not in captured.err
        assert says in captured.err, captured.err
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
        return captured.err

    return check


# -- the way that works ------------------------------------------------------------------------------------


def test_fit_leaves_a_run_and_no_checkpoints(run: Path) -> None:
    assert {p.name for p in run.iterdir()} == {"run.json", "run.safetensors", "fit.json"}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_predict_writes_the_promised_columns(run: Path, tmp_path: Path, suffix: str) -> None:
    table(9, seed=1).drop(columns="y").to_parquet(tmp_path / "new.parquet")
    out = tmp_path / f"out.{suffix}"
    given = ["--samples", "20", "--steps", "120", "--burn-in", "60"]
    assert main(["predict", str(run), "--data", str(tmp_path / "new.parquet"), "--out", str(out), *given]) == 0
    from spikebayes.data.tables import read_table

    made = read_table(out)
    assert set(made.columns) >= {"row", "mean", "std", "q0.05", "q0.5", "q0.95", "observation_std"}
    assert (made["q0.05"] <= made["q0.5"]).all()
    assert (made["q0.5"] <= made["q0.95"]).all()
    assert (made["observation_std"] > made["std"]).all()


def test_classical_and_spiking_answers_agree(run: Path, tmp_path: Path) -> None:
    table(20, seed=2).to_csv(tmp_path / "new.csv", index=False)
    for name, extra in (("s", []), ("c", ["--classical"])):
        where = ["--data", str(tmp_path / "new.csv"), "--out", str(tmp_path / "p.csv")]
    assert main(["predict", str(run), *where, "--classical"]) == 0
    assert "2 of 4 rows lie outside what was trained on" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)["outside"].tolist()
    assert (found[0], found[1]) == ("color", "")
    assert set(found[2].split("|")) == {"a", "color"}


@pytest.mark.parametrize("where", ["no/such/folder/p.csv", "new.csv/p.csv", "p.xlsx"])
def test_output_that_cannot_be_written(fails, run: Path, tmp_path: Path, where: str) -> None:
    table(4).to_csv(tmp_path / "new.csv", index=False)
    fails("predict", run, "--data", tmp_path / "new.csv", "--out", tmp_path / where, says="cannot write")


def test_run_folder_that_cannot_be_written(fails, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path)
    given[given.index("--out") + 1] = str(tmp_path / "t.csv" / "run")
    fails(*given, says="cannot write")


def test_a_run_is_not_overwritten_unasked(fails, run: Path, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path)
    given[given.index("--out") + 1] = str(run)
    fails(*given, says="already holds a run")


def test_torn_and_edited_runs(fails, run: Path, tmp_path: Path) -> None:
    table(4).to_csv(tmp_path / "new.csv", index=False)

    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for part in run.iterdir():
            (folder / part.name).write_bytes(part.read_bytes())
        return folder

    torn, short, edited = copy("torn"), copy("short"), copy("edited")
    (torn / "run.safetensors").write_bytes((torn / "run.safetensors").read_bytes()[:-7])
    (short / "run.json").write_bytes((short / "run.json").read_bytes()[:100])
    text = json.loads((edited / "run.json").read_text())
    text["architecture"]["dropout"] = 0.2
    (edited / "run.json").write_text(json.dumps(text))
    for folder, says in (
        (torn, "torn"),
        (short, "cut short"),
        (edited, "edited"),
        (tmp_path / "no", "no run folder"),
    ):
        fails("predict", folder, "--data", tmp_path / "new.csv", "--out", tmp_path / "p.csv", says=says)


def test_no_verb_and_unknown_verb(fails) -> None:
    assert "demo" in fails(says="verb")
    fails("predcit", says="predict")


def test_resume_without_a_checkpoint(fails, tmp_path: Path) -> None:
    fails(*fit_of(table().drop(columns="color"), tmp_path, "--resume"), says="no interrupted training")


# -- Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_interrupted_fit_goes_on(fails, tmp_path: Path) -> None:
    frame = table(120).drop(columns="color")
    given = fit_of(frame, tmp_path, "--epochs", "150", "--patience", "150")
    command = [sys.executable, "-m", "spikebayes.app.cli", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        last = tmp_path / "run" / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 120
        while not last.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert last.exists()
    fails("info", tmp_path / "run", says="go on with fit --resume")
    fails(*given, says="holds an interrupted training")
    fails(*given, "--resume", "--seed", "5", says="changed: seed")
    assert main([*given, "--resume"]) == 0
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored["history"]["epochs"] == 150
    assert not last.exists()


@pytest.mark.slow
def test_help_waits_for_no_library_that_only_some_verbs_need() -> None:
    code = "import sys; from spikebayes.app.cli import main; main(['fit', '--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--learning_rate" in done.stdout
    for heavy in ("lightning", "scipy.stats", "sklearn", "matplotlib"):
        assert repr(heavy) not in done.stdout
