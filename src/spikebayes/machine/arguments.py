"""Arguments of public functions and classes, held against their annotations before any work.

What is checked is what a value is, and no more: whether it is in range is the function's own business.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections import abc
from collections.abc import Callable
from enum import StrEnum
from functools import cache, wraps
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.choices import unknown
from spikebayes.machine.kinds import accepts, as_annotated, in_words, shown

Checked = TypeVar("Checked", bound=Callable[..., Any])
PLAIN = (bool, int, float, str)  # a value of just such a type needs no second look


def checked(public: Checked) -> Checked:
    """A decorator: wrong kinds of values are refused in one line, instead of by whatever operation meets them first.

    NumPy's numbers are numbers, a whole number is a float where one is asked for, lists are tuples, and truth values
    are no numbers. What an annotation says beyond that (a protocol, a class that only type checkers import) is not
    looked at. A class is checked when it is made.

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
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

    @cache
    def hints() -> dict[str, Any]:  # when all modules are there
        named = [p for p in signature.parameters.values() if p.kind not in several]
        return {p.name: _resolved(p.annotation, module) for p in named}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:  # as ever, for names that are not there
            raise TypeError(f"{name}: {error}") from None
        known = hints()
        for parameter, value in given.arguments.items():
            hint = known.get(parameter, Any)
            if hint is Any or (type(value) is hint and hint in PLAIN):
                continue
            if not accepts(value, hint):
                raise _refusal(f"{name}: {parameter}", value, hint)
            given.arguments[parameter] = as_annotated(value, hint)
        return function(*given.args, **given.kwargs)

    return call


def _resolved(annotation: Any, module: str) -> Any:
    """What an annotation names; Any, if only type checkers know it."""
    if not isinstance(annotation, str):
        return Any if annotation is inspect.Parameter.empty else annotation
    try:
        found = eval(annotation, {**vars(abc), **vars(sys.modules[module])})  # the library's own annotations
    except (NameError, AttributeError):
        return Any
    return (found.__bound__ or Any) if isinstance(found, TypeVar) else found


def _refusal(what: str, value: Any, hint: Any) -> ConfigError | DataError:
    several = get_origin(hint) in (Union, types.UnionType) and hint is not ArrayLike
    parts = get_args(hint) if several else (hint,)
    choices = [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    choices += [choice for part in parts if isinstance(part, type) and issubclass(part, StrEnum) for choice in part]
    if choices:
        return ConfigError(" ".join(unknown(what, value, choices).split()))
    arrays = any((get_origin(part) or part) in (Tensor, np.ndarray) or part is ArrayLike for part in parts)
    error = DataError if arrays else ConfigError
    return error(f"{what} must be {in_words(hint)}; got {shown(value)}")
