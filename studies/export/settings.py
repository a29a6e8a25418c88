"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from studies.sets import UCI_SETS


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        set: UCI set of the networks that the simulators run. hidden: widths of their layers. epochs: of training.
        rows: test rows that the simulators are shown, under the mask of each of ``masks`` samples.
        judge_rows, judge_samples: of the certificates.
        steps, burn_in: of networks that step freely.
        tau: of the filters of the network that goes to Nengo, s.
        sets: UCI sets on which portable networks are judged. wide: widths of their layers. trainings: of each.
        optimiser_steps: of their training, at least 20 and at most 200 epochs.
        learning_rate: of portable networks, whose batch norms want a higher one than the usual 0.003.
        units: settings of portable neurons that are tried, one at a time, on rows held out of training.
        readings: steps left out and windows that are tried there.
        images: the widths of a network on MNIST's digits; none leaves it out. images_epochs: of its training.
        images_samples: of its certificate.
    """

    set: str = "kin8nm"
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 40
    rows: int = 50
    masks: int = 3
    judge_rows: int = 100
    judge_samples: int = 100
    steps: int = 300
    burn_in: int = 50
    tau: float = 0.02
    sets: tuple[str, ...] = UCI_SETS
    wide: tuple[int, ...] = (100, 100)
    trainings: int = 3
    optimiser_steps: int = 3000
    learning_rate: float = 0.01
    units: tuple[tuple[str, float | str], ...] = (
        *(("gain", gain) for gain in (12.0, 15.0, 21.0, 24.0)),
        *(("tau_rc", tau) for tau in (0.05, 0.2)),
        *(("tau_syn", tau) for tau in (0.005, 0.02)),
        ("reset", "subtract"),
    )
    readings: tuple[tuple[int, str], ...] = ((25, "Hann"), (100, "Hann"), (50, "Flat"))
    images: tuple[int, ...] = (1000, 1000, 1000)
    images_epochs: int = 5
    images_samples: int = 50


PUBLISHED = Settings()
