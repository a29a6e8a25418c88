"""A walk over a module's graph that collects what spikes, and the network that is made of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn.modules.dropout import _DropoutNd

from spikebayes.conversion import activations, dropout, pooling
from spikebayes.conversion.activations import Activation, Rate
from spikebayes.conversion.affine import Affine, Source, Term
from spikebayes.conversion.arithmetic import add, multiply, subtract
from spikebayes.conversion.assembly import READOUT, Activated, assembled, sources_of
from spikebayes.conversion.calls import in_order, misfit, refuse_infinite
from spikebayes.conversion.dependence import OF_SHAPE
from spikebayes.conversion.exact_sums import gridded
from spikebayes.conversion.faults import SCRIPTED, UNSCRIPTED, float_dtype
from spikebayes.conversion.moves import ROWS
from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.conversion.pooling import MaxPool
from spikebayes.conversion.refusals import CODE, Refused, hint
from spikebayes.conversion.rules import IN_PLACE, Rules
from spikebayes.conversion.softmax import head, is_head
from spikebayes.conversion.tracing import Traced
from spikebayes.conversion.unknown import UNKNOWN
from spikebayes.network.coded import Coded, Race
from spikebayes.network.codes import Code
from spikebayes.network.network import Input, Population, SpikingNetwork
from spikebayes.network.neurons import Neuron, Threshold
from spikebayes.network.noise import Sampling
from spikebayes.network.operators import Chain, Scale, Windows
from spikebayes.network.synapses import Synapse
from spikebayes.nn.unit import STANDARDISED, Place, Spiking, Units, Values
from spikebayes.noise.masks import NO_MAPS
from spikebayes.noise.ownership import drawn_from, generators_kept

DRAWS = (
    "it draws numbers of its own, which no seed of a prediction governs; make nn.Dropout or a layer of spikebayes.nn "
    "the randomness"
)


def _as_it_is(y: Tensor) -> Tensor:
    return y


@dataclass(frozen=True, eq=False)
class Pooled:
    """Largest values of windows, of what an activation that never falls is to be applied to: it comes first."""

    value: Affine
    windows: Windows


@dataclass
class Builder:
    """Walks the graph once, collecting populations; connections are made at the end, when masks are known.

    Args:
        traced: the module and its graph.
        synapse: filter behind neurons with a memory.
        sampling: of synapses that blank out.
        code: will tell the activations' values, which units give here as they are (``Rate``); any activation, max
            pooling and place of a dropout is possible. None: only what spikes in steps is.
    """

    traced: Traced
    synapse: Synapse | None
    sampling: Sampling
    code: Code | None = None
    rules: Rules = field(default_factory=Rules)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    activated: dict[str, Activated] = field(default_factory=dict)  # in the order of the calls
    made_of: dict[str, Activated] = field(default_factory=dict)  # the network's populations
    output: Affine | None = None
    sites: int = 0
    head: Callable[[Tensor], Tensor] = _as_it_is  # what the module does with the read-out

    def visit(self, node: fx.Node) -> None:
        """Find the value of the next node of the graph.

        Raises:
            Blocked: the node cannot be part of a spiking network.
        """
        arguments, keywords = fx.map_arg((node.args, node.kwargs), lambda n: self.values[n])
        if node.op == "placeholder":
            self.values[node] = self._placeholder(node)
        elif node.op == "get_attr":
            self.values[node] = self.traced.attribute(str(node.target))
        elif node.op == "output":
            self.output = self._output(arguments[0])
        else:
            spiking = _holds_affine((arguments, keywords))
            try:
                if spiking:
                    self.values[node] = self._call(node, *in_order(arguments, keywords))
                    refuse_infinite(node, self.values[node], (arguments, keywords))
                else:
                    self.values[node] = self._plain(node, arguments, keywords)
            except Refused as refusal:
                cure = refusal.cure or hint(self.traced.kind(node), self.traced.is_activation(node))
                raise Blocked(self.traced.obstacle(node, refusal.reason, cure)) from None
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
                raise Blocked(self.traced.obstacle(node, *misfit(error))) from error

    def stand_in(self, node: fx.Node) -> bool:
        """Give a node that was refused a value of its shape, so that the walk goes on; False if that is not known."""
        dtype = float_dtype(self.traced.model)

        def like(value: Any) -> Any:
            if node not in self.traced.reached:
                return value
            if isinstance(value, tuple | list):
                return tuple(like(part) for part in value)
            return Affine.of(Source(self._name(node), tuple(value.shape[1:])), dtype)

        try:
            with generators_kept():
                self.values[node] = like(self.traced.tracer.value(node))
        except Exception:  # an operation may raise anything
            return False
        return True

    # -- calls ---------------------------------------------------------------------------------------------------

    def _placeholder(self, node: fx.Node) -> Any:
        argument = len(self.inputs)
        example = self.traced.examples[argument]
        if not example.is_floating_point() or example.ndim < 2:
            cure = f"got {example.dtype} {list(example.shape)}"
            cure += "" if example.is_floating_point() else "; give x.float()"
            raise self._blocked(f"the example for {node.target!r} must be floating point, [B, *shape]", cure)
        shape = tuple(example.shape[1:])
        name = self._name(node)
        standardised = getattr(self.traced.model, STANDARDISED, False)
        self.inputs.append(Input(name, shape, argument=argument, standardised=standardised))
        return Affine.of(Source(name, shape), float_dtype(self.traced.model))

    def _plain(self, node: fx.Node, arguments: Any, keywords: Any) -> Any:
        """A call that touches no network value (sizes, parameters, constants) is simply made, if it draws nothing."""
        module = self.traced.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, _DropoutNd) or node.target in dropout.FUNCTIONS:
            raise Refused("does not act on the network's inputs; drop a value instead, as in h = F.dropout(h, p)")
        if isinstance(module, Spiking):
            raise Refused("does not act on the network's inputs; do it once, before, and keep its result as a buffer")
        with generators_kept(), drawn_from() as drawn:
            if module is not None:
                value = module.forward(*arguments, **keywords)
            elif node.op == "call_method":
                value = getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
            else:
                value = node.target(*arguments, **keywords)  # pyright: ignore[reportCallIssue]
        if drawn:
            raise Refused(DRAWS)
        return value

    def _call(self, node: fx.Node, arguments: Any, keywords: Any) -> Any:
        kind = self.traced.kind(node)
        module = self.traced.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if is_head(node, kind):
            value, self.head = head(kind, module, arguments, keywords)
            return value
        if self.traced.is_activation(node) and self.code is not None:
            x = arguments[0] if arguments else keywords["input"]
            return self._rate(node, activations.activation_of(node, self.traced.model, arguments, keywords), x)
        if module is not None:
            if isinstance(module, Spiking):
                return self._spiking(node, module, arguments[0])
            if type(module) in pooling.MODULES:
                return self._max_pool(node, arguments[0], pooling.of_module(module, arguments[0].shape))
            if type(module) in dropout.MODULES:
                return self._dropout(node, arguments[0], float(module.p), dropout.MODULES[type(module)])  # pyright: ignore
            rule = next((self.rules.modules[t] for t in type(module).__mro__ if t in self.rules.modules), None)
            if rule is not None:
                return rule(*arguments, module, **keywords)
            if isinstance(module, torch.jit.ScriptModule):
                raise Refused(f"{SCRIPTED}; {UNSCRIPTED}")
        elif node.target in dropout.FUNCTIONS:
            return self._dropout(node, *dropout.called(arguments, keywords), dropout.FUNCTIONS[node.target])
        elif node.target in pooling.FUNCTIONS:
            x = arguments[0] if arguments else keywords.pop("input")
            return self._max_pool(node, x, pooling.FUNCTIONS[node.target](x.shape, *arguments[1:], **keywords))
        elif kind in OF_SHAPE and isinstance(arguments[0], Affine):
            batch, rest = _batch(arguments[0]), arguments[1:]
            make = node.target if callable(node.target) else lambda x, *a, **k: getattr(x, kind)(*a, **k)
            return make(batch, *rest, **keywords)
        elif node.target in IN_PLACE and len(node.all_input_nodes[0].users) > 1:
            raise Refused("it changes in place a value that is used elsewhere too; use the form that does not")
        elif factors := self.rules.factors(node.target, arguments, keywords):
            return self._product(node, *factors)
        elif node.target in self.rules.functions:
            return self.rules.functions[node.target](*arguments, **keywords)
        raise Refused(f"{UNKNOWN}; {hint(kind, self.traced.is_activation(node))}")

    # -- what spikes ---------------------------------------------------------------------------------------------

    def _spiking(self, node: fx.Node, module: Spiking, value: Affine) -> Affine:
        units = module.units(Place(value.shape, self.sites, self.sampling))
        if self.code is not None:
            if units.curve is None:
                raise Refused(
                    f"a {type(module).__name__} tells one bit in a step, and beside it the model has activations "
                    "that only a code can tell; use activations of one kind"
                )
            given = units.neuron if isinstance(units.neuron, Coded) else None
            made = Activation(type(module).__name__, units.curve, is_ramp=given is not None, given=given)
            units = replace(units, neuron=Rate(made))
        if units.noise is not None or units.neuron.random:
            self.sites += 1
        for demand in units.demands:
            if not self._meets(demand.values, value):
                raise Refused(demand.refusal)
        dtype = value.constant.dtype
        if units.operator is not None:
            operator = gridded(units.operator)
            units = replace(units, operator=operator)
            value = value.then(operator)
        if isinstance(units.factor, Tensor):
            value = value.then(Scale((torch.zeros_like(value.constant) + units.factor)[0]))
        elif units.factor != 1 and not units.neuron.memoryless:
            value = value.scaled(units.factor)
        elif units.factor != 1:
            value = value.then(Scale(torch.tensor(units.factor, dtype=dtype)))
        return self._activation(node, units, value.plus(units.shift) if units.shift else value)

    def _activation(self, node: fx.Node, units: Units, value: Affine) -> Affine:
        constant = value.constant[0] if value.constant.any() else None
        name = self._name(node)
        shape = value.shape[:-1] if units.neuron.pools else value.shape
        population = Population(name, shape, units.neuron, constant=constant)
        self.activated[name] = Activated(population, value, units, node)
        return Affine.of(Source(name, shape), value.constant.dtype)

    def _rate(self, node: fx.Node, activation: Activation, value: Affine | Pooled) -> Affine:
        """Units that give an activation's values; behind pooling that comes after it, the race of these."""
        if not activation.monotone and self.code is not None and not self.code.graded:
            raise Refused(
                f"{activation.name} rises and falls, and {self.code} tells a value by when it is reached; "
                f"{hint(activation.name, is_told=True)}"
            )
        units = Units(Rate(activation), curve=activation.function)
        if isinstance(value, Affine):
            return self._activation(node, units, value)
        (pool,) = (n for n in node.all_input_nodes if isinstance(self.values[n], Pooled))
        return self._race(node, self._activation(pool, units, value.value), value.windows)

    def _relay(self, node: fx.Node, value: Affine) -> Affine:
        """Units that pass a value on as it is."""
        return self._rate(node, activations.identity(), value)

    def _product(self, node: fx.Node, a: Affine, b: Affine) -> Affine:
        """a b = (a/2 + b/2)^2 - (a/2 - b/2)^2: under payloads, what two populations of squares tell."""
        if self.code is None or not self.code.graded:
            return multiply(a, b)  # refused, with the cure
        halves = multiply(a, 0.5), multiply(b, 0.5)
        return subtract(*(self._rate(node, activations.power(2), made(*halves)) for made in (add, subtract)))

    def _race(self, node: fx.Node, value: Affine, windows: Windows) -> Affine:
        return self._activation(node, Units(Race()), value.then(windows))

    def _meets(self, values: Values, value: Affine) -> bool:
        """Whether a value is of the kind that a module demands."""
        if values is Values.ONE_SOURCE:
            return len(value.terms) == 1 and not value.constant.any()
        if values in (Values.CONSTANT, Values.VARYING):
            return self._is_constant(value) == (values is Values.CONSTANT)
        return all(self._signed(term) for term in value.terms)

    def _is_constant(self, value: Affine) -> bool:
        """Whether a value is the same in all steps: of inputs, and of units without memory that see nothing else."""
        made = [a for term in value.terms if (a := self.activated.get(term.source.node))]
        alike = [a.units.neuron.memoryless and not a.units.neuron.random and a.units.noise is None for a in made]
        return all(alike) and all(self._is_constant(a.value) for a in made)

    def _signed(self, term: Term) -> bool:
        """Whether a term's values are +-1."""
        if term.source.dropout or not Chain(term.operators).only_moves(term.source.shape):
            return False
        return _fires(self._neuron(term.source), off=-1)

    def _max_pool(self, node: fx.Node, value: Affine, pool: MaxPool) -> Affine | Pooled:
        """Of numbers, a race; of spikes, units that fire if any unit in their window has fired."""
        (term, *more), plain = value.terms or (None,), not value.constant.any()
        neuron = self._neuron(term.source) if term and not more and plain and not term.operators else None
        if self.code is not None:
            return self._pool_numbers(node, value, pool, is_told=neuron is not None)
        if term is None or not _fires(neuron, off=0):
            raise Refused(
                "only of spikes that are 0 or 1, straight from threshold units, is the maximum a spike, their OR; "
                f"put it directly after a sharpened activation, or {hint('max_pool', is_told=True)}"
            )
        units = Units(Threshold(0.5 / math.prod(pool.kernel)))
        fired, mask = self._activation(node, units, value.then(pool.average)), term.source.dropout
        if mask is None or mask.p == 0:
            return fired
        return fired.then(Scale(torch.tensor(mask.factor, dtype=value.constant.dtype)))

    def _pool_numbers(self, node: fx.Node, value: Affine, pool: MaxPool, is_told: bool) -> Affine | Pooled:
        """A race of a population's own numbers, or of what is passed on for it."""
        if len(value.shape) != len(pool.kernel) + 1:
            axes = len(pool.kernel) + 1
            raise Refused(f"it needs rows of {axes} axes (channels first), not of shape {list(value.shape)}")
        if is_told:
            return self._race(node, value, pool.windows)
        if self._rises_behind(node):
            return Pooled(value, pool.windows)
        return self._race(node, self._relay(node, value), pool.windows)

    def _rises_behind(self, node: fx.Node) -> bool:
        """Whether all that a value goes into is an activation, known by now, that never falls."""
        users = list(node.users)
        user = users[0] if len(users) == 1 else node
        if activations.argument_of(user) is not node or not self.traced.is_activation(user):
            return False
        settings = [n for n in user.all_input_nodes if n is not node]
        if any(n not in self.values and n.op != "get_attr" for n in settings):
            return False
        known = {n: self.traced.attribute(str(n.target)) if n.op == "get_attr" else self.values[n] for n in settings}
        arguments, keywords = fx.map_arg((user.args, user.kwargs), known.get)
        try:
            return activations.activation_of(user, self.traced.model, arguments, keywords).rises
        except Refused:  # when it is its turn
            return False

    def _neuron(self, source: Source) -> Neuron | None:
        """What a source's values come from; None for an input."""
        found = self.activated.get(source.node)
        return None if found is None else found.population.neuron

    def _name(self, node: fx.Node) -> str:
        """The graph's name for it, made to read well and to be unique in the network."""
        name = node.name.lstrip("_")
        name = f"layer{name}" if name[:1].isdigit() else name
        while name in {READOUT, *(i.name for i in self.inputs), *self.activated}:
            name += "_"
        return name

    def _dropout(self, node: fx.Node, value: Affine, p: float, shared_axes: int) -> Affine:
        site, self.sites = self.sites, self.sites + 1
        if p == 0:
            return value
        if not 0 <= p < 1:
            raise Refused(f"its drop probability {p} lies outside [0, 1); give one inside")
        if shared_axes == dropout.PER_LINE and len(value.shape) != 2:
            raise Refused(f"it sees rows of shape {list(value.shape)}: {NO_MAPS}")
        repeat = 1 if shared_axes == dropout.PER_UNIT else value.constant[0, 0].numel()
        dropped = value.dropped(p, site, repeat)
        if isinstance(dropped, str) and self.code is not None:
            dropped = self._relay(node, value).dropped(p, site, repeat)
        if isinstance(dropped, str):
            raise Refused(
                f"{dropped}; put the dropout directly after the activation (or on the input), or give {CODE}"
            )
        return dropped

    # -- the network ---------------------------------------------------------------------------------------------

    def _output(self, value: Any) -> Affine:
        if isinstance(value, tuple | list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, Affine):
            cure = "wrap it in a module that returns the one"
            raise self._blocked("the model must return one tensor that depends on its input", cure)
        return value

    def _blocked(self, reason: str, cure: str) -> Blocked:
        """An obstacle of the whole model."""
        return Blocked(Obstacle(type(self.traced.model).__name__, reason, cure))

    @property
    def own_dt(self) -> float | None:
        """The step for which the units were trained, s; None, for any."""
        return next((made.units.dt for made in self.activated.values() if made.units.dt is not None), None)

    def network(self, dt: float) -> SpikingNetwork:
        """The network of what was found."""
        assert self.output is not None
        for made in self.activated.values():
            own = made.units.dt
            if own is not None and own != dt and self.code is None:
                reason = f"its neurons were trained for steps of {own:g} s, but dt is {dt:g} s"
                raise Blocked(self.traced.obstacle(made.node, reason, f"give dt={own:g}"))
        if not self.activated.keys() & sources_of(self.output, self.activated, self.inputs).keys():
            cure = "the model needs at least one activation (ReLU and the like, spikebayes.nn.SoftLIF, sign units)"
            raise self._blocked("the output depends on no activation that can spike", cure)
        network, self.made_of = assembled(self.output, self.activated, self.inputs, self.synapse, dt)
        return network


def _holds_affine(arguments: Any) -> bool:
    """Whether there is a network value among them, at any depth."""
    if isinstance(arguments, dict):
        arguments = tuple(arguments.values())
    if isinstance(arguments, tuple | list):
        return any(_holds_affine(item) for item in arguments)
    return isinstance(arguments, Affine | Pooled)


def _batch(value: Affine) -> Tensor:
    """A batch of the value's shape, to be asked for its sizes."""
    return value.constant.expand(ROWS, *value.shape)


def _fires(neuron: Neuron | None, off: int) -> bool:
    """Whether its output is 1 where it fires, and ``off`` where it does not, in the step itself."""
    return neuron is not None and neuron.memoryless and neuron.off == off
