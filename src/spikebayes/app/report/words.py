"""Numbers as words of the page."""

from __future__ import annotations

import math

ABSENT = "–"


def number(value: float | None) -> str:
    """A number to three figures, whole from 1000 on; words where there is none.

    Example:
        >>> [number(v) for v in (0.12, 999.7, 1234.5, 7, None, float("nan"), float("-inf"))]
        ['0.120', '1,000', '1,234', '7', '–', 'undefined', '−∞']
    """
    if value is None:
        return ABSENT
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if isinstance(value, int) or 999.5 <= abs(value) < 1e9:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:#.3g}".rstrip(".").replace("-", "−")


def percent(share: float) -> str:
    """A share to three figures.

    Example:
        >>> percent(0.82608), percent(1.0)
        ('82.6%', '100%')
    """
    return f"{100 * share:.3g}%"
