"""The fuzzer's command: ``python -m fuzz --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from fuzz.session import tried
from fuzz.trial import FOUND, KINDS, attempt
from spikebayes import ConfigError, SpikebayesError
from studies import command_line
from studies.command_line import OUT


def fuzz(
    *,
    inputs: int = 3000,
    seed: int = 0,
    only: Literal["tables", "files", "calls", "graphs"] | None = None,
    at: int | None = None,
) -> None:
    """Try random inputs on the library: tables, files, calls of its functions, and graphs of modules.

    Args:
        inputs: how many in all.
        seed: the same seed gives the same inputs.
        only: one kind of input.
        at: try the input of this number alone, and show what it is; needs only.
    """
    if at is not None:
        if only is None or at < 0:
            raise ConfigError("at is the number of an input, 0 or more, of the kind that --only names")
        outcome = attempt(only, seed, at)
        OUT.print("\n".join([outcome.story, outcome.trace, f"{only} {at}: {outcome.result}"]), markup=False)
        if outcome.result == FOUND:
            raise SpikebayesError(outcome.why)
        return
    kinds = KINDS if only is None else (only,)
    if inputs < len(kinds):
        raise ConfigError(f"inputs must be a whole number, at least {len(kinds)}; got {inputs}")
    tallies = [tried(kind, seed, -(-inputs // len(kinds))) for kind in kinds]
    for tally in tallies:
        for place, (index, outcome) in tally.findings.items():
            OUT.print(f"\n{place}: {outcome.why}\n{outcome.story}", markup=False)
            OUT.print(f"again: python -m fuzz --only {tally.kind} --seed {seed} --at {index}")
    for tally in tallies:
        OUT.print(tally.line())
    if any(tally.findings for tally in tallies):
        raise SpikebayesError(f"{sum(len(t.findings) for t in tallies)} faults were found")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 nothing was found, 1 something was, 2 bad input."""
    return command_line.main(fuzz, "fuzz", arguments)


if __name__ == "__main__":
    sys.exit(main())
