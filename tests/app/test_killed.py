"""A training that is killed loses nothing that was kept, wherever its folder and the temporary files lie."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from verbs import content, fit

MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="a system without a second file system to write to")
@pytest.mark.slow
def test_a_kill_keeps_the_last_checkpoint_and_the_run_before(here: Path) -> None:
    """The run lies on another file system than temporary files; of [700, 700] a checkpoint has 6 MB."""
    assert MEMORY.stat().st_dev != Path(tempfile.gettempdir()).stat().st_dev
    moment = random.Random(0)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        (folder / "t.csv").write_bytes((here / "t.csv").read_bytes())
        assert main(fit(folder)) == 0
        before = content(folder / "run")
        given = fit(folder, "--hidden", "[700,700]", "--epochs", "60", "--patience", "60")
        last = folder / "run" / "checkpoints" / "last.ckpt"
        for way in ("--overwrite", "--resume", "--resume"):
            had = last.stat().st_mtime_ns if last.exists() else 0
            command = [sys.executable, "-m", "spikebayes.app.cli", *given, way]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                deadline = time.monotonic() + 120
                while not (last.exists() and last.stat().st_mtime_ns > had) and time.monotonic() < deadline:
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.005)
                time.sleep(0.3 * moment.random())
                process.send_signal(signal.SIGKILL)
            assert torch.load(last, weights_only=True)["epoch"] >= 0
            after = content(folder / "run")
            assert {n: after[n] for n in ("run.json", "run.safetensors")} == {
                n: before[n] for n in ("run.json", "run.safetensors")
            }
        assert main([*given, "--resume"]) == 0
        assert load_run(folder / "run").fitted.history["epochs"] == 60
        assert {p.name for p in (folder / "run").iterdir()} == {"run.json", "run.safetensors", "fit.json"}
