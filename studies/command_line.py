"""The command line of a study: the options of its function, exit codes as those of ``spikebayes``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from spikebayes import SpikebayesError
from spikebayes.app.options import application, fail, parsed, run, warn_in_one_line
from spikebayes.data import default_folder
from spikebayes.machine.files import check_output, user_cache
from studies.tree import check_committed

OUT = Console(highlight=False, soft_wrap=True)
RESULTS, DOCS = Path("results"), Path("docs")
GOES_ON = "the same command goes on where it was stopped"


def main(
    function: Callable[..., None], module: str, arguments: Sequence[str] | None = None, *, stopped: str = ""
) -> int:
    """Run ``python -m MODULE`` and return its exit code: 0 done, 2 bad input, 130 Ctrl-C, 1 anything else.

    Args:
        function: what it does; its keywords are the options.
        module: its name.
        arguments: by default those of the process.
        stopped: what to do after Ctrl-C.
    """
    program = f"python -m {module}"
    if arguments is None:
        warn_in_one_line(program)
    app = application(program)
    app.default(function)
    try:
        asked = parsed(app, sys.argv[1:] if arguments is None else arguments)
    except SpikebayesError as error:
        return fail(program, str(error), 2)
    if asked is None:
        return 0
    _, options = asked
    return run(function, options, program, lambda: stopped)


@dataclass(frozen=True)
class Places:
    """Where a study reads and writes.

    Args:
        data: folder of the data sets.
        results: JSON file.
        docs: folder for the page and its figures. page: in it.
        work: folder for what is kept on the way.
    """

    data: Path
    results: Path
    docs: Path
    page: Path
    work: Path


def places(
    name: str,
    results: Path,
    docs: Path | None,
    data: Path | None = None,
    work: Path | None = None,
    *,
    page: str = "",
    measures: bool = True,
) -> Places:
    """The places of a study by name, each checked before any work.

    Args:
        name: of the results file.
        results: folder.
        docs: folder; by default ``docs`` where results go to ``results``, else the folder of the results.
        page: its name; by default that of the results.
        measures: whether new figures come into the results.
        data: folder; by default $SPIKEBAYES_DATA or the user's cache folder.
        work: folder; by default ``studies`` in the user's cache folder: nothing is written among the data.

    Raises:
        ConfigError: a folder that is missing or cannot be written; a file of the data in the place of results; or
            ``results`` is the project's own and the code differs from its commit.
    """
    folder = docs or (DOCS if results == RESULTS else results)
    made = Places(
        data or default_folder(),
        results / f"{name}.json",
        folder,
        folder / f"{page or name}.md",
        work or user_cache() / "spikebayes" / "studies" / name,
    )
    for written in (made.results, made.page):
        check_output(written, [made.data])
    if measures:
        check_committed(made.results)
    return made
