"""Warnings noted instead of printed, each kind once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

UNSEEN = (
    DeprecationWarning,
    PendingDeprecationWarning,
    ImportWarning,
    ResourceWarning,
)  # by Python's default


@contextmanager
def heard(said: dict[str, str]) -> Iterator[list[str]]:
    """Note what is warned of meanwhile; for one thread at a time.

    Args:
        said: the texts, by themselves without their digits; those of a kind that is there already are dropped.

    Yields:
        The texts that are new, once the block has ended.

    Example:
        >>> said = {}
        >>> for share in (1, 2):
        ...     with heard(said) as new:
        ...         warnings.warn(f"{share} % are cut off")
        ...     print(new)
        ['1 % are cut off']
        []
    """
    new: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield new
    for text in (str(warning.message) for warning in caught if not issubclass(warning.category, UNSEEN)):
        kind = re.sub(r"\d", "", text)
        if kind not in said:
            said[kind] = text
            new.append(text)
