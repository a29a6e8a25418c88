"""Codes on the command line: predictions, verdict and energy of a run's network in windows of ticks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from problems import table
from spikebayes import Digits, FirstSpike, Graded, Radix
from spikebayes.app.cli import main
from spikebayes.app.code_option import code_of
from spikebayes.errors import ConfigError
from spikebayes.machine.checked_files import read_json

ROWS = 150  # of which a code needs 100


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coded")
    table(ROWS).to_csv(folder / "train.csv", index=False)
    given = ["fit", "--data", str(folder / "train.csv"), "--target", "y", "--categorical", "color,kind"]
    assert main([*given, "--out", str(folder / "run"), "--hidden", "[20]", "--epochs", "10"]) == 0
    return folder


def test_names_and_numbers() -> None:
    assert code_of("Digits(3,8)") == Digits(3, 8)
    assert code_of(" graded( 8 ) ") == Graded(8)
    assert code_of("RADIX(8)") == Radix(8)
    assert code_of("FirstSpike(64)") == FirstSpike(64)
    assert code_of("LIF") == "lif"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "code must be one of 'lif', 'auto', 'Digits"),
        ("Digit(4,4)", "code must be one of"),
        ("Digits", r"written as Digits\(radix, digits\)"),
        ("Digits(4)", r"written as Digits\(radix, digits\)"),
        ("Graded(8,8)", r"written as Graded\(bits\)"),
        ("Digits(-4,4)", "code must be one of"),
        ("Digits(4,4) or so", "code must be one of"),
        ("Radix(17)", "1 to 16 bits"),
    ],
)
def test_other_texts_are_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        code_of(text)


def test_a_code_answers_like_the_classical_network(trained: Path) -> None:
    run, data = str(trained / "run"), str(trained / "train.csv")
    for name, more in (("spiking", ["--code", "Digits(3,8)"]), ("classical", ["--classical"])):
        assert main(["predict", run, "--data", data, "--out", str(trained / f"{name}.csv"), *more]) == 0
    spiking, classical = (pd.read_csv(trained / f"{name}.csv") for name in ("spiking", "classical"))
    spread = classical["std"]
    assert ((spiking["mean"] - classical["mean"]).abs() / spread).median() < 0.05
    assert (spiking["std"] / spread).median() == pytest.approx(1, abs=0.02)


def test_a_verdict_and_a_page(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["compare", str(trained / "run"), "--data", str(trained / "train.csv"), "--code", "auto"]
    assert main([*given, "--samples", "20", "--out", str(tmp_path / "report.html")]) == 0
    assert "Under the same masks the two differ by 0.0" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert "in the ticks of the window that sends it" in page
    assert "running mean" not in page


def test_energy_in_windows(trained: Path, tmp_path: Path) -> None:
    given = ["energy", str(trained / "run"), "--code", "FirstSpike(16)", "--samples", "5"]
    assert main([*given, "--json", str(tmp_path / "energy.json")]) == 0
    found = read_json(tmp_path / "energy.json", "spikebayes.energy/1")
    assert found["spiking"]["steps"] == 15 * (5 + 1)


def refused(*given: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*given]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_what_a_code_does_not_take(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, data, out = str(trained / "run"), str(trained / "train.csv"), str(tmp_path / "p.csv")
    given = ["predict", run, "--data", data, "--out", out, "--code", "Digits(4,4)"]
    assert "leave steps out" in refused(*given, "--steps", "100", capsys=capsys)
    assert "tau is for networks of LIF neurons" in refused(*given, "--tau", "0.1", capsys=capsys)
    assert "headroom must be a number of 1 or more" in refused(*given, "--headroom", "0", capsys=capsys)


def test_without_its_training_table_a_code_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.csv"
    table(ROWS).to_csv(data, index=False)
    given = ["predict", str(trained / "run"), "--data", str(data), "--out", str(tmp_path / "p.csv")]
    kept = shutil.move(trained / "train.csv", tmp_path / "away.csv")
    try:
        said = refused(*given, "--code", "Radix(8)", capsys=capsys)
        assert "is missing; a code needs its rows" in said
        assert main(given) == 0  # without a code nothing needs it
    finally:
        shutil.move(kept, trained / "train.csv")
