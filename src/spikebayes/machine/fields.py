"""What is read from a file is what the annotations of the class that it becomes say, or it is refused there.

A constructor checks ranges; it takes a number in the place of a filter, which fails where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from spikebayes.errors import StoreError
from spikebayes.machine.kinds import accepts, in_words, shown


def check_fields(kind: type[Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments of a class, a dataclass or one with an annotated constructor, that are of another type.

    Numbers and tensors are finite; tensors are float32 or float64, or of the dtype that they are annotated with.

    Raises:
        StoreError: names the class, the argument, what it takes and what came.

    Example:
        >>> from spikebayes.network import Lowpass
        >>> check_fields(Lowpass, {"tau": "fast"})
        Traceback (most recent call last):
        ...
        spikebayes.errors.StoreError: 'tau' of Lowpass must be a number; got 'fast'
    """
    for name, annotation in _annotations(kind).items():
        if name in given and not accepts(given[name], annotation, stored=True):
            expected = in_words(annotation, stored=True)
            raise StoreError(f"{name!r} of {kind.__name__} must be {expected}; got {shown(given[name])}")


@cache
def _annotations(kind: type[Any]) -> dict[str, Any]:
    """By argument; of a class that names types which cannot be found again, those made in a function, nothing."""
    try:
        if is_dataclass(kind):
            hints = get_type_hints(kind, include_extras=True)
            return {f.name: hints[f.name] for f in fields(kind) if f.init}
        return get_type_hints(kind.__init__, include_extras=True)
    except NameError:
        return {}
