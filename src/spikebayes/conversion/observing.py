"""A module run on a few rows, with a look at what its activations are given and what they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks

EACH = 2  # rows: of the example, and drawn from [0, 1)
SEED = 0  # of the masks

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
        certain: random layers drew nothing and did what is likelier.
        calls: of activations, in their order.
        sites: how many calls dropped or drew.
        output: what the module returned.
    """

    rows: list[Tensor]
    certain: bool
    calls: list[Call] = field(default_factory=list)
    sites: int = 0
    output: Any = None

    @property
    def keys(self) -> Keys:
        """Of the masks, which are others where the random layers draw."""
        lines = torch.arange(len(self.rows[0]))
        return Keys(SEED, torch.full_like(lines, 0 if self.certain else 1), lines)


def observe(
    model: nn.Module,
    rows: list[Tensor],
    watched: Sequence[nn.Module],
    *,
    certain: bool,
    stand_in: StandIn | None = None,
) -> Seen:
    """Run a module under masks; the module's own hooks are left as they were.

    Args:
        model: in evaluation mode.
        rows: ``[R, *shape]`` for each argument.
        watched: the submodules whose calls are recorded.
        certain: random layers draw nothing and do what is likelier.
        stand_in: replaces what the watched modules give.
    """
    seen = Seen(rows, certain)

    def hook(module: nn.Module, given: tuple[Any, ...], gave: Tensor) -> Tensor | None:
        passed = gave if stand_in is None else stand_in(len(seen.calls), gave)
        values = (given[0], gave, passed)
        seen.calls.append(Call(module, *(v.clone() for v in values)))  # later operations may work in place
        return None if stand_in is None else passed

    handles = [module.register_forward_hook(hook) for module in dict.fromkeys(watched)]
    try:
        with _alone(), Masks(seen.keys, certain=certain) as masks:
            seen.output = model(*(row.clone() for row in rows))
        seen.sites = masks.sites
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
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
