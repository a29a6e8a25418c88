"""A verb that is stopped while it imports its libraries ends in one line, whatever is half imported."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spikebayes.app.unfinished import CHECKPOINTS, advice, folder_of

STOPPED = """
import os, sys
class Once:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Once())
sys.argv = ["spikebayes", "fit", "t.csv", "--target", "y", "--out", "run"]
from spikebayes.app.cli import entry
entry()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "number"),
    [("lightning.fabric.strategies", signal.SIGINT), ("spikebayes.app.run_folder", signal.SIGTERM)],
)
def test_stopped_while_libraries_are_imported(module: str, number: signal.Signals, tmp_path: Path) -> None:
    program = STOPPED.format(module=module, number=int(number))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (128 + number, "spikebayes: interrupted\n")


def test_advice_is_for_what_can_be_continued(tmp_path: Path) -> None:
    (tmp_path / "run" / CHECKPOINTS / "member-1").mkdir(parents=True)
    assert advice("fit", tmp_path / "run") == ""
    (tmp_path / "run" / CHECKPOINTS / "member-1" / "last.ckpt").touch()
    assert "fit --resume" in advice("fit", tmp_path / "run")
    folder_of(tmp_path / "p.csv").mkdir()
    assert advice("predict", tmp_path / "p.csv") == ""
    (folder_of(tmp_path / "p.csv") / "00000000.parquet").touch()
    assert "predict --resume" in advice("predict", tmp_path / "p.csv")
    assert advice("info", tmp_path / "run") == ""


@pytest.mark.parametrize("out", [None, Path("a\0b"), Path()])
def test_no_error_of_the_advice_is_told(out: Path | None) -> None:
    assert advice("fit", out) == advice("predict", out) == ""
