"""predict on tables of any length: in parts, after a kill, with bad rows far down, the table is the same or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from problems import table
from spikebayes.app import finished_parts, streaming
from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.app.unfinished import folder_of
from spikebayes.data import encoding, read_table, write_table
from spikebayes.machine.files import locked
from verbs import BRIEF, content

ROWS = 100


@pytest.fixture
def rows(here: Path) -> Path:
    """A folder with a table ``new.csv`` that is predicted in five parts."""
    table(ROWS).drop(columns=["kind", "color"]).to_csv(here / "new.csv", index=False)
    return here


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "ROWS", 23)


def predict(out: str, *more: str, data: str = "new.csv") -> list[str]:
    return ["predict", "run", "--data", data, "--out", out, *BRIEF, "--seed", "5", *more]


class Killed(BaseException):
    """As if the process had ended."""


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a command that ends like a killed one, when so many more parts are finished."""

    def run(arguments: list[str], after: int) -> None:
        add, done = finished_parts.FinishedParts.add, []

        def counting(self: finished_parts.FinishedParts, frame: pd.DataFrame) -> None:
            if len(done) == after:
                raise Killed
            add(self, frame)
            done.append(frame)

        with monkeypatch.context() as patch:
            patch.setattr(finished_parts.FinishedParts, "add", counting)
            with pytest.raises(Killed):
                main(arguments)

    return run


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz", "csv.gz", "tsv"])
def test_parts_hold_what_one_prediction_of_all_rows_does(rows: Path, suffix: str) -> None:
    assert main(predict(f"p.{suffix}")) == 0
    run = load_run(rows / "run")
    network = run.network()
    whole = run.predict(read_table("new.csv"), network=network, samples=4, steps=30, burn_in=10, seed=5)
    found = read_table(f"p.{suffix}")
    expected = whole.to_pandas().reset_index()
    assert list(found.columns) == [*expected.columns, "outside"]
    for name in expected:
        assert np.array_equal(found[name].astype(expected[name].dtype), expected[name])
    assert not list(rows.glob(".*partial*"))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz", "csv.gz"])
