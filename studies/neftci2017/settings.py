"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Learning:
    """The networks and their training.

    Args:
        hidden: widths. keep: probability that a synapse transmits. noise: on the input, which lies in [-1, 1].
        images: for training; the rest of the training set validates.
        epochs: of the S2M and the sigmoid network. conv_epochs: of the convolutional S2M.
        batch_size, learning_rate, momentum: of RMSprop; the learning rate falls to 0 along a cosine.
        averaged: last epochs whose weights are kept: the table's errors are means over them.
        curve_samples: S of the test error after every epoch.
        plain_epochs, plain_learning_rate: most epochs of the two networks beside them, which Adam trains.
        dropout: drop probability of the permanent-dropout network.
    """

    hidden: tuple[int, ...] = (300, 300, 300)
    keep: float = 0.5
    noise: float = 0.6
    images: int = 50_000
    epochs: int = 300
    conv_epochs: int = 40
    batch_size: int = 100
    learning_rate: float = 1e-4
    momentum: float = 0.9
    averaged: int = 50
    curve_samples: int = 4
    plain_epochs: int = 25
    plain_learning_rate: float = 3e-4
    dropout: float = 0.2


@dataclass(frozen=True)
class Settings:
    """Sizes and budgets.

    Args:
        learning: of the networks.
        samples: S of every test error. spaced: the table takes every so many of the last epochs.
        resamples: of every bootstrap interval.
        fan_ins: of the test of the erf law. law_draws: activations drawn for each.
        imperfect_samples: S of the errors with imperfect weights. draws: of the imperfections, each.
    """

    learning: Learning = field(default_factory=Learning)
    samples: int = 100
    spaced: int = 5
    resamples: int = 1000
    fan_ins: tuple[int, ...] = (8, 16, 32, 300)
    law_draws: int = 2_000_000
    imperfect_samples: int = 20
    draws: int = 3


PUBLISHED = Settings()
QUICK = Settings(
    learning=Learning(
        hidden=(60, 60, 60), images=2000, epochs=3, conv_epochs=2, averaged=2, plain_epochs=3, curve_samples=2
    ),
    samples=10,
    spaced=1,
    resamples=100,
    law_draws=20_000,
    imperfect_samples=5,
    draws=1,
)
