"""The command line: one subcommand per verb, its options from the verb's signature (``options.py``)."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentError
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from spikebayes.app import commands
from spikebayes.app.options import (
    add_options,
    fail,
    known_options,
    readable,
    run,
    summary,
    underscored,
    warn_in_one_line,
)

PROGRAM = "spikebayes"
VERBS = {
    "demo": commands.demo,
    "fit": commands.fit_run,
    "predict": commands.predict,
    "compare": commands.compare_run,
    "energy": commands.energy_of_run,
    "info": commands.info,
}
STOPPED = {"fit": "fit --resume goes on from the last epoch"}


def parser() -> ArgumentParser:
    """One subcommand per verb; each takes ``--config`` and ``--print_config``."""
    top = ArgumentParser(
        prog=PROGRAM,
        description="A network's prediction with its uncertainty, computed by a spiking network.",
        exit_on_error=False,
        version=_version(),
    )
    verbs = top.add_subcommands(required=True, dest="verb", metavar="verb")
    for name, function in VERBS.items():
        sub = ArgumentParser(exit_on_error=False, description=summary(function))
        add_options(sub, function)
        verbs.add_subcommand(name, sub, help=summary(function))
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = [underscored(a) for a in (sys.argv[1:] if arguments is None else arguments)]
    try:
        chosen = parser().parse_args(given)
    except SystemExit as stop:  # --help, --version, --print_config
        return int(stop.code or 0)
    except (ArgumentError, KeyError) as error:
        return fail(PROGRAM, _readable(str(error), given), 2)
    verb = chosen["verb"]
    return run(VERBS[verb], chosen[verb].as_dict(), PROGRAM, STOPPED.get(verb, ""))


def _readable(message: str, given: Sequence[str]) -> str:
    """The parser's complaint in one line; options are called as they are given, without the verb."""
    verb = next((a for a in given if a in VERBS), None)
    if verb is None:
        return readable(message, given, ["--help", "--version"], None)
    known = known_options(parser()._subcommands_action._name_parser_map[verb])  # pyright: ignore
    line = readable(message, given, known, VERBS[verb])
    return re.sub(rf"\b{verb}\.(\w+)", lambda m: m[1] if f"--{m[1]}" not in known else f"--{m[1]}", line)


def _version() -> str:
    from importlib.metadata import version

    return version("spikebayes")


def entry() -> None:
    """Console script."""
    warn_in_one_line(PROGRAM)
    sys.exit(main())


if __name__ == "__main__":
    entry()
