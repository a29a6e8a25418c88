"""Stages that processes of their own work out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spikebayes import ConfigError
from studies.processes import Job, side_by_side
from studies.stages import Stages

SHORT, LONG = 0.05, 0.6  # seconds


def _slept(seconds: float) -> dict[str, Any]:
    time.sleep(seconds)
    return {"slept": seconds}


def _refused() -> dict[str, Any]:
    raise ConfigError("as asked")


def _jobs(stages: Stages) -> dict[str, Job]:
    return {"long": Job(stages, "long", _slept, (LONG,)), "short": Job(stages, "short", _slept, (SHORT,))}


def test_each_stage_has_the_seconds_of_its_own_process(tmp_path: Path) -> None:
    told: list[str] = []
    stages = Stages(tmp_path, {"seed": 3}, "a", told.append)
    assert side_by_side(_jobs(stages), 2) == {"long": {"slept": LONG}, "short": {"slept": SHORT}}
    seconds = stages.seconds()
    assert list(seconds) == ["long", "short"]  # in the order of the jobs, not in that of their ends
    assert seconds["long"] >= LONG
    assert SHORT <= seconds["short"] < LONG
    assert all(line.endswith(" s") for line in told)
    again = Stages(tmp_path, {"seed": 3}, "b", told.append)
    side_by_side(_jobs(again), 2)
    assert told[2:] == ["long: done before", "short: done before"]
    assert again.told() == stages.told()


def test_what_is_finished_is_kept_when_another_fails(tmp_path: Path) -> None:
    stages = Stages(tmp_path, {}, None)
    jobs = {0: Job(stages, "short", _slept, (SHORT,)), 1: Job(stages, "refused", _refused, ())}
    with pytest.raises(ConfigError, match="as asked"):
        side_by_side(jobs, 1)
    assert stages.has("short")
    assert not stages.has("refused")


STUDY = """
from pathlib import Path
from tests.studies.test_processes import connected
from studies.processes import Job, side_by_side
from studies.stages import Stages

if __name__ == "__main__":
    side_by_side({0: Job(Stages(Path(r"FOLDER"), {}, None), "long", connected, (PORT,))}, 1)
"""


def connected(port: int) -> dict[str, Any]:
    """Sleeps for a minute; the other end of the line can tell when this process has ended."""
    with socket.create_connection(("localhost", port)):
        return _slept(60.0)


def test_a_killed_study_leaves_no_process_behind(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as server:
        script = tmp_path / "study.py"
        text = STUDY.replace("FOLDER", str(tmp_path)).replace("PORT", str(server.getsockname()[1]))
        script.write_text(text, encoding="utf-8")
        root = str(Path(__file__).parents[2])
        study = subprocess.Popen([sys.executable, script], cwd=root, env=os.environ | {"PYTHONPATH": root})
        server.settimeout(60)
        line, _ = server.accept()
    with line:
        line.settimeout(30)
        study.kill()
        study.wait()
        assert line.recv(1) == b""
