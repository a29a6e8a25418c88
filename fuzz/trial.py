"""One input, tried: its random numbers, its limits, and what became of it."""

from __future__ import annotations

import io
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikebayes import SpikebayesError

KINDS = ("tables", "files", "calls", "graphs")
RIGHT, REFUSED, FOUND = "right", "refused", "found"
SECONDS = 10  # for one input
MEMORY = 24 << 30  # of address space, most of which libraries only reserve


class Wrong(Exception):
    """A result that is silently another than it should be."""


class Hang(BaseException):
    """An input took too long; no ``except Exception`` may swallow this."""


@dataclass
class Trial:
    """What a kind of input is given to make one and try it.

    Args:
        rng: the input's own random numbers.
        folder: an empty one.
        story: what was made and done, for whoever reads of a finding.
    """

    rng: np.random.Generator
    folder: Path
    story: list[str] = field(default_factory=list)

    def say(self, what: str) -> None:
        self.story.append(what)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def whole(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high, endpoint=True))

    def one(self, of: Any) -> Any:
        """One of a sequence, as it is: NumPy would make arrays of some."""
        return of[self.whole(0, len(of) - 1)]


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Args:
        result: right, refused or found.
        why: of a finding, one line.
        place: of a finding, what others of the same fault have in common.
        story: of the input.
        trace: of a finding.
    """

    result: str
    why: str = ""
    place: str = ""
    story: str = ""
    trace: str = ""


def attempt(kind: str, seed: int, index: int) -> Outcome:
    """Make input ``index`` of a kind and try it."""
    run: Callable[[Trial], None] = import_module(f"fuzz.{kind}").run
    prepare(kind)
    torch.manual_seed(index)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        trial = Trial(np.random.default_rng([seed, KINDS.index(kind), index]), Path(folder))
        try:
            with _quiet(), _limited():
                run(trial)
        except SpikebayesError as error:
            if "\n" not in str(error) and str(error).strip():
                return Outcome(REFUSED)
            return _found(error, trial, "refused in no line, or in more than one: ")
        except (Exception, Hang) as error:
            return _found(error, trial)
    return Outcome(RIGHT)


def prepare(kind: str) -> None:
    """What all inputs of a kind share, made once: an error here is the fuzzer's own, and nothing that was refused."""
    with _quiet():
        import_module(f"fuzz.{kind}").prepare()


def limit_memory() -> None:
    """What takes more is a MemoryError, which is a finding, and not the end of this process or of its neighbours."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))


def _found(error: BaseException, trial: Trial, before: str = "") -> Outcome:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/spikebayes/" in f.filename]
    last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "no frame of the library"
    line = " ".join(str(error).split())
    if isinstance(error, Wrong):
        last = line.partition(":")[0]
    return Outcome(
        FOUND,
        f"{before}{type(error).__name__}: {line[:300]}",
        f"{type(error).__name__} at {last}",
        "\n".join(trial.story),
        "".join(traceback.format_exception(error)),
    )


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Hang(f"still busy after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
