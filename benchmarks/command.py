"""The whole bench: every part in one run, into results/bench.json and its page."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.bars import bars
from benchmarks.classical import classical
from benchmarks.engine import NAME
from benchmarks.machine import machine
from benchmarks.measure import Watch, threads
from benchmarks.memory import growth, memory_of
from benchmarks.page import render
from benchmarks.peers import Peer, available, missing
from benchmarks.race import race
from benchmarks.roofline import roofline
from benchmarks.starts import starts
from benchmarks.sweeps import scaling, sweeps
from benchmarks.synapses import IMAGES, LONGEST, SAMPLES, synapses
from benchmarks.synapses import memory as synapses_memory
from benchmarks.thresholds import thresholds
from benchmarks.workloads import NAMES, workload
from spikebayes import ConfigError
from studies.results import provenance, read_results, write_page, write_results

ALONE = ("sweeps", "starts", "classical", "synapses", "thresholds")  # parts that can be measured without the others
PARTS = ("peers", "memory", *ALONE)  # the engine and the roofline are always measured
ROWS, QUICK_ROWS = 64, 16
SECONDS, QUICK_SECONDS = 4.0, 1.0  # a run that takes longer gets fewer rows
QUICK_IMAGES, QUICK_SAMPLES = 200, 20
QUICK_REPEATS, QUICK_PEERS = 3, ("spikingjelly",)  # all peers run on A and B, those on C and D and for memory


def check(
    workloads: Sequence[str], only: Sequence[str], repeats: int, count: int, seed: int, *, update: bool = False
) -> None:
    """Refuse settings out of range, and with ``update`` parts that need a whole run (ConfigError)."""
    for what, given, known in (("workload", workloads, NAMES), ("part", only, PARTS)):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ConfigError(f"there is no {what} {unknown[0]!r} in the bench; there are {', '.join(known)}")
    if not workloads:
        raise ConfigError(f"give at least one workload of {', '.join(NAMES)}")
    if update and (not only or not set(only) <= set(ALONE)):
        raise ConfigError(f"an update measures one or several of {', '.join(ALONE)} and nothing else; name them")
    if not 0 <= seed < 1 << 64:
        raise ConfigError(f"a seed must be an integer in [0, 2^64); got {seed}")
    if repeats < 1:
        raise ConfigError(f"repeats must be at least 1; got {repeats}")
    with threads(count):
        pass


def run_bench(
    results: Path,
    page: Path,
    *,
    workloads: Sequence[str] = NAMES,
    only: Sequence[str] = PARTS,
    quick: bool = False,
    repeats: int = 5,
    count: int = 2,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure, write the JSON file and the page.

    Args:
        results: JSON file to write. page: Markdown page to write.
        workloads: of ``workloads.NAMES``.
        only: of ``PARTS``, what to measure besides the engine's speed and the roofline.
        quick: fewer rows, shorter runs of slow peers and shorter sweeps: to see that it works.
        repeats: rounds of every timing, at least 5 for figures to publish.
        count: threads of every competitor.
        seed: of the workloads.
        say: told what is being done.

    Returns:
        What the JSON file holds.

    Raises:
        ConfigError: an unknown workload or part, repeats or threads out of range; a machine too busy to be timed on.
    """
    check(workloads, only, repeats, count, seed)
    origin = provenance("python -m benchmarks", seed) | {"machine": machine()}
    started = time.perf_counter()
    peers = available() if "peers" in only else {}
    rows = QUICK_ROWS if quick else ROWS
    repeats = min(repeats, QUICK_REPEATS) if quick else repeats
    watch = None if quick else Watch(count)
    with threads(count):
        say("roofline")
        limit = roofline(count)
        with threads(1):
            one = roofline(1) if count > 1 else limit
        raced = {}
        seconds = QUICK_SECONDS if quick else SECONDS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other libraries' own
            for name in workloads:
                given = workload(name, rows=rows, seed=seed)
                chosen = {n: p for n, p in peers.items() if n in QUICK_PEERS or name in "AB" or not quick}
                chosen = {n: p for n, p in chosen.items() if name == "A" or not n.endswith("_each_step")}
                raced[name] = race(given, chosen, limit, repeats=repeats, seconds=seconds, say=say, watch=watch)
    found: dict[str, Any] = {
        **origin,
        "settings": {"quick": quick, "repeats": repeats, "threads": count, "rows": rows, "only": list(only)},
        "peers": {name: _about(peer) for name, peer in peers.items()},
        "missing": missing() if "peers" in only else {},
        "roofline": {"one": one.figures(), "all": limit.figures()},
        "workloads": raced,
    }
    first = "A" if "A" in workloads else workloads[0]
    say(f"{first}: threads")
    found["threads"] = scaling(first, count, repeats=repeats, rows=rows, seed=seed)
    if "memory" in only:
        found["memory"] = _memories(raced, rows, count, seed, quick, say)
        say("memory with more steps and more samples")
        found["growth"] = growth(workload(first, rows=rows, seed=seed), count, samples=2 if quick else 10)
    for part in ALONE:
        if part in only:
            found[part] = _alone(part, workloads, quick, repeats, count, seed, say)
    found["seconds"] = time.perf_counter() - started
    return _written(found, results, page)


