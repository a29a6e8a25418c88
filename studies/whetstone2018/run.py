"""A run of the study: its settings, and where it keeps what is done, network by network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studies.stages import Stages
from studies.whetstone2018.images import Rows
from studies.whetstone2018.learning import ORIGINAL, SPIKING, WEIGHTS
from studies.whetstone2018.recipe import Recipe, learning_part
from studies.whetstone2018.settings import Settings


@dataclass(frozen=True)
class Run:
    """What every part of the study needs.

    Args:
        data: folder of the data sets. work: folder for what is kept on the way.
        settings: networks and budgets.
        seed: of the first training.
        commit: of the code that runs.
        say: is told the stages.
    """

    data: Path
    work: Path
    settings: Settings
    seed: int
    commit: str | None
    say: Callable[[str], None]
    _rows: dict[str, Rows] = field(default_factory=dict)

    def rows(self, kind: str) -> Rows:
        """A data set, read once."""
        if kind not in self._rows:
            self._rows[kind] = Rows.load(self.data, kind, self.settings.rows, self.settings.test_rows)
        return self._rows[kind]

    def learning(self, name: str, recipe: Recipe) -> Stages:
        """Where a network's trainings are kept: they depend on its own recipe alone."""
        key = {"recipe": learning_part(asdict(recipe))}
        return self.stages("learning", name, key, lambda stage: self.say(f"training of {name}, {stage}"))

    def stages(self, part: str, name: str, key: dict[str, Any], say: Callable[[str], None] | None = None) -> Stages:
        """Where a part of the study keeps what it found of a network.

        Args:
            part: a folder. name: of the network.
            key: what it depends on beside the seed and the number of rows.
            say: is told the stages; by default who is told those of the run.
        """
        s = self.settings
        key = {"seed": self.seed, "rows": s.rows, "test_rows": s.test_rows, **key}
        return Stages(self.work / part / name, key, self.commit, say or self.say)


def home_of(stages: Stages, k: int) -> Path:
    """Folder of a network's k-th training."""
    return stages.folder / f"seed{k}"


def weights_of(home: Path) -> tuple[Path, Path]:
    """Weights of the original network and of the spiking one."""
    return home / ORIGINAL / WEIGHTS, home / SPIKING / WEIGHTS
