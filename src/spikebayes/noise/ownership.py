"""Randomness in a module that masks do not own: then equal seeds would not give equal samples.

What torch's, NumPy's and Python's generators hold before and after a pass tells whether something drew from them, be
it ``randn`` in a forward or the dropout inside an attention function.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from spikebayes.errors import ConfigError

GENERATORS = ("torch", "NumPy", "Python")
Pass = Callable[[], Any]


def owned(run: Pass) -> Any:
    """What a pass under masks gives, once it is known to draw nothing else; generators are left as they were.

    Raises:
        ConfigError: it draws from a generator; names the function, where torch knows it.
    """
    with generators_kept():
        before = _states()
        result = run()
        if moved := _moved(before):
            raise ConfigError(
                f"the model draws numbers of its own {_where(run, moved)}, which no seed of a prediction governs; "
                "make Dropout or a layer of spikebayes.nn its randomness, or leave the drawing out of forward"
            )
    return result


@contextmanager
def drawn_from() -> Iterator[list[str]]:
    """Names of the generators from which something was drawn, told at the end."""
    before, names = _states(), list[str]()
    yield names
    names += _moved(before)


@contextmanager
def generators_kept() -> Iterator[None]:
    """The global generators are put back afterwards."""
    before = _states()
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


class _Drawing(TorchFunctionMode):
    """While active, notes the functions of torch after which its generator is another."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        before = torch.get_rng_state()
        result = func(*args, **(kwargs or {}))
        if not torch.equal(before, torch.get_rng_state()):
            self.names.append(func.__name__)
        return result


def _where(run: Pass, moved: list[str]) -> str:
    with _Drawing() as drawing:
        run()
    if drawing.names:
        return f"with {', '.join(dict.fromkeys(drawing.names))}"
    return f"from {' and '.join(moved)}'s generator"


def _states() -> tuple[Any, Any, Any]:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def _moved(before: tuple[Any, Any, Any]) -> list[str]:
    """The generators that are others than before."""
    after = _states()
    same = (
        torch.equal(before[0], after[0]),
        all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True)),
        before[2] == after[2],
    )
    return [name for name, equal in zip(GENERATORS, same, strict=True) if not equal]
