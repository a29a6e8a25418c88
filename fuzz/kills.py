"""``python -m fuzz.kills --help``: verbs are killed at random moments; what they replace is whole, old or new.

Data, outputs and temporary files lie on different file systems, where the machine has them: a rename across file
systems is a copy, which a kill can cut.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from spikebayes import ConfigError, SpikebayesError
from spikebayes.app.run_folder import load_run
from studies import command_line
from studies.command_line import OUT

MEMORY = Path("/dev/shm")
SEED = 0
CLI, STUDY = "spikebayes.app.cli", "studies.judge"


@dataclass(frozen=True)
class Victim:
    """A command that replaces an outcome.

    Args:
        name: of the verb or the study.
        command: module and arguments; ``{seed}`` makes every run's outcome another.
        outcome: which one is there, or an exception where none is whole.
    """

    name: str
    command: tuple[str, ...]
    outcome: Callable[[], object]


def victims(data: Path, out: Path) -> list[Victim]:
    """What is killed, with its data and outputs in place."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    pd.DataFrame({"a": a, "b": rng.normal(size=200), "y": 2 * a}).to_csv(data / "t.csv", index=False)
    run, table, report = out / "run", out / "predictions.csv", out / "report.html"
    results = out / "results"
    rows = ("--data", str(data / "t.csv"))
    training = ("--target", "y", "--epochs", "6", "--hidden", "[200,200]", "--overwrite", "--seed", "{seed}")
    sampled = ("--samples", "20", "--seed", "{seed}")

    def trained() -> int:
        for checkpoint in (run / "checkpoints").glob("*.ckpt"):
            if "partial" not in checkpoint.name:
                torch.load(checkpoint, weights_only=True)
        return load_run(run).config["seed"]

    def judged() -> int:
        page = (results / "how-we-judge.md").read_text("utf-8")
        found = json.loads((results / "judge.json").read_text("utf-8"))
        if not page.endswith("\n") or "Exactly at a margin" not in page:
            raise ValueError("the page is cut short")
        return found["seed"]

    study = (STUDY, "--results", str(results), "--runs", "1", "--seed", "{seed}")
    return [
        Victim("fit", (CLI, "fit", *rows, "--out", str(run), *training), trained),
        Victim("predict", (CLI, "predict", str(run), *rows, "--out", str(table), *sampled), lambda: digest(table)),
        Victim("compare", (CLI, "compare", str(run), *rows, "--out", str(report), *sampled), lambda: digest(report)),
        Victim("study", study, judged),
    ]


def digest(file: Path) -> str:
    """Of a file that is the same whenever it is made."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def begun(victim: Victim, seed: int, temporary: Path) -> subprocess.Popen[bytes]:
    """The victim's process."""
    module, *arguments = (part.format(seed=seed) for part in victim.command)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )


def finished(victim: Victim, seed: int, temporary: Path) -> tuple[float, object]:
    """Seconds of an undisturbed run, and its outcome."""
    started = time.monotonic()
    with begun(victim, seed, temporary) as process:
        _, said = process.communicate()
    if process.returncode:
        raise SpikebayesError(f"{victim.name} failed before it was killed: {said.decode()}")
    return time.monotonic() - started, victim.outcome()


def killed(victim: Victim, moments: int, temporary: Path) -> tuple[int, int, list[str]]:
    """Kills that came in time, outcomes that were the new ones already, and what was lost, in words."""
    rng = random.Random(SEED)
    seconds, new = finished(victim, 1, temporary)
    _, old = finished(victim, 2, temporary)
    in_time, replaced, lost = 0, 0, []
    for moment in range(moments):
        delay = seconds * rng.random()
        with begun(victim, 1, temporary) as process:
            time.sleep(delay)
            in_time += process.poll() is None
            process.send_signal(signal.SIGKILL)
        try:
            found = victim.outcome()
        except Exception as error:
            found = error
        if found not in (old, new):
            lost.append(f"{victim.name}, moment {moment} ({delay:.2f} s): {found}")
        if found != old:
            replaced += 1
            finished(victim, 2, temporary)
    return in_time, replaced, lost


def kills(*, moments: int = 50, only: Literal["all", "fit", "predict", "compare", "study"] = "all") -> None:
    """Kill fit, predict, compare and a study at random moments, and look at what they left.

    Args:
        moments: of each.
        only: one of them, or all.
    """
    if moments < 1:
        raise ConfigError(f"moments must be a whole number, at least 1; got {moments}")
    home = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory() as data,
        tempfile.TemporaryDirectory(dir=home) as out,
        tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary,
    ):
        OUT.print(f"data in {data}, outputs in {out}, temporary files in {temporary}")
        (Path(out) / "results").mkdir()
        chosen = victims(Path(data), Path(out))
        if only in ("predict", "compare"):
            finished(chosen[0], 1, Path(temporary))  # the run that they read
        lost: list[str] = []
        for victim in [v for v in chosen if only in ("all", v.name)]:
            in_time, replaced, found = killed(victim, moments, Path(temporary))
            said = f"{in_time} of {moments} killed in time, {replaced} had replaced the outcome, {len(found)} lost it"
            OUT.print(f"{victim.name}: {said}")
            lost += found
    if lost:
        raise SpikebayesError("\n".join(["what was there is lost:", *lost]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 nothing was lost, 1 something was, 2 bad input."""
    return command_line.main(kills, "fuzz.kills", arguments)


if __name__ == "__main__":
    sys.exit(main())
