"""Conversion's last step: the module and the network side by side, layer by layer, on a few rows.

A graph shows what a module's code says, not what the module does: hooks may change values, a forward may have been
replaced, weights may be made by hooks, a value may be changed in place under another name. So the module itself is
run, and what goes into each of its activations and comes out is compared with what the network has there. Every layer
of the network is given the module's own values, so that rounding does not add up, and the first layer that differs is
the one at fault.

The module is run twice: with nothing drawn, and under masks. There numbers that are drawn afresh stand in for what
the activations give, so that the weights behind units that happen to be silent count too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NoReturn

import torch
from torch import Tensor, fx, nn

from spikebayes.conversion.builder import Builder
from spikebayes.conversion.observing import Call, Seen, StandIn, few_rows, observe
from spikebayes.conversion.tracing import describe
from spikebayes.errors import ConversionError, DataError
from spikebayes.network.network import Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Curve, Neuron
from spikebayes.network.operators import Dense, size
from spikebayes.nn.unit import Spiking, Units
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks
from spikebayes.noise.random_layers import Draws

SEED = 0
TOLERANCE = 1e-4  # of the numbers that a unit sums; float32 strays by less than 1e-5
OF_LAYER = 0.03  # of a layer's largest numbers; where a unit sums smaller ones, they are taken for these
OUTPUT = 1e-3  # of a layer's largest output, by which rounding may change one
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
        model: in evaluation mode.
        examples: ``[B, *shape]`` of each argument.
        graph: the module's.
    """

    def __init__(self, model: nn.Module, examples: Sequence[Tensor], graph: fx.Graph) -> None:
        self.model = model
        calls = [(n, model.get_submodule(str(n.target))) for n in graph.nodes if n.op == "call_module"]
        self.nodes = [n for n, module in calls if isinstance(module, Spiking)]
        self.modules = [module for _, module in calls if isinstance(module, Spiking)]
        numbers = chain(model.parameters(), model.buffers())
        dtype = next((t.dtype for t in numbers if t.is_floating_point()), torch.float32)
        self.seen: Seen | None = None
        self.failure: Exception | None = None
        for rows in few_rows(examples, dtype):
            try:
                self.seen = observe(model, rows, self.modules, DropoutInputs())
                return
            except Exception as error:  # a user's forward may raise anything
                self.failure = self.failure or error

    def compare(self, builder: Builder, network: SpikingNetwork) -> None:
        """Refuse a network that is not the module.

        Args:
            builder: what the network was made by.
            network: with the module's weights.

        Raises:
            ConversionError: the module cannot be run, holds numbers that are not finite, or does something else than
                the network does; names the first layer where they part.
        """
        _check_finite(self.model, network)
        if self.seen is None:
            raise ConversionError(
                f"{type(self.model).__name__} itself cannot be run on rows like the example's: "
                f"{_reason(self.failure)}; give an example that it takes"
            )
        self._compare(builder, network, self.seen, masked=False)
        for stand_in in (self._stand_in(builder), None):
            masks = Masks(_Noise(len(self.seen.rows[0]), acts=True).keys)
            try:
                seen = observe(self.model, self.seen.rows, self.modules, masks, stand_in)
            except DataError:  # a layer that takes some values only: the module's own may do
                continue
            except Exception as error:
                name = type(self.model).__name__
                raise ConversionError(f"{name} cannot be run under dropout masks: {_reason(error)}") from error
            if masks.sites != builder.sites:
                calls = f"{masks.sites} times in a forward pass, by its graph {builder.sites} times"
                self._refuse(f"it drops or draws {calls}")
            self._compare(builder, network, seen, masked=True)
            return

    def _stand_in(self, builder: Builder) -> StandIn:
        """Numbers that neurons could give, drawn afresh."""
        rng = torch.Generator().manual_seed(SEED)
        neurons = {made.node: made.units.neuron for made in builder.activated.values()}

        def drawn(call: int, like: Tensor) -> Tensor:
            values = torch.rand(like.shape, generator=rng)
            return _levels(neurons[self.nodes[call]], values).to(like) if call < len(self.nodes) else like

        return drawn

    # -- layer by layer ------------------------------------------------------------------------------------------

    def _compare(self, builder: Builder, network: SpikingNetwork, seen: Seen, *, masked: bool) -> None:
        if [call.module for call in seen.calls] != self.modules:
            self._refuse(f"its forward does not call its activations as its graph does, {len(self.modules)} in a row")
        calls = dict(zip(self.nodes, seen.calls, strict=True))
        noise = _Noise(len(seen.rows[0]), acts=masked)
        values: dict[str, Tensor] = {}  # what each node of the network gives, [R, *shape]
        for node in network.inputs:
            values[node.name] = noise.masked(seen.rows[node.argument], node)
        for node in network.populations:
            made = builder.made_of[node.name]
            drive = _Drive(node, network, values)
            call = calls.get(made.node)
            if call is None:  # max pooling, a function of spikes
                passed = _output(node.neuron, drive.total, network.dt, noise)
            else:
                where = describe(self.model, made.node)
                wanted = _wanted(made.units, call)
                self._same(f"what goes into {where}", drive, wanted)
                expected = _expected(made.units, wanted, drive.margin, network.dt, noise)
                if expected is not None and not _between(call.gave, *expected):
                    self._refuse(
                        f"its network does otherwise at {where}, which gives something else than its neurons"
                    )
                passed = call.passed
            values[node.name] = noise.masked(passed, node)
        output = seen.output[0] if isinstance(seen.output, tuple | list) else seen.output
        self._same("its output", _Drive(network.readout, network, values), output)

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
        found = f" Look here first: {', '.join(suspects[:SUSPECTS])}." if suspects else ""
        raise ConversionError(f"{type(self.model).__name__} cannot be converted, for {why}.{found} {CAUSES}")


