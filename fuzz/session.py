"""Many inputs of one kind, tried in a process of their own, so that one that ends the process is found too."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from fuzz.trial import FOUND, REFUSED, RIGHT, SECONDS, Outcome, attempt, limit_memory, prepare

START = 120  # seconds in which a new process must be ready


@dataclass
class Tally:
    """What became of the inputs of one kind.

    Args:
        kind: of input.
        seconds: that they took.
        outcomes: how many were right, refused, found.
        findings: by place, the number of the input with the shortest story, and what became of it.
    """

    kind: str
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[int, Outcome]] = field(default_factory=dict)

    def add(self, index: int, outcome: Outcome) -> None:
        self.outcomes[outcome.result] += 1
        if outcome.result == FOUND:
            known = self.findings.get(outcome.place)
            if known is None or len(outcome.story) < len(known[1].story):
                self.findings[outcome.place] = index, outcome

    def line(self) -> str:
        counts = ", ".join(f"{self.outcomes[name]} {name}" for name in (RIGHT, REFUSED, FOUND))
        return f"{self.kind}: {self.outcomes.total()} inputs, {self.seconds:.0f} s: {counts}"


def tried(kind: str, seed: int, inputs: int) -> Tally:
    """Try inputs 0, 1, ... of a kind."""
    tally, started = Tally(kind), time.perf_counter()
    while (first := tally.outcomes.total()) < inputs:
        for index, outcome in enumerate(_until_it_ends(kind, seed, first, inputs), start=first):
            tally.add(index, outcome)
    tally.seconds = time.perf_counter() - started
    return tally


def _until_it_ends(kind: str, seed: int, first: int, inputs: int) -> Iterator[Outcome]:
    """Outcomes from input ``first`` on, until the last, or one that its process did not survive."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, kind, seed, range(first, inputs)))
    process.start()
    theirs.close()
    try:
        if not ours.poll(START) or not ours.recv():
            raise RuntimeError(f"cannot prepare inputs of the kind {kind}")
        for _ in range(first, inputs):
            if not ours.poll(3 * SECONDS):
                yield Outcome(FOUND, "hangs where Python cannot stop it", "a hang")
                return
            try:
                yield ours.recv()
            except EOFError:
                process.join()
                yield Outcome(FOUND, f"ended its process (code {process.exitcode})", "the end of a process")
                return
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(outcomes: Connection, kind: str, seed: int, indices: range) -> None:
    limit_memory()
    prepare(kind)
    outcomes.send(True)
    for index in indices:
        outcomes.send(attempt(kind, seed, index))
