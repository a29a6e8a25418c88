"""Tracing with shapes that are known: a forward may ask for sizes, and loop and branch on them.

torch.fx traces with values that know nothing. Here a value that is asked for its shape is worked out, on so many rows
as no model writes down (``ROWS``), from the graph that led to it; values that nobody asks cost nothing.
"""

from __future__ import annotations

import operator
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from spikebayes.conversion import dropout
from spikebayes.conversion.activations import FUNCTIONS
from spikebayes.conversion.arguments import ShapedArgument, proxy_of
from spikebayes.conversion.faults import unwrapped, written_in
from spikebayes.conversion.moves import ROWS
from spikebayes.nn import Spiking
from spikebayes.noise.masks import DropoutInputs, evaluating
from spikebayes.noise.ownership import generators_kept

TAKEN_OUT = "a function that cannot be followed takes the numbers out of a value"
RUN = nn.Module.__call__, nn.Module.__getattr__


class ShapedProxy(fx.Proxy):
    """A value of a graph that knows its shape."""

    tracer: ShapedTracer

    @property
    def shape(self) -> Any:
        return self._value().shape

    @property
    def ndim(self) -> int:
        return self._value().ndim

    @property
    def dtype(self) -> torch.dtype:
        return self._value().dtype

    @property
    def device(self) -> torch.device:
        return self._value().device

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return self._value().numel()

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def __len__(self) -> int:
        return len(self._value())

    def __iter__(self) -> Iterator[fx.Proxy]:
        parts = self._value()
        if isinstance(parts, Tensor):
            raise TraceError("it goes through the rows of a batch one by one")
        return (operator.getitem(self, i) for i in range(len(parts)))  # pyright: ignore[reportCallIssue, reportArgumentType]

    def __deepcopy__(self, memo: dict[int, Any]) -> fx.Proxy:
        return self.clone()

    def _value(self) -> Any:
        return self.tracer.value(self.node)


for _name in ("requires_grad", "is_cuda", "is_sparse", "layout", "itemsize"):
    setattr(ShapedProxy, _name, property(lambda self, _name=_name: getattr(self._value(), _name)))


class ShapedTracer(fx.Tracer):
    """Traces a module with dropout, and whatever becomes a population, as its leaves.

    Args:
        names: of the arguments that the forward is given by position; the rest keeps its defaults.
        examples: ``[B, *shape]`` of each; None, and no shape is known.
        lines: keep the stack of calls that led to each node.

    Attributes:
        constants: tensors that forward made, by the names they have in the graph.
        frames: stacks of calls.
    """

    names: Sequence[str]
    examples: Sequence[Tensor] | None
    lines: bool

    def __init__(
        self, names: Sequence[str], examples: Sequence[Tensor] | None = None, *, lines: bool = False
    ) -> None:
        super().__init__()
        self.names, self.examples, self.lines = names, examples, lines
        self.frames: dict[fx.Node, traceback.StackSummary] = {}
        self.constants: dict[str, Tensor] = {}
        self._values: dict[fx.Node, Any] = {}

    def trace(self, root: nn.Module, concrete_args: dict[str, Any] | None = None) -> fx.Graph:  # pyright: ignore
        before = set(vars(root))
        with generators_kept(), _kept(root), _compiled_looked_into():
            graph = super().trace(root, concrete_args)
            self.constants = {name: value for name, value in vars(root).items() if name not in before}
        _drop_assertions(graph)
        return graph

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in self.names)]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        leaf = super().is_leaf_module(m, module_qualified_name) and written_in(m).startswith("torch.")
        return leaf or isinstance(m, Spiking | torch.jit.ScriptModule) or type(m) in dropout.MODULES

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        inner = unwrapped(m)
        return super().call_module(m, forward, args, kwargs) if inner is m else inner(*args, **kwargs)

    def proxy(self, node: fx.Node) -> Any:
        if self.lines:
            self.frames[node] = traceback.extract_stack()
        if self.examples is None:
            return super().proxy(node)
        made = ShapedProxy(node, self)
        return ShapedArgument(made, self.value(node)) if node.op == "placeholder" else made

    def create_arg(self, a: Any) -> Any:
        a = proxy_of(a)
        if isinstance(a, fx.Proxy):
            return a.node
        if isinstance(a, Tensor) and a.is_meta:
            raise TraceError(TAKEN_OUT)
        return super().create_arg(a)

    def value(self, node: fx.Node) -> Any:
        """What a node gives for ``ROWS`` rows of made-up values.

        Raises:
            Exception: whatever the operation says that cannot be run.
        """
        if node not in self._values:
            with _untraced(), torch.no_grad(), DropoutInputs():
                return self._known(node)
        return self._values[node]

    def _known(self, node: fx.Node) -> Any:
        if node not in self._values:
            self._values[node] = self._work_out(node)
        return self._values[node]

    def _work_out(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            assert self.examples is not None
            place = [n for n in node.graph.nodes if n.op == "placeholder"].index(node)
            example = self.examples[place]
            return torch.full((ROWS, *example.shape[1:]), 0.5).to(example.dtype)
        if node.op == "get_attr":
            value = attribute(self.root, str(node.target))
            return value.clone() if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) else value
        arguments, keywords = fx.map_arg((node.args, node.kwargs), self._known)
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            with evaluating(module):  # norms must not learn
                return module.forward(*arguments, **keywords)
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        return node.target(*arguments, **keywords)  # pyright: ignore[reportCallIssue]


def _drop_assertions(graph: fx.Graph) -> None:
    """Take ``torch._assert`` out, and what only it asked for, but for layers and activations, which a run counts."""
    asked: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        counts = node.op in ("call_module", "placeholder") or node.target in {**FUNCTIONS, **dropout.FUNCTIONS}
        if node.target is torch._assert or (node in asked and not node.users and not counts):
            asked.update(node.all_input_nodes)
            graph.erase_node(node)


@contextmanager
def _kept(root: nn.Module) -> Iterator[None]:
    """Attributes of modules, what their lists and dictionaries hold, and buffers are put back: a forward may note its
    values, norms that are traced while training learn, and fx leaves in the module what it made."""
    attributes = {m: dict(vars(m)) for m in root.modules()}
    held = [v for values in attributes.values() for v in values.values() if type(v) in (list, dict, set)]
    contents = [(v, v.copy()) for v in held]
    buffers = [(buffer, buffer.clone()) for buffer in root.buffers()]
    try:
        yield
    finally:
        for m, values in attributes.items():
            vars(m).clear()
            vars(m).update(values)
        for holder, content in contents:
            holder.clear()
            holder.extend(content) if isinstance(holder, list) else holder.update(content)
        for buffer, values in buffers:
            if not torch.equal(buffer, values):
                buffer.copy_(values)


def _compiled_looked_into() -> AbstractContextManager[None]:
    """What ``torch.compile`` made is traced as it was written, where torch would refuse it."""
    compiler: Any = sys.modules.get("torch._dynamo")
    return nullcontext() if compiler is None else compiler.config.patch(error_on_nested_fx_trace=False)


@contextmanager
def _untraced() -> Iterator[None]:
    """Modules run as they do, not as torch.fx makes them run while it traces."""
    tracing = nn.Module.__call__, nn.Module.__getattr__
    nn.Module.__call__, nn.Module.__getattr__ = RUN
    try:
        yield
    finally:
        nn.Module.__call__, nn.Module.__getattr__ = tracing


def attribute(model: nn.Module, path: str) -> Any:
    """The parameter, buffer or constant at a dotted path."""
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name)
    return value
