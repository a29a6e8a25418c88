"""What counts as a number."""

from __future__ import annotations


def is_whole(value: object) -> bool:
    """Whether a value is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)
