"""The study's command: ``python -m studies.tables --help``."""

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
    processes: int = 2,
) -> None:
    """Scores and coverage of spikebayes fit on sixteen public tables, twenty splits each: an hour on two cores.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for tables.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder of finished splits, from which a stopped study goes on; by default studies/tables in the user's
            cache folder.
        processes: trainings at a time, a core each.
    """
    from studies.tables.command import run_tables

    at = places("tables", results, docs, data, work)
    found = run_tables(at.data, at.results, at.page, at.work, count=processes, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.tables", arguments)


if __name__ == "__main__":
    sys.exit(main())
