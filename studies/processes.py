"""A study's trainings, several at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
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

    If one fails or the study is stopped, the other processes end at once: they go on from their own checkpoints.
    """
    missing = {key: job for key, job in jobs.items() if not job.stages.has(job.stage)}
    if not missing:
        return {key: job.stages.run(job.stage, dict) for key, job in jobs.items()}
    pool = ProcessPoolExecutor(max(1, min(count, len(missing))), mp_context=multiprocessing.get_context("spawn"))
    runs = {key: pool.submit(job.work, *job.arguments) for key, job in missing.items()}
    workers = pool._processes  # shutdown forgets them
    try:
        return {
            key: job.stages.run(job.stage, lambda k=key: runs[k].result(), lambda j=job: j.weights)
            for key, job in jobs.items()
        }
    except BaseException:
        for worker in list(workers.values()):
            worker.terminate()
            worker.join()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
