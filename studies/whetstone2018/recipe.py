"""A network and its training, as data; and a change of it that is judged by its accuracy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from spikebayes import ConfigError


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
