"""A function as a command: its signature is the options, its errors are one line and an exit code.

Exit codes: 0 done, 2 bad input, 130 Ctrl-C, 1 anything else.
"""

from __future__ import annotations

import difflib
import inspect
import re
import signal
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import docstring_parser
from jsonargparse import ActionYesNo, ArgumentParser
from rich.console import Console

from spikebayes.app.config_files import PLAIN, ConfigFile
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError
from spikebayes.machine.files import is_same

BAD_INPUT = (DataError, ConfigError, ConversionError, StoreError)
STDERR = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def add_options(parser: ArgumentParser, function: Callable[..., Any]) -> None:
    """Give a parser a function's options, ``--config`` and ``--print_config``; help texts are the docstring's."""
    parser.parser_mode = PLAIN
    parser.add_argument("--config", action=ConfigFile, help="YAML file with options")
    flags = [p.name for p in inspect.signature(function).parameters.values() if p.default is False]
    parser.add_function_arguments(function, as_positional=True, fail_untyped=True, skip=set(flags))
    described = {p.arg_name: p.description for p in docstring_parser.parse(function.__doc__ or "").params}
    for flag in flags:
        parser.add_argument(f"--{flag}", action=ActionYesNo, default=False, help=described[flag])


def summary(function: Callable[..., Any]) -> str:
    """The first line of its docstring."""
    return (function.__doc__ or "").strip().splitlines()[0]


def known_options(parser: ArgumentParser) -> list[str]:
    """What its help lists."""
    return sorted(set(re.findall(r"--[a-z_]+", parser.format_help())))


def underscored(argument: str) -> str:
    """--burn-in is --burn_in.

    Example:
        >>> underscored("--burn-in=3-4"), underscored("a-b")
        ('--burn_in=3-4', 'a-b')
    """
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def readable(message: str, given: Sequence[str], known: Sequence[str], function: Callable[..., Any] | None) -> str:
    """A parser's complaint in one line, with near names for an option it does not know.

    Args:
        message: the parser's.
        given: all arguments.
        known: options, as ``--seed``.
        function: whose options they are.
    """
    for option in (a.split("=")[0] for a in given if a.startswith("--")):
        if option.rstrip("+") not in known:
            near = difflib.get_close_matches(option, known, n=3, cutoff=0.5)
            return f"unknown option {option}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    line = " ".join(message.split())
    wrong = re.search(
        r'Parser key "([^"]+)": (?:Expected|Not of type|Does not validate).*(?:Got|Given) value: (.*)$', line
    )
    if wrong:
        name = f"--{wrong[1]}" if f"--{wrong[1]}" in known else wrong[1]
        return f"{name} cannot be {wrong[2]!r}: {_expected(function, wrong[1])}"
    return re.sub(r'Parser key "(\w+)": ', r"--\1: ", line)


def _expected(function: Callable[..., Any] | None, option: str) -> str:
    """What an option takes, from the function's signature."""
    parameters = inspect.signature(function, eval_str=True).parameters if function else {}
    return f"it takes {_in_words(parameters[option].annotation) if option in parameters else 'another value'}"


def _in_words(annotation: Any) -> str:
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        return " or ".join(_in_words(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return " or ".join(get_args(annotation))
    words = {int: "a whole number", float: "a number", list[int]: "whole numbers, as in [100,100]"}
    words |= {dict[str, str]: 'words by name, as in {"a":"b"}', dict[str, float]: 'numbers by name, as in {"a":1}'}
    return words.get(annotation, "another value")


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
            raise ConfigError(f"{name} cannot be {str(path)!r}: a path has no character 0")
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
