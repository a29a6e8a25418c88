"""The study's command: ``python -m studies.rates --help``."""

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
    """Train networks under a growing penalty of spikes, and judge what is left of them: a quarter of an hour.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for rates.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder for what is kept on the way; by default studies/rates in the user's cache folder.
        quick: a small study, to see that it works; the figures are not for publication.
        seed: seed of everything.
    """
    from studies.rates.command import run_rates
    from studies.rates.settings import PUBLISHED, QUICK

    at = places("rates", results, docs, data, work)
    settings = QUICK if quick else PUBLISHED
    found = run_rates(at.data, at.results, at.page, at.work, settings=settings, seed=seed, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.rates", arguments, stopped=GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
