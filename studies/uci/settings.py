"""What the study runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from studies.sets import UCI_SETS


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        sets: names of UCI sets.
        splits: published ones of each, from the first; ``few`` says of which there are fewer.
        hidden: width of the one hidden layer; ``wide`` of the sets that the protocol gives a wider one.
        dropout: drop probabilities to choose from.
        learning_rates: of Adam, to choose from, at the second of those probabilities.
        held: share of the training rows on which both are chosen and the noise is measured.
        optimiser_steps: of a training, at least 20 and at most 400 epochs.
        samples: of a prediction. rows: most test rows that are predicted.
    """

    sets: tuple[str, ...] = UCI_SETS
    splits: int = 20
    few: dict[str, int] = field(default_factory=lambda: {"protein-tertiary-structure": 5})
    hidden: int = 50
    wide: dict[str, int] = field(default_factory=lambda: {"protein-tertiary-structure": 100})
    dropout: tuple[float, ...] = (0.005, 0.01, 0.05, 0.1)
    learning_rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    held: float = 0.2
    optimiser_steps: int = 3000
    samples: int = 200
    rows: int = 5000

    def count(self, name: str) -> int:
        """Splits of a set."""
        return min(self.splits, self.few.get(name, self.splits))


PUBLISHED = Settings()
