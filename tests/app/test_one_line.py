"""Whatever is wrong with a machine, a name or a moment: one line, an exit code, and nothing torn or left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest

from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from spikebayes.machine.files import locked
from verbs import BRIEF, content, fit

PROGRAM = [sys.executable, "-m", "spikebayes.app.cli"]

# -- files of options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (bytes(range(256)) * 9, "it is not UTF-8 text"),
        (b"a: &a [1, 1]\nb: &b [*a, *a]\nhidden: [*b, *b]\n", r"it has an alias, *a; write out what it stands for"),
        (b"<<: &a {samples: 4}\nx: {<<: *a}\n", "it has an alias"),
        (b"[" * 100_000, "lists are more than 20 deep"),
        (b"#" * (1 << 20) + b"\nsamples: 4\n", "it has more than 1,048,576 bytes"),
        (b"- samples\n", "holds no options; expected YAML"),
        (b"", "holds no options"),
        (b"samples: [\n", "expected YAML"),
        (b'out: "a\\0b.csv"\n', "a path cannot contain the character NUL"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "compare"])
def test_a_file_that_holds_no_plain_options(
    options: bytes, says: str, verb: str, here: Path, refused: Callable[..., str]
) -> None:
    Path("c.yaml").write_bytes(options)
    refused(verb, "run", "--data", "t.csv", "--config", "c.yaml", says=says)


@pytest.mark.parametrize("config", ["no.yaml", ".", "/dev/zero", "n" * 300])
def test_a_path_that_is_no_file_of_options(config: str, here: Path, refused: Callable[..., str]) -> None:
    refused("predict", "run", "--data", "t.csv", "--out", "o.csv", "--config", config, says=f"cannot read {config}")


@pytest.mark.parametrize("value", ["[&a 8, *a]", "[" * 90 + "]" * 90])
def test_a_value_is_plain_too(value: str, here: Path, refused: Callable[..., str]) -> None:
    refused(*fit(here, "--overwrite", "--hidden", value), says="hidden")


# -- names and numbers ---------------------------------------------------------------------------------------


def test_names_are_printed_as_they_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"a": "[/b]", "b": "[red]b", "y": ":dog:"}
    pd.read_csv("t.csv").rename(columns=names).to_csv("t.csv", index=False)
    run = "runs[/x]\x1b[31m"
    place = ["--data", "t.csv", "--out", run, "--target", ":dog:", "--epochs", "2", "--hidden", "[8]"]
    assert main(["fit", *place]) == 0
    assert main(["info", run]) == 0
    assert main(["predict", run, "--data", "t.csv", "--out", "[b]p.csv", *BRIEF]) == 0
    assert main(["compare", run, "--data", "t.csv", "--out", "[i].html", *BRIEF]) == 0
    said = capsys.readouterr().out
    for name in (*names.values(), "runs[/x]", "[b]p.csv", "[i].html"):
        assert name in said
    assert main(["fit", *place]) == 2
    assert capsys.readouterr().err == "spikebayes: runs[/x]\\x1b[31m already holds a run; give another --out, or " + (
        "--overwrite to replace it\n"
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["predict", "n" * 300, "--data", "t.csv", "--out", "o.csv"], "File name too long"),
        (["predict", "run", "--data", "n" * 300 + ".csv", "--out", "o.csv"], "File name too long"),
        (["predict", "run", "--data", "t.csv", "--out", "n" * 300 + ".csv"], "File name too long"),
        (["predict", "run\nrun", "--data", "t.csv", "--out", "o.csv"], "no run folder run run"),
        (["predict", "run", "--data", "t.csv", "--out", "o.csv", "--samples", str(10**12)], "take fewer samples"),
        (["predict", "run", "--data", "t.csv", "--out", "o.csv", "--samples", str(10**300)], "take fewer samples"),
        (["predict", "run", "--data", "t.csv", "--out", "o.csv", "--steps", str(10**9)], "steps must be at most"),
        (["compare", "run", "--data", "t.csv", "--samples", str(10**9)], "samples must be at most 16,777,216"),
        (["compare", "run", "--data", "t.csv", "--steps", str(10**9)], "steps must be at most"),
        (["energy", "run", "--data", "t.csv", "--samples", str(10**12)], "samples must be at most 16,777,216"),
        (["energy", "run", "--data", "t.csv", "--steps", str(10**9)], "steps must be at most"),
        (["fit", "--data", "t.csv", "--target", "y", "--out", "n" * 300], "File name too long"),
        (["fit", "--data", "t.csv", "--target", "y", "--out", "z", "--hidden", "[1000000000]"], "narrower"),
    ],
)
def test_what_no_machine_can_do(given: list[str], says: str, here: Path, refused: Callable[..., str]) -> None:
    refused(*given, says=says)


def test_some_rows_at_a_time_are_all_rows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["predict", "run", "--data", "t.csv", *BRIEF]
    assert main([*given, "--out", "whole.csv"]) == 0
    monkeypatch.setattr("spikebayes.app.streaming.NUMBERS", 4 * 7)
    assert main([*given, "--out", "parts.csv"]) == 0
    assert Path("parts.csv").read_bytes() == Path("whole.csv").read_bytes()


# -- disks ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as on a disk that fills up in the middle of a write."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("room", [0, 1000])
@pytest.mark.parametrize(
    "given",
    [
        ["predict", "run", "--data", "t.csv", "--out", "o.csv", *BRIEF],
        ["predict", "run", "--data", "t.csv", "--out", "o.parquet", *BRIEF],
        ["compare", "run", "--data", "t.csv", "--out", "o.html", *BRIEF],
        ["energy", "run", "--data", "t.csv", "--json", "o.json", "--rows", "2", *BRIEF],
        ["fit", "--data", "t.csv", "--target", "y", "--out", "run", "--overwrite", "--epochs", "2"],
    ],
    ids=lambda given: f"{given[0]} {given[5].rpartition('.')[2]}",
)
def test_a_full_disk(given: list[str], room: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("csv", "parquet", "html", "json"):
        Path(f"o.{kind}").write_text("old")
    before = content(here)
    main(["predict", "run", "--data", "t.csv", "--out", "p.npz", *BRIEF])  # its kernels are kept by now
    Path("p.npz").unlink()
    capsys.readouterr()
    with full_disk(room):
        assert main(given) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("spikebayes: ")]
    assert "File too large; make room there, then try again" in line
    after = content(here)
    assert not [name for name in after if "partial" in name or "next" in name]
    assert {k: v for k, v in after.items() if k != "run/fit.json"} == {
        k: v for k, v in before.items() if k != "run/fit.json"
    }
    load_run(here / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a full device")
@pytest.mark.slow
def test_standard_output_that_is_full_or_closed(here: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "info", "run"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in done.stderr
    for given in ("info run", "fit --help"):
        command = f"{' '.join(PROGRAM)} {given} | head -1"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
        assert (done.stdout.count("\n"), done.stderr) == (1, "")


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """Somebody without rights, as the super-user whom permissions do not bind can be for a while."""
    if not all(folder.stat().st_mode & 0o001 for folder in Path(sys.prefix).absolute().parents):
        pytest.skip(f"other users are not let into {sys.prefix}, where Python's packages are")
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_folder_that_may_not_be_entered(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for module in ("app.demo", "evaluate.energy.text"):  # another user may not be let into Python's own folders
        import_module(f"spikebayes.{module}")
    with TemporaryDirectory() as name:  # pytest's own is closed to others
        folder = Path(name)
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        shutil.copytree(trained, folder / "closed")
        for path, mode in ((folder, 0o777), (folder / "run", 0o755), (folder / "closed", 0o700)):
            path.chmod(mode)
        run, closed, data = str(folder / "run"), str(folder / "closed"), ["--data", str(folder / "t.csv")]
        out = ["--out", str(folder / "o.csv")]
        before = content(folder)
        for given in (
            ["predict", run, "--data", f"{closed}/t.csv", *out],
            ["predict", run, *data, "--out", f"{closed}/o.csv"],
            ["predict", f"{closed}/run", *data, *out],
            ["predict", run, *data, *out, "--config", f"{closed}/c.yaml"],
            ["compare", run, *data, "--out", f"{closed}/o.html"],
            ["energy", run, *data, "--rows", "2", *BRIEF],
            ["info", f"{closed}/run"],
            ["fit", *data, "--target", "y", "--out", f"{closed}/run"],
            ["fit", *data, "--target", "y", "--out", f"{closed}/new"],
            ["fit", *data, "--target", "y", "--out", run, "--overwrite"],
            ["demo", "--out", f"{closed}/demo"],
        ):
            with another_user():
                assert main(given) == 2, given
            said = capsys.readouterr().err
            assert said.count("\n") == said.count("Permission denied") == 1, said
        assert content(folder) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_run_that_may_only_be_read_is_not_trained_anew(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TemporaryDirectory() as name:  # pytest's own is closed to others
        folder = Path(shutil.copytree(trained, name, dirs_exist_ok=True))
        for path, mode in ((folder, 0o755), (folder / "run", 0o777), (folder / "run" / "fit.json", 0o666)):
            path.chmod(mode)
        before = content(folder)
        with another_user():
            assert main(fit(folder, "--overwrite")) == 2
        assert "run.json: it may only be read; " in capsys.readouterr().err
        assert content(folder) == before


# -- processes -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 1.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_first_second(seconds: float, number: signal.Signals, here: Path) -> None:
    given = [*PROGRAM, "predict", "run", "--data", "t.csv", "--out", "o.csv"]
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (128 + number, "spikebayes: interrupted\n")
    assert not Path("o.csv").exists()


@pytest.mark.slow
def test_an_ascii_terminal(here: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LANG": "C"}
    Path("t.csv").rename("t\u00e9.csv")
    given = [*PROGRAM, "energy", "run", "--data", "t\u00e9.csv", "--rows", "2", *BRIEF]
    done = subprocess.run(given, capture_output=True, env=environment, check=True)
    assert b"rows of t\\xe9.csv" in done.stdout
    assert b"\\xb5J" in done.stdout


@pytest.mark.slow
def test_of_three_trainings_in_one_folder_one_is_done(here: Path) -> None:
    """Each seed's description lies over the same seed's weights, whoever comes first."""
    seeds = ["0", "1", "2"]
    for seed in seeds:
        (here / "run").rename(here / "before")
        assert main(fit(here, "--seed", seed)) == 0
        (here / "run").rename(here / f"alone{seed}")
        (here / "before").rename(here / "run")
    alone = [(here / f"alone{seed}" / "run.safetensors").read_bytes() for seed in seeds]
    assert len(set(alone)) == 3
    given = [[*PROGRAM, *fit(here, "--overwrite", "--seed", seed)] for seed in seeds]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in given]
    said = [(process.communicate(timeout=300)[1], process.returncode) for process in started]
    assert all(code == 0 or (code == 2 and "another fit is running in" in text) for text, code in said), said
    assert 0 in [code for _, code in said]
    assert Path("run/run.safetensors").read_bytes() == alone[load_run(here / "run").config["seed"]]


def test_a_scheduler_of_several_processes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trains alone: SLURM's variables, and torchrun's, are not about these trainings."""
    slurm = {"NTASKS": "4", "JOB_ID": "1", "JOB_NAME": "x", "PROCID": "3", "LOCALID": "3", "NODEID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name, value in {"RANK": "3", "LOCAL_RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    before = Path("run/run.safetensors").read_bytes()
    assert main(fit(here, "--overwrite")) == 0
    assert Path("run/run.safetensors").read_bytes() == before  # the same seed, the same training


def test_a_folder_at_which_another_is_at_work(here: Path, refused: Callable[..., str]) -> None:
    with locked(here / "run", "fit"):
        refused(*fit(here, "--overwrite"), says="another fit is running in")
        assert main(["info", "run"]) == 0  # what is there can be read meanwhile
    (here / "demo").mkdir()
    with locked(here / "demo", "demo"):
        refused("demo", "--out", "demo", says="another demo is running in")
