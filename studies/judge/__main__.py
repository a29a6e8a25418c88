"""The study's command: ``python -m studies.judge --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from studies import command_line
from studies.command_line import OUT, RESULTS, places


def study(
    *,
    results: Path = RESULTS,
    docs: Path | None = None,
    runs: int = 1000,
    seed: int = 0,
) -> None:
    """Judge predictions of known difference many times: a quarter of an hour.

    Args:
        results: folder for judge.json.
        docs: folder of how-we-judge.md; by default docs, or the folder of the results if that is given.
        runs: of every case and budget.
        seed: seed of everything.
    """
    from studies.judge.command import run_judge

    at = places("judge", results, docs, page="how-we-judge")
    found = run_judge(at.results, at.page, runs=runs, seed=seed)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.judge", arguments)


if __name__ == "__main__":
    sys.exit(main())
