"""The program ``spikebayes``: signals, closed pipes and terminals of few characters, from its first moment on.

What takes seconds to import is imported where Ctrl-C is one line.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from spikebayes.app.verbs import run_verb

    return run_verb(sys.argv[1:] if arguments is None else arguments)


def entry() -> NoReturn:
    """Console script."""
    numbers = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # which nohup asks for
    for number in numbers:
        signal.signal(number, _leave)
    sys.unraisablehook = _unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        from spikebayes.app.options import warn_in_one_line
        from spikebayes.app.verbs import run_verb

        for number in numbers:
            signal.signal(number, _stop)
        warn_in_one_line("spikebayes")
        code = run_verb(sys.argv[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
    except ModuleNotFoundError as error:
        from spikebayes.machine.extras import missing

        lacking = missing(error, "the command line")
        if lacking is None:
            raise
        code = _say(str(lacking), 1)
    except KeyboardInterrupt as stop:
        code = _say("interrupted", 128 + (stop.args[0] if stop.args else signal.SIGINT))
    except BrokenPipeError:  # the reader has what it wanted
        code = 1
        _silence()
    except OSError as error:
        _silence()
        code = _say(f"cannot write to standard output: {error.strerror}", 2)
    sys.exit(code)


def _leave(number: int, _frame: Any) -> NoReturn:
    """While modules are imported, in whose depths an exception can get lost, and nothing has begun."""
    _say("interrupted", 0)
    os._exit(128 + number)


def _stop(number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt(number)


def _unraisable(swallowed: Any) -> None:
    """An interruption in a callback of LLVM, which raises it again when its kernel is done (``kernel_cache.py``)."""
    if not issubclass(swallowed.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(swallowed)


def _say(message: str, code: int) -> int:
    print(f"spikebayes: {message}", file=sys.stderr)
    return code


def _silence() -> None:
    """What is left to write goes nowhere, so that it fails no second time when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    entry()
