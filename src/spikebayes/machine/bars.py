"""Texts in one, with bars between them: a bar within one is written ``\\|``, and a backslash twice."""

from __future__ import annotations

import re
from collections.abc import Iterable

TEXT = re.compile(r"(?:\\.|[^|\\])+", re.DOTALL)  # one of them, as it is written


def joined(texts: Iterable[str]) -> str:
    """Texts, none of them empty, in one.

    Example:
        >>> print(joined(["a", "b|c"]))
        a|b\\|c
    """
    return "|".join(text.replace("\\", r"\\").replace("|", r"\|") for text in texts)


def parted(text: str) -> list[str]:
    """The texts that :func:`joined` was given.

    Example:
        >>> parted(joined(["a", "b|c", "d\\\\"])) == ["a", "b|c", "d\\\\"]
        True
    """
    return [re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL) for found in TEXT.findall(text)]