def test_a_resumed_table_is_the_same_to_the_byte(
    rows: Path, killed: Callable[..., None], suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(predict(f"whole.{suffix}")) == 0
    Path(f"p.{suffix}").write_text("before")
    killed(predict(f"p.{suffix}"), 2)
    killed(predict(f"p.{suffix}", "--resume"), 1)
    assert Path(f"p.{suffix}").read_text() == "before"
    capsys.readouterr()
    assert main(predict(f"p.{suffix}", "--resume")) == 0
    assert "continuing after 69 rows that are finished" in capsys.readouterr().out
    assert Path(f"p.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()
    assert not list(rows.glob(".*partial*"))


def test_a_kill_when_all_is_finished(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(predict("whole.csv")) == 0

    def no_time(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(finished_parts, "write_parts", no_time)
        with pytest.raises(Killed):
            main(predict("p.csv"))
    assert len(list((rows / ".p.csv.partial").glob("*.parquet"))) == 5
    assert main(predict("p.csv", "--resume")) == 0
    assert Path("p.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_torn_part_is_made_again(rows: Path, killed: Callable[..., None]) -> None:
    assert main(predict("whole.csv")) == 0
    killed(predict("p.csv"), 3)
    part = rows / ".p.csv.partial" / "00000001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    assert main(predict("p.csv", "--resume")) == 0
    assert Path("p.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_without_resume_what_is_left_is_discarded_and_said(
    rows: Path, killed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    killed(predict("p.csv"), 2)
    capsys.readouterr()
    assert main(predict("p.csv", "--seed", "6")) == 0
    assert "2 finished parts of an interrupted predict are discarded; --resume would" in capsys.readouterr().out
    assert main(predict("q.csv", "--seed", "6", "--resume")) == 0
    assert "there is nothing to resume; starting with the first row" in capsys.readouterr().out
    assert Path("p.csv").read_bytes() == Path("q.csv").read_bytes()


CHANGES: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "seed": (lambda _: None, ["--seed", "6"], "seed"),
    "samples": (lambda _: None, ["--samples", "5"], "samples"),
    "network": (lambda _: None, ["--classical"], "classical"),
    "a value": (lambda f: (f / "new.csv").write_text((f / "new.csv").read_text().replace("1", "2", 1)), [], "table"),
    "the run": (
        lambda f: main(["fit", *predict("x")[2:4], "--out", "run", "--overwrite", "--target", "y"]),
        [],
        "run",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_parts_of_something_else_are_not_resumed(
    rows: Path, killed: Callable[..., None], refused: Callable[..., str], change: str
) -> None:
    killed(predict("p.csv"), 2)
    make, more, name = CHANGES[change]
    make(rows)
    says = "--resume needs the settings of the interrupted predict; changed: "
    said = refused(*predict("p.csv", "--resume", *more), says=says)
    assert name in said.partition("changed: ")[2].partition(";")[0].split(", ")


def test_another_predict_of_the_same_table_is_refused(rows: Path, refused: Callable[..., str]) -> None:
    folder = folder_of(rows / "p.csv")
    folder.mkdir()
    with locked(folder, "predict"):
        refused(*predict("p.csv"), says="another predict is running")


@pytest.mark.parametrize("kind", ["file", "link", "foreign", "folder within"])
def test_a_folder_that_is_not_ours_is_not_emptied(rows: Path, refused: Callable[..., str], kind: str) -> None:
    folder = folder_of(rows / "p.csv")
    match kind:
        case "file":
            folder.write_text("mine")
        case "link":
            (rows / "elsewhere").mkdir()
            folder.symlink_to(rows / "elsewhere")
        case "foreign":
            folder.mkdir()
            (folder / "notes.txt").write_text("mine")
        case _:
            (folder / "00000000.parquet").mkdir(parents=True)
    refused(*predict("p.csv"), says="cannot keep finished parts in")
    refused(*predict("p.csv", "--resume"), says="cannot keep finished parts in")


def test_outputs_of_long_names_that_begin_alike_have_folders_of_their_own() -> None:
    names = [folder_of(Path("x") / f"{'ü' * 100}{end}.csv").name for end in "ab"]
    assert len(set(names)) == 2
    assert all(len(os.fsencode(name)) < 255 for name in names)


def spoilt(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.loc[row - 1, column] = value
        return frame

    return spoil


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.inf, "1 infinite.*(of rows 70 to 92)*first in row 77"),
        ("red", "(row 77: 'red')"),
    ],
)
def test_a_bad_value_far_down_is_found_before_any_work(
    rows: Path, refused: Callable[..., str], suffix: str, value: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = spoilt("a", 77, value)(pd.read_csv("new.csv"))
    if suffix == "csv":
        frame.to_csv("bad.csv", index=False)
    elif suffix == "npz":
        np.savez("bad.npz", **{name: np.array(frame[name].tolist()) for name in frame})
    else:
        frame.astype({"a": str if value == "red" else float}).to_parquet("bad.parquet")
    monkeypatch.setattr(streaming, "finished_parts", None)
    said = refused(*predict("p.csv", data=f"bad.{suffix}"))
    for part in says.split("*"):
        assert part.rstrip(".") in said


def test_a_table_that_changes_meanwhile_gives_none(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = finished_parts.FinishedParts.add

    def changing(self: finished_parts.FinishedParts, frame: pd.DataFrame) -> None:
        add(self, frame)
        text = Path("new.csv").read_text()
        Path("new.csv").write_text(text[:-2] + ("7" if text[-2] != "7" else "8") + "\n")

    monkeypatch.setattr(finished_parts.FinishedParts, "add", changing)
    assert main(predict("p.csv")) == 2
    assert "was changed while it was read" in capsys.readouterr().err
    assert not Path("p.csv").exists()
    assert not list(rows.glob(".*partial*"))


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_bytes(rows: Path) -> None:
    """SIGKILL at moments that random numbers chose, between the first part and the last."""
    x = pd.read_csv("new.csv")
    pd.concat([x] * 6).to_csv("many.csv", index=False)
    for suffix in ("csv", "parquet"):
        arguments = [*predict(f"p.{suffix}", data="many.csv"), "--samples", "60"]
        assert main([*arguments[:5], f"whole.{suffix}", *arguments[6:]]) == 0
        folder, kills = folder_of(Path(f"p.{suffix}")), 0
        command = [sys.executable, "-c", "from spikebayes.app import streaming as s; s.ROWS = 23; "]
        command[-1] += "import sys; from spikebayes.app.cli import main; sys.exit(main(sys.argv[1:]))"
        for _ in range(2):
            before = len(list(folder.glob("*.parquet")))
            with subprocess.Popen(
                [*command, *arguments, "--resume"], stdout=subprocess.DEVNULL, stderr=-1
            ) as process:
                deadline = time.monotonic() + 120
                while len(list(folder.glob("*.parquet"))) < before + 5 and time.monotonic() < deadline:
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        assert kills == 2
        assert not Path(f"p.{suffix}").exists()
        assert main([*arguments, "--resume"]) == 0
        assert Path(f"p.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()


def test_classes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(ROWS).drop(columns=["y"]).to_csv("new.csv", index=False)
    given = ["--target", "kind", "--categorical", "color", "--epochs", "2", "--hidden", "[8]"]
    assert main(["fit", "--data", "new.csv", "--out", "run", *given]) == 0
    assert main(predict("p.parquet")) == 0
    monkeypatch.setattr(streaming, "ROWS", 1 << 16)
    assert main(predict("q.parquet")) == 0
    assert read_table("p.parquet").equals(read_table("q.parquet"))
    assert torch.isfinite(torch.tensor(read_table("q.parquet")["entropy"])).all()
    assert content(tmp_path).keys() >= {"p.parquet", "q.parquet"}


def test_a_wide_table_is_read_in_parts_that_memory_holds(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "ROWS", 1 << 16)
    assert main(predict("whole.csv")) == 0
    monkeypatch.setattr(encoding, "ENTRIES", 2 * 23)  # of two columns
    assert main(predict("parts.csv")) == 0
    assert Path("parts.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_names_of_files_need_not_be_text(rows: Path, suffix: str) -> None:
    old = os.fsdecode(b"gr\xf6\xdfe")  # as a disk of another time has it
    write_table(pd.read_csv("new.csv"), Path(f"{old}.{suffix}"))
    assert main(predict(f"p{old}.{suffix}", data=f"{old}.{suffix}")) == 0
    assert main(predict(f"q.{suffix}")) == 0
    assert Path(f"p{old}.{suffix}").read_bytes() == Path(f"q.{suffix}").read_bytes()
    assert main(["compare", "run", "--data", f"{old}.{suffix}", "--out", f"{old}.html", *BRIEF]) == 0
    assert "gr\\udcf6\\udcdfe" in Path(f"{old}.html").read_text("utf-8")
