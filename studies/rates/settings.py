"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from spikebayes import Radix
from studies.codes.settings import Coding

LIF, CODE = "SoftLIF, as LIF neurons", "ReLU, in windows of ticks"
#: the cheapest digits on the networks of the UCI sets in codes.md
CODING = Coding(Radix(8), 4.0)


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets.

    Args:
        sets: of the UCI benchmark. splits: of each, the first ones.
        penalties: of the activity, as ``fit(rate_penalty=...)`` takes them; the first is 0.
        hidden: widths of the hidden layers. dropout: behind each.
        optimiser_steps: of a training, at least 20 and at most 200 epochs.
        test_rows, samples: of each judged prediction, at most and each.
        steps, burn_in: of the LIF neurons.
        energy_rows, energy_samples: of each count of events.
    """

    sets: tuple[str, ...] = ("bostonHousing", "wine-quality-red", "naval-propulsion-plant")
    splits: int = 3
    penalties: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    hidden: tuple[int, ...] = (50, 50)
    dropout: float = 0.1
    optimiser_steps: int = 1500
    test_rows: int = 200
    samples: int = 50
    steps: int = 300
    burn_in: int = 200
    energy_rows: int = 20
    energy_samples: int = 10


PUBLISHED = Settings()
QUICK = Settings(
    sets=("yacht",),
    splits=1,
    penalties=(0.0, 3.0),
    hidden=(16,),
    optimiser_steps=300,
    test_rows=20,
    samples=30,
    steps=100,
    burn_in=60,
    energy_rows=5,
    energy_samples=5,
)
