"""How many threads compute, and what they share out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

PATIENCE = 1.0  # seconds after which a user is told what he waits for


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: how a matrix product is split over threads changes its last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def share_out(work: Callable[[int, int], None], count: int, part: int) -> None:
    """Call ``work(begin, end)`` for parts of ``range(count)`` on as many threads as torch computes with.

    For functions that release the interpreter's lock. The first error is raised, and parts not yet begun are dropped
    (on Ctrl-C too).
    """
    threads = torch.get_num_threads()
    bounds = [(begin, min(count, begin + part)) for begin in range(0, count, part)]
    if threads == 1 or len(bounds) <= 1:
        for begin, end in bounds or [(0, 0)]:
            work(begin, end)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            for future in [pool.submit(work, begin, end) for begin, end in bounds]:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def compiling() -> Iterator[None]:
    """Says on standard error that kernels are being compiled, should it take longer than a moment."""
    say = "compiling the CPU engine for this machine, once (about 20 s)"
    timer = threading.Timer(PATIENCE, lambda: print(say, file=sys.stderr, flush=True))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
