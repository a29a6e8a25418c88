"""What the bench measures with: turns, rows, threads, memory, fresh processes. No test looks at how fast it was."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numba
import pytest
import torch

from benchmarks import measure
from benchmarks.measure import Timing, affordable, alternate, fresh, peak_bytes, threads
from spikebayes.errors import ConfigError


def test_competitors_take_turns() -> None:
    calls: list[str] = []
    timings = alternate({name: lambda name=name: calls.append(name) for name in "abc"}, 3, least=0.0)
    assert "".join(calls) == "abc" + 3 * "abc"  # a warm-up each, then the rounds
    assert [len(t.rounds) for t in timings.values()] == [3, 3, 3]


def test_short_runs_are_repeated_within_a_round() -> None:
    calls: list[float] = []

    def run() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.002)

    started = time.perf_counter()
    timing = alternate({"a": run}, 2, least=0.1)["a"]
    each = (len(calls) - 1) // 2  # without the warm-up
    assert each > 1
    assert sum(timing.rounds) * each <= time.perf_counter() - started  # seconds of one run, not of the round


def test_figures_are_the_median_and_the_extremes() -> None:
    assert Timing((3.0, 1.0, 2.0, 9.0, 8.0)).figures() == {"median": 3.0, "min": 1.0, "max": 9.0, "rounds": 5}


@dataclass(frozen=True)
class Rows:
    """A workload that is nothing but its rows."""

    count: int

    def take(self, rows: int) -> Rows:
        return Rows(rows)


@pytest.mark.parametrize(
    ("start", "per_row", "expected"),
    [
        pytest.param(0.0, 0.0001, 64, id="fast"),
        pytest.param(0.02, 0.0, 64, id="slow-to-start-but-not-by-the-row"),
        pytest.param(0.0, 0.004, 16, id="slow-by-the-row"),
        pytest.param(0.0, 0.1, 4, id="slower-than-the-limit-at-the-fewest"),
    ],
)
def test_slow_competitors_get_fewer_rows(
    monkeypatch: pytest.MonkeyPatch, start: float, per_row: float, expected: int
) -> None:
    monkeypatch.setattr(measure, "clock", lambda run: run())
    prepared: list[int] = []

    def prepare(rows: Rows):
        prepared.append(rows.count)
        return lambda: start + per_row * rows.count

    run, rows, seconds = affordable(prepare, Rows(64), 64, 0.11)
    assert rows == expected
    assert rows in prepared
    assert max(prepared) == max(rows, *prepared[:2])  # never tried on more than it was given
    assert seconds >= 0
    assert run() == pytest.approx(start + per_row * rows)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 15, 17])
def test_a_fast_competitor_gets_all_rows_however_few(rows: int) -> None:
    assert affordable(lambda some: lambda: None, Rows(rows), rows, 100.0)[1] == rows


def test_threads_are_set_and_put_back() -> None:
    numba.get_num_threads()  # the first call starts numba's threads, and sets OpenMP's number, torch's too, to theirs
    before = torch.get_num_threads(), numba.get_num_threads()
    with threads(1):
        assert (torch.get_num_threads(), numba.get_num_threads()) == (1, 1)
    assert (torch.get_num_threads(), numba.get_num_threads()) == before


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_threads_beyond_the_cores_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"threads must be from 1 to .* got {count}"), threads(count):
        pass


@pytest.mark.slow
def test_a_fresh_process_has_memory_of_its_own() -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    here = peak_bytes()
    code = "import json; from benchmarks import measure; a = measure.peak_bytes(); b = bytearray(50_000_000); "
    code += "b[::4096] = b'x' * len(b[::4096]); print(json.dumps({'before': a, 'after': measure.peak_bytes()}))"
    peak, _ = fresh("-c", code)
    assert here > 300_000_000
    assert 45_000_000 < peak["after"] - peak["before"] < 60_000_000


def test_a_fresh_process_gives_its_last_line_and_its_errors() -> None:
    code = "import os, sys; print('noise'); print('{\"a\": 1}'); print(os.environ['SAID'], file=sys.stderr)"
    assert fresh("-c", code, environment={"SAID": "so"}) == ({"a": 1}, "so\n")


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(ConfigError, match="a process of the bench failed: ValueError: no such thing"):
        fresh("-c", "raise ValueError('no such thing')")
