"""Whether a value is of the kind that an annotation names, and what that kind is in words."""

from __future__ import annotations

import math
import numbers
import os
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from spikebayes.machine.numbers import is_whole

Indices = Annotated[Tensor, torch.int64]
STORED = (torch.float32, torch.float64)  # of tensors in files, unless they are annotated otherwise
WIDTH = 60  # of a value in a message
WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    Path: "a path",
    Tensor: "a tensor",
    np.ndarray: "an array of numbers",
    type(None): "None",
    Sequence: "a list",
    Iterable: "a list",
    Mapping: "a mapping",
    dict: "a mapping",
    Callable: "a function",
}


def accepts(value: Any, hint: Any, *, stored: bool = False) -> bool:
    """Whether a value is of the kind that an annotation names.

    Args:
        value: any.
        hint: an annotation. What it says beyond types that can be looked at (a protocol, a name that only type
            checkers import) is taken as met.
        stored: the value comes from a file: numbers and tensors must be finite, tensors of float32 or float64,
            texts that stand for a choice one of the choices.

    Example:
        >>> accepts(np.int64(3), int), accepts(True, int), accepts([1, 2], tuple[int, ...]), accepts("a", float)
        (True, False, True, False)
        >>> accepts(math.inf, float), accepts(math.inf, float, stored=True)
        (True, False)
    """
    kind, parts = get_origin(hint), get_args(hint)

    def each(values: Iterable[Any], hint: Any) -> bool:
        return all(accepts(item, hint, stored=stored) for item in values)

    if hint is ArrayLike or kind is np.ndarray:
        return (hint is ArrayLike or isinstance(value, np.ndarray)) and _is_numeric(value)
    if kind in (Union, types.UnionType):
        return any(accepts(value, part, stored=stored) for part in parts)
    if kind is Annotated:
        return accepts(value, parts[0]) and (not isinstance(value, Tensor) or value.dtype in parts[1:])
    if kind is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if kind is tuple and isinstance(value, list | tuple):
        if parts[-1:] == (...,):
            return each(value, parts[0])
        return len(value) == len(parts) and all(
            accepts(v, p, stored=stored) for v, p in zip(value, parts, strict=True)
        )
    if kind is Sequence and parts != (Any,):  # of Any: whatever holds data
        return isinstance(value, Sequence) and not isinstance(value, str) and each(value, parts[0])
    if kind in (Sequence, Iterable, Collection):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes)
    if kind is dict and stored:
        return isinstance(value, dict) and each(value, parts[0]) and each(value.values(), parts[1])
    if hint is Tensor:
        return isinstance(value, Tensor) and not value.is_sparse and (not stored or _is_finite(value))
    if hint is int:
        return is_whole(value)
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_float(value, finite=stored)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is Path:
        return isinstance(value, os.PathLike)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return isinstance(value, str) and (not stored or value in tuple(hint))
    if hint is None:
        return value is None
    kind = hint if kind is None else kind
    open_ended = kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False)
    return open_ended or isinstance(value, kind)  # pyright: ignore[reportArgumentType]


def as_annotated(value: Any, hint: Any) -> Any:
    """A value that an annotation accepts, as it is worked with.

    A whole number in the place of a float becomes one, since torch cannot take every whole number that Python holds;
    a number of NumPy's becomes Python's; a list in the place of a tuple becomes one.

    Example:
        >>> as_annotated(3, float | None), as_annotated(3, int | float), as_annotated(None, float | None)
        (3.0, 3, None)
        >>> type(as_annotated(np.int64(3), int)), as_annotated([1, 2], tuple[int, ...])
        (<class 'int'>, (1, 2))
    """
    hints = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if isinstance(value, numbers.Real | np.bool_) and not isinstance(value, float):
        met = [one for one in hints if one in (int, float, bool) and accepts(value, one)]
        if met == [float]:
            return float(value)
        return value.item() if met and isinstance(value, np.generic) else value
    tuples = [one for one in hints if get_origin(one) is tuple]
    if isinstance(value, list) and tuples and not any(accepts(value, one) for one in hints if one not in tuples):
        parts = next(get_args(one) for one in tuples if accepts(value, one))
        each = [parts[0]] * len(value) if parts[-1:] == (...,) else parts
        return tuple(map(as_annotated, value, each))
    return value


def in_words(hint: Any, *, stored: bool = False) -> str:
    """What an annotation asks for, see :func:`accepts`.

    Example:
        >>> in_words(tuple[int, ...]), in_words(tuple[float, float]), in_words(tuple[str, int])
        ('a list, each of it a whole number', 'a list of 2, each of it a number', 'a list of text, a whole number')
    """
    if hint is ArrayLike:
        return "numbers"
    if hint is Tensor and stored:
        return f"a finite tensor of {' or '.join(map(str, STORED))}"
    kind, parts = get_origin(hint) or hint, get_args(hint)
    kind = type(None) if kind is None else kind
    if kind in (Union, types.UnionType):
        *others, last = (in_words(part, stored=stored) for part in parts)
        return f"{', '.join(others)} or {last}"
    if kind is Annotated:
        return f"{in_words(parts[0])} of {' or '.join(map(str, parts[1:]))}"
    if kind is Literal:
        return " or ".join(map(repr, parts))
    if kind in (tuple, Sequence, Iterable) and parts not in ((), (Any,)):
        each = [in_words(part, stored=stored) for part in parts if part is not ...]
        count = f" of {len(parts)}" if kind is tuple and parts[-1] is not ... else ""
        return f"a list{count}, each of it {each[0]}" if len({*each}) == 1 else f"a list of {', '.join(each)}"
    if kind in WORDS:
        return WORDS[kind]
    name = getattr(kind, "__name__", str(kind))
    if getattr(kind, "__dataclass_fields__", None) == {}:
        return f"{name}()"
    return f"an {name}" if name[0] in "AEIO" else f"a {name}"


def shown(value: Any) -> str:
    """A value as messages show it: in one line, and not too long."""
    if isinstance(value, Tensor):
        finite = "" if value.is_sparse or _finite(value) else " with NaN or infinite values"
        return f"a tensor, {value.dtype} {list(value.shape)}{finite}"
    text = " ".join(repr(value).split())
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}..."


def _is_numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError, RuntimeError):  # lists of other lengths; tensors elsewhere
        return False


def _is_float(value: Any, *, finite: bool) -> bool:
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floats
        return False
    return math.isfinite(number) or not finite


def _finite(value: Tensor) -> bool:
    return bool(value.isfinite().all())


def _is_finite(value: Tensor) -> bool:
    return value.dtype in STORED and _finite(value)
