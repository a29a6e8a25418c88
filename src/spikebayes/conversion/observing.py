"""A module run on a few rows, with a look at what its activations are given and what they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

EACH = 2  # rows: of the example, and drawn from [0, 1)

StandIn = Callable[[int, Tensor], Tensor]  # from the number of a call, and what it gave, to what goes on from there


@dataclass(frozen=True)
class Call:
    """A call of a module that becomes a population: what it was given, what it gave, and what went on from there."""

    module: nn.Module
    given: Tensor
    gave: Tensor
    passed: Tensor


@dataclass
class Seen:
    """One run of a module.

    Args:
        rows: ``[R, *shape]`` of each argument.
        calls: in their order.
        output: what the module returned.
    """

    rows: list[Tensor]
    calls: list[Call] = field(default_factory=list)
    output: Any = None


def observe(
    model: nn.Module,
    rows: list[Tensor],
    watched: Sequence[nn.Module],
    mode: TorchFunctionMode,
    stand_in: StandIn | None = None,
) -> Seen:
    """Run a module under a mode; torch's generator and the module's own hooks are left as they were.

    Args:
        model: in evaluation mode.
        rows: ``[R, *shape]`` for each argument.
        watched: the submodules whose calls are recorded.
        mode: what becomes of dropout and of random layers.
        stand_in: replaces what the watched modules give.
    """
    seen = Seen(rows)

    def hook(module: nn.Module, given: tuple[Any, ...], gave: Tensor) -> Tensor | None:
        passed = gave if stand_in is None else stand_in(len(seen.calls), gave)
        values = (given[0], gave, passed)
        seen.calls.append(Call(module, *(v.clone() for v in values)))  # later operations may work in place
        return None if stand_in is None else passed

    handles = [module.register_forward_hook(hook) for module in dict.fromkeys(watched)]
    try:
        with mode, _alone():
            seen.output = model(*(row.clone() for row in rows))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def few_rows(examples: Sequence[Tensor], dtype: torch.dtype) -> Iterator[list[Tensor]]:
    """Rows to run a module on: some of the example with some drawn from [0, 1), then either alone.

    A module may take only some values: it decides which of these it can be run on.
    """
    rng = torch.Generator().manual_seed(0)
    drawn = [torch.rand(EACH, *example.shape[1:], generator=rng).to(dtype) for example in examples]
    count = min(EACH, *(len(example) for example in examples))
    given = [example[:count].to(dtype) for example in examples]
    if count and all(bool(rows.isfinite().all()) for rows in given):
        yield [torch.cat(both) for both in zip(given, drawn, strict=True)]
        yield drawn
        yield given
    else:
        yield drawn


@contextmanager
def _alone() -> Iterator[None]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
