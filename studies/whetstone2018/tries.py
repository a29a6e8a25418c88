"""Recipes that were changed after a committed run: ``python -m studies.whetstone2018.tries`` reads them from git.

Whoever changes a recipe after having seen test rows has chosen on them, if little; the page says where.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikebayes import ConfigError
from studies import command_line
from studies.command_line import OUT, RESULTS
from studies.results import read_results, write_results
from studies.tree import ROOT
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.recipe import learning_part
from studies.whetstone2018.words import mean

FILE = "whetstone2018.json"


def tries(root: Path = ROOT) -> list[dict[str, Any]]:
    """Each time that a network was measured with another recipe than before: accuracies before and what changed.

    Args:
        root: of the project's git repository.

    Raises:
        ConfigError: git does not know the results.
    """
    found, last = [], {}
    for commit in _git(root, "log", "--reverse", "--format=%H", "--", f"results/{FILE}").split():
        results = json.loads(_git(root, "show", f"{commit}:results/{FILE}"))
        recipes = results["settings"]["recipes"]
        for name, judged in results["judged"].items():
            recipe = learning_part(recipes[name])
            line = {"commit": commit, "network": name, "recipe": recipe}
            line |= {which: mean([one[which] for one in judged]) for which in (ORIGINAL, SPIKING)}
            before = last.get(name)
            if before is not None and before["recipe"] != recipe:
                changed = {k: [before["recipe"].get(k), v] for k, v in recipe.items() if before["recipe"].get(k) != v}
                then = {which: before[which] for which in ("commit", ORIGINAL, SPIKING)}
                found.append({"network": name, "before": then, "changed": changed})
            last[name] = line
    if not last:
        raise ConfigError(f"git knows no results/{FILE} in {root}; run this in a clone with its history")
    return found


def record(*, results: Path = RESULTS) -> None:
    """Put into the study's results which recipes were changed after a committed run.

    Args:
        results: folder of the JSON file.
    """
    path = results / FILE
    made = tries()
    write_results(read_results(path) | {"tries": made}, path)
    OUT.print(f"{len(made)} changes of recipes written into {path}")


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"git does not tell: {error}; run this in a clone with its history") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(record, "studies.whetstone2018.tries", arguments)


if __name__ == "__main__":
    sys.exit(main())
