"""What the study trains, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from spikebayes import ConfigError

JASPER = "jasper_ridge"  # the set of hyperspectral pixels
VGG = ((64, 3, True), (128, 3, False), (128, 3, True), (256, 3, False), (256, 3, True))


@dataclass(frozen=True)
class Recipe:
    """A network and its training.

    Args:
        data: the set. convolutions, padding, hidden, width, scale, dropout: of :func:`~spikebayes.nn.zoo.sharpened`.
        bits: of weights while training.
        kind: of activation. learnable: highest sharpness whose gradient is used. noise: on activations' inputs.
        epochs: of the original network and of the sharpened one, those before ``start`` in common.
        start, sharpening: share of the epochs before sharpening begins, and over which it goes on.
        frozen: share of the epochs before batch norms keep their statistics.
        batch_size, learning_rate, optimizer, weight_decay: of the optimisation; the rate rises, then falls to 0.
        augmentation: ``"none"``, ``"shift"`` (by up to a pixel), ``"affine"`` (turns, sizes and shifts of digits),
            ``"crop"`` and ``"mirror"`` (mirror images, shifted by up to 4 and 2 pixels) or ``"light"`` (brightness
            and grain of spectra).
        precision: of matrix products while training, ``"float32"`` or ``"bfloat16"``.
        levels: whole number that an input of 1 becomes in the version of whole numbers.
        seeds: how many.
        threads: of one training; with 1 as many trainings run side by side as there are cores.
    """

    data: str
    convolutions: tuple[tuple[int, int, bool], ...] = ()
    padding: Literal["same", "valid"] = "same"
    hidden: tuple[int, ...] = ()
    width: int = 100
    scale: float = 0.25
    dropout: float = 0.0
    bits: int = 8
    kind: str = "brelu"
    learnable: float = 0.0
    noise: float = 0.0
    epochs: int = 20
    start: float = 0.35
    sharpening: float = 0.2
    frozen: float = 0.6
    batch_size: int = 128
    learning_rate: float = 3e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    augmentation: str = "affine"
    precision: str = "float32"
    levels: int = 255
    seeds: int = 3
    threads: int = 1

    def __post_init__(self) -> None:
        if self.fork + self.sharpening * self.epochs > self.epochs:
            raise ConfigError(
                f"{self.epochs} epochs are too few: activations would sharpen from epoch {self.fork} on over "
                f"{self.sharpening * self.epochs:g} epochs"
            )

    @property
    def fork(self) -> int:
        """Epochs that the original and the sharpened network have in common."""
        return max(1, round(self.start * self.epochs))


RECIPES: dict[str, Recipe] = {
    "stpu_dnn": Recipe("mnist", hidden=(512, 512), augmentation="shift", epochs=30),
    "stpu_cnn": Recipe(
        "mnist",
        convolutions=((3, 11, True),),
        width=1000,
        scale=0.08,
        augmentation="shift",
        epochs=40,
        start=0.25,
        sharpening=0.15,
        frozen=0.5,
    ),
    "cnn_restricted": Recipe(
        "mnist",
        convolutions=((8, 3, False), (8, 3, False)),
        hidden=(100, 100),
        augmentation="shift",
        precision="bfloat16",
        epochs=24,
    ),
    "cnn_unrestricted": Recipe(
        "mnist",
        convolutions=((32, 10, False), (32, 10, False)),
        padding="valid",
        hidden=(100, 100),
        width=400,
        scale=0.125,
        precision="bfloat16",
        epochs=24,
        start=0.25,
        sharpening=0.15,
        frozen=0.5,
    ),
    "stpu_dnn_masks": Recipe("mnist", hidden=(512, 512), dropout=0.2, augmentation="shift", seeds=1),
    "stpu_cnn_masks": Recipe(
        "mnist", convolutions=((3, 11, True),), width=1000, scale=0.08, dropout=0.1, augmentation="shift", seeds=1
    ),
    "fashion_cnn": Recipe(
        "fashion-mnist",
        convolutions=((64, 3, True), (128, 3, False), (128, 3, True)),
        hidden=(512,),
        augmentation="mirror",
        precision="bfloat16",
        epochs=24,
        start=0.25,
        sharpening=0.15,
        frozen=0.5,
        seeds=1,
        threads=2,
    ),
    "cifar_cnn": Recipe(
        "cifar10",
        convolutions=VGG,
        hidden=(512,),
        augmentation="crop",
        precision="bfloat16",
        epochs=24,
        seeds=1,
        threads=2,
    ),
    "jasper_dnn": Recipe(
        JASPER,
        hidden=(512, 512),
        learnable=0.75,
        augmentation="light",
        epochs=100,
        learning_rate=1e-3,
        levels=5000,
    ),
}


@dataclass(frozen=True)
class Settings:
    """Networks and budgets.

    Args:
        recipes: the networks by name.
        posterior: networks that are given a posterior, each with the one trained with masks beside it, and
            the set whose rows belong to no class.
        keeps: probabilities that a synapse transmits, of which validation rows choose one.
        tuning_rows: how many validation rows do so.
        samples: S. resamples: of every bootstrap interval.
        rows: most training rows of a set; None takes all. test_rows: the same for testing.
    """

    recipes: dict[str, Recipe] = field(default_factory=lambda: dict(RECIPES))
    posterior: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "stpu_dnn": ("stpu_dnn_masks", "fashion-mnist"),
            "stpu_cnn": ("stpu_cnn_masks", "fashion-mnist"),
        }
    )
    keeps: tuple[float, ...] = tuple(n / 256 for n in (251, 243, 230, 205, 179))  # a byte draws a synapse
    tuning_rows: int = 1000
    samples: int = 30
    resamples: int = 1000
    rows: int | None = None
    test_rows: int | None = None


PUBLISHED = Settings()
QUICK = Settings(
    recipes={
        name: replace(recipe, epochs=3, seeds=1, precision="float32", threads=1)
        for name, recipe in RECIPES.items()
        if name in ("stpu_dnn", "stpu_cnn", "jasper_dnn")
    },
    rows=2000,
    test_rows=1000,
)
