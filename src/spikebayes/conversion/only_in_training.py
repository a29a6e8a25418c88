"""Randomness that a module has only while it trains, and so neither its predictions nor its spiking network would.

Masks reach every call of torch's dropout functions, whatever the mode; not a call behind ``if self.training``, nor a
module's own draws. A pass in either mode tells them, whatever the module's code is.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from spikebayes.conversion.faults import UNSCRIPTED, written_in
from spikebayes.conversion.obstacles import Obstacle
from spikebayes.conversion.tracing import LIBRARIES
from spikebayes.noise.masks import dropout_call, drops_in_place, evaluating
from spikebayes.noise.ownership import drawn_from, generators_kept
from spikebayes.noise.random_layers import certainly, randomly

ROWS = 2  # of a pass: a layer may take no single one
SETTLED = (_NormBase, nn.RReLU)  # stay in evaluation mode, as they are in a prediction: what trains there is no mask
GOVERNED = (
    "make nn.Dropout or a layer of spikebayes.nn its randomness, which acts in every mode, or give noise that only "
    "helps learning to fit(augment=...)"
)
Place = tuple[str, str]  # the module, and the user's line


def only_in_training(model: nn.Module, rows: Sequence[Tensor]) -> Obstacle | None:
    """The first randomness of a module in training mode that it does not have in evaluation mode, or out of reach.

    Layers of torch and of this library hold none: modules made of these alone, without hooks, are not run. A copy
    trains, so that the module stays as it is; a module that cannot be copied, or part of which may ask the module
    itself whether it trains, gets its values back.

    Args:
        model: that takes the rows.
        rows: ``[B, *shape]`` of each argument, the first of which are used.
    """
    if all(written_in(m).startswith(("torch.nn.", "spikebayes.")) and not _changed(m) for m in model.modules()):
        return None
    some = [x[:ROWS] for x in rows]
    with torch.no_grad(), generators_kept(), evaluating(model):
        try:
            usual = _watched(model, some)
            with _training(model) as trained:
                training = _watched(trained, some)
        except Exception:  # what it does not do at all, others tell of
            return None
    if usual.reused is not None:
        return _obstacle(
            usual.reused,
            "drops in place, and what it was given is used again, where no mask reaches it",
            "use what it returns, as in h = self.drop(h)",
        )
    always = Counter(call.what for call in usual.calls)
    for call in training.calls:
        always[call.what] -= 1
        if call.what[1] > 0 and always[call.what] < 0:
            return _obstacle(
                call.place,
                f"drops while the model trains, but not in a prediction: the call, or its p = {call.what[1]:g}, "
                "depends on `self.training`",
                "call it always: convert and predict make dropout act in every mode",
            )
    if training.drew and not usual.drew:
        scripted = any(isinstance(m, torch.jit.ScriptModule) for m in model.modules())
        return _obstacle(
            training.drew[0],
            "draws numbers of its own while the model trains, but not in a prediction",
            f"masks do not reach into what torch.jit compiled: {UNSCRIPTED}" if scripted else GOVERNED,
        )
    return None


@dataclass(frozen=True)
class _Call:
    """A dropout: its function's name and p, and where it is called."""

    what: tuple[str, float]
    place: Place


class _Watch(TorchFunctionMode):
    """While active, no dropout acts, and dropouts and draws are noted.

    ``reused`` is where a dropout in place is called whose argument serves again afterwards.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {id(m): name for name, m in model.named_modules()}
        self.calls: list[_Call] = []
        self.drew: list[Place] = []
        self.dropped: list[tuple[Tensor, Place]] = []
        self.reused: Place | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is randomly:
            return certainly(*args)
        self.look_for_reuse(func, (args, kwargs))
        call = dropout_call(func, args, kwargs)
        if call is not None:
            place = self.place()
            self.calls.append(_Call((func.__name__, float(call[1])), place))
            if not (call[1] > 0 and drops_in_place(func, args, kwargs)):
                return call[0]
            self.dropped.append((call[0], place))
            return call[0].clone()
        before = torch.get_rng_state()
        result = func(*args, **kwargs)
        if not torch.equal(before, torch.get_rng_state()):
            self.drew.append(self.place())
        return result

    def look_for_reuse(self, func: Callable[..., Any], given: Any) -> None:
        """Note a tensor that was dropped in place, or a view of it, among what a function is given."""
        if self.dropped and self.reused is None and func.__name__ != "__get__":
            tensors = [t for t in tree_leaves(given) if isinstance(t, Tensor)]
            self.reused = next((place for x, place in self.dropped if any(_shares(x, t) for t in tensors)), None)

    def place(self) -> Place:
        """The innermost module that is running, and the innermost line of the user's code."""
        module, line = "", ""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not _watched.__code__:
            owner, path = frame.f_locals.get("self"), Path(frame.f_code.co_filename)
            if not module and isinstance(owner, nn.Module) and id(owner) in self.names:
                name = self.names[id(owner)]
                module = type_before_parametrizations(owner).__name__ + (f", module {name!r}" if name else ".forward")
            if not line and not any(path.is_relative_to(library) for library in LIBRARIES):
                line = f"{path.name}:{frame.f_lineno}"
            frame = frame.f_back
        return module, line


def _watched(model: nn.Module, rows: Sequence[Tensor]) -> _Watch:
    with _Watch(model) as watch, drawn_from() as others:
        output = model(*(part.clone() for part in rows))  # a forward may work in place
    watch.look_for_reuse(model.forward, output)
    if others and not watch.drew:
        watch.drew.append((f"{type(model).__name__}.forward", ""))
    return watch


@contextmanager
def _training(model: nn.Module) -> Iterator[nn.Module]:
    """A copy in training mode, but for layers whose training is no randomness of the model."""
    made = None if any(map(_changed, model.modules())) else _copy(model)
    values = {} if made is not None else {name: t.clone() for name, t in _numbers(model)}
    trained = model if made is None else made
    modes = {m: m.training for m in trained.modules()}
    for m in modes:
        m.training = not (isinstance(m, SETTLED) or written_in(m).startswith("spikebayes."))
    try:
        yield trained
    finally:
        for m, mode in modes.items():
            m.training = mode
        for name, t in _numbers(model) if values else ():
            if not torch.equal(t, values[name]):
                t.copy_(values[name])


def _copy(model: nn.Module) -> nn.Module | None:
    try:
        return copy.deepcopy(model)
    except Exception:  # it keeps a value of a graph, say
        return None


def _changed(module: nn.Module) -> bool:
    """Whether hooks, or a forward put in place, do what its class does not say; they may hold the very module."""
    hooks = module._forward_hooks, module._forward_pre_hooks
    return any(hooks) or "forward" in vars(module)


def _numbers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(model.named_parameters(), model.named_buffers())


def _shares(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _obstacle(place: Place, reason: str, cure: str) -> Obstacle:
    where, line = place
    return Obstacle(where, reason, cure, line)
