"""The benchmarks' command: ``python -m benchmarks --help``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from studies import command_line
from studies.command_line import OUT, RESULTS, places

ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def bench(
    *,
    workloads: str = "A,B,C,D",
    only: str = "",
    update: bool = False,
    page: bool = False,
    quick: bool = False,
    repeats: int = 5,
    threads: int = 2,
    results: Path = RESULTS,
    docs: Path | None = None,
    seed: int = 0,
) -> None:
    """Time this engine against other simulators and the machine's limit; write bench.json and performance.md.

    Args:
        workloads: which networks, of A, B, C and D, separated by commas.
        only: what to measure besides the engine's speed: peers, memory, sweeps, starts, classical, synapses,
            thresholds, separated by commas, or engine for none of them; all by default.
        update: measure nothing but the parts that only names, of sweeps, starts, classical, synapses and
            thresholds, and put them into the bench.json that is there.
        page: measure nothing; make the page anew from the bench.json that is there.
        quick: smaller sizes, to see that it works; the figures are not for publication.
        repeats: rounds of each timing.
        threads: of each competitor.
        results: folder for bench.json.
        docs: folder for performance.md; by default docs, or the folder of the results if that is given.
        seed: seed of weights and inputs.
    """
    from benchmarks.command import PARTS, check, run_bench, update_bench
    from benchmarks.page import render
    from benchmarks.peers import missing
    from studies.results import read_results, write_page

    parts = [part for part in _names(only) if part != "engine"] if only else list(PARTS)
    check(_names(workloads), parts, repeats, threads, seed, update=update)
    at = places("bench", results, docs, page="performance", measures=not page)
    if page:
        write_page(render(read_results(at.results)), at.page)
        OUT.print(f"written to {at.page}")
        return
    gone = missing() if "peers" in parts else {}
    if gone:
        OUT.print(
            f"not compared: {', '.join(f'{name} ({why})' for name, why in gone.items())}; make bench installs them"
        )
    started = time.perf_counter()
    found = (update_bench if update else run_bench)(
        at.results,
        at.page,
        workloads=_names(workloads),
        only=parts,
        quick=quick,
        repeats=repeats,
        count=threads,
        seed=seed,
        say=ERR.print,
    )
    for line in found["summary"]:
        OUT.print(line)
    OUT.print(f"written to {at.results} and {at.page}; {time.perf_counter() - started:.0f} s")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(bench, "benchmarks", arguments)


if __name__ == "__main__":
    sys.exit(main())
