"""A network and its training, as data; and a change of it that is judged by its accuracy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal

from spikebayes import ConfigError

INPUTS = ("current", "binarised", "contours")


@dataclass(frozen=True)
class Recipe:
    """A network and its training.

    Args:
        data: the set. convolutions, padding, hidden, width, scale, dropout: of :func:`~spikebayes.nn.zoo.sharpened`.
        bits: of weights while training.
        kind: of activation. learnable: highest sharpness whose gradient is used. noise: on activations' inputs.
        inputs: what images become: ``"current"`` (as they are), ``"binarised"`` (1 from half of the brightness on) or
            ``"contours"`` (1 where they change by half of the brightness or more).
        epochs: of the original network and of the sharpened one, those before ``start`` in common.
        later: epochs by which the sharpened one trains longer.
        start, sharpening: share of the epochs before sharpening begins, and over which it goes on.
        bottom_up: sharpen layer after layer in that time, from the first on, not all together.
        frozen: share of the epochs before batch norms keep their statistics.
        distil: weight of the sharpened network's loss towards the original's probabilities, in [0, 1].
        batch_size, learning_rate, optimizer, weight_decay: of the optimisation; the rate rises, then falls to 0.
        augmentation: ``"none"``, ``"shift"`` (by up to a pixel), ``"affine"`` (turns, sizes and shifts of digits),
            ``"crop"`` and ``"mirror"`` (mirror images, shifted by up to 4 and 2 pixels) or ``"light"`` (brightness
            and grain of spectra).
        precision: of matrix products while training, ``"float32"`` or ``"bfloat16"``.
        exact: share of the epochs, the last ones, whose products are in float32 whatever the precision.
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
    inputs: Literal["current", "binarised", "contours"] = "current"
    epochs: int = 20
    later: int = 0
    start: float = 0.35
    sharpening: float = 0.2
    bottom_up: bool = False
    frozen: float = 0.6
    distil: float = 0.0
    batch_size: int = 128
    learning_rate: float = 3e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    augmentation: str = "affine"
    precision: str = "float32"
    exact: float = 0.0
    levels: int = 255
    seeds: int = 3
    threads: int = 1

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ConfigError(f"inputs must be one of {', '.join(INPUTS)}; got {self.inputs!r}")
        if not (0 <= self.distil <= 1 and 0 <= self.exact <= 1 and self.later >= 0):
            raise ConfigError(
                "distil and exact must be in [0, 1], and later 0 epochs or more; got "
                f"{self.distil}, {self.exact} and {self.later}"
            )
        if self.distil and self.dropout:
            raise ConfigError("a network with permanent dropout teaches no other; set distil or dropout to 0")
        if self.fork + self.sharpening * self.epochs > self.epochs:
            raise ConfigError(
                f"{self.epochs} epochs are too few: activations would sharpen from epoch {self.fork} on over "
                f"{self.sharpening * self.epochs:g} epochs"
            )

    @property
    def fork(self) -> int:
        """Epochs that the original and the sharpened network have in common."""
        return max(1, round(self.start * self.epochs))

    @property
    def all_epochs(self) -> int:
        """Of the sharpened network."""
        return self.epochs + self.later


@dataclass(frozen=True)
class Ablation:
    """A changed recipe, judged by its accuracies alone.

    Args:
        base: name of the network that it is compared with.
        recipe: the changed one.
        field: of the recipe, whose value validation rows choose; none if it is empty.
        among: values of it, the one with the highest spiking accuracy on validation rows is taken.
        epochs: of the trainings that choose, each with one seed.
    """

    base: str
    recipe: Recipe
    field: str = ""
    among: tuple[float, ...] = ()
    epochs: int = 6

    def tries(self) -> dict[float, Recipe]:
        """Recipes of the trainings that choose, by value."""
        short: dict[str, Any] = {"epochs": self.epochs, "later": 0, "seeds": 1}
        return {value: replace(self.recipe, **short, **{self.field: value}) for value in self.among}


NOT_LEARNING = ("seeds", "threads", "levels")  # what a training's weights do not depend on
DEFAULTS = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}


def learning_part(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights of a training depend on, as JSON values; a field that an older file lacks has its default."""
    told = json.loads(json.dumps(DEFAULTS | dict(recipe)))
    return {name: value for name, value in told.items() if name not in NOT_LEARNING}


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Fields in which two recipes, as their results files hold them, differ; threads change no figure.

    Example:
        >>> differing({"data": "mnist", "seeds": 3, "threads": 2}, {"data": "mnist", "seeds": 1, "epochs": 30})
        ['epochs', 'seeds']
    """
    a, b = (json.loads(json.dumps(DEFAULTS | dict(recipe))) for recipe in (before, now))
    return sorted(name for name in a.keys() | b.keys() if name != "threads" and a.get(name) != b.get(name))
