"""How many threads compute, and what they share out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


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

    For functions that release the interpreter's lock. This thread is one of them: a thread that is started beside a
    busy one may wait for milliseconds until the system moves it to a free core. The first error is raised, and parts
    not yet begun are dropped (on Ctrl-C too).
    """
    parts = iter([(begin, min(count, begin + part)) for begin in range(0, count, part)] or [(0, 0)])
    helpers = min(torch.get_num_threads(), -(-count // part)) - 1

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
