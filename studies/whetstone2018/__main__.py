"""The study's command: ``python -m studies.whetstone2018 --help``."""

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
    networks: str = "",
    quick: bool = False,
    seed: int = 0,
) -> None:
    """Train networks that sharpen, on images and pixels, and judge them: four hours; it goes on where it was stopped.

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for whetstone2018.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        work: folder for what is kept on the way; by default studies/whetstone2018 in the user's cache folder.
        networks: the networks to train and judge, as "stpu_dnn,stpu_cnn"; all by default. What the results hold
            of others stays, as long as their recipes are the same.
        quick: a small study, to see that it works; the figures are not for publication.
        seed: seed of everything.
    """
    from studies.whetstone2018.command import run_whetstone2018
    from studies.whetstone2018.settings import PUBLISHED, QUICK

    at = places("whetstone2018", results, docs, data, work)
    chosen = [part.strip() for part in networks.split(",") if part.strip()]
    settings = QUICK if quick else PUBLISHED
    found = run_whetstone2018(
        at.data, at.results, at.docs, at.work, networks=chosen, settings=settings, seed=seed, say=OUT.print
    )
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.whetstone2018", arguments, stopped=GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
