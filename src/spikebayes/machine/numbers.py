"""What counts as a number."""

from __future__ import annotations

import numbers


def is_whole(value: object) -> bool:
    """Whether a value is an integer, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
