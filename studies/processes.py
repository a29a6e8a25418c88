"""A study's trainings, several at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from studies.stages import Stages

Key = TypeVar("Key")


@dataclass(frozen=True)
class Job:
    """A stage that another process works out: ``work(*arguments)``, both picklable; it makes or judges weights."""

    stages: Stages
    stage: str
    work: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    weights: tuple[Path, ...] = ()


def side_by_side(jobs: Mapping[Key, Job], count: int) -> dict[Key, dict[str, Any]]:
    """What the jobs found, ``count`` of them at a time; those whose stage was finished before are not run again.

    A stage is kept as soon as it is finished, with the seconds that its own process took. If one fails or the study
    is stopped or killed, the other processes end at once: they go on from their own checkpoints.
    """
    missing = {key: job for key, job in jobs.items() if not job.stages.has(job.stage)}
    for key, job in jobs.items():
        if key not in missing:
            job.stages.say(f"{job.stage}: done before")
    if missing:
        _run(list(missing.values()), count)
    return {key: job.stages.kept(job.stage) for key, job in jobs.items()}


def _run(jobs: Sequence[Job], count: int) -> None:
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max(1, min(count, len(jobs))), spawned, _end_with_parent)
    runs = {pool.submit(_timed, job.work, job.arguments): job for job in jobs}
    workers = pool._processes  # shutdown forgets them
    try:
        for run in as_completed(runs):
            (result, seconds), job = run.result(), runs[run]
            job.stages.keep(job.stage, result, seconds, job.weights)
            job.stages.say(f"{job.stage}: {seconds:.0f} s")
    except BaseException:
        for worker in list(workers.values()):
            worker.kill()  # Lightning leaves a handler behind, under which a worker outlives terminate()
            worker.join()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """A parent that is killed can end nobody: its workers would train on, unseen."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _timed(work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    return work(*arguments), time.perf_counter() - started