class _Noise:
    """Masks and draws of R rows, those of sample 0; or none."""

    def __init__(self, rows: int, acts: bool) -> None:
        self.acts = acts
        self.keys = Keys(SEED, torch.zeros(rows, dtype=torch.int64), torch.arange(rows))

    def masked(self, values: Tensor, node: Input | Population) -> Tensor:
        """A node's values ``[R, *shape]`` under its mask."""
        dropout = node.dropout
        if dropout is None or not dropout.acts or not self.acts:
            return values
        keep = dropout_keep(dropout, self.keys, size(node.shape)).reshape(values.shape)
        return torch.where(keep, values / (1 - dropout.p), 0.0)

    def chance(self, x: Tensor, curve: Curve, site: int) -> Tensor:
        """Which units are on; where nothing is drawn, those that are likelier to be."""
        return Draws(self.keys, site, certain=not self.acts).fire(x, curve)


class _Drive:
    """What a node of the network is given, ``[R, *shape]``, and by how much rounding may change it, ``[*shape]``."""

    def __init__(self, node: Population | Readout, network: SpikingNetwork, values: dict[str, Tensor]) -> None:
        delivered = [c.operator(values[c.source]) for c in network.into(node.name)]
        delivered += [] if node.constant is None else [node.constant[None]]
        zero = torch.zeros(1, *node.shape)
        self.total = sum(delivered, zero)
        summed = sum((part.abs().amax(0) for part in delivered), zero[0])
        summed = summed.clamp(min=OF_LAYER * float(summed.max())) if summed.numel() else summed
        self.margin = max(TOLERANCE, 16 * torch.finfo(self.total.dtype).eps) * summed


def _output(neuron: Neuron, x: Tensor, dt: float, noise: _Noise) -> Tensor:
    """What neurons without memory give in one step with the input x."""
    return neuron.drawing_by(noise.chance)(x, neuron.initial(x), dt)[1]


def _levels(neuron: Neuron, uniform: Tensor) -> Tensor:
    """What neurons could give, from numbers in [0, 1): either of their outputs, or a rate."""
    return (uniform >= 0.5) * (1.0 - neuron.off) + neuron.off if neuron.memoryless else uniform


def _wanted(units: Units, call: Call) -> Tensor:
    """The input that the model gives to a module's neurons."""
    x = call.given if units.operator is None else units.operator(call.given)
    return x * units.factor + units.shift


def _expected(units: Units, x: Tensor, margin: Tensor, dt: float, noise: _Noise) -> tuple[Tensor, Tensor] | None:
    """Between which values the neurons' output lies for an input known to a margin; None where it cannot be said."""
    neuron = units.neuron
    if neuron.memoryless:
        if noise.acts and units.operator is not None:
            return None  # the module may draw its synapses otherwise than the network
        factor = _mean_factor(units, x.ndim)
        given = [_output(neuron, factor * y, dt, noise) for y in (x - margin, x, x + margin)]
    elif units.curve is not None:
        given = [units.curve(y) for y in (x - margin, x, x + margin)]
    else:
        return None
    stacked = torch.stack(given)
    return stacked.amin(0), stacked.amax(0)


def _mean_factor(units: Units, ndim: int) -> Tensor | float:
    """The mean of a synapse's values under its noise, keep + scale, shaped like the neurons' input."""
    if units.noise is None:
        return 1.0
    mean = torch.as_tensor(units.noise.keep + units.noise.scale)
    return mean if isinstance(units.operator, Dense) else mean.reshape(-1, *[1] * (ndim - 2))


def _between(values: Tensor, low: Tensor, high: Tensor) -> bool:
    slack = OUTPUT * values.abs().max() if values.numel() else 0.0
    return values.shape == low.shape and bool(((values >= low - slack) & (values <= high + slack)).all())


def _check_finite(model: nn.Module, network: SpikingNetwork) -> None:
    """Refuse numbers that are NaN or infinite: neurons with such weights would only be silent."""
    numbers = [t for c in network.connections for t in c.operator.buffers()]
    numbers += [n.constant for n in (*network.populations, network.readout) if n.constant is not None]
    if all(bool(t.sum().isfinite()) or bool(t.isfinite().all()) for t in numbers):
        return
    named = chain(model.named_parameters(), model.named_buffers())
    names = [repr(name) for name, t in named if t.is_floating_point() and not bool(t.isfinite().all())]
    which = ", ".join(names[:SUSPECTS]) or "a batch norm, perhaps: its variance is negative, or as good as infinite"
    raise ConversionError(
        f"{type(model).__name__} holds weights that are NaN or infinite ({which}); train it again, with a smaller "
        "learning rate, or mend them"
    )


def _reason(error: BaseException | None) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
