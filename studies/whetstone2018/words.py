"""Words and numbers that several parts of the page use."""

from __future__ import annotations

from collections.abc import Sequence

from studies.whetstone2018.settings import JASPER

SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", JASPER: "Jasper Ridge"}


def set_name(kind: str) -> str:
    return SETS.get(kind, kind)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def ranged(values: Sequence[float]) -> str:
    """A mean, with the lowest and the highest if there are several."""
    middle = f"{mean(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def missed(gap: float) -> bool:
    return gap < -1e-9
