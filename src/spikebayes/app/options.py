"""A function as a command: its signature is the options, its errors are one line and an exit code.

Exit codes: 0 done, 2 bad input, 130 Ctrl-C, 1 anything else.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import types
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import cyclopts
import yaml
from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.config import Dict
from cyclopts.token import Token
from rich.console import Console

from spikebayes.app.config_files import plain_number, read_options
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError
from spikebayes.machine.choices import near
from spikebayes.machine.files import is_same

BAD_INPUT = (DataError, ConfigError, ConversionError, StoreError)
STDERR = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
EPILOGUE = (
    "Options may also be given in a YAML file, a line NAME: VALUE for each: --config FILE. Options on the command "
    "line take precedence. --print-config prints such a file."
)
WORDS: dict[type[Any], str] = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
BY_NAME: dict[type[Any], str] = {str: 'words by name, as in {"a":"b"}', float: 'numbers by name, as in {"a":1}'}
LISTS = (list, Sequence)
STREAMS = "- stands for standard input or output, which are not taken; give a file, or --NAME=- for what is called so"
WHOLE = re.compile(r"[+-]?\d+")


class Secret(str):
    """Text that is never shown."""

    def __repr__(self) -> str:
        return "'...'"


def application(name: str, description: str | None = None, version: str | None = None) -> App:
    """A program whose options are signatures of functions; help texts are their docstrings'."""
    return App(
        name=name,
        help=description,
        help_format="markdown",
        help_epilogue=EPILOGUE,
        version=version,
        version_flags=[] if version is None else ["--version"],
        default_parameter=Parameter(
            consume_multiple=True,
            allow_repeating=True,
            negative=(),
            converter=_converted,
            show_default=_default_in_words,
        ),
    )


