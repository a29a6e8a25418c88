"""The study's command: ``python -m studies.codes --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from studies import command_line
from studies.command_line import GOES_ON, OUT, RESULTS, places


def study(
    *,
    data: Path | None = None,
    results: Path = RESULTS,
    docs: Path | None = None,
    work: Path | None = None,
    quick: bool = False,
    seed: int = 0,
) -> None:
    """Measure codes in windows on trained networks: an hour; it goes on where it was stopped.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for codes.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder for what is kept on the way; by default studies in the user's cache folder.
        quick: a small study, to see that it works; the figures are not for publication.
        seed: seed of everything.
    """
    from studies.codes.command import run_codes
    from studies.codes.settings import PUBLISHED, QUICK

    at = places("codes", results, docs, data, work)
    work = at.work if work is not None else at.work.parent
    settings = QUICK if quick else PUBLISHED
    found = run_codes(at.data, at.results, at.docs, work, settings=settings, seed=seed, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.codes", arguments, stopped=GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
