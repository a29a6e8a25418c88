"""The closed vocabulary of network files: every class that a stored network may be made of, by its name."""

from __future__ import annotations

from typing import Any, TypeVar

from spikebayes.errors import ConfigError

Kind = TypeVar("Kind", bound=type[Any])

VOCABULARY: dict[str, type[Any]] = {}


def stored(kind: Kind) -> Kind:
    """A class decorator: networks that hold the class can be stored, and loading a file may build it.

    Loading builds nothing that is not registered so. A dataclass is stored field by field; an operator
    (``operators.Operator``) by its ``config`` and its buffers. Either must be rebuilt by calling the class with what
    was stored. A file written with a class of yours loads only where the module that defines it has been imported.

    Args:
        kind: a frozen dataclass or an operator, with a name that no other class has here.

    Returns:
        The class as it was.

    Raises:
        ConfigError: another class has that name.

    Example:
        >>> from dataclasses import dataclass
        >>> @stored
        ... @dataclass(frozen=True)
        ... class Quiet:
        ...     level: float
        >>> VOCABULARY.pop("Quiet") is Quiet
        True
    """
    known = VOCABULARY.setdefault(kind.__name__, kind)
    if known is not kind:
        raise ConfigError(
            f"two classes to be stored are named {kind.__name__!r}: {_place(known)} and {_place(kind)}; "
            "files tell classes apart by their names, so rename one of them"
        )
    return kind


def _place(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
