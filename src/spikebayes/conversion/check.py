"""Conversion's last step: the module and the network side by side, layer by layer, on a few rows.

A graph shows what a module's code says, not what the module does: hooks may change values, a forward may have been
replaced, weights may be made by hooks, a value may be changed in place under another name. So the module itself is
run, and what goes into each of its activations and comes out is compared with what the network has there. Every layer
of the network is given the module's own values, so that rounding does not add up, and the first layer that differs is
the one at fault.

The module is run twice under the masks that the network draws. First stochastic units and synapses do what is
likelier; then they draw too, and numbers stand in for what the activations give, so that the weights behind units
that happen to be silent count as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, fx, nn

from spikebayes.conversion.builder import Builder
from spikebayes.conversion.faults import float_dtype
from spikebayes.conversion.observing import Call, Seen, StandIn, few_rows, observe
from spikebayes.conversion.obstacles import Blocked, Obstacle
from spikebayes.conversion.tracing import Traced
from spikebayes.errors import ConfigError
from spikebayes.network.network import Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Curve
from spikebayes.network.operators import Dense, size
from spikebayes.nn.unit import Spiking, Units
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.ownership import generators_kept, owned
from spikebayes.noise.random_layers import Draws

TOLERANCE = 1e-4  # of the numbers that a unit sums; float32 strays by less than 1e-5
OF_LAYER = 0.03  # of a layer's largest numbers; where a unit sums smaller ones, they are taken for these
OUTPUT = 1e-3  # of a layer's largest output, by which rounding may change one
GRID = 10  # times the tolerance, for weights on the grid
SUSPECTS = 3  # named in a refusal
CAUSES = (
    "A model is converted by its graph. That shows no hooks that change values, no forward that was replaced, no "
    "operation in place on a value that has two names (after skip = h, h *= 2 changes both), and no numbers that "
    "forward draws or keeps: write these as layers, or as operations of the model's own forward"
)


class Check:
    """Runs a module, and compares a network with what was seen.

    Made before the network is built: the first run lets hooks make the weights that they make.

    Args:
        traced: the module, in evaluation mode, and its graph.
    """

    traced: Traced
    model: nn.Module
    nodes: list[fx.Node]
    modules: list[nn.Module | None]
    watched: list[nn.Module]
    closed: list[nn.Module]
    dtype: torch.dtype

    def __init__(self, traced: Traced) -> None:
        self.traced, self.model = traced, traced.model
        calls = [(n, _module(self.model, n)) for n in traced.graph.nodes]
        watched = [(n, m) for n, m in calls if isinstance(m, Spiking) or traced.is_activation(n)]
        self.nodes = [n for n, _ in watched]
        self.modules = [m for _, m in watched]
        self.watched = [m for m in self.modules if m is not None]
        self.closed = [m for _, m in calls if m is not None and m not in self.watched]
        self.dtype = float_dtype(self.model)
        self.seen: Seen | None = None
        self.failure: Exception | None = None
        for rows in few_rows(traced.examples, self.dtype):
            try:
                self.seen = owned(
                    lambda rows=rows: observe(self.model, rows, self.watched, self.closed, certain=True)
                )
                return
            except Exception as error:  # a user's forward may raise anything
                self.failure = self.failure or error

    def compare(self, builder: Builder, network: SpikingNetwork) -> None:
        """Refuse a network that is not the module.

        Args:
            builder: what the network was made by.
            network: with the module's weights.

        Raises:
            Blocked: the module cannot be run, or does something else than the network does; names the first layer
                where they part.
        """
        if isinstance(self.failure, ConfigError):
            reason, _, cure = str(self.failure).partition("; ")
            raise Blocked(Obstacle(type(self.model).__name__, reason, cure))
        if self.seen is None:
            reason = f"it cannot itself be run on rows like the example's: {_reason(self.failure)}"
            raise Blocked(Obstacle(type(self.model).__name__, reason, "give an example that it takes"))
        passes = [self.seen]
        for stand_in in (self._stand_in(builder), None):
            try:
                with generators_kept():
                    passes.append(
                        observe(
                            self.model, self.seen.rows, self.watched, self.closed, certain=False, stand_in=stand_in
                        )
                    )
                break
            except Exception:  # some modules take some values only: their own may do
                continue
        self._compare(builder, network, passes)

    def _stand_in(self, builder: Builder) -> StandIn:
        """Numbers that neurons could give, drawn afresh."""
        rng = torch.Generator().manual_seed(0)
        units = {made.node: made.units for made in builder.activated.values()}

        def drawn(call: int, like: Tensor) -> Tensor:
            values = torch.rand(like.shape, generator=rng)
            return _levels(units.get(self.nodes[call]), values).to(like) if call < len(self.nodes) else like

        return drawn

    # -- layer by layer ------------------------------------------------------------------------------------------

    def _compare(self, builder: Builder, network: SpikingNetwork, passes: list[Seen]) -> None:
        """The network's linear operators run once, on the rows of all passes, P of them with R rows each."""
        for seen in passes:
            if seen.sites != builder.sites:
                self._refuse(f"its forward drops or draws {seen.sites} times, and by its graph {builder.sites} times")
            if [call.module for call in seen.calls] != self.modules:
                self._refuse(f"its forward does not call its {len(self.modules)} activations as its graph does")
        calls = dict(zip(self.nodes, zip(*(seen.calls for seen in passes), strict=True), strict=True))
        values: dict[str, Tensor] = {}  # what each node of the network gives, [P R, *shape]
        for node in network.inputs:
            values[node.name] = _masked([seen.rows[node.argument] for seen in passes], node, passes)
        for node in network.populations:
            made = builder.made_of[node.name]
            drive = _Drive(node, network, values)
            pools = node.neuron.pools
            if made.node not in calls or pools:  # pooling, or a relay: the module makes no call for it
                _, given, _ = node.neuron.step(drive.total, (), network.dt)
                values[node.name] = _masked(given.chunk(len(passes)), node, passes)
                if made.node in calls:  # the module pools first, the network its activations
                    gave = torch.cat([call.gave for call in calls[made.node]])
                    if given.shape != gave.shape or not torch.allclose(given, gave, OF_LAYER, TOLERANCE):
                        self._refuse(f"its network does otherwise at {self.traced.describe(made.node)}")
                    values[node.name] = _masked([call.passed for call in calls[made.node]], node, passes)
                continue
            where, here = self.traced.describe(made.node), calls[made.node]
            wanted = [_wanted(made.units, call) for call in here]
            self._same(f"what goes into {where}", drive, torch.cat(wanted))
            for call, x, seen in zip(here, wanted, passes, strict=True):
                if not _gives(made.units, x, drive.margin, network.dt, seen, call.gave):
                    self._refuse(f"its network does otherwise: {where} gives something else than its neurons")
            values[node.name] = _masked([call.passed for call in here], node, passes)
        outputs = [seen.output[0] if isinstance(seen.output, tuple | list) else seen.output for seen in passes]
        readout = _Drive(network.readout, network, values)
        readout.total = builder.head(readout.total)
        self._same("its output", readout, torch.cat(outputs))

    def _same(self, what: str, drive: _Drive, model: Tensor) -> None:
        if drive.total.shape != model.shape:
            shapes = f"of shape {list(model.shape)[1:]}, in the network {list(drive.total.shape)[1:]}"
            self._refuse(f"its network does otherwise: {what} is {shapes}")
        apart = (drive.total - model).abs()
        if not bool((apart <= drive.margin).all()):
            reach = f"{float(apart.max()):.3g}, where the model's values reach {float(model.abs().max()):.3g}"
            self._refuse(f"its network does otherwise: {what} differs by up to {reach}")

    def _refuse(self, why: str) -> NoReturn:
        suspects = []
        for name, module in self.model.named_modules():
            where = f"module {name!r} ({type(module).__name__})" if name else "the model itself"
            if "forward" in vars(module):
                suspects.append(f"{where} has a forward that was put in place of its class's")
            if module._forward_hooks or module._forward_pre_hooks:
                suspects.append(f"{where} has a hook")
        found = f"look here first: {', '.join(suspects[:SUSPECTS])}. " if suspects else ""
        raise Blocked(Obstacle(type(self.model).__name__, why, found + CAUSES))


