"""What the study runs, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Learning:
    """The networks and their training.

    Args:
        hidden: widths. keep: probability that a synapse transmits.
        images: for training; the rest of the training set validates.
        seeds: trainings of the S2M and of the sigmoid network.
        learning_rates: of RMSprop, of which validation images choose one for each of the two, at the middle noise;
            it falls to 0 along a cosine. rate_epochs: of each training that this takes.
        noises: standard deviations of the noise on the input, which lies in [-1, 1]; then one of these is chosen.
            noise_epochs: of each training that this takes; more, since noise pays late.
        epochs: of the S2M, of the sigmoid network, and at most of the two networks beside them. conv_epochs: of the
            convolutional S2M.
        batch_size, momentum: of RMSprop.
        averaged: last epochs whose weights are kept: the table's errors are means over them.
        curve_samples: S of the test error after every epoch.
        bits: of the weights of networks that learn with few; few_epochs: of their training.
        spans: fixed ranges of such weights, over the root mean square of the first ones, of which validation images
            choose. span_epochs: of each training that this takes.
        plain_learning_rate: of the two networks beside them, which Adam trains.
        dropout: drop probability of the permanent-dropout network.
    """

    hidden: tuple[int, ...] = (300, 300, 300)
    keep: float = 0.5
    images: int = 50_000
    seeds: int = 3
    learning_rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4, 1e-3)
    rate_epochs: int = 20
    noises: tuple[float, ...] = (0.3, 0.6, 0.9)
    noise_epochs: int = 100
    epochs: int = 300
    conv_epochs: int = 40
    batch_size: int = 100
    momentum: float = 0.9
    averaged: int = 50
    curve_samples: int = 4
    bits: tuple[int, ...] = (4, 2)
    few_epochs: int = 100
    spans: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    span_epochs: int = 10
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
        imperfect_samples: S of the errors with imperfect weights.
        draws: of the imperfections of networks with few bits; those of the others are drawn once for each training.
    """

    learning: Learning = field(default_factory=Learning)
    samples: int = 100
    spaced: int = 20
    resamples: int = 1000
    fan_ins: tuple[int, ...] = (8, 16, 32, 300)
    law_draws: int = 2_000_000
    imperfect_samples: int = 20
    draws: int = 3


PUBLISHED = Settings()
QUICK = Settings(
    learning=Learning(
        hidden=(60, 60, 60),
        images=2000,
        seeds=2,
        learning_rates=(1e-4, 3e-4),
        rate_epochs=1,
        noises=(0.3, 0.6),
        noise_epochs=1,
        epochs=3,
        conv_epochs=2,
        averaged=2,
        curve_samples=2,
        bits=(4,),
        few_epochs=2,
        spans=(2.0,),
        span_epochs=1,
    ),
    samples=10,
    spaced=1,
    resamples=100,
    law_draws=20_000,
    imperfect_samples=5,
    draws=1,
)