def parsed(app: App, arguments: Sequence[str]) -> tuple[Callable[..., Any], dict[str, Any]] | None:
    """The function that arguments ask for, and its options by name; None if they ask for help, which is given.

    Raises:
        ConfigError: what is wrong with them, in one line.
    """
    configs, prints, given = _own_options(arguments)
    sources = [Dict(read_options(path), source=str(path), use_commands_as_keys=False) for path in configs]
    app.config = sources[::-1]  # the last counts most
    try:
        function, bound, _ = app.parse_args(given, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise ConfigError(_in_one_line(error)) from error
    if not inspect.isfunction(function):  # help and version are methods of the library
        function(*bound.args, **bound.kwargs)
        return None
    bound.apply_defaults()
    options: dict[str, Any] = dict(bound.arguments)
    if prints:
        shown = {k: _plain(v) for k, v in options.items() if not isinstance(v, Secret | None)}
        print(yaml.safe_dump(shown, sort_keys=False), end="")
        return None
    return function, options | {"config": configs}


def summary(function: Callable[..., Any]) -> str:
    """The first line of its docstring."""
    return (function.__doc__ or "").strip().splitlines()[0]


def _own_options(arguments: Sequence[str]) -> tuple[list[Path], bool, list[str]]:
    """Files of options, whether to print one, and the arguments without either."""
    if "-" in arguments:
        raise ConfigError(STREAMS)
    configs, prints, rest = list[Path](), False, list[str]()
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name == "--config":
            value = value if equals else next(given, "")
            if not value:
                raise ConfigError("--config needs a file of options")
            configs.append(Path(os.path.expanduser(value)))
        elif argument in ("--print-config", "--print_config"):
            prints = True
        else:
            rest.append(argument)
    return configs, prints, rest


def _converted(kind: Any, tokens: Any) -> Any:
    """An option's text as what its annotation names; 2.7 is no whole number.

    Raises:
        ConfigError: it cannot be.
    """
    if isinstance(tokens, dict):
        return cyclopts.convert(kind, tokens)
    each = get_args(kind)[0] if get_origin(kind) in LISTS else kind
    by_name = next((part for part in get_args(kind) if get_origin(part) is dict), None)  # beside other kinds
    typed = list[Token]()
    if Path in (kind, *get_args(kind)):  # ~ is the home folder also where no shell says so: in a file, behind =
        tokens = [token.evolve(value=os.path.expanduser(token.value)) for token in tokens]
    for token in tokens:
        try:
            if by_name is not None and token.value.startswith("{"):
                return {name: get_args(by_name)[1](value) for name, value in json.loads(token.value).items()}
            typed.append(_as_on_the_command_line(token) if each in (bool, int, float) else token)
            if each is int and not WHOLE.fullmatch(typed[-1].value):
                raise ValueError(token.value)
            cyclopts.convert(each, typed[-1:])
        except (CycloptsError, TypeError, ValueError) as error:
            name = token.keyword or "an argument"
            where = f"{token.source}: {name.strip('[]')}" if name.startswith("[") else name
            raise ConfigError(f"{where} cannot be {token.value!r}: it takes {_expected(kind)}") from error
    return cyclopts.convert(kind, typed)


def _as_on_the_command_line(token: Token) -> Token:
    """A number or a truth value as it would be typed, which a file may write in YAML's ways."""
    return token.evolve(value=plain_number(token.value)) if (token.keyword or "").startswith("[") else token


def _expected(kind: Any) -> str:
    """What an annotation takes, in words."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) in LISTS:
        return f"{_expected(get_args(kind)[0]).removeprefix('a ')}s, as in 100 100"
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_expected(part) for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is dict:
        return BY_NAME[get_args(kind)[1]]
    return WORDS.get(kind, "another value")


def _default_in_words(value: Any) -> Any:
    """What help says of a default; nothing of one that is nothing."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return None if value is False or value in ("", None) else value


def _in_one_line(error: CycloptsError) -> str:
    """A parser's complaint, with near names for an option that it does not know."""
    if error.app is not None and error.app.default_command is not None:
        known = [name for argument in error.app.assemble_argument_collection() for name in argument.names]
        given = [token.partition("=")[0] for token in error.unused_tokens or () if token.startswith("--")]
        if isinstance(error, UnknownOptionError):
            name = error.token.keyword or error.token.value
            if name.startswith("["):  # of a file
                key, names = name.strip("[]"), [other.removeprefix("--").replace("-", "_") for other in known]
                return f"{error.token.source}: unknown option {key!r}{near(key, names)}"
            given = [name]
        for name in given:
            if name.replace("_", "-") not in known:
                return f"unknown option {name}{near(name, known)}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once, of which the last alone would count; give all in one"
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(error.unused_tokens or ())}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        named, positional = error.argument.name, error.argument.index is not None
        return f"{named.lstrip('-').upper() if positional else named} is missing, or nothing follows it"
    return " ".join(str(error).split())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def run(function: Callable[..., Any], options: dict[str, Any], program: str, stopped: Callable[[], str] = str) -> int:
    """Call a function with its options; what goes wrong is one line on standard error, and an exit code.

    Args:
        function: what to call.
        options: its arguments, and perhaps ``config``.
        program: what the lines on standard error begin with.
        stopped: says after Ctrl-C what to do, for the line that says it was interrupted.

    Returns:
        The exit code.
    """
    try:
        configs = options.pop("config", None) or ()
        _check_paths([*((f"--{name}", path) for name, path in options.items()), *(("--config", c) for c in configs)])
        function(**options)
    except BAD_INPUT as error:
        return fail(program, str(error), 2)
    except SpikebayesError as error:
        return fail(program, str(error), 1)
    except KeyboardInterrupt as stop:
        return interrupted(program, stop, stopped())
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "" if error.filename is None else f" {error.filename}"
        return fail(program, f"cannot read or write{where}: {error.strerror or error}", 2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):  # torch's words
            raise
        return fail(program, "there is not enough memory for this; give fewer rows, samples or units at a time", 2)
    return 0


def _check_paths(options: Sequence[tuple[str, Any]]) -> None:
    """Refuse options that name one file, by whatever names: what is written would replace what is read."""
    paths = [(name, path) for name, path in options if isinstance(path, Path)]
    for name, path in paths:
        if "\0" in str(path):
            raise ConfigError(f"{name} cannot be {str(path)!r}: a path cannot contain the character NUL")
    for (one, path), (other, same) in combinations(paths, 2):
        if path.is_file() and is_same(path, same):
            raise ConfigError(
                f"{one} and {other} are the same file, {path}; an output never replaces an input: give another name"
            )


def interrupted(program: str, stop: KeyboardInterrupt, advice: str = "") -> int:
    """Say so in one line; the exit code is that of the signal."""
    number = stop.args[0] if stop.args else signal.SIGINT
    return fail(program, "interrupted" + (f"; {advice}" if advice else ""), 128 + number)


def fail(program: str, message: str, code: int) -> int:
    """Say what is wrong in one line, whatever names are in it; the exit code is returned."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.splitlines()))
    STDERR.print(f"{program}: {line}")
    return code


def warn_in_one_line(program: str) -> None:
    """Warnings, like errors, are one line."""
    warnings.showwarning = lambda message, *_: fail(program, f"warning: {message}", 0)
