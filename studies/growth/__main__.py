"""The study's command: ``python -m studies.growth --help``."""

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
    seed: int = 0,
) -> None:
    """The Combo benchmark's growth task on files in its format, made of other dose responses: a few minutes.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for growth.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder for what is kept on the way; by default studies/growth in the user's cache folder.
        seed: of the first split; the others count on from it.
    """
    from studies.growth.command import run_growth

    at = places("growth", results, docs, data, work)
    found = run_growth(at.data, at.results, at.page, at.work, seed=seed, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.growth", arguments, stopped=GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
