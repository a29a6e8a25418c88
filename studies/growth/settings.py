"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from spikebayes.data.combo import SplitBy
from studies.wycoff2019.settings import Learning


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets.

    Args:
        learning: the recipe of the Combo study, at the size of these tables; its epochs are chosen.
        epochs: tried on every split, chosen by its validation rows.
        held_out: what is held out together. splits: of each kind.
        test, validation: shares of the rows.
        smallest_leaves: rows in a leaf of the boosted trees, chosen by the validation rows too.
        compared: samples of each side, judged under the same masks and under others.
    """

    learning: Learning = field(
        default_factory=lambda: Learning(width=64, batch_size=32, accuracy_samples=100, boosting=100)
    )
    epochs: tuple[int, ...] = (100, 200)
    held_out: tuple[SplitBy, ...] = (SplitBy.RANDOM, SplitBy.PAIR)
    splits: int = 5
    test: float = 0.2
    validation: float = 0.15
    smallest_leaves: tuple[int, ...] = (5, 20)
    compared: int = 100


PUBLISHED = Settings()
