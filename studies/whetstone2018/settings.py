"""What the study trains, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from studies.whetstone2018.recipe import Ablation, Recipe

JASPER = "jasper_ridge"  # the set of hyperspectral pixels
VGG = ((64, 3, True), (128, 3, False), (128, 3, True), (256, 3, False), (256, 3, True))


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
        width=400,
        scale=0.125,
        augmentation="shift",
        epochs=30,
        start=0.25,
        sharpening=0.15,
        frozen=0.5,
        distil=0.5,
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
        width=400,
        scale=0.125,
        augmentation="crop",
        precision="bfloat16",
        epochs=24,
        later=24,
        distil=0.5,
        exact=0.05,
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
SLIDES = ("stpu_dnn", "stpu_cnn", "cnn_restricted", "cnn_unrestricted")  # their networks for MNIST
#: each with the slides' other inputs; such a pixel is 0 or 1, in the version of whole numbers too
VARIANTS: dict[str, tuple[str, Literal["binarised", "contours"]]] = {
    f"{name}_{inputs}": (name, inputs) for name in SLIDES for inputs in ("binarised", "contours")
}
RECIPES |= {
    name: replace(RECIPES[base], inputs=inputs, levels=1, seeds=1) for name, (base, inputs) in VARIANTS.items()
}
TRUENORTH = "truenorth_cnn"  # no neuron has more than 256 synapses, and its inputs are spikes
RECIPES[TRUENORTH] = Recipe(
    "mnist",
    convolutions=((8, 5, True), (10, 5, True), (16, 5, True)),
    hidden=(256,),
    width=200,
    scale=0.18,
    inputs="binarised",
    epochs=30,
    start=0.25,
    sharpening=0.15,
    frozen=0.5,
    distil=0.5,
    precision="bfloat16",
    levels=1,
    seeds=2,
)

ADAM, RMSPROP, NOISES = (1e-3, 3e-3, 1e-2), (3e-4, 1e-3, 3e-3), (0.05, 0.1, 0.2)
PATCHES = (5, 7, 10)  # beside the slides' 3
ABLATED = {"stpu_dnn": 3, "cnn_restricted": 1}  # and how many seeds
ABLATIONS: dict[str, Ablation] = {}
for _base, _seeds in ABLATED.items():
    _recipe = replace(RECIPES[_base], seeds=_seeds)
    ABLATIONS |= {
        f"{_base}_adam": Ablation(_base, _recipe, "learning_rate", ADAM),
        f"{_base}_rmsprop": Ablation(_base, replace(_recipe, optimizer="rmsprop"), "learning_rate", RMSPROP),
        f"{_base}_noise": Ablation(_base, replace(_recipe, noise=NOISES[0]), "noise", NOISES),
    }
ABLATIONS |= {
    f"cnn_restricted_patch{size}": Ablation(
        "cnn_restricted",
        replace(RECIPES["cnn_restricted"], convolutions=((8, size, False), (8, size, False)), seeds=1),
    )
    for size in PATCHES
}


@dataclass(frozen=True)
class Settings:
    """Networks and budgets.

    Args:
        recipes: the networks by name.
        ablations: changes of some of them, by name.
        posterior: networks that are given a posterior, each with the one trained with masks beside it, and
            the set whose rows belong to no class.
        keeps: probabilities that a synapse transmits, of which validation rows choose one.
        tuning_rows: how many validation rows do so.
        samples: S. resamples: of every bootstrap interval.
        rows: most training rows of a set; None takes all. test_rows: the same for testing.
    """

    recipes: dict[str, Recipe] = field(default_factory=lambda: dict(RECIPES))
    ablations: dict[str, Ablation] = field(default_factory=lambda: dict(ABLATIONS))
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
    ablations={},
    rows=2000,
    test_rows=1000,
)
