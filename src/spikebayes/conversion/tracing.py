"""A module's torch.fx graph, and where in the user's code its nodes come from."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.conversion.shapes import ShapedTracer, attribute
from spikebayes.errors import SpikebayesError

LIBRARIES = (Path(torch.__file__).parent, Path(__file__).parents[1])  # whose code is not the user's
TRACED = (
    "its code is run once with values that are not known, to see what it does with any: let it branch on shapes, not "
    "on values, use torch's functions, and return what it makes instead of writing into it"
)


@dataclass(frozen=True, eq=False)
class Traced:
    """A module and its graph.

    Args:
        model: in evaluation mode.
        examples: ``[B, *shape]`` of each argument.
        graph: its calls, in order.
        tracer: that made it.
    """

    model: nn.Module
    examples: Sequence[Tensor]
    graph: fx.Graph
    tracer: ShapedTracer

    def attribute(self, path: str) -> Any:
        """The parameter, buffer or constant at a dotted path."""
        constants = self.tracer.constants
        return constants[path] if path in constants else attribute(self.model, path)

    def kind(self, node: fx.Node) -> str:
        """The module's type, or the function's or method's name."""
        if node.op == "call_module":
            return type(self.model.get_submodule(str(node.target))).__name__
        return getattr(node.target, "__name__", str(node.target))

    def describe(self, node: fx.Node) -> str:
        """The node and what it is, in words a user knows from their code."""
        name = self.kind(node)
        words = {"call_module": f"{name}, module {node.target!r}", "call_function": f"function {name}"}
        return f"node {node.name!r} ({words.get(node.op, f'tensor method {name}')})"

    def obstacle(self, node: fx.Node, reason: str, cure: str) -> Obstacle:
        """What stands in the way at a node."""
        return Obstacle(self.describe(node), reason, cure, self._line(node))

    def _line(self, node: fx.Node) -> str:
        """The user's line of code that calls a function or a method."""
        if node.op not in ("call_function", "call_method"):
            return ""
        return next((line_of(frames) for n, frames in self._frames.items() if n.name == node.name), "")

    @cached_property
    def _frames(self) -> dict[fx.Node, traceback.StackSummary]:
        return trace(self.model, self.examples, lines=True).tracer.frames


def trace(model: nn.Module, examples: Sequence[Tensor] | int, *, lines: bool = False) -> Traced:
    """The module's graph; arguments beyond those given keep their defaults.

    Args:
        model: in the mode in which it is traced.
        examples: ``[B, *shape]`` of each argument; or how many it takes, and its code may ask for no shape.
        lines: keep the stacks of calls that nodes come from, which takes its time.

    Raises:
        Blocked: the module's code cannot be followed.
    """
    given = examples if isinstance(examples, int) else len(examples)
    tracer = ShapedTracer(examples, lines=lines)
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
        rest = {p.name: p.default for p in parameters[given:] if p.default is not p.empty}
        graph = tracer.trace(model, concrete_args=rest or None)
    except SpikebayesError:
        raise
    except Exception as error:  # a user's forward may raise anything while traced
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = f"{type(model).__name__}.forward"
        raise Blocked(
            Obstacle(where, f"cannot be traced: {reason}", TRACED, line_of(traceback.extract_tb(error.__traceback__)))
        ) from error
    return Traced(model, [] if isinstance(examples, int) else examples, graph, tracer)


def line_of(frames: traceback.StackSummary) -> str:
    """The innermost line of a stack, below :func:`trace`, that is neither torch's nor this library's."""
    begin = max(k for k, frame in enumerate(frames) if frame.filename == __file__)
    for frame in reversed(frames[begin:]):
        if not any(Path(frame.filename).is_relative_to(library) for library in LIBRARIES):
            return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
    return ""
