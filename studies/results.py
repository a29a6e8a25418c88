"""Results as files: figures with what is needed to get them again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from spikebayes import versions
from spikebayes.machine.files import atomic


def provenance(command: str, seed: int) -> dict[str, Any]:
    """Command, seed, versions, commit of the working tree (None outside of one) and number of cores."""
    return {
        "command": command,
        "seed": seed,
        "versions": versions(),
        "commit": _commit(),
        "cores": os.cpu_count(),
    }


def write_results(results: dict[str, Any], path: Path) -> None:
    """Write results as indented JSON, whole or not at all.

    Raises:
        ConfigError: the path cannot be written.
    """
    with atomic(path) as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def write_page(text: str, path: Path) -> None:
    """Write the page of a study, whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


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


def _commit() -> str | None:
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")
