"""From a trained torch module to a spiking network, by way of its torch.fx graph."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from spikebayes.conversion.affine import Affine, Source, Term
from spikebayes.conversion.exact_sums import on_grid, with_exact_sums
from spikebayes.conversion.refusals import Refused, hint
from spikebayes.conversion.rules import IN_PLACE, ROWS, Rules, as_tuple
from spikebayes.conversion.tracing import attribute, describe, kind, trace
from spikebayes.errors import ConfigError, ConversionError
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import LIF, Bernoulli, Curve, Neuron, Sign, Threshold
from spikebayes.network.noise import BlankOut, Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import AvgPool, Chain, Conv, Dense, Operator, Permute, Reshape, Scale, Slice
from spikebayes.network.synapses import Alpha, Synapse
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, LIFRate, Permadrop
from spikebayes.nn.unit import Unit

DROPOUT_FUNCTIONS = {F.dropout: 1, F.dropout1d: 2, F.dropout2d: 2}
MAX_POOL_MODULES = {nn.MaxPool1d: 1, nn.MaxPool2d: 2}  # and the axes they pool
MAX_POOL_FUNCTIONS = {F.max_pool1d: 1, F.max_pool2d: 2, torch.max_pool1d: 1, torch.max_pool2d: 2}
DROPOUT_MODULES = {nn.Dropout: 1, Permadrop: 1, nn.Dropout1d: 2, nn.Dropout2d: 2}
READOUT = "readout"


def convert(
    model: nn.Module,
    example_input: Tensor | Sequence[Tensor],
    *,
    dt: float = 1e-3,
    synapse: Synapse | None = Alpha(0.02),
    sampling: Sampling = Exact(),
) -> SpikingNetwork:
    """A spiking network with the module's weights, a population in place of each activation.

    Rate activations (``SoftLIF``, ``LIFRate``) become LIF neurons; layers of synapses that blank out
    (``BlankOutLinear``, ``BlankOutConv2d``) sign units; encoders and ``SigmoidSign`` stochastic or threshold units;
    ``Sharpened`` activations, once their sharpness is 1, threshold units. Max pooling of spikes that are 0 or 1 is
    their OR, a population of threshold units; it is refused behind LIF neurons.
    If all are without memory, a step is a sample, and weights are put on a grid (``blank_out.on_grid``) on which
    sums are exact, so that every engine gives the same samples.

    Understood are Linear, Conv1d/2d, BatchNorm1d/2d (with its running statistics), AvgPool, AdaptiveAvgPool,
    flatten, reshape, permute, slices, cat, add, subtract, products with constants, mean over space, Identity, and
    dropout on the input, after an activation or before the read-out; as modules and as functions. Between two
    activations everything must be linear. The weights are copied: training the module further leaves the network
    as it is. Dropout calls are numbered in the order in which the model makes them, so that the network and the
    module draw the same masks.

    Args:
        model: feed-forward module with such activations.
        example_input: a batch ``[B, *shape]``, or one for each argument; only the shapes are read.
        dt: time step of the simulation, s.
        synapse: filter on every connection that carries spikes of LIF neurons, the read-out's included; None for no
            filter.
        sampling: how synapses that blank out are drawn, whatever the module's layers do while training:
            :class:`Exact`, :class:`Gaussian` or :class:`Law`, which draws the sign units behind them instead.

    Returns:
        The network; inputs reach their targets unfiltered and are constant over a simulation.

    Warns:
        UserWarning: a population's refractory time is shorter than dt: it fires once per step at most, so rates near
            1/dt are lost.

    Raises:
        ConversionError: the graph cannot be traced or holds something else; names the node and what to use instead.
        ConfigError: dt <= 0, or another sampling.

    Reference:
        Hunsberger & Eliasmith 2015; Wycoff 2019, section 2.2.

    Example:
        >>> from spikebayes.nn import Permadrop, SoftLIF
        >>> model = nn.Sequential(nn.Linear(4, 8), SoftLIF(), Permadrop(0.1), nn.Linear(8, 1))
        >>> print(convert(model, torch.zeros(1, 4)))
        SpikingNetwork(dt=0.001 s, 8 neurons)
          input_1 [4] Input
          layer1 [8] LIF(tau_rc=0.02, tau_ref=0.001, amplitude=0.002, gain=30.0, bias=4.0), dropout 0.1 <- input_1
          readout [1] Readout <- layer1
    """
    if not isinstance(sampling, Exact | Gaussian | Law):
        raise ConfigError(f"sampling must be Exact(), Gaussian() or Law(); got {sampling!r}")
    examples = [example_input] if isinstance(example_input, Tensor) else list(example_input)
    if not examples or not all(isinstance(example, Tensor) for example in examples):
        raise ConversionError(
            "the example input must be a tensor [B, *shape], or a list of them, one for each argument"
        )
    graph = trace(model, len(examples))
    builder = _Builder(model, examples, synapse, sampling)
    for node in graph.nodes:
        builder.visit(node)
    network = builder.network(dt)
    _warn_of_coarse_steps(network)
    return network


def _warn_of_coarse_steps(network: SpikingNetwork) -> None:
    for population in network.populations:
        if isinstance(population.neuron, LIF) and population.neuron.tau_ref < network.dt:
            warnings.warn(
                f"dt = {network.dt:g} s is longer than the refractory time {population.neuron.tau_ref:g} s of "
                f"population {population.name!r}, which fires once per step at most: rates near 1/dt are lost; "
                "use a smaller dt",
                stacklevel=3,
            )
            return


@dataclass
class _Builder:
    """Walks the graph once, collecting populations; connections are made at the end, when masks are known."""

    model: nn.Module
    examples: list[Tensor]
    synapse: Synapse | None
    sampling: Sampling
    rules: Rules = field(default_factory=Rules)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    activated: list[tuple[Population, Affine]] = field(default_factory=list)
    blanked: dict[str, BlankOut] = field(default_factory=dict)  # of a population's one connection
    output: Affine | None = None
    sites: int = 0

    def visit(self, node: fx.Node) -> None:
        arguments, keywords = fx.map_arg((node.args, node.kwargs), lambda n: self.values[n])
        if node.op == "placeholder":
            self.values[node] = self._placeholder(node)
        elif node.op == "get_attr":
            self.values[node] = attribute(self.model, str(node.target))
        elif node.op == "output":
            self.output = self._output(arguments[0])
        elif not _holds_affine((arguments, keywords)):
            self.values[node] = self._plain(node, arguments, keywords)
        else:
            try:
                self.values[node] = self._call(node, arguments, keywords)
            except Refused as refusal:
                raise ConversionError(f"{describe(self.model, node)}: {refusal}") from None
            except (TypeError, RuntimeError, IndexError) as error:
                reason = str(error).splitlines()[0]
                raise ConversionError(f"{describe(self.model, node)} cannot be converted: {reason}") from error

    def _placeholder(self, node: fx.Node) -> Any:
        argument = len(self.inputs)
        if argument >= len(self.examples):
            if node.args:
                return node.args[0]
            raise ConversionError(
                f"the model takes an argument {node.target!r}, but {len(self.examples)} example inputs were given"
            )
        example = self.examples[argument]
        if not example.is_floating_point() or example.ndim < 2:
            raise ConversionError(
                f"the example for {node.target!r} must be floating point, [B, *shape]; "
                f"got {example.dtype} {list(example.shape)}"
            )
        shape = tuple(example.shape[1:])
        name = self._name(node)
        self.inputs.append(Input(name, shape, argument=argument))
        numbers = chain(self.model.parameters(), self.model.buffers())
        dtype = next((t.dtype for t in numbers if t.is_floating_point()), torch.float32)
        return Affine.of(Source(name, shape), dtype)

    def _plain(self, node: fx.Node, arguments: Any, keywords: Any) -> Any:
        """A call that touches no network value (sizes, constants) is simply made."""
        if node.op == "call_function":
            return node.target(*arguments, **keywords)  # pyright: ignore[reportCallIssue]
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        raise ConversionError(f"{describe(self.model, node)} does not act on the network's inputs")

    def _call(self, node: fx.Node, arguments: Any, keywords: Any) -> Any:
        if node.op == "call_module":
            module = self.model.get_submodule(str(node.target))
            if isinstance(module, LIFRate):
                return self._activation(node, module.neuron, arguments[0])
            if isinstance(module, Unit):
                return self._unit(node, module, arguments[0])
            if isinstance(module, BlankOutLinear | BlankOutConv2d):
                return self._blank_out(node, module, arguments[0])
            if type(module) in MAX_POOL_MODULES:
                return self._max_pool(node, MAX_POOL_MODULES[type(module)], arguments[0], **_pool_settings(module))
            if type(module) in DROPOUT_MODULES:
                return self._dropout(arguments[0], float(module.p), DROPOUT_MODULES[type(module)])  # pyright: ignore
            rule = next((self.rules.modules[t] for t in type(module).__mro__ if t in self.rules.modules), None)
            if rule is not None:
                return rule(*arguments, module, **keywords)
        elif node.target in DROPOUT_FUNCTIONS:
            bound = inspect.signature(F.dropout).bind(*arguments, **keywords)
            p = float(bound.arguments.get("p", 0.5))
            return self._dropout(bound.arguments["input"], p, DROPOUT_FUNCTIONS[node.target])  # pyright: ignore
        elif node.target in MAX_POOL_FUNCTIONS:
            return self._max_pool(node, MAX_POOL_FUNCTIONS[node.target], *arguments, **keywords)  # pyright: ignore
        elif node.target in ("size", "dim") and isinstance(arguments[0], Affine):
            return getattr(_batch(arguments[0]), str(node.target))(*arguments[1:])
        elif node.target is getattr and arguments[1] in ("shape", "ndim", "dtype", "device"):
            return getattr(_batch(arguments[0]), arguments[1])
        elif node.target in IN_PLACE and len(node.all_input_nodes[0].users) > 1:
            raise Refused("it changes in place a value that is used elsewhere too; use the form that does not")
        elif node.target in self.rules.functions:
            return self.rules.functions[node.target](*arguments, **keywords)
        raise Refused(f"not linear, or unknown; {hint(kind(self.model, node))}")

    def _activation(self, node: fx.Node, neuron: Neuron, value: Affine) -> Affine:
        constant = value.constant[0] if value.constant.any() else None
        name = self._name(node)
        population = Population(name, value.shape, neuron, constant=constant)
        self.activated.append((population, value))
        return Affine.of(Source(name, value.shape), value.constant.dtype)

    def _unit(self, node: fx.Node, module: Unit, value: Affine) -> Affine:
        neuron, factor, shift = module.neuron(self._site() if module.is_random else 0)
        if factor != 1:
            value = value.then(Scale(torch.tensor(factor, dtype=value.constant.dtype)))
        return self._activation(node, neuron, value.plus(shift) if shift else value)

    def _blank_out(self, node: fx.Node, module: BlankOutLinear | BlankOutConv2d, value: Affine) -> Affine:
        site = self._site()
        if len(value.terms) != 1 or value.constant.any():
            raise Refused("its synapses need one population or input as their source, and no bias on it")
        weight, scale = on_grid(module.weight.detach()), module.scale.detach()
        made = (
            Dense(weight)
            if isinstance(module, BlankOutLinear)
            else Conv(weight, module.stride, module.padding, (1, 1))
        )
        if isinstance(self.sampling, Law):
            if not self._signed(value.terms[0]):
                raise Refused("the erf law holds for inputs of +-1 alone, without dropout; use Exact() or Gaussian()")
            factor = module.law_factor(value.shape).detach()
            value = value.then(made)
            value = value.then(Scale((torch.zeros_like(value.constant) + factor)[0]))
            return self._activation(node, Bernoulli(Curve.ERF, site=site), value)
        activated = self._activation(node, Sign(), value.then(made))
        noise = BlankOut(module.keep, scale, 1, site, self.sampling, successive=True)
        self.blanked[activated.terms[0].source.node] = noise
        return activated

    def _max_pool(
        self,
        node: fx.Node,
        dims: int,
        input: Affine,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Affine:
        """Threshold units that fire if any unit in their window has fired."""
        neurons = {p.name: p.neuron for p, _ in self.activated}
        term = input.terms[0]
        neuron = neurons.get(term.source.node)
        spikes = isinstance(neuron, Threshold | Bernoulli) and neuron.off == 0
        if len(input.terms) != 1 or term.operators or input.constant.any() or not spikes:
            raise Refused(
                "only of spikes that are 0 or 1, straight from threshold units, is the maximum a spike, their OR; "
                f"put it directly after a sharpened activation, or {hint('max_pool')}"
            )
        if return_indices or any(d != 1 for d in as_tuple(dilation, dims)):
            raise Refused("max pooling with dilation or indices is not supported")
        kernel = as_tuple(kernel_size, dims)
        stride = kernel if stride is None or stride == () else as_tuple(stride, dims)
        pool = AvgPool(kernel, stride, as_tuple(padding, dims), ceil_mode)
        dropout = term.source.dropout
        fired = self._activation(node, Threshold(0.5 / math.prod(kernel)), input.then(pool))
        if dropout is None or dropout.p == 0:
            return fired
        return fired.then(Scale(torch.tensor(1 / (1 - dropout.p), dtype=input.constant.dtype)))

    def _signed(self, term: Term) -> bool:
        """Whether a term's values are +-1."""
        if term.source.dropout or not all(isinstance(o, Reshape | Permute | Slice) for o in term.operators):
            return False
        neurons = [p.neuron for p, _ in self.activated if p.name == term.source.node]
        return any(isinstance(n, Sign | Bernoulli) and n.off == -1 for n in neurons)

    def _site(self) -> int:
        self.sites += 1
        return self.sites - 1

    def _name(self, node: fx.Node) -> str:
        """The graph's name for it, made to read well and to be unique in the network."""
        name = node.name.lstrip("_")
        name = f"layer{name}" if name[:1].isdigit() else name
        while name in {READOUT, *(i.name for i in self.inputs), *(p.name for p, _ in self.activated)}:
            name += "_"
        return name

    def _dropout(self, value: Affine, p: float, shared_axes: int) -> Affine:
        site = self._site()
        if p == 0:
            return value
        if not 0 <= p < 1:
            raise Refused(f"its drop probability {p} lies outside [0, 1)")
        repeat = value.constant[0, 0].numel() if shared_axes == 2 else 1
        dropped = value.dropped(p, site, repeat)
        if isinstance(dropped, str):
            raise Refused(f"{dropped}; put the dropout directly after the activation (or on the input)")
        return dropped

    def _output(self, value: Any) -> Affine:
        if isinstance(value, tuple | list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, Affine):
            raise ConversionError("the model must return one tensor that depends on its input")
        if len(self.inputs) < len(self.examples):
            raise ConversionError(
                f"the model takes {len(self.inputs)} inputs, but {len(self.examples)} example inputs were given"
            )
        return value

    def network(self, dt: float) -> SpikingNetwork:
        """The network. A node read under several masks becomes that many nodes with equal input."""
        assert self.output is not None
        sources: dict[str, list[Source]] = {i.name: [] for i in self.inputs}  # of each node, as the output needs them
        for name, value in [(READOUT, self.output), *((p.name, value) for p, value in reversed(self.activated))]:
            if name == READOUT or name in sources:
                for term in value.terms:
                    known = sources.setdefault(term.source.node, [])
                    if term.source not in known:
                        known.append(term.source)
        names = {
            s: node if i == 0 else f"{node}.{i}" for node, masked in sources.items() for i, s in enumerate(masked)
        }
        if not any(p.name in sources for p, _ in self.activated):
            raise ConversionError(
                "nothing that the output depends on spikes: "
                "the model needs at least one activation (spikebayes.nn.SoftLIF or LIFRate, or sign units)"
            )

        inputs = []
        for i in self.inputs:
            masked = [replace(i, name=names[s], dropout=s.dropout) for s in sources[i.name]]
            inputs += masked or [i]  # an argument that the model ignores stays an argument
        populations, connections = [], []
        spiking = {p.name: p.neuron for p, _ in self.activated}
        for population, value in self.activated:
            for source in sources.get(population.name, ()):
                populations.append(replace(population, name=names[source], dropout=source.dropout))
                noise = self.blanked.get(population.name)
                connections += self._connections(names[source], value, names, spiking, noise)
        connections += self._connections(READOUT, self.output, names, spiking)
        constant = self.output.constant[0] if self.output.constant.any() else None
        readout = Readout(self.output.shape, constant, READOUT)
        made = SpikingNetwork(tuple(inputs), tuple(populations), tuple(connections), readout, dt)
        return with_exact_sums(made) if made.is_memoryless else made

    def _connections(
        self,
        target: str,
        value: Affine,
        names: dict[Source, str],
        spiking: dict[str, Neuron],
        noise: BlankOut | None = None,
    ) -> list[Connection]:
        made = []
        for term in value.terms:
            operator: Operator = term.operators[0] if len(term.operators) == 1 else Chain(term.operators)
            synapse = self.synapse if isinstance(spiking.get(term.source.node), LIF) else None
            made.append(Connection(names[term.source], target, operator, synapse, noise))
        return made


def _pool_settings(module: Any) -> dict[str, Any]:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return {name: getattr(module, name) for name in names}


def _holds_affine(arguments: Any) -> bool:
    found: list[Any] = []

    def look(value: Any) -> None:
        if isinstance(value, Affine):
            found.append(value)
        elif isinstance(value, tuple | list):
            for item in value:
                look(item)
        elif isinstance(value, dict):
            look(list(value.values()))

    look(arguments)
    return bool(found)


def _batch(value: Affine) -> Tensor:
    """A batch of the value's shape, to be asked for its sizes."""
    return value.constant.expand(ROWS, *value.shape)
