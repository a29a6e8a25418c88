"""Peak memory of one run, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine import NAME
from benchmarks.measure import fresh
from benchmarks.workloads import Workload
from spikebayes import ConfigError

TOGETHER = 2  # processes at a time: nothing is timed
TIMES = 10  # how much longer, and how many more samples, the engine's memory is measured for


def memory_of(
    workload: Workload,
    rows: Mapping[str, int],
    threads: int,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Bytes at the peak of one run, and before it (interpreter, imports and the workload), by competitor.

    Args:
        workload: what to run.
        rows: by competitor, how many rows.
        threads: of each process.
        say: told what is being done.
    """

    def measured(name: str) -> dict[str, Any]:
        try:
            return _run(workload.take(rows[name]), name, threads)
        except ConfigError as error:
            return {"failed": str(error)}

    say(f"{workload.name}: memory of {', '.join(rows)}")
    with ThreadPoolExecutor(TOGETHER) as pool:
        return dict(zip(rows, pool.map(measured, rows), strict=True))


def growth(workload: Workload, threads: int, *, samples: int = 10) -> dict[str, Any]:
    """Peak memory of the engine for some samples and steps, for ten times the steps and for ten times the samples."""
    steps = workload.steps
    cases = {"base": (samples, steps), "steps": (samples, TIMES * steps), "samples": (TIMES * samples, steps)}
    found: dict[str, Any] = {
        name: _run(workload, NAME, threads, samples=s, steps=t)["peak"] for name, (s, t) in cases.items()
    }
    settings = {"workload": workload.name, "rows": workload.rows, "base_samples": samples, "base_steps": steps}
    return settings | found


def _run(workload: Workload, name: str, threads: int, *, samples: int = 1, steps: int = 300) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workload"
        torch.save(workload, file)
        options = {"competitor": name, "workload": file, "threads": threads, "samples": samples, "steps": steps}
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return fresh("-m", "benchmarks.child", "memory", *arguments)[0]
