"""The machine's limit for event-driven simulation: its best rates of adding weight rows and of updating LIF state.

A simulation must add one weight for each synaptic event and update the state of each neuron in each step, so

    time >= events / event rate + updates / update rate.

Both rates are measured by loops that do nothing else, on data that lie in cache, on every thread at once, and are
the best over sizes and ways to write the loop. Weights that fill more than the first cache come at the rate of the
second; that rate is measured too. What a simulation also does (draws masks, finds the neurons that spiked, computes
the constant current of the inputs) is not in the bound.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import loops
from benchmarks.measure import clock

WIDTHS = (32, 64, 128, 256, 512, 1000)  # floats in a weight row
KIBIBYTES = (64, 256, 1024, 4096)  # of the weight matrix
SECOND = 256  # KiB, the smallest matrix that lies in the second cache and not the first
AT_ONCE = (1, 4, 8)  # rows added in one pass over the sums
NEURONS = (128, 256, 512, 1024)
VARIANTS = {
    loops.FUSED: "one loop",
    loops.SPLIT: "two loops",
    loops.REGISTERS: "state in registers",
}
RESET = 100  # steps after which the state starts again: without input it would decay to subnormal numbers
LINE = 16  # floats in a cache line
VISITS = 4096  # rows in the list of rows to add, or twice those of the matrix; it is gone through again and again
AMOUNT = 1 << 24  # additions, or updates, in one run of a loop and thread


@dataclass(frozen=True)
class Loop:
    """A loop that does a known amount of work.

    Args:
        run: does it once on all threads.
        amount: additions, or neuron updates, in one run.
        setting: sizes and variant, for the results file.
    """

    run: Callable[[], object]
    amount: int
    setting: dict[str, Any]


@dataclass(frozen=True)
class Rates:
    """What a machine can do in a second.

    Args:
        events: additions of one float32 weight, that is synaptic events.
        second: the same with weights in the second cache.
        updates: updates of one neuron's state (Alpha filter, refractory time, membrane, threshold).
    """

    events: float
    second: float
    updates: float

    def bound(self, events: float, updates: float) -> float:
        """Seconds below which no simulation with so many events and updates can stay.

        Example:
            >>> Rates(events=1e9, second=5e8, updates=5e8).bound(2e9, 1e9)
            4.0
        """
        return events / self.events + updates / self.updates

    def second_bound(self, events: float, updates: float) -> float:
        """The same where weights come from the second cache."""
        return events / self.second + updates / self.updates


@dataclass(frozen=True)
class Roofline:
    """The best rates on a number of threads.

    Args:
        threads: that ran the loops at once; rates are sums over them.
        best: the rates.
        adding, adding_second, updating: the loops that gave them.
        by_size: best rate of additions for each size of the weight matrix in KiB.
    """

    threads: int
    best: Rates
    adding: Loop
    adding_second: Loop
    updating: Loop
    by_size: dict[int, float]

    def rates(self, adding: float, adding_second: float, updating: float) -> Rates:
        """The rates when the loops took so many seconds."""
        return Rates(
            self.adding.amount / adding, self.adding_second.amount / adding_second, self.updating.amount / updating
        )

    def figures(self) -> dict[str, Any]:
        """As results files hold it."""
        return {
            "threads": self.threads,
            "event_rate": self.best.events,
            "event_loop": self.adding.setting,
            "second_event_rate": self.best.second,
            "second_event_loop": self.adding_second.setting,
            "update_rate": self.best.updates,
            "update_loop": self.updating.setting,
            "event_rate_by_kib": {str(kib): rate for kib, rate in self.by_size.items()},
        }


def roofline(
    threads: int,
    *,
    widths: Sequence[int] = WIDTHS,
    kibibytes: Sequence[int] = KIBIBYTES,
    neurons: Sequence[int] = NEURONS,
    repeats: int = 5,
    amount: int = AMOUNT,
) -> Roofline:
    """Measure both rates; numba must be set to ``threads`` threads.

    Args:
        widths, kibibytes, neurons: sizes to try.
        repeats: runs of every loop; the fastest counts.
        amount: additions, or updates, in one run and thread.
    """
    best: dict[int, tuple[float, Loop]] = {}
    for kib in kibibytes:
        ways = [(width, rows) for width, rows in itertools.product(widths, AT_ONCE)]
        ways += [(width, loops.IN_REGISTERS) for width in widths if width in loops.TILES]
        best[kib] = fastest((add_loop(threads, width, kib, rows, amount) for width, rows in ways), repeats)
    update_rate, updating = fastest(
        (update_loop(threads, n, variant, amount) for n, variant in itertools.product(neurons, VARIANTS)), repeats
    )
    event_rate, adding = max(best.values(), key=lambda found: found[0])
    second = [found for kib, found in best.items() if kib >= SECOND] or [best[max(best)]]
    second_rate, adding_second = max(second, key=lambda found: found[0])
    rates = Rates(event_rate, second_rate, update_rate)
    by_size = {kib: rate for kib, (rate, _) in best.items()}
    return Roofline(threads, rates, adding, adding_second, updating, by_size)


def fastest(candidates: Iterable[Loop], repeats: int) -> tuple[float, Loop]:
    """The best rate, and the loop that has it."""

    def rate(loop: Loop) -> float:
        loop.run()
        return loop.amount / min(clock(loop.run) for _ in range(repeats))

    return max(((rate(loop), loop) for loop in candidates), key=lambda found: found[0])


def add_loop(threads: int, width: int, kib: int, rows: int, amount: int) -> Loop:
    """Each thread adds randomly chosen rows of one weight matrix to sums of its own.

    Args:
        threads: how many.
        width: floats in a row.
        kib: size of the matrix.
        rows: added in one pass over the sums, of ``AT_ONCE``, or ``loops.IN_REGISTERS``.
        amount: additions of a thread, about.
    """
    rng = np.random.default_rng(0)
    stride = -(-width // LINE) * LINE
    count = max(8, kib * 256 // stride)
    weight = aligned(count * stride)
    weight[:] = rng.standard_normal(count * stride)
    visits = max(VISITS, 2 * count) // 8 * 8
    times = max(1, amount // (visits * width))
    order = rng.integers(0, count, (threads, visits), np.int32)
    totals = aligned(threads * stride).reshape(threads, stride)

    def run() -> None:
        loops.add_on_threads(totals, weight, width, stride, order, times, rows)

    way = "sums in registers" if rows == loops.IN_REGISTERS else f"{rows} rows at once"
    return Loop(run, threads * times * visits * width, {"width": width, "kib": kib, "way": way})


def update_loop(threads: int, neurons: int, variant: int, amount: int) -> Loop:
    """Each thread steps a population of its own, without spikes.

    Args:
        threads: how many.
        neurons: of each population, in sixteens.
        variant: of ``VARIANTS``.
        amount: updates of a thread, about.
    """
    state = aligned(threads * 6 * neurons).reshape(threads, 6, neurons)
    state[:, 0] = np.linspace(0, 0.3, neurons)  # constant current: below threshold
    crossed = np.zeros((threads, neurons), np.uint8)
    coefficients = tuple(np.float32(z) for z in (0.95, 0.05, 0.04, 0.001, 0.95, 0.05))  # a, b, c, d, decay, full
    steps = max(RESET, amount // neurons)

    def run() -> int:
        return loops.update_on_threads(state, crossed, neurons, steps, RESET, coefficients, variant)

    return Loop(run, threads * steps * neurons, {"neurons": neurons, "way": VARIANTS[variant]})


def aligned(size: int) -> NDArray[np.float32]:
    """``[size]`` zeros that start a cache line."""
    buffer = np.zeros(size + LINE, np.float32)
    first = -(buffer.ctypes.data // 4) % LINE
    return buffer[first : first + size]
