"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from spikebayes import Code, Digits, FirstSpike, Graded, Radix
from studies.sets import UCI_SETS


@dataclass(frozen=True)
class Coding:
    """A code with its headroom."""

    code: Code
    headroom: float

    @property
    def name(self) -> str:
        """In tables."""
        more = f", headroom {self.headroom:g}" if self.headroom != 1 else ""
        match self.code:
            case Digits():
                return f"{self.code.digits} digits of radix {self.code.radix}{more}"
            case FirstSpike():
                return f"first spike, {self.code.levels} levels{more}"
            case Radix():
                return f"radix 2, {self.code.bits} bits{more}"
            case _:
                return f"payload of {self.code.places and self.code.highest.bit_length()} bits{more}"


#: the one for all tables: 6,561 levels in 16 ticks; chosen on training rows of the naval and the protein set
ONE = Coding(Digits(3, 8), 32.0)
#: the one for wide networks: 256 levels in 12 ticks; headroom chosen on training rows: few spikes, an error of .04
TWELVE = Coding(Digits(4, 4), 2.0)
OTHERS = (
    TWELVE,
    Coding(Digits(3, 6), 6.0),
    Coding(Digits(5, 3), 1.5),
    Coding(Radix(8), 4.0),
    Coding(FirstSpike(64), 1.0),
    Coding(Graded(8), 4.0),
)


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets.

    Args:
        sets: of the UCI benchmark. dropout: drop probabilities of networks on them.
        hidden: widths of their hidden layers. optimiser_steps: of their training, at least 20 and at most 200 epochs.
        test_rows, samples: of each judged prediction.
        calibration_rows: training rows that show how large values become.
        widest: the set of the wide network. wide: its hidden widths. wide_rows, wide_epochs: its training.
        penalty: of the mean activation, in the wide network's other training.
        images, image_epochs, image_rows, image_samples: of the convolutional network; its judged and timed images.
        combo_epochs: of the drug-pair network with ReLU. combo_rows, combo_samples: of its judged predictions.
        energy_rows, energy_samples: of each count of events.
    """

    sets: tuple[str, ...] = UCI_SETS
    dropout: tuple[float, ...] = (0.05, 0.1, 0.5)
    hidden: tuple[int, ...] = (100, 100)
    optimiser_steps: int = 3000
    test_rows: int = 100
    samples: int = 100
    calibration_rows: int = 1000
    widest: str = "protein-tertiary-structure"
    wide: tuple[int, ...] = (500, 500, 500)
    wide_rows: int = 12000
    wide_epochs: int = 8
    penalty: float = 1.0
    images: int = 60000
    image_epochs: int = 2
    image_rows: int = 1000
    image_samples: int = 50
    combo_epochs: int = 4
    combo_rows: int = 48
    combo_samples: int = 100
    energy_rows: int = 20
    energy_samples: int = 20


PUBLISHED = Settings()
QUICK = Settings(
    sets=("yacht",),
    dropout=(0.1,),
    hidden=(20, 20),
    optimiser_steps=200,
    test_rows=20,
    samples=40,
    calibration_rows=200,
    widest="yacht",
    wide=(40, 40, 40),
    wide_rows=500,
    wide_epochs=1,
    images=500,
    image_epochs=1,
    image_rows=20,
    image_samples=20,
    combo_epochs=0,
    energy_rows=5,
    energy_samples=5,
)