def _masked(values: Sequence[Tensor], node: Input | Population, passes: list[Seen]) -> Tensor:
    """A node's values ``[R, *shape]`` in each pass under their masks, one below the other."""
    dropout, whole = node.dropout, torch.cat(list(values))
    if dropout is None or not dropout.acts:
        return whole
    drawn = [dropout_keep(dropout, seen.keys, size(node.shape)) for seen in passes]
    keep = torch.cat(drawn).reshape(whole.shape)
    return torch.where(keep, whole * dropout.factor, 0.0)


class _Drive:
    """What a node of the network is given, ``[R, *shape]``, and by how much rounding may change it, ``[*shape]``."""

    def __init__(self, node: Population | Readout, network: SpikingNetwork, values: dict[str, Tensor]) -> None:
        delivered = [c.operator(values[c.source]) for c in network.into(node.name)]
        delivered += [] if node.constant is None else [node.constant[None]]
        zero = torch.zeros(1, *node.shape, *[1] * (isinstance(node, Population) and node.neuron.pools))
        self.total = sum(delivered, zero)
        summed = sum((part.abs().amax(0) for part in delivered), zero[0])
        summed = summed.clamp(min=OF_LAYER * float(summed.max())) if summed.numel() else summed
        self.margin = max(TOLERANCE, 16 * torch.finfo(self.total.dtype).eps) * summed


