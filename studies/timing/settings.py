"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        depths: numbers of hidden layers. width: of each. deep: the UCI set that they learn.
        sets: UCI sets on which networks of ``hidden`` layers are judged.
        optimiser_steps: of the training, at least 20 and at most 200 epochs.
        rows, samples: judged. combo_rows, combo_samples: of the pairs of drugs, tuned on as many.
    """

    depths: tuple[int, ...] = (2, 4, 6, 8, 10)
    width: int = 64
    deep: str = "kin8nm"
    sets: tuple[str, ...] = ("kin8nm", "naval-propulsion-plant", "protein-tertiary-structure", "wine-quality-red")
    hidden: tuple[int, ...] = (100, 100)
    optimiser_steps: int = 1000
    rows: int = 100
    samples: int = 50
    combo_rows: int = 24
    combo_samples: int = 16


PUBLISHED = Settings()
