"""Stages of a long study: what is done is kept, so that a study that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikebayes import ConfigError, StoreError
from spikebayes.machine.files import atomic, make_folder


class Stages:
    """A folder with one JSON file per finished stage.

    Studies with other settings have folders of their own, so that nothing is mixed and nothing is lost.

    Args:
        folder: made if it is not there.
        key: what the figures depend on (settings, data, and the ``seed``), JSON values.
        commit: of the code that runs; kept with each stage.
        say: is told what begins and what was there already.

    Raises:
        ConfigError: a folder that cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stages = Stages(Path(folder), {"seed": 0}, commit=None, say=print)
        ...     _ = stages.run("sum", lambda: {"total": 3})
        ...     Stages(Path(folder), {"seed": 0}, commit=None, say=print).run("sum", lambda: {"total": 4})
        sum
        sum: done before
        {'total': 3}
    """

    def __init__(
        self, folder: Path, key: dict[str, Any], commit: str | None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:12]
        self.commit, self.seed, self.say = commit, key.get("seed"), say
        self.figures: dict[str, dict[str, Any]] = {}
        make_folder(self.folder)

    def run(
        self, name: str, work: Callable[[], dict[str, Any]], weights: Callable[[], Sequence[Path]] = tuple
    ) -> dict[str, Any]:
        """What ``work`` returns (JSON values), from the file if the stage was finished before.

        Args:
            name: of the stage.
            work: is done if it was not.
            weights: files that the stage judged, or made; asked when it is done, and their digests are kept.

        Raises:
            StoreError: the stage's file is torn.
        """
        if self.has(name):
            self.say(f"{name}: done before")
        else:
            self.say(name)
            started = time.perf_counter()
            result = work()
            self.keep(name, result, time.perf_counter() - started, weights())
        return self.kept(name)

    def keep(self, name: str, result: dict[str, Any], seconds: float, weights: Sequence[Path] = ()) -> None:
        """Write the file of a stage that is finished.

        Args:
            name: of the stage.
            result: JSON values.
            seconds: of wall time that it took.
            weights: files that the stage judged, or made; their digests are kept.
        """
        kept = {
            "commit": self.commit,
            "seed": self.seed,
            "seconds": seconds,
            "weights_sha256": [_sha256(path) for path in weights],
            "result": result,
        }
        with atomic(self.folder / f"{name}.json") as partial:
            partial.write_text(json.dumps(kept), encoding="utf-8")

    def kept(self, name: str) -> dict[str, Any]:
        """The result in the file of a finished stage, which is one of this study's from now on.

        Raises:
            ConfigError: there are two of the name.
            StoreError: the file is torn.
        """
        if name in self.figures:
            raise ConfigError(f"there are two stages named {name!r}")
        self.figures[name] = self._read(self.folder / f"{name}.json")
        return self.figures[name]["result"]

    def has(self, name: str) -> bool:
        """Whether a stage was finished before."""
        return (self.folder / f"{name}.json").exists()

    def seconds(self) -> dict[str, float]:
        """Wall time of each stage, in order."""
        return {name: figure["seconds"] for name, figure in self.figures.items()}

    def told(self) -> dict[str, dict[str, Any]]:
        """Of each stage, in order: commit, seed, wall time, and the digests of the weights that it judged or made."""
        return {name: {k: v for k, v in kept.items() if k != "result"} for name, kept in self.figures.items()}

    def commits(self) -> list[str | None]:
        """Commits that the stages ran at; more than one if the study was stopped and the code changed."""
        return list(dict.fromkeys(figure["commit"] for figure in self.figures.values()))

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            kept = json.loads(path.read_text("utf-8"))
            if kept.keys() != {"commit", "seed", "seconds", "weights_sha256", "result"}:
                raise ValueError(f"it holds {sorted(kept)}")
        except (OSError, ValueError, AttributeError) as error:
            raise StoreError(f"{path} is torn ({error}); delete it to run the stage again") from error
        return kept


def stage_seconds(stage: float | Mapping[str, Any]) -> float:
    """Of a stage in a results file; those of before held nothing else."""
    return stage["seconds"] if isinstance(stage, Mapping) else stage


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
