"""How the page writes numbers."""

from __future__ import annotations


def count(number: float) -> str:
    """Three digits and a power of a thousand.

    Example:
        >>> count(134_400), count(7)
        ('134 k', '7')
    """
    for power, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= power:
            return f"{number / power:.3g}{unit}"
    return f"{number:.3g}"


def seconds(value: float) -> str:
    """Milliseconds below a second."""
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def megabytes(size: float | None) -> str:
    """Empty where it was not measured."""
    return "" if size is None else f"{size / 1e6:.0f}"
