"""Arguments of public functions and classes, held against their annotations before any work.

What is checked is what a value is, and no more: whether it is in range is the function's own business.
"""

from __future__ import annotations

import inspect
import numbers
import os
import sys
import types
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.choices import unknown
from spikebayes.machine.numbers import is_whole

Checked = TypeVar("Checked", bound=Callable[..., Any])

WIDTH = 60  # of a value in a message
WORDS = {
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
    Callable: "a function",
}


def checked(public: Checked) -> Checked:
    """A decorator: wrong kinds of values are refused in one line, instead of by whatever operation meets them first.

    NumPy's numbers are numbers, lists are tuples, and truth values are no numbers. What an annotation says beyond
    that (a protocol, a type that only type checkers import) is not looked at. A class is checked when it is made.

    Raises:
        ConfigError: a value of another kind; DataError, where an array is expected.

    Example:
        >>> @checked
        ... def half(steps: int) -> float:
        ...     return steps / 2
        >>> half("three")
        Traceback (most recent call last):
            ...
        spikebayes.errors.ConfigError: half: steps must be a whole number; got 'three'
    """
    if inspect.isclass(public):
        setattr(public, "__init__", _checking(public.__init__, public.__name__, public.__module__))  # noqa: B010
        return public  # pyright: ignore[reportReturnType]
    return _checking(public, public.__name__, public.__module__)


def _checking(function: Any, name: str, module: str) -> Any:
    signature = inspect.signature(function)

    @cache
    def hints() -> dict[str, Any]:  # when all modules are there
        return {p.name: _resolved(p.annotation, module) for p in signature.parameters.values()}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments  # TypeError, as ever, for names that are not there
        for parameter, value in given.items():
            if signature.parameters[parameter].kind not in (
                inspect.Parameter.VAR_POSITIONAL,
                inspect.Parameter.VAR_KEYWORD,
            ):
                hint = hints()[parameter]
                if not accepts(value, hint):
                    raise _refusal(f"{name}: {parameter}", value, hint)
        return function(*args, **kwargs)

    return call


def _resolved(annotation: Any, module: str) -> Any:
    """What an annotation names; Any, if only type checkers know it."""
    if not isinstance(annotation, str):
        return Any if annotation is inspect.Parameter.empty else annotation
    try:
        return eval(annotation, vars(sys.modules[module]))  # the library's own annotations
    except (NameError, AttributeError):
        return Any


def accepts(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that an annotation names.

    Example:
        >>> accepts(np.int64(3), int), accepts(True, int), accepts([1, 2], tuple[int, ...]), accepts("a", float)
        (True, False, True, False)
    """
    kind, parts = get_origin(hint), get_args(hint)
    if hint is ArrayLike or kind is np.ndarray:
        return (hint is ArrayLike or isinstance(value, np.ndarray)) and _is_numeric(value)
    if kind in (Union, types.UnionType):
        return any(accepts(value, part) for part in parts)
    if kind is Annotated:
        return accepts(value, parts[0])
    if kind is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if kind is tuple and isinstance(value, list | tuple):
        if parts[-1:] == (...,):
            return all(accepts(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(accepts, value, parts))
    if kind is Sequence and parts != (Any,):  # of Any: whatever holds data
        return isinstance(value, Sequence) and not isinstance(value, str) and all(accepts(v, parts[0]) for v in value)
    if kind in (Sequence, Iterable, Collection):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes)
    if hint is Tensor:
        return isinstance(value, Tensor) and not value.is_sparse
    if hint is int:
        return is_whole(value)
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is Path:
        return isinstance(value, os.PathLike)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return isinstance(value, str)
    if hint is None:
        return value is None
    kind = hint if kind is None else kind
    open_ended = kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False)
    return open_ended or isinstance(value, kind)  # pyright: ignore[reportArgumentType]


def _is_numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except (TypeError, ValueError, RuntimeError):  # lists of other lengths; tensors elsewhere
        return False


def _refusal(what: str, value: Any, hint: Any) -> ConfigError | DataError:
    several = get_origin(hint) in (Union, types.UnionType) and hint is not ArrayLike
    parts = get_args(hint) if several else (hint,)
    choices = [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    choices += [choice for part in parts if isinstance(part, type) and issubclass(part, StrEnum) for choice in part]
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= WIDTH else f"{shown[:WIDTH]}..."
    if choices:
        return ConfigError(" ".join(unknown(what, value, choices).split()))
    arrays = any((get_origin(part) or part) in (Tensor, np.ndarray) or part is ArrayLike for part in parts)
    error = DataError if arrays else ConfigError
    *others, last = map(_words, parts)
    return error(f"{what} must be {', '.join(others)}{' or ' * bool(others)}{last}; got {shown}")


def _words(hint: Any) -> str:
    if hint is ArrayLike:
        return "numbers"
    kind, parts = get_origin(hint) or hint, get_args(hint)
    kind = type(None) if kind is None else kind
    if kind is Annotated:
        return _words(parts[0])
    if kind is Literal:
        return " or ".join(map(repr, parts))
    if kind in (tuple, Sequence, Iterable) and parts not in ((), (Any,)):
        return f"a list, each of it {_words(parts[0])}"
    if kind in WORDS:
        return WORDS[kind]
    name = getattr(kind, "__name__", str(kind))
    if getattr(kind, "__dataclass_fields__", None) == {}:
        return f"{name}()"
    return f"an {name}" if name[0] in "AEIO" else f"a {name}"
