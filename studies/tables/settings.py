"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: what else each default of ``spikebayes fit`` could be, one at a time
ALTERNATIVES: dict[str, tuple[Any, ...]] = {
    "hidden": ((100,), (50, 50), (200, 200)),
    "dropout": (0.05, 0.2),
    "learning_rate": (1e-3, 1e-2),
    "epochs": (400,),
}


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        values, classes: names of tables to regress and to classify, see :mod:`studies.tables.sets`.
        splits: of each table into training and test rows.
        test: share of the test rows.
        most: rows of a table; of longer ones each split draws so many.
        samples: of a prediction. coverage: of intervals and sets.
        alternatives: settings of ``fit`` to try in place of its defaults, one at a time.
        tried: splits, later than those that are reported, on which they are tried.
    """

    values: tuple[str, ...] = (
        "Friedman",
        "bostonHousing",
        "cars",
        "diabetes",
        "energy",
        "kin8nm",
        "naval-propulsion-plant",
        "protein-tertiary-structure",
        "wine-quality-red",
        "yacht",
    )
    classes: tuple[str, ...] = ("cancer", "digits", "iris", "penguins", "weather", "wine")
    splits: int = 20
    test: float = 0.2
    most: int = 1000
    samples: int = 100
    coverage: float = 0.9
    alternatives: dict[str, tuple[Any, ...]] = field(default_factory=lambda: dict(ALTERNATIVES))
    tried: int = 1


PUBLISHED = Settings()
