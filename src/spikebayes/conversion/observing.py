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

from spikebayes.conversion.activations import FUNCTIONS
from spikebayes.conversion.dependence import Reached
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks

EACH = 2  # rows: of the example, and drawn from [0, 1)
SEED = 0  # of the masks

StandIn = Callable[[int, Tensor], Tensor]  # from the number of a call, and what it gave, to what goes on from there


@dataclass(frozen=True)
class Call:
    """A call of what becomes a population: what it was given, what it gave, and what went on from there.

    Args:
        module: None of a function.
    """

    module: nn.Module | None
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
    closed: Sequence[nn.Module] = (),
    *,
    certain: bool,
    stand_in: StandIn | None = None,
) -> Seen:
    """Run a module under masks; the module's own hooks are left as they were.

    Args:
        model: in evaluation mode.
        rows: ``[R, *shape]`` for each argument.
        watched: the submodules whose calls are recorded, beside those of torch's activation functions.
        closed: other submodules that a graph does not look into: what they call inside is their own.
        certain: random layers draw nothing and do what is likelier.
        stand_in: replaces what the watched modules give.
    """
    seen = Seen(rows, certain)
    given = [row.clone() for row in rows]
    functions = _Functions(seen, stand_in, Reached(given))
    handles = [h for module in dict.fromkeys(watched) for h in functions.watch(module)]
    handles += [h for module in dict.fromkeys(closed) for h in functions.close(module)]
    try:
        with _alone(), Masks(seen.keys, certain=certain) as masks, functions:
            seen.output = model(*given)
        seen.sites = masks.sites
    finally:
        for handle in handles:
            handle.remove()
    return seen


class _Functions(TorchFunctionMode):
    """Records the calls of watched modules, and of torch's activation functions outside these."""

    def __init__(self, seen: Seen, stand_in: StandIn | None, reached: Reached) -> None:
        super().__init__()
        self.seen, self.stand_in, self.reached = seen, stand_in, reached
        # of the watched modules that are being called; None, of parameters alone
        self.given: list[Tensor | None] = []
        self.inside = 0  # closed modules that are being called

    def watch(self, module: nn.Module) -> list[Any]:
        """Hooks on a module."""

        def before(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            x = next(iter((*given, *named.values())))
            self.given.append(x.clone() if x in self.reached else None)  # an operation may work in place

        def after(module: nn.Module, _: tuple[Any, ...], gave: Tensor) -> Tensor | None:
            given = self.given.pop()
            return None if given is None else self._record(module, given, gave)

        return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]

    def close(self, module: nn.Module) -> list[Any]:
        """Hooks on a module whose own calls do not count."""

        def before(_module: nn.Module, _given: tuple[Any, ...]) -> None:
            self.inside += 1

        def after(_module: nn.Module, _given: tuple[Any, ...], _gave: Any) -> None:
            self.inside -= 1

        return [module.register_forward_pre_hook(before, prepend=True), module.register_forward_hook(after)]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = not self.given and not self.inside and (func in FUNCTIONS or _method(func) in FUNCTIONS)
        given = (args[0] if args else (kwargs or {}).get("input")) if known else None
        given = given.clone() if isinstance(given, Tensor) and given in self.reached else None
        gave = func(*args, **(kwargs or {}))
        self.reached.note(func, args, kwargs or {}, gave)
        return gave if given is None else self._record(None, given, gave)

    def _record(self, module: nn.Module | None, given: Tensor, gave: Tensor) -> Tensor:
        """Note a call; what goes on from there."""
        passed = gave if self.stand_in is None else self.stand_in(len(self.seen.calls), gave)
        self.seen.calls.append(Call(module, given, gave.clone(), passed.clone()))
        self.reached.add(passed)
        return passed


def _method(func: Any) -> str:
    """The name of a tensor method; nothing of anything else."""
    name = getattr(func, "__name__", "?")
    known = (getattr(torch.Tensor, place, None) for place in (name, f"__{name}__"))  # torch wraps those of operators
    return name if any(method is func for method in known) else ""


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
