"""What the bench runs in a fresh process: ``python -m benchmarks.child WHAT ...`` prints one line of JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine import NAME
from benchmarks.measure import clock, peak_bytes, threads


def memory(competitor: str, workload: Path, count: int, samples: int, steps: int) -> dict[str, Any]:
    """Peak memory of one run, and of the same process before it: imports made, workload read.

    Args:
        competitor: this engine (by ``simulate``) or a peer.
        workload: file of it.
        count: threads.
        samples, steps: of this engine's run.
    """
    given = torch.load(workload, weights_only=False)
    with threads(count):
        if competitor == NAME:
            from spikebayes import simulate

            before = peak_bytes()
            simulate(given.network, given.inputs, samples=samples, steps=steps, burn_in=steps * 2 // 3)
        else:
            from benchmarks.peers import available

            peer = available()[competitor]
            before = peak_bytes()
            peer.prepare(given)()
    return {"before": before, "peak": peak_bytes()}


def synapses(rows: int, samples: int, count: int) -> dict[str, float]:
    """The same of exact sampling of synapses that blank out, with the seconds it took."""
    from benchmarks.synapses import EXACT, job, prepare

    with threads(count):
        run = prepare(EXACT, job(rows, samples))
        before = peak_bytes()
        seconds = clock(run)
    return {"before": before, "peak": peak_bytes(), "seconds": seconds}


def main() -> None:
    """Read the arguments, print what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["memory", "synapses"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--competitor", default=NAME)
    parser.add_argument("--workload", type=Path)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    if given.what == "memory":
        found = memory(given.competitor, given.workload, given.threads, given.samples, given.steps)
    else:
        found = synapses(given.rows, given.samples, given.threads)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
