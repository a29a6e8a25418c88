"""How many threads compute, and what they share out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


class _Inside:
    """Blocks of ``one_thread`` that are open, in all threads; and torch's number of threads outside of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks, self.usual = 0, 1


_inside = _Inside()
_here = threading.local()


def threads_here() -> int:
    """How many threads torch computes with in this one.

    A thread takes over torch's latest number when it first computes. While another one is in ``one_thread`` that is
    1: it would stay so for good, and hand it on.
    """
    with _inside.lock:
        known, _here.known = getattr(_here, "known", False), True
        if not known and _inside.blocks and torch.get_num_threads() == 1:
            torch.set_num_threads(_inside.usual)
        return torch.get_num_threads()


@contextmanager
def threads_kept() -> Iterator[None]:
    """Torch's number of threads is afterwards what it was before, for threads yet to come too."""
    threads = threads_here()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: how a matrix product is split over threads changes its last bits."""
    with threads_kept():
        with _inside.lock:
            _inside.usual = _inside.usual if _inside.blocks else torch.get_num_threads()
            _inside.blocks += 1
        torch.set_num_threads(1)
        try:
            yield
        finally:
            with _inside.lock:
                _inside.blocks -= 1


def share_out(work: Callable[[int, int], None], count: int, part: int) -> None:
    """Call ``work(begin, end)`` for parts of ``range(count)`` on as many threads as torch computes with.

    For functions that release the interpreter's lock. This thread is one of them: a thread that is started beside a
    busy one may wait for milliseconds until the system moves it to a free core. The first error is raised, and parts
    not yet begun are dropped (on Ctrl-C too).
    """
    parts = iter([(begin, min(count, begin + part)) for begin in range(0, count, part)] or [(0, 0)])
    helpers = min(threads_here(), -(-count // part)) - 1

    def run() -> None:
        try:
            for begin, end in parts:
                work(begin, end)
        except BaseException:
            for _ in parts:  # leave nothing for the others
                pass
            raise

    if helpers < 1:
        run()
        return
    with ThreadPoolExecutor(helpers) as pool:
        others = [pool.submit(run) for _ in range(helpers)]
        run()
        for other in others:
            other.result()
