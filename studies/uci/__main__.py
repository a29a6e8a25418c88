"""The study's command: ``python -m studies.uci --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spikebayes import ConfigError
from studies import command_line
from studies.command_line import GOES_ON, OUT, RESULTS, places


def study(
    *,
    data: Path | None = None,
    results: Path = RESULTS,
    docs: Path | None = None,
    work: Path | None = None,
    splits: int = 20,
    processes: int = 2,
) -> None:
    """RMSE and log-likelihood of the UCI benchmark by spikes, beside published figures: an hour on two cores.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for uci.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder of finished splits, from which a stopped study goes on; by default studies/uci in the user's
            cache folder.
        splits: of each set; those that are there already are not run again.
        processes: splits at a time, a core each.
    """
    from studies.uci.command import run_uci
    from studies.uci.settings import PUBLISHED

    if not 2 <= splits <= PUBLISHED.splits:
        raise ConfigError(f"splits must be from 2 to the {PUBLISHED.splits} that are published; got {splits}")
    at = places("uci", results, docs, data, work)
    settings = replace(PUBLISHED, splits=splits)
    found = run_uci(at.data, at.results, at.page, at.work, settings=settings, count=processes, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.uci", arguments, stopped=GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
