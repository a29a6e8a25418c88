"""What is read from a file is what the annotations of the class that it becomes say, or it is refused there.

A constructor checks ranges; it takes a number in the place of a filter, which fails where it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from spikebayes.errors import StoreError

Indices = Annotated[Tensor, torch.int64]
NUMBERS = (torch.float32, torch.float64)  # what any other tensor holds


def check_fields(kind: type[Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments of a class, a dataclass or one with an annotated constructor, that are of another type.

    Tensors are finite float32 or float64; those that are annotated :data:`Indices`, int64. Numbers are finite.

    Raises:
        StoreError: names the class, the argument, what it takes and what came.

    Example:
        >>> from spikebayes.network import Lowpass
        >>> check_fields(Lowpass, {"tau": "fast"})
        Traceback (most recent call last):
        ...
        spikebayes.errors.StoreError: 'tau' of Lowpass must be float; got 'fast'
    """
    for name, annotation in _annotations(kind).items():
        if name in given and not _fits(given[name], annotation):
            raise StoreError(f"{name!r} of {kind.__name__} must be {_words(annotation)}; got {_shown(given[name])}")


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


def _fits(value: Any, annotation: Any) -> bool:
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if annotation is None or annotation is type(None):
        return value is None
    if origin is Annotated:
        return isinstance(value, Tensor) and value.dtype in parts[1:]
    if annotation is Tensor:
        return isinstance(value, Tensor) and value.dtype in NUMBERS and bool(value.isfinite().all())
    if origin is tuple and isinstance(value, tuple | list):
        kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if origin is Literal:
        return value in parts
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return value in tuple(annotation)
    kind = origin or annotation
    return not isinstance(kind, type) or isinstance(value, kind)


def _words(annotation: Any) -> str:
    """The annotation as it is written: types without their modules."""
    if get_origin(annotation) is Annotated:
        return f"a tensor of {get_args(annotation)[1]}"
    if annotation is Tensor:
        return f"a finite tensor of {' or '.join(map(str, NUMBERS))}"
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(_words, get_args(annotation)))
    if annotation is type(None):
        return "None"
    return (
        annotation.__name__
        if isinstance(annotation, type) and not get_args(annotation)
        else re.sub(r"[\w.]*\.(\w)", r"\1", str(annotation))
    )


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        finite = "" if value.isfinite().all() else " with NaN or infinite values"
        return f"{value.dtype} {list(value.shape)}{finite}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
