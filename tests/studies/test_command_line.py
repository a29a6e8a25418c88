"""Studies as their user meets them: each with its own options, errors in one line, and an exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from spikebayes.errors import ConfigError, SpikebayesError
from studies import command_line, tree
from studies.command_line import DOCS, RESULTS, places
from studies.tree import Tree

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "studies.posterior": {"data", "results", "docs", "seed"},
    "studies.wycoff2019": {"data", "results", "docs", "work", "source", "quick", "seed"},
    "studies.neftci2017": {"data", "results", "docs", "work", "quick", "seed"},
    "studies.whetstone2018": {"data", "results", "docs", "work", "networks", "quick", "seed"},
    "studies.pages": {"results", "docs", "only"},
    "benchmarks": {
        *("workloads", "only", "update", "page", "quick", "repeats", "threads", "results", "docs", "seed"),
    },
}
STUDIES = [name for name in OPTIONS if name not in ("studies.pages", "benchmarks")]


def run(name: str, *arguments: str | Path) -> int:
    module = name if name == "studies.pages" else f"{name}.__main__"
    return import_module(module).main([str(a) for a in arguments])


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., None]:
    """Run a command that must be refused: exit code 2, one line, no traceback, nothing written."""

    def check(name: str, *arguments: str | Path, says: str) -> None:
        before = set(tmp_path.rglob("*"))
        assert run(name, *arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"python -m {name}: ")
        assert said.count("\n") == 1, said
        assert says in said
        assert set(tmp_path.rglob("*")) == before

    return check


def test_each_command_has_its_own_options_and_tells_them_from_any_folder(tmp_path: Path) -> None:
    """As a user starts them; help waits for nothing that is slow to import."""
    code = f"""
import json, runpy, sys
sys.path.insert(0, {str(ROOT)!r})
for name in {list(OPTIONS)}:
    sys.argv = ["x", "--help"]
    print(name, "BEGINS")
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        print("exit code", stop.code, *(m for m in ("lightning", "scipy.stats", "matplotlib") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    texts = re.split(r"^(\S+) BEGINS\n", done.stdout, flags=re.MULTILINE)[1:]
    told = dict(zip(texts[::2], texts[1::2], strict=True))
    assert told.keys() == OPTIONS.keys(), done.stderr
    for name, text in told.items():
        assert text.splitlines()[-1] == "exit code 0", name
        shown = {option.replace("-", "_") for option in re.findall(r"--([\w-]+)", text)}
        assert shown - {"config", "print_config", "help"} == OPTIONS[name]
        assert f"python -m {name}" in text


@pytest.mark.parametrize("name", STUDIES)
def test_what_another_study_takes_is_unknown(name: str, fails: Callable[..., None]) -> None:
    others = set().union(*OPTIONS.values()) - OPTIONS[name] - {"workloads", "update", "page", "only"}
    for option in sorted(others):
        fails(name, f"--{option}=1", says=f"unknown option --{option}")


def test_values_that_an_option_does_not_take(fails: Callable[..., None]) -> None:
    fails("studies.wycoff2019", "--source", "both", says="--source cannot be 'both': it takes almanac or benchmark")
    fails("studies.posterior", "--seed", "one", says="--seed cannot be 'one': it takes a whole number")


@pytest.mark.parametrize("name", STUDIES)
def test_folders_that_are_not_there_are_refused(name: str, fails: Callable[..., None], tmp_path: Path) -> None:
    fails(name, "--results", tmp_path / "none", says="does not exist")
    fails(name, "--results", tmp_path, "--docs", tmp_path / "none", says="does not exist")


def test_a_study_without_its_data_says_which_file_is_missing(fails: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    given = ["--data", tmp_path / "data", "--results", tmp_path, "--work", tmp_path / "work"]
    fails("studies.wycoff2019", *given, says="DTP_NCI60_ALMANAC_COMBO_SCORE.csv")
    fails("studies.wycoff2019", *given, "--source", "benchmark", says="ComboDrugGrowth_Nov2017.csv")


def test_an_unknown_network_is_named(fails: Callable[..., None], tmp_path: Path) -> None:
    given = [f"--{place}={tmp_path}" for place in ("data", "results", "work")]
    fails("studies.whetstone2018", "--networks", "nonsense", *given, says="no network 'nonsense'; there are stpu_dnn")


@pytest.mark.parametrize("name", [*STUDIES, "benchmarks"])
def test_changed_code_does_not_write_into_results(
    name: str, fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tree, "tree", lambda: Tree("abc", ("src/spikebayes/errors.py",)))
    fails(name, says="not committed: src/spikebayes/errors.py. Commit first, or write elsewhere: --results FOLDER")


def test_places_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKEBAYES_DATA", str(tmp_path / "sets"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for folder in (RESULTS, DOCS, Path("else")):
        folder.mkdir()
    usual, elsewhere = places("x", RESULTS, None), places("x", Path("else"), None, page="y")
    assert (usual.results, usual.page, usual.docs) == (Path("results/x.json"), Path("docs/x.md"), Path("docs"))
    assert usual.data == tmp_path / "sets"
    assert usual.work == tmp_path / "cache" / "spikebayes" / "studies" / "x"  # data may be read-only, or shared
    assert (elsewhere.results, elsewhere.page) == (Path("else/x.json"), Path("else/y.md"))  # not beside other results
    assert places("x", Path("else"), DOCS).page == Path("docs/x.md")


def test_results_replace_no_data(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "x.json").write_text("old results")
    (tmp_path / "sets" / "a.csv").hardlink_to(tmp_path / "x.json")
    assert places("y", tmp_path, None, tmp_path / "sets").results == tmp_path / "y.json"
    with pytest.raises(ConfigError, match=r"x\.json: it is an input \(.*a\.csv\)"):
        places("x", tmp_path, None, tmp_path / "sets")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (None, 0, ""),
        (ConfigError("too few"), 2, "python -m toy: too few\n"),
        (SpikebayesError("it failed"), 1, "python -m toy: it failed\n"),
        (KeyboardInterrupt(), 130, "python -m toy: interrupted; go on\n"),
    ],
)
def test_exit_codes(error: BaseException | None, code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    def toy(*, rows: int = 1) -> None:
        """A toy.

        Args:
            rows: some.
        """
        assert rows == 3
        if error:
            raise error

    assert command_line.main(toy, "toy", ["--rows", "3"], stopped="go on") == code
    assert capsys.readouterr().err == says
