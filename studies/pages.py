"""Pages and figures made anew from the results that are there: ``python -m studies.pages --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikebayes import ConfigError
from studies import command_line
from studies.command_line import DOCS, OUT, RESULTS
from studies.results import read_results, write_page

STUDIES = (
    "codes",
    "chips",
    "models",
    "posterior",
    "uci",
    "wycoff2019",
    "growth",
    "neftci2017",
    "whetstone2018",
    "timing",
    "export",
    "integers",
    "rates",
    "tables",
)


def pages(*, results: Path = RESULTS, docs: Path = DOCS, only: str = "") -> None:
    """Make the studies' pages and figures from their results; nothing is run.

    Args:
        results: folder of the JSON files.
        docs: folder for the pages.
        only: names of studies, separated by commas; all by default.
    """
    names = [part.strip() for part in only.split(",") if part.strip()] or STUDIES
    for name in names:
        if name not in STUDIES:
            raise ConfigError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
        text, figures = made(name, read_results(results / f"{name}.json"))
        write_page(text, docs / f"{name}.md", figures)
        OUT.print(f"written {docs / f'{name}.md'}" + (f" and {len(figures)} figures" if figures else ""))


def made(name: str, found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The page of a study and its figures by file name, from what its results file holds."""
    figures = f"studies.{name}.figures"
    drawn = import_module(figures).figures(found) if find_spec(figures) else {}
    return import_module(f"studies.{name}.page").render(found), drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(pages, "studies.pages", arguments)


if __name__ == "__main__":
    sys.exit(main())
