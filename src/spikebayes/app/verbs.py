"""The command line's verbs: one subcommand each, its options from the verb's signature (``options.py``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cyclopts import App

from spikebayes.app import commands
from spikebayes.app.fit_command import fit_run
from spikebayes.app.limits_command import limits_of_run
from spikebayes.app.options import application, fail, parsed, run
from spikebayes.app.serve_command import serve_run
from spikebayes.app.unfinished import advice
from spikebayes.errors import SpikebayesError

PROGRAM = "spikebayes"
VERBS: dict[str, Callable[..., None]] = {
    "demo": commands.demo,
    "fit": fit_run,
    "predict": commands.predict,
    "score": commands.score_run,
    "compare": commands.compare_run,
    "energy": commands.energy_of_run,
    "limits": limits_of_run,
    "info": commands.info,
    "serve": serve_run,
}


def program() -> App:
    """The program: a command for each verb."""
    description = "A network's prediction with its uncertainty, computed by a spiking network."
    app = application(PROGRAM, description, _version())
    for name, function in VERBS.items():
        app.command(function, name=name)
    app.register_install_completion_command()
    return app


def run_verb(arguments: Sequence[str]) -> int:
    """Parse the arguments, do what they ask for and return the exit code."""
    if not arguments:
        return fail(PROGRAM, f"name a verb: {', '.join(VERBS)}; --help says what they do", 2)
    try:
        asked = parsed(program(), arguments)
    except SpikebayesError as error:
        return fail(PROGRAM, str(error), 2)
    if asked is None:
        return 0
    function, options = asked
    verb = next(name for name, other in VERBS.items() if other is function)
    return run(function, options, PROGRAM, lambda: advice(verb, options.get("out")))


def _version() -> str:
    from importlib.metadata import version

    return version("spikebayes")