def update_bench(
    results: Path,
    page: Path,
    *,
    only: Sequence[str],
    workloads: Sequence[str] = NAMES,
    quick: bool = False,
    repeats: int = 5,
    count: int = 2,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure some parts and put them into the JSON file of a whole run; all else in it stays, the page is anew.

    Args:
        results: JSON file to read and write. The others are :func:`run_bench`'s; ``only`` of ``ALONE``.

    Returns:
        What the JSON file holds; ``updates`` says of each such part which commit and settings it was measured with.

    Raises:
        ConfigError: as ``run_bench``, or there is no such file.
    """
    check(workloads, only, repeats, count, seed, update=True)
    found = read_results(results)
    repeats = min(repeats, QUICK_REPEATS) if quick else repeats
    origin = provenance(f"python -m benchmarks --only {','.join(only)} --update", seed) | {"machine": machine()}
    origin |= {"settings": {"quick": quick, "repeats": repeats, "threads": count}}
    for part in only:
        started = time.perf_counter()
        found[part] = _alone(part, workloads, quick, repeats, count, seed, say)
        found["updates"] = found.get("updates", {}) | {part: origin | {"seconds": time.perf_counter() - started}}
    return _written(found, results, page)


def _alone(
    part: str, workloads: Sequence[str], quick: bool, repeats: int, count: int, seed: int, say: Callable[[str], None]
) -> Any:
    """One of the parts ``ALONE``."""
    if part == "sweeps":
        names = [name for name in ("A", "B") if name in workloads][: 1 if quick else 2]
        return sweeps(names, count, repeats=max(3, repeats // 2), seed=seed, shorter=quick, say=say)
    if part == "starts":
        say("first calls in fresh processes")
        return starts(repeats=1 if quick else 3)
    if part == "classical":
        say("classical prediction")
        with threads(count):
            return classical(rows=500 if quick else 10_000, repeats=repeats)
    if part == "thresholds":
        rows, limit = (QUICK_IMAGES, QUICK_SECONDS) if quick else (IMAGES, LONGEST)
        with threads(count):
            return thresholds(rows, repeats=repeats, seconds=limit, seed=seed, say=say)
    rows, samples, limit = (QUICK_IMAGES, QUICK_SAMPLES, QUICK_SECONDS) if quick else (IMAGES, SAMPLES, LONGEST)
    with threads(count):
        found = synapses(rows, samples, repeats=repeats, seconds=limit, seed=seed, say=say)
    say("synapses: memory of the exact job")
    return found | {"memory": synapses_memory(rows, samples, count)}


def _written(found: dict[str, Any], results: Path, page: Path) -> dict[str, Any]:
    """The results judged, in their file and on their page."""
    judged = bars(found)
    found["bars"] = [bar.figures() for bar in judged]
    found["summary"] = [f"{bar.what}: {bar.told()}, {bar.verdict()}" for bar in judged if bar.got is not None]
    write_results(found, results)
    write_page(render(found), page)
    return found


def _memories(
    raced: Mapping[str, Any], rows: int, count: int, seed: int, quick: bool, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Peak memory of every competitor on every workload, on as many rows as it was timed on."""
    found = {}
    for name, case in list(raced.items())[: 1 if quick else None]:
        some = {competitor: figures["rows"] for competitor, figures in case["competitors"].items()}
        some = {n: r for n, r in some.items() if n in (NAME, *QUICK_PEERS) or not quick}
        found[name] = memory_of(workload(name, rows=rows, seed=seed), some, count, say=say)
    return found


def _about(peer: Peer) -> dict[str, str]:
    """What a page says of a peer: its version, and what its module says it does and leaves out."""
    module: Any = inspect.getmodule(type(peer))
    return {
        "package": peer.package,
        "version": version(peer.package),
        "about": " ".join((module.__doc__ or "").split()),
    }
