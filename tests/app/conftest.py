"""What tests of the command line share: a trained run, and the check of what a refusal is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import table
from spikebayes.app.cli import main
from verbs import content, fit


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``t.csv`` and ``run``, what fit made of it."""
    folder = tmp_path_factory.mktemp("trained")
    table().drop(columns=["kind", "color"]).to_csv(folder / "t.csv", index=False)
    assert main(fit(folder)) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working folder."""
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "here"))
    return Path.cwd()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, one line, and every file as it was."""

    def check(*arguments: str | Path, says: str = "") -> str:
        before = content(Path.cwd())
        capsys.readouterr()
        assert main([str(a) for a in arguments]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert "Traceback" not in said
        assert says in said, said
        assert content(Path.cwd()) == before
        return said

    return check
