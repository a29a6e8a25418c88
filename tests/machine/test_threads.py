"""Torch's number of threads, which is each thread's own and yet handed on, is afterwards what it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from spikebayes.machine.threads import one_thread, share_out, threads_here

USUAL = 3


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(USUAL)
    yield
    torch.set_num_threads(before)


def _in_a_new_thread(work: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_one_thread_is_one_and_then_as_before() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert threads_here() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == _in_a_new_thread(torch.get_num_threads) == USUAL


def test_a_thread_born_while_another_computes_on_one_has_the_usual_number() -> None:
    inside, done = threading.Event(), threading.Event()

    def computes() -> None:
        with one_thread():
            inside.set()
            assert done.wait(20)

    def born() -> int:
        with one_thread():
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(computes)
        assert inside.wait(20)
        assert _in_a_new_thread(threads_here) == USUAL
        assert _in_a_new_thread(born) == USUAL
        done.set()
        other.result()
    assert _in_a_new_thread(torch.get_num_threads) == torch.get_num_threads() == USUAL


def test_parts_are_shared_out_among_as_many_threads_as_torch_has() -> None:
    together, seen = threading.Barrier(USUAL), set[int]()

    def part(_begin: int, _end: int) -> None:
        with one_thread():
            together.wait(20)
            seen.add(threading.get_ident())

    share_out(part, USUAL, 1)
    assert len(seen) == USUAL
    assert torch.get_num_threads() == USUAL