def _wanted(units: Units, call: Call) -> Tensor:
    """The input that the model gives to a module's neurons."""
    x = call.given if units.operator is None else units.operator(call.given)
    return x * units.factor + units.shift


def _gives(units: Units, x: Tensor, margin: Tensor, dt: float, seen: Seen, gave: Tensor) -> bool:
    """Whether neurons with the input x, known to a margin, give what the module gave; or nothing can be said."""
    neuron = units.neuron
    if units.curve is None and not neuron.memoryless:
        return True
    if not seen.certain and (units.operator is not None or not neuron.random):
        return True  # seen in the first pass; and the module may draw synapses otherwise than the network
    if units.operator is not None:
        margin = GRID * margin  # the operator's weights are on a grid, the module's are not
    factor = _mean_factor(units, x.ndim)

    def chance(x: Tensor, curve: Curve, site: int) -> Tensor:
        return Draws(seen.keys, site, seen.certain).fire(x, curve)

    def output(x: Tensor) -> Tensor:
        if units.curve is not None:
            return units.curve(x)
        return neuron.drawing_by(chance)(factor * x, neuron.initial(x), dt)[1]

    middle = output(x)
    if middle.shape != gave.shape:
        return False
    slack = OUTPUT * gave.abs().max() if gave.numel() else 0.0
    if bool(((gave - middle).abs() <= slack).all()):
        return True
    around = torch.stack([output(x - margin), middle, output(x + margin)])  # a steep curve, or a step
    return bool(((gave >= around.amin(0) - slack) & (gave <= around.amax(0) + slack)).all())


def _mean_factor(units: Units, ndim: int) -> Tensor | float:
    """The mean of a synapse's values under its noise, keep + scale, shaped like the neurons' input."""
    if units.noise is None:
        return 1.0
    mean = torch.as_tensor(units.noise.keep + units.noise.scale)
    return mean if isinstance(units.operator, Dense) else mean.reshape(-1, *[1] * (ndim - 2))


def _levels(units: Units | None, uniform: Tensor) -> Tensor:
    """What neurons could give, from numbers in [0, 1): either of their outputs, or a rate."""
    if units is None or units.curve is not None or not units.neuron.memoryless:
        return uniform
    return (uniform >= 0.5) * (1.0 - units.neuron.off) + units.neuron.off


def _module(model: nn.Module, node: fx.Node) -> nn.Module | None:
    return model.get_submodule(str(node.target)) if node.op == "call_module" else None


def _reason(error: BaseException | None) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
