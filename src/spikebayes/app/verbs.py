"""The command line's verbs: one subcommand each, its options from the verb's signature (``options.py``)."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser

from spikebayes.app import commands
from spikebayes.app.config_files import PLAIN
from spikebayes.app.options import (
    add_options,
    fail,
    known_options,
    readable,
    run,
    summary,
    underscored,
)
from spikebayes.errors import SpikebayesError

PROGRAM = "spikebayes"
VERBS = {
    "demo": commands.demo,
    "fit": commands.fit_run,
    "predict": commands.predict,
    "compare": commands.compare_run,
    "energy": commands.energy_of_run,
    "info": commands.info,
}


def parser() -> ArgumentParser:
    """One subcommand per verb; each takes ``--config`` and ``--print_config``."""
    top = ArgumentParser(
        prog=PROGRAM,
        description="A network's prediction with its uncertainty, computed by a spiking network.",
        exit_on_error=False,
        parser_mode=PLAIN,
        version=_version(),
    )
    verbs = top.add_subcommands(required=True, dest="verb", metavar="verb")
    for name, function in VERBS.items():
        sub = ArgumentParser(exit_on_error=False, description=summary(function))
        add_options(sub, function)
        verbs.add_subcommand(name, sub, help=summary(function))
    return top


def run_verb(arguments: Sequence[str]) -> int:
    """Parse the arguments, do what they ask for and return the exit code."""
    given = [underscored(a) for a in arguments]
    try:
        chosen = parser().parse_args(given)
    except SystemExit as stop:  # --help, --version, --print_config
        return int(stop.code or 0)
    except (ArgumentError, KeyError) as error:
        return fail(PROGRAM, _readable(str(error), given), 2)
    except SpikebayesError as error:  # a file of options that is none
        return fail(PROGRAM, str(error), 2)
    verb = chosen["verb"]
    options = chosen[verb].as_dict()
    return run(VERBS[verb], options, PROGRAM, lambda: _advice(verb, options))


def _advice(verb: str, options: dict[str, Any]) -> str:
    """What to do after a verb was stopped."""
    from spikebayes.app.finished_parts import folder_of
    from spikebayes.app.run_folder import CHECKPOINTS

    if verb == "fit" and any((options["out"] / CHECKPOINTS).glob("last.ckpt")):
        return "fit --resume goes on from the last epoch"
    if verb == "predict" and any(folder_of(options["out"]).glob("*.parquet")):
        return "predict --resume goes on after the rows that are finished"
    return ""


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
