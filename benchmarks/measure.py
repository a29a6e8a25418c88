"""Times and memory of things that compete: in alternation, on a set number of threads, in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numba
import torch
from threadpoolctl import threadpool_limits

from spikebayes import ConfigError

Run = Callable[[], object]
K = TypeVar("K")
R = TypeVar("R", bound=Run)
ROOT = Path(__file__).resolve().parents[1]
WATCHED, WATCHED_BYTES = 0.1, bytes(1 << 16)  # seconds for which a machine is watched, and what it computes on
AGAIN = 3  # times that a round may be done again
LEAST_SECONDS = 0.1  # a round of one competitor lasts at least that long: shorter runs are repeated within it


@dataclass(frozen=True)
class Timing:
    """Seconds of one run, one figure for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def figures(self) -> dict[str, Any]:
        """Median, min, max and number of rounds, as results files hold them."""
        return {
            "median": self.median,
            "min": min(self.rounds),
            "max": max(self.rounds),
            "rounds": len(self.rounds),
        }


def clock(run: Run) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class Watch:
    """Whether the machine has room for what is timed: as many threads as are used compute, and how fast they may.

    Args:
        count: threads.
        least: share of the time that they must get of their cores.
    """

    def __init__(self, count: int, least: float = 0.9) -> None:
        self.count, self.least = count, least

    def share(self) -> float:
        """Of a tenth of a second of computing on every thread, how much was computed."""
        until = time.perf_counter() + WATCHED

        def compute() -> float:
            started, spent = time.perf_counter(), time.thread_time()
            while time.perf_counter() < until:
                hashlib.sha256(WATCHED_BYTES).digest()  # without the interpreter's lock
            return (time.thread_time() - spent) / (time.perf_counter() - started)

        with ThreadPoolExecutor(self.count) as pool:
            return min(each.result() for each in [pool.submit(compute) for _ in range(self.count)])

    def quiet(self) -> bool:
        """Whether nothing else takes part of the cores."""
        return self.share() >= self.least


def alternate(
    runs: Mapping[K, Run], repeats: int, *, least: float = LEAST_SECONDS, watch: Watch | None = None
) -> dict[K, Timing]:
    """Time all competitors in turn, round after round, so that a change of the machine's pace meets them all.

    Args:
        runs: by name. Each is warmed up by one call, whose time says how often a round repeats it.
        repeats: rounds.
        least: seconds that a round of one competitor lasts at least.
        watch: a round beside other work is thrown away and done again, up to ``AGAIN`` times for each that counts.

    Returns:
        Seconds of one run in each round, by name.

    Raises:
        ConfigError: the machine is too busy for figures.
    """
    calls = {name: max(1, round(least / max(clock(run), 1e-6))) for name, run in runs.items()}
    rounds: list[dict[K, float]] = []
    for _ in range(repeats * (1 if watch is None else 1 + AGAIN)):
        quiet, seconds = watch is None or watch.quiet(), {}
        for name, run in runs.items():
            started = time.perf_counter()
            for _ in range(calls[name]):
                run()
            seconds[name] = (time.perf_counter() - started) / calls[name]
        if quiet and (watch is None or watch.quiet()):
            rounds.append(seconds)
        if len(rounds) == repeats:
            return {name: Timing(tuple(found[name] for found in rounds)) for name in runs}
    raise ConfigError(
        f"the machine is busy with other work: only {len(rounds)} of {repeats} rounds could be timed, and no results "
        "are written; stop what else is running (uptime says how much), and measure again"
    )


class Sized(Protocol):
    """What can be cut to fewer rows: a workload."""

    def take(self, rows: int, /) -> Any: ...


def affordable(prepare: Callable[[Any], R], work: Sized, rows: int, limit: float) -> tuple[R, int, float]:
    """The most rows, halved as often as need be, of which one run is expected to stay below a time limit.

    Expected by a straight line through the times of a sixteenth of the rows and of twice that, so that a slow
    competitor is not run on all first, and one that works on many rows at once is not judged by few.

    Args:
        prepare: makes the run for a workload.
        work: the whole workload, of ``rows`` rows.
        limit: seconds.

    Returns:
        The run, its rows and the seconds its preparation took.
    """

    def tried(some: int) -> tuple[R, float, float]:
        started = time.perf_counter()
        run = prepare(work.take(some))
        preparation = time.perf_counter() - started
        seconds = clock(run)
        if seconds < limit / 8:  # the first call is often slower, and a line through two points needs good ones
            seconds = min(clock(run) for _ in range(3))
        return run, preparation, seconds

    few = max(1, rows // 16)
    more = min(rows, 2 * few)
    run, preparation, first = tried(few)
    if more == few or first > limit:
        return run, few, preparation
    run, preparation, second = tried(more)
    slope = max(0.0, second - first) / (more - few)
    some = rows
    while some > more and second + slope * (some - more) > limit:
        some = max(more, some // 2)
    if some == more:
        return run, some, preparation
    started = time.perf_counter()
    run = prepare(work.take(some))
    return run, some, time.perf_counter() - started


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch, numba and the BLAS libraries on a number of threads, and back.

    Raises:
        ConfigError: there are not so many cores.
    """
    most = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
    if not 1 <= count <= most:
        raise ConfigError(f"threads must be from 1 to the {most} cores of this machine; got {count}")
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(count)
    numba.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def peak_bytes() -> int:
    """Most memory this process has held so far (resident set), bytes.

    Linux counts a parent's peak into ``ru_maxrss`` of what it starts; VmHWM is the process's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fresh(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[dict[str, Any], str]:
    """What a fresh Python process prints as JSON in its last line, and its standard error.

    It finds the packages of this repository wherever this process was started from.

    Args:
        arguments: of the interpreter.
        environment: variables set besides the present ones.

    Raises:
        ConfigError: it failed; the message ends with the last line of its standard error.
    """
    command = [sys.executable, *arguments]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": paths, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"a process of the bench failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1]), done.stderr
