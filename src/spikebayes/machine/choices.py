"""Names that are chosen from: a wrong one is answered by the one that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str]) -> str:
    """A question naming the closest known names, case aside; empty when none is close.

    Example:
        >>> near("Prise", ["price", "area"])
        " (did you mean 'price'?)"
    """
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    return f" (did you mean {' or '.join(repr(folded[match]) for match in close)}?)" if close else ""


def unknown(what: str, value: object, known: Iterable[str]) -> str:
    """What to say of a value that is none of the known names.

    Example:
        >>> unknown("task", "regresion", ["regression", "classification"])
        "task must be one of 'regression', 'classification'; got 'regresion' (did you mean 'regression'?)"
    """
    names = [str(name) for name in known]
    return f"{what} must be one of {', '.join(map(repr, names))}; got {value!r}{near(str(value), names)}"
