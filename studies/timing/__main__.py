"""The study's command: ``python -m studies.timing --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from studies import command_line
from studies.command_line import OUT, RESULTS, places


def study(
    *,
    data: Path | None = None,
    results: Path = RESULTS,
    docs: Path | None = None,
    work: Path | None = None,
    seed: int = 0,
) -> None:
    """Steps and errors of networks of many depths, of UCI sets and of pairs of drugs: ten minutes.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for timing.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder in which wycoff2019/ holds what that study has trained, whose network is left out otherwise; by
            default studies in the user's cache folder.
        seed: seed of everything.
    """
    from studies.timing.command import run_timing

    at = places("timing", results, docs, data)
    found = run_timing(at.data, at.results, at.page, work or at.work.parent, seed=seed)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.timing", arguments)


if __name__ == "__main__":
    sys.exit(main())
