"""A module's torch.fx graph, with dropout and whatever becomes a population as its leaves."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

from torch import fx, nn

from spikebayes.conversion import dropout
from spikebayes.errors import ConversionError
from spikebayes.nn import Spiking


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            isinstance(m, Spiking) or type(m) in dropout.MODULES or super().is_leaf_module(m, module_qualified_name)
        )


def trace(model: nn.Module, arguments: int) -> fx.Graph:
    """The module's graph; arguments beyond those given keep their defaults."""
    parameters = list(inspect.signature(model.forward).parameters.values())
    rest = {p.name: p.default for p in parameters[arguments:] if p.default is not p.empty}
    try:
        return _Tracer().trace(model, concrete_args=rest or None)
    except Exception as error:  # a user's forward may raise anything while traced
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConversionError(
            f"{type(model).__name__}.forward cannot be traced: {reason}. "
            "It must not branch on its values or use anything but torch operations on them"
        ) from error


def refuse_dropout_of_training_alone(model: nn.Module, graph: fx.Graph, arguments: int) -> None:
    """Refuse a model that drops more while training than in evaluation mode, in which its graph was made.

    Behind ``if self.training`` a dropout would be neither in the spiking network nor in the module's own predictions,
    whose spread would be too small without a word.

    Raises:
        ConversionError: names the dropout.
    """
    modes = {m: m.training for m in model.modules()}
    try:
        for m in modes:
            m.training = True
        training = trace(model, arguments)
    except ConversionError:  # what it does while training, no prediction does
        return
    finally:
        for m, mode in modes.items():
            m.training = mode
    always = Counter(str(node.target) for node in _drops(model, graph))
    for node in _drops(model, training):
        always[str(node.target)] -= 1
        if always[str(node.target)] < 0:
            raise ConversionError(
                f"{describe(model, node)} drops while the model trains, but not in a prediction: it stands behind "
                "`if self.training`, or the like. Call it always: convert and predict make dropout act in every mode"
            )


def _drops(model: nn.Module, graph: fx.Graph) -> list[fx.Node]:
    """Its calls of dropout."""
    found = []
    for node in graph.nodes:
        module = model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if type(module) in dropout.MODULES or (node.op == "call_function" and node.target in dropout.FUNCTIONS):
            found.append(node)
    return found


def kind(model: nn.Module, node: fx.Node) -> str:
    """The module's type, or the function's or method's name."""
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))).__name__
    return getattr(node.target, "__name__", str(node.target))


def describe(model: nn.Module, node: fx.Node) -> str:
    """The node and what it is, in words a user knows from their code."""
    name = kind(model, node)
    words = {"call_module": f"{name}, module {node.target!r}", "call_function": f"function {name}"}
    return f"node {node.name!r} ({words.get(node.op, f'tensor method {name}')})"


def attribute(model: nn.Module, path: str) -> Any:
    """The parameter, buffer or constant at a dotted path."""
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name)
    return value
