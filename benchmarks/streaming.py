"""``python -m benchmarks.streaming``: a million rows are predicted into a file; how long, in how much memory.

The command line is run as a user runs it: once undisturbed, then killed at random moments and resumed, then by a
cluster. All of them must write the same file.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spikebayes import SpikebayesError
from studies import command_line
from studies.command_line import OUT

FEATURES, TRAINING, AT_ONCE = 10, 2000, 1 << 16
LOOKED = 0.02  # seconds between looks at a process


def streaming(
    *,
    rows: int = 1_000_000,
    samples: int = 100,
    kills: int = 2,
    clusters: str = "",
    suffix: str = "parquet",
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Predict a table of 10 columns with a 10-100-100-1 network, from Parquet.

    Args:
        rows: of the table.
        samples: of a row.
        kills: SIGKILLs before the last resumption.
        clusters: as for predict --cluster, one run each; separated by commas.
        suffix: of the output.
        seed: of everything.
        out: JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _tables(folder, rows, seed)
        given = ["--data", "t.csv", "--target", "y", "--hidden", "100", "100", "--epochs", "20"]
        _finished(folder, "fit", *given, "--out", "run")

        def predict(out: str, *more: str) -> list[str]:
            rest = ["--out", out, "--samples", str(samples), "--seed", str(seed)]
            return ["predict", "run", "--data", "new.parquet", *rest, *more]

        _finished(folder, *predict(f"warm.{suffix}", "--samples", "2"))  # kernels are compiled
        found: dict[str, Any] = {"rows": rows, "samples": samples}
        found["whole"] = _finished(folder, *predict(f"whole.{suffix}")) | _content(folder / f"whole.{suffix}")
        if kills:
            resumed = predict(f"killed.{suffix}", "--resume")
            moments = _killed(folder, resumed, kills, found["whole"]["seconds"], random.Random(seed))
            last = _finished(folder, *resumed) | _content(folder / f"killed.{suffix}")
            found["killed"] = last | {"killed after": moments}
        for where in filter(None, (name.strip() for name in clusters.split(","))):
            made = _finished(folder, *predict(f"cluster.{suffix}", "--cluster", where))
            found[where] = made | _content(folder / f"cluster.{suffix}")
        digests = {part["sha256"] for part in found.values() if isinstance(part, dict)}
        found["same"] = len(digests) == 1
    text = json.dumps(found, indent=1)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    OUT.print(text, markup=False)


def _tables(folder: Path, rows: int, seed: int) -> None:
    """``t.csv`` to train on, and ``new.parquet``, which is never in memory as a whole."""
    rng = np.random.default_rng(seed)

    def some(count: int) -> pd.DataFrame:
        x = rng.normal(size=(count, FEATURES))
        frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(FEATURES)])
        return frame.assign(y=np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=count))

    some(TRAINING).to_csv(folder / "t.csv", index=False)
    with pq.ParquetWriter(folder / "new.parquet", pa.Schema.from_pandas(some(1), preserve_index=False)) as writer:
        for first in range(0, rows, AT_ONCE):
            part = some(min(AT_ONCE, rows - first))
            writer.write_table(pa.Table.from_pandas(part, writer.schema, preserve_index=False))


def _begun(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "spikebayes.app.cli", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _finished(folder: Path, *arguments: str) -> dict[str, float]:
    """Seconds, and the most memory of the process, not of its workers (MiB)."""
    started, peak = time.perf_counter(), 0
    process = _begun(folder, list(arguments))
    status = Path(f"/proc/{process.pid}/status")  # what the system says at its end counts the parent's peak too
    while process.poll() is None:
        with suppress(OSError):
            told = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            peak = max([peak, *(int(line.split()[1]) for line in told)])
        time.sleep(LOOKED)
    if process.returncode:
        raise SpikebayesError(f"{' '.join(arguments)} failed with status {process.returncode}")
    return {"seconds": round(time.perf_counter() - started, 1), "peak MiB": round(peak / 1024)}


def _killed(folder: Path, arguments: list[str], kills: int, seconds: float, rng: random.Random) -> list[float]:
    """Seconds after which each run was killed: some way through what is left."""
    moments = []
    for kill in range(kills):
        process = _begun(folder, arguments)
        moments.append(round(seconds * (0.3 + 0.4 * rng.random()) / (kill + 1), 1))
        time.sleep(moments[-1])
        if process.poll() is not None:
            raise SpikebayesError("a run was over before it was killed; take more rows")
        process.send_signal(signal.SIGKILL)
        process.wait()
    return moments


def _content(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(streaming, "benchmarks.streaming", arguments)


if __name__ == "__main__":
    sys.exit(main())
