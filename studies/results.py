"""Results as files: figures with what is needed to get them again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikebayes import ConfigError, versions
from spikebayes.machine.files import atomic, make_folder
from studies.tree import tree

HEAVIEST = 150_000  # bytes of a figure


def provenance(command: str, seed: int) -> dict[str, Any]:
    """Command, seed, versions, commit of the working tree (None outside of the project's own), number of cores."""
    return {
        "command": command,
        "seed": seed,
        "versions": versions(),
        "commit": tree().label,
        "cores": os.cpu_count(),
    }


def read_results(path: Path) -> dict[str, Any]:
    """What a results file holds.

    Raises:
        ConfigError: it is not there, or torn.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"no results in {path}: {error}; run the study, or give --results FOLDER") from error


def write_results(results: dict[str, Any], path: Path) -> None:
    """Write results as indented JSON, whole or not at all.

    Raises:
        ConfigError: the path cannot be written.
    """
    text = results_text(results)
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def results_text(results: dict[str, Any]) -> str:
    """Results as indented JSON in which a list of numbers stands on one line: a change to a curve is one of a line.

    Example:
        >>> print(results_text({"seed": 0, "curve": [[1, 2.5], [3, None]]}), end="")
        {
         "seed": 0,
         "curve": [
          [1, 2.5],
          [3, null]
         ]
        }
    """
    return _json(json.loads(json.dumps(results))) + "\n"


def _json(value: Any, margin: str = "\n") -> str:
    inner = margin + " "
    if isinstance(value, dict) and value:
        lines = [f"{json.dumps(name)}: {_json(part, inner)}" for name, part in value.items()]
        return f"{{{inner}{f',{inner}'.join(lines)}{margin}}}"
    if isinstance(value, list) and any(isinstance(part, dict | list | str) for part in value):
        return f"[{inner}{f',{inner}'.join(_json(part, inner) for part in value)}{margin}]"
    return json.dumps(value)


def write_page(text: str, path: Path, figures: Mapping[str, str] | None = None) -> None:
    """Write a page, and its figures into the folder beside it that has its name, each whole or not at all.

    Args:
        text: Markdown.
        path: ``NAME.md``.
        figures: SVG text by file name.

    Raises:
        ConfigError: the path cannot be written, or a figure weighs more than ``HEAVIEST``.
    """
    made = {path: text}
    for name, svg in (figures or {}).items():
        if len(svg.encode()) > HEAVIEST:
            raise ConfigError(
                f"the figure {name} has {len(svg.encode()):,} bytes, more than {HEAVIEST:,}; draw fewer points"
            )
        made[path.with_suffix("") / f"{name}.svg"] = svg
    if figures:
        make_folder(path.with_suffix(""))
    for place, content in made.items():
        with atomic(place) as partial:
            partial.write_text(content, encoding="utf-8")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table.

    Example:
        >>> print(markdown_table(["a", "b"], [["1", "2"]]))
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
