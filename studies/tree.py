"""Which commit the running code is, and how it differs from it."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from spikebayes import ConfigError

NAME = "spikebayes"
ROOT = Path(__file__).resolve().parents[1]
CODE = ("src", "studies", "benchmarks")  # where a file that git does not know may be code that runs
MADE = ("results", "docs")  # what studies write
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
SHOWN = 3  # changed files that a message names


@dataclass(frozen=True)
class Tree:
    """A working tree.

    Args:
        commit: that is checked out; None outside of this project's repository.
        changes: how the code differs from it, in words.
    """

    commit: str | None
    changes: tuple[str, ...] = ()

    @property
    def label(self) -> str | None:
        """The commit, with ``+changes`` behind it where the code is not that of the commit."""
        return f"{self.commit}+changes" if self.commit and self.changes else self.commit


def tree(root: Path = ROOT, library: Path | None = None) -> Tree:
    """The working tree of this project.

    A repository counts only if the project is all of it and this very file is in it: the project may be unpacked
    inside another one.

    Args:
        root: folder that holds pyproject.toml.
        library: the package's folder that is imported; by default that of the running process.
    """
    try:
        top = Path(_git(root, "rev-parse", "--show-toplevel").strip()).resolve()
        project = tomllib.loads((top / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        if top != root.resolve() or project != NAME:
            return Tree(None)
        _git(root, "ls-files", "--error-unmatch", "studies/tree.py")
        commit = _git(root, "rev-parse", "HEAD").strip()
        changes = list(_changed_files(root))
    except (OSError, subprocess.CalledProcessError, tomllib.TOMLDecodeError, KeyError):
        return Tree(None)
    imported = (library or _imported()).resolve()
    if imported != top / "src" / NAME:
        changes.insert(0, f"{NAME} imported from {imported}")
    return Tree(commit, tuple(changes))


def check_committed(results: Path, found: Tree | None = None) -> None:
    """Refuse to write figures of code that nobody can get back into the project's own ``results/``.

    Args:
        results: file to be written.
        found: the tree; by default this one.

    Raises:
        ConfigError: the file is to lie in ``results/`` and the code is not that of its commit.
    """
    if not results.resolve().is_relative_to(ROOT / "results"):
        return
    changes = (tree() if found is None else found).changes
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise ConfigError(
            f"results/ holds figures of committed code only; not committed: {', '.join(changes[:SHOWN])}{more}. "
            "Commit first, or write elsewhere: --results FOLDER"
        )


def _changed_files(root: Path) -> Iterator[str]:
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    for entry in filter(None, status.split("\0")):
        state, path = entry[:2], entry[3:]
        top = path.split("/")[0]
        if top not in MADE and (state != "??" or top in CODE):
            yield path


def _imported() -> Path:
    found = find_spec(NAME)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _git(folder: Path, *arguments: str) -> str:
    """What git says of a folder, whatever repository a hook's variables point it to."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
