"""An argument of a forward while it is traced: a tensor to whoever asks, and a value of the graph in all it does.

A forward may ask ``isinstance(x, Tensor)``, and torch's C code takes whatever answers yes for a tensor: so it has to
be one. Operations that torch lets others take over go into the graph; whatever else is done to it is done to a tensor
on the meta device, which has a shape and no values, and nothing that comes of it can pass for a value of the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.graph import magic_methods
from torch.utils._pytree import tree_map

from spikebayes.conversion.obstacles import Blocked, Obstacle

OWN = {"__class__", "__torch_function__", "_is_param"}  # what is asked of the tensor itself
APART = "where a forward takes several tensors as one tuple or dict, wrap it in one that takes each by itself"
TOGETHER = f"give one for each argument, and {APART}"


class ShapedArgument(Tensor):
    """A tensor without values in front of a proxy, which answers for it.

    Args:
        proxy: of a placeholder.
        like: ``[B, *shape]``, whose shape and type it has.
    """

    @staticmethod
    def __new__(cls, proxy: fx.Proxy, like: Tensor) -> ShapedArgument:
        made = torch.empty_like(like, device="meta").as_subclass(cls)
        object.__setattr__(made, "_proxy", proxy)
        return made

    def __init__(self, proxy: fx.Proxy, like: Tensor) -> None:
        super().__init__()

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name) if name in OWN else getattr(proxy_of(self), name)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given, named = tree_map(proxy_of, (tuple(args), dict(kwargs or {})))
        return fx.Proxy.__torch_function__(func, types, given, named)


def proxy_of(value: Any) -> Any:
    """An argument's proxy; anything else as it is."""
    return object.__getattribute__(value, "_proxy") if type(value) is ShapedArgument else value


def _forwarded(name: str) -> Any:
    """A special method, which Python looks up on the class."""
    if not hasattr(fx.Proxy, name):
        return lambda *_: NotImplemented  # x += 1 is then x = x + 1, as of any value that is traced
    return lambda argument, *given: getattr(proxy_of(argument), name)(*given)


def _special() -> list[str]:
    """Those that a proxy has, and operations in place; others are torch's, which lets them be taken over."""
    kept = {"__new__", "__init__", "__getattribute__", "__init_subclass__", "__subclasshook__", *OWN}
    of_tensors = {n for n in dir(Tensor) if n.startswith("__") and callable(getattr(Tensor, n))} - kept
    in_place = {f"__i{name.strip('_')}__" for name in magic_methods}
    return sorted(n for n in of_tensors if hasattr(fx.Proxy, n) or n in in_place)


for _name in _special():
    setattr(ShapedArgument, _name, _forwarded(_name))


def argument_names(model: nn.Module, given: int) -> list[str]:
    """What a module's forward calls the arguments that it is given by position; ``*xs`` takes however many are left.

    Args:
        given: how many there are; arguments beyond them keep their defaults.

    Raises:
        Blocked: there are more, or fewer, than it takes.
    """
    own, *others = inspect.signature(type(model).forward).parameters.values()
    parameters = [own, *others] if own.kind is own.VAR_POSITIONAL else others
    by_position = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    several = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    names = by_position[:given]
    for p in parameters:
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in names:
            reason = f"the model takes an argument {p.name!r}, but {given} example inputs were given"
            cure = "give it a default" if p.kind is p.KEYWORD_ONLY else "give one for each argument"
            raise Blocked(Obstacle(type(model).__name__, reason, cure))
    more = given - len(names)
    if more and several is None:
        reason = f"the model takes {len(names)} inputs, but {given} example inputs were given"
        raise Blocked(Obstacle(type(model).__name__, reason, TOGETHER))
    return names + [f"{several}_{k}" for k in range(more)]
