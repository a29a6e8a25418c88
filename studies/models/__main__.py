"""The study's command: ``python -m studies.models --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from studies import command_line
from studies.command_line import OUT, RESULTS, places


def study(*, data: Path | None = None, results: Path = RESULTS, docs: Path | None = None, seed: int = 0) -> None:
    """Convert models that nobody here wrote, timm's among them: ten minutes. Needs spikebayes[models].

    Args:
        data: folder of the data sets; by default $SPIKEBAYES_DATA or the user's cache folder.
        results: folder for models.json.
        docs: folder for the page; by default docs, or the folder of the results if that is given.
        seed: of weights and masks.
    """
    from studies.models.command import run_models
    from studies.models.networks import timm

    timm()
    at = places("models", results, docs, data)
    found = run_models(at.data, at.results, at.page, seed=seed, say=OUT.print)
    OUT.print(f"written to {at.results} and {at.page}; {found['seconds']:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(study, "studies.models", arguments)


if __name__ == "__main__":
    sys.exit(main())
