"""Which values depend on a network's inputs: in a module's graph, and in a run of the module.

An activation of anything else, of a parameter say, spikes nowhere: its result is a number like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

#: functions and methods that ask all of their arguments for their shapes alone
OF_SHAPE = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor", "new_empty"}
#: and all but the first
LIKE = {"to", "type", "type_as", "expand_as", "view_as", "reshape_as"}


def reached(graph: fx.Graph) -> set[fx.Node]:
    """Nodes of a graph that do."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        given = [n for n in tree_leaves(_read(node.target, node.args, node.kwargs)) if isinstance(n, fx.Node)]
        if node.op == "placeholder" or not found.isdisjoint(given):
            found.add(node)
    return found


class Reached:
    """Tensors of a run that do: each function of torch that is called is told to it.

    Args:
        inputs: of the network.
    """

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self._held: dict[int, Tensor] = {}  # kept, so that ids and places in memory stay theirs
        self._places: set[int] = set()
        for x in inputs:
            self.add(x)

    def __contains__(self, value: Any) -> bool:
        """Whether a value does; so do those that come about unseen, and share their memory."""
        return id(value) in self._held or (isinstance(value, Tensor) and _place(value) in self._places)

    def note(self, func: Callable[..., Any], given: tuple[Any, ...], named: Mapping[str, Any], gave: Any) -> None:
        """What a function was given, and what it gave or, in place, wrote into."""
        read = [x for x in tree_leaves(_read(func, given, named)) if isinstance(x, Tensor)]
        if not any(x in self for x in read):
            return
        wrote = given[0] if func.__name__ in ("__setitem__", "__set__") else None
        beside = {_place(x) for x in read if x not in self}
        for x in tree_leaves((gave, wrote)):
            if isinstance(x, Tensor):
                self.add(x, beside)

    def add(self, value: Tensor, beside: Collection[int] = ()) -> None:
        """Take in a tensor, and its memory, unless that is of what was beside: of a parameter, say."""
        self._held[id(value)] = value
        if (place := _place(value)) not in beside:
            self._places.add(place)


def _read(func: Any, given: Any, named: Any) -> Any:
    """Of what a call is given, that whose values it reads."""
    name = getattr(func, "__name__", func)
    if name in OF_SHAPE:
        return ()
    return given[:1] if name in LIKE else (given, dict(named))


def _place(value: Tensor) -> int:
    """Of its numbers in memory; its own id, where it has none."""
    try:
        return value.untyped_storage().data_ptr() or id(value)
    except (RuntimeError, NotImplementedError):  # sparse ones
        return id(value)
