"""The study's command: ``python -m studies.integers --help``."""

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
    seed: int = 0,
) -> None:
    """Round networks to whole numbers of few bits, and judge what their posteriors keep: minutes.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for integers.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        seed: seed of everything.
    """
    from studies.integers.command import run_integers

    at = places("integers", results, docs, data)
    found = run_integers(at.data, at.results, at.page, seed=seed)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.integers", arguments)


if __name__ == "__main__":
    sys.exit(main())
