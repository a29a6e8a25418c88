"""A module's torch.fx graph, and where in the user's code its nodes come from."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikebayes.conversion.activations import argument_of, is_activation
from spikebayes.conversion.arguments import ShapedArgument, argument_names
from spikebayes.conversion.dependence import reached
from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.conversion.shapes import TAKEN_OUT, ShapedProxy, ShapedTracer, attribute
from spikebayes.errors import SpikebayesError

LIBRARIES = (Path(torch.__file__).parent, Path(__file__).parents[1])  # whose code is not the user's
TRACED = (
    "its code is run once with values that are not known, to see what it does with any: let it branch on shapes, not "
    "on values, use torch's functions, and return what it makes instead of writing into it"
)
FOLLOWED = (
    "its code is run once with values that are not known: write it with torch's layers, functions and methods, not "
    "with torch.tensor(x), torch.func, NumPy or float(x)"
)
STAND_INS = re.compile(  # what an error names if a value is given to what does not know that it is traced
    rf"\bmeta\b|{ShapedArgument.__name__}|{ShapedProxy.__name__}|to cast Proxy|'Attribute'|__array_struct__"
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

    @cached_property
    def reached(self) -> set[fx.Node]:
        """Nodes whose value depends on the network's inputs."""
        return reached(self.graph)

    def is_activation(self, node: fx.Node) -> bool:
        """Whether a node calls an activation of a value that depends on the inputs; one of a parameter is none."""
        return argument_of(node) in self.reached and is_activation(node, self.model)

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
    given, known = (examples, None) if isinstance(examples, int) else (len(examples), examples)
    try:
        tracer = ShapedTracer(argument_names(model, given), known, lines=lines)
        graph = tracer.trace(model)
    except (SpikebayesError, Blocked):
        raise
    except Exception as error:  # a user's forward may raise anything while traced
        reason, cure = _reason(error)
        line = line_of(traceback.extract_tb(error.__traceback__))
        raise Blocked(
            Obstacle(f"{type(model).__name__}.forward", f"cannot be traced: {reason}", cure, line)
        ) from error
    return Traced(model, known or [], graph, tracer)


def _reason(error: Exception) -> tuple[str, str]:
    """What a forward cannot do while it is traced, and what to do instead."""
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    if said == TAKEN_OUT or STAND_INS.search(said):
        return TAKEN_OUT, FOLLOWED
    return said, TRACED


def line_of(frames: traceback.StackSummary) -> str:
    """The innermost line of a stack, below :func:`trace`, that is neither torch's nor this library's."""
    begin = max(k for k, frame in enumerate(frames) if frame.filename == __file__)
    for frame in reversed(frames[begin:]):
        if not any(Path(frame.filename).is_relative_to(library) for library in LIBRARIES):
            return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
    return ""
