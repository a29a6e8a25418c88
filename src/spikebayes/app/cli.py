"""The command line: verbs and their exit codes (0 done, 2 bad input, 1 anything else)."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

import docstring_parser
from jsonargparse import ActionYesNo, ArgumentParser
from rich.console import Console

from spikebayes.app import commands
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError

VERBS = {
    "demo": commands.demo,
    "fit": commands.fit_run,
    "predict": commands.predict,
    "compare": commands.compare_run,
    "energy": commands.energy_of_run,
    "info": commands.info,
    "study": commands.study,
    "bench": commands.bench,
}
BAD_INPUT = (DataError, ConfigError, ConversionError, StoreError)
STDERR = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def parser() -> ArgumentParser:
    """One subcommand per verb, options from its signature; each takes ``--config`` and ``--print_config``."""
    top = ArgumentParser(
        prog="spikebayes",
        description="A network's prediction with its uncertainty, computed by a spiking network.",
        exit_on_error=False,
        version=_version(),
    )
    commands = top.add_subcommands(required=True, dest="verb", metavar="verb")
    for name, function in VERBS.items():
        summary = (function.__doc__ or "").strip().splitlines()[0]
        sub = ArgumentParser(exit_on_error=False, description=summary)
        sub.add_argument("--config", action="config", help="YAML file with options")
        flags = [p.name for p in inspect.signature(function).parameters.values() if p.default is False]
        sub.add_function_arguments(function, as_positional=True, fail_untyped=True, skip=set(flags))
        described = {p.arg_name: p.description for p in docstring_parser.parse(function.__doc__ or "").params}
        for flag in flags:
            sub.add_argument(f"--{flag}", action=ActionYesNo, default=False, help=described[flag])
        commands.add_subcommand(name, sub, help=summary)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = [_underscored(a) for a in (sys.argv[1:] if arguments is None else arguments)]
    try:
        chosen = parser().parse_args(given)
    except SystemExit as stop:  # --help, --version, --print_config
        return int(stop.code or 0)
    except (ArgumentError, KeyError) as error:
        return _fail(_readable(str(error), given), 2)
    verb = chosen["verb"]
    options = chosen[verb].as_dict()
    options.pop("config", None)
    try:
        VERBS[verb](**options)
    except BAD_INPUT as error:
        return _fail(str(error), 2)
    except SpikebayesError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted" + ("; fit --resume goes on from the last epoch" if verb == "fit" else ""), 1)
    return 0


def _underscored(argument: str) -> str:
    """--burn-in is --burn_in."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def _readable(message: str, given: Sequence[str]) -> str:
    """The parser's complaint in one line, with near names for an option it does not know."""
    verb = next((a for a in given if a in VERBS), None)
    known = _options(verb)
    for option in (a.split("=")[0] for a in given if a.startswith("--")):
        if option.rstrip("+") not in known:
            near = difflib.get_close_matches(option, known, n=3, cutoff=0.5)
            return f"unknown option {option}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    line = " ".join(message.split())
    wrong = re.search(r'Parser key "([^"]+)": (?:Expected|Not of type|Does not validate).*?Got value: (.*)$', line)
    if wrong:
        name = f"--{wrong[1]}" if f"--{wrong[1]}" in known else wrong[1]
        return f"{name} cannot be {wrong[2]!r}: {_expected(verb, wrong[1])}"
    line = re.sub(r'Parser key "(\w+)": ', r"--\1: ", line)
    return re.sub(rf"\b{verb}\.(\w+)", lambda m: m[1] if f"--{m[1]}" not in known else f"--{m[1]}", line)


def _expected(verb: str | None, option: str) -> str:
    """What an option takes, from the signature of its verb."""
    parameters = inspect.signature(VERBS[verb], eval_str=True).parameters if verb else {}
    annotation = parameters[option].annotation if option in parameters else None
    if get_origin(annotation) is Literal:
        return f"it takes {' or '.join(get_args(annotation))}"
    words = {int: "a whole number", float: "a number", list[int]: "whole numbers, as in [100,100]"}
    return f"it takes {words.get(annotation, 'another value')}"


def _options(verb: str | None) -> list[str]:
    if verb is None:
        return ["--help", "--version"]
    help_text = parser()._subcommands_action._name_parser_map[verb].format_help()  # pyright: ignore
    return sorted(set(re.findall(r"--[a-z_]+", help_text)))


def _fail(message: str, code: int) -> int:
    STDERR.print(f"spikebayes: {message}")
    return code


def _version() -> str:
    from importlib.metadata import version

    return version("spikebayes")


def entry() -> None:
    """Console script: warnings, like errors, are one line."""
    warnings.showwarning = lambda message, *_: STDERR.print(f"spikebayes: warning: {message}")
    sys.exit(main())


if __name__ == "__main__":
    entry()
