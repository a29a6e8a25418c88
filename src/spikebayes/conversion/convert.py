"""From a trained torch module to a spiking network, by way of its torch.fx graph."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from spikebayes.conversion.arguments import APART
from spikebayes.conversion.builder import Builder
from spikebayes.conversion.calibration import LEAST_ROWS, Calibration
from spikebayes.conversion.check import Check
from spikebayes.conversion.choosing import Cost, choose
from spikebayes.conversion.encoding import encode
from spikebayes.conversion.exact_sums import with_exact_sums
from spikebayes.conversion.faults import faults, float_dtype, initialised, out_of_sight, refuse_faults, unwrapped
from spikebayes.conversion.obstacles import Blocked, Obstacles
from spikebayes.conversion.only_in_training import only_in_training
from spikebayes.conversion.paired_error import warn_of_error
from spikebayes.conversion.tracing import Traced, trace
from spikebayes.conversion.unknown import unknown_modules
from spikebayes.errors import ConfigError, ConversionError
from spikebayes.machine.arguments import checked
from spikebayes.network.codes import Code, Digits, Graded
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import LIF
from spikebayes.network.noise import Exact, Sampling
from spikebayes.network.synapses import Alpha, Synapse
from spikebayes.nn import Coded, Spiking
from spikebayes.noise.masks import evaluating

Examples = Tensor | np.ndarray | Sequence[Any]  # and data frames
ANY = Graded(8)  # tells any activation; which one it will be is chosen afterwards
USUAL = Digits(4, 4)  # 256 levels in 12 ticks; with the usual headroom it resolves like 6 bits


@checked
def convert(
    model: nn.Module,
    example_input: Examples,
    *,
    dt: float = 1e-3,
    synapse: Synapse | None = Alpha(0.02),
    sampling: Sampling = Exact(),
    code: Code | Literal["lif", "auto"] | None = None,
    calibrate: Examples | None = None,
    headroom: float = 4.0,
    error: float = 0.07,
    cost: Cost = "ticks",
) -> SpikingNetwork:
    """A spiking network with the module's weights, a population in place of each activation.

    A model whose activations are all rate curves of spiking neurons, steps or stochastic units becomes a network that
    steps freely. Any other becomes one that sends numbers in windows of ticks (``code``): ReLU, ReLU6, clamp,
    LeakyReLU, PReLU, ELU and the like, Sigmoid, Tanh, Softplus and torch's other monotone activations, as modules,
    functions and methods; GELU, SiLU and others that are not monotone only under a :class:`Graded` code. There max
    pooling may stand anywhere, and so may dropout: where it does not follow an activation, a population that passes
    values on is inserted. A softmax or log-softmax at the end is left to the task (``predict(...,
    task="classification")``).

    In a network that steps freely, rate activations (``SoftLIF``, ``LIFRate``) become LIF neurons,
    ``DiscreteSoftLIF`` LIF neurons in discrete steps as chips have them; layers of synapses that blank out
    (``BlankOutLinear``, ``BlankOutConv2d``) sign units; encoders and ``SigmoidSign`` stochastic or threshold units;
    ``Sharpened`` activations, once their sharpness is 1, threshold units. Max pooling of spikes that are 0 or 1 is
    their OR, a population of threshold units; it is refused after LIF neurons. If no neuron has a memory, a step is a
    sample, and weights are put on a grid (``exact_sums.on_grid``) on which sums are exact, so that every engine gives
    the same samples.

    Between two activations everything must be linear. Supported are, as modules and as functions, Linear, Conv and
    ConvTranspose (1d, 2d), BatchNorm (with its running statistics), AvgPool, AdaptiveAvgPool, Upsample and padding;
    adding, subtracting and multiplying by constants, ``@`` and einsum with fixed tensors, sums and means over axes;
    reshape, permute, indexing, split, cat, stack, flip, roll, repeat and expand; and dropout on the input, after an
    activation or before the read-out. The weights are copied: training the module further does not change the
    network. Dropout calls are numbered in the order in which the model makes them, so that the network and the module
    draw the same masks. The model is converted, and run, in evaluation mode, whatever mode it is in.

    A graph does not show everything that a module does. So the module is run twice on a few rows, under masks, and
    its layers are compared with the network's: a model is refused if hooks change values, a forward was replaced, a
    value is changed in place under another name, or forward draws random numbers of its own.

    Args:
        model: feed-forward module with such activations.
        example_input: a batch ``[B, *shape]``, or one for each argument. The first rows, and some random ones from
            [0, 1), are run through the module to check that the network does the same; otherwise only the shapes are
            read.
        dt: time step of the simulation, s; that of ``DiscreteSoftLIF``, where the model has such units.
        synapse: filter on every connection that carries spikes of LIF neurons, the read-out's included; None for no
            filter. Neurons in discrete steps filter themselves.
        sampling: how synapses that blank out are drawn, whatever the module's layers do while training:
            :class:`Exact`, :class:`Gaussian` or :class:`Law`, which draws the sign units behind them instead.
        code: how populations encode their values in windows of ticks: :class:`Digits`, :class:`FirstSpike`,
            :class:`Radix` or :class:`Graded`; ``"lif"`` for free-running LIF neurons. By default LIF neurons where
            all activations are their rate curves, else ``Digits(4, 4)``.
        calibrate: rows like those the model was trained on, 100 or more, as ``example_input``. They show how large
            each activation becomes (under dropout), which sets a code's highest level. By default the example's rows.
        headroom: the value of the highest level, in units of the largest value seen. Inputs that give values twice as
            large need 2; what lies above the highest level is cut off, which makes the predictive distribution too
            narrow.
        error, cost: with ``code="auto"`` the cheapest code is taken whose error on the calibration rows (the median
            paired rms difference over the predictive standard deviation) is at most ``error``; cheapest is that with
            the fewest ticks per sample or, with a :class:`Device`, the fewest joules.

    Returns:
        The network; inputs reach their targets unfiltered and are constant over a simulation.

    Warns:
        UserWarning: a population's refractory time is shorter than dt: it fires once per step at most, so rates near
            1/dt cannot be reached. Or a code is too coarse: the network is off by more than 0.3 standard deviations
            of the module's posterior, the median over outputs and 20 calibration rows, 10 samples each, same masks.

    Raises:
        ConversionError: the graph cannot be traced or contains something unsupported (the message names the node and
            what to use instead); the module does something other than its graph (the message names the first layer
            that differs); or calibration rows are too few, or not like the example.
        ConfigError: dt <= 0, headroom below 1, or another sampling.

    Reference:
        Hunsberger & Eliasmith 2015; Wycoff 2019, section 2.2. Codes in windows: Stoeckl & Maass 2021, Stanojevic et
        al. 2024.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikebayes.nn import Permadrop, SoftLIF
        >>> model = nn.Sequential(nn.Linear(4, 8), SoftLIF(), Permadrop(0.1), nn.Linear(8, 1))
        >>> print(convert(model, torch.zeros(1, 4)))
        SpikingNetwork(dt=0.001 s, 8 neurons)
          input_1 [4] Input
          layer1 [8] LIF(tau_rc=0.02, tau_ref=0.001, amplitude=0.002, gain=30.0, bias=4.0), dropout 0.1 <- input_1
          readout [1] Readout <- layer1
        >>> relu = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))
        >>> convert(relu, torch.rand(100, 4)).code
        Digits(radix=4, digits=4)
    """
    if not (headroom >= 1 and math.isfinite(headroom)):
        raise ConfigError(f"headroom must be a number of 1 or more; got {headroom}")
    model, examples = unwrapped(model), _examples(example_input)
    try:
        with evaluating(model):
            initialised(model, examples)
            refuse_faults(model, ConversionError)
            traced = trace(model, examples)
            if (apart := only_in_training(model, examples)) is not None:
                raise Blocked(apart)
            why, code = _why(code, traced), _code(code, traced)
            check = Check(traced)
            builder = Builder(traced, synapse, sampling, _built_by(code))
            for node in traced.graph.nodes:
                builder.visit(node)
            network = builder.network(dt)
            check.compare(builder, network)
            if code is not None:
                rows = _calibration(examples, calibrate, float_dtype(model), why)
                if not isinstance(code, Code):
                    return choose(network, rows, headroom, error, cost)
                coded = encode(network, code, rows, headroom)
                warn_of_error(network, coded, rows)
                return coded
    except Blocked as blocked:
        raise ConversionError(str(blocked)) from blocked.__cause__
    if network.is_memoryless:
        network = with_exact_sums(network)
    _warn_of_coarse_steps(network)
    return network


@checked
def check(
    model: nn.Module, example_input: Examples, *, code: Code | Literal["lif", "auto"] | None = None
) -> Obstacles:
    """Everything that prevents a module from becoming a spiking network: where it is, and what to write instead.

    Args:
        model, example_input, code: as for :func:`convert`; calibration rows of a code are not needed.

    Returns:
        :class:`Obstacles`, empty if :func:`convert` accepts the module; printed, a table. After a call that is
        refused the search continues with a value of the same shape.

    Raises:
        ConversionError: the example is not a tensor.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 1))
        >>> found = check(model, torch.zeros(1, 4))
        >>> [obstacle.where for obstacle in found.obstacles]
        ["node '_2' (LayerNorm, module '2')"]
        >>> found.obstacles[0].cure
        'use BatchNorm, which folds into weights'
    """
    model, examples = unwrapped(model), _examples(example_input)
    with evaluating(model):
        initialised(model, examples)
        found = list(faults(model))
        if out_of_sight(model) is not None:  # nothing more can be seen
            return Obstacles(type(model).__name__, (*found, *unknown_modules(model)))
        try:
            traced = trace(model, examples)
        except Blocked as blocked:
            return Obstacles(type(model).__name__, (*found, blocked.obstacle, *unknown_modules(model)))
        same, builder = Check(traced), Builder(traced, Alpha(0.02), Exact(), _built_by(_code(code, traced)))
        if (apart := only_in_training(model, examples)) is not None:
            found.append(apart)
        for node in traced.graph.nodes:
            try:
                builder.visit(node)
            except Blocked as blocked:
                found.append(blocked.obstacle)
                if not builder.stand_in(node):
                    break
        if not found:
            try:
                same.compare(builder, builder.network(builder.own_dt or 1e-3))
            except Blocked as blocked:
                found.append(blocked.obstacle)
    return Obstacles(type(model).__name__, tuple(found))


def _code(code: Code | Literal["lif", "auto"] | None, traced: Traced) -> Code | Literal["auto"] | None:
    """By which code, if any, the activations of a model are told."""
    trained = {module.code for module in traced.model.modules() if isinstance(module, Coded)}
    if trained:
        found = next(iter(trained))
        if len(trained) > 1 or code not in (None, found):
            asked = "" if code is None else f", and code={code} was asked for"
            raise ConversionError(
                f"the model was trained for {', '.join(map(str, trained))}{asked}; all populations tell numbers by "
                "one code: train it with one, and leave code out"
            )
        return found
    if code is not None:
        return None if code == "lif" else code
    return USUAL if any(traced.is_activation(node) for node in traced.graph.nodes) else None


def _why(code: Code | Literal["lif", "auto"] | None, traced: Traced) -> str:
    """What gives a model a code that nobody asked for, if it has activations that need none; else nothing."""
    if code is not None or not any(isinstance(module, Spiking) for module in traced.model.modules()):
        return ""
    told = (traced.describe(node) for node in traced.graph.nodes if traced.is_activation(node))
    return next((f", which this model needs for its {what}," for what in told), "")


def _built_by(code: Code | Literal["auto"] | None) -> Code | None:
    """What a network is built for whose code is chosen afterwards."""
    return ANY if code == "auto" else code


def _calibration(examples: list[Tensor], calibrate: Examples | None, dtype: torch.dtype, why: str) -> Calibration:
    """The rows on which activations are looked at, checked."""
    rows = examples if calibrate is None else _examples(calibrate)
    if len(rows) != len(examples) or any(r.shape[1:] != e.shape[1:] for r, e in zip(rows, examples, strict=True)):
        raise ConversionError(
            f"calibration rows must be like the example, of shape {[list(e.shape[1:]) for e in examples]}; "
            f"got {[list(r.shape[1:]) for r in rows]}"
        )
    if len({len(part) for part in rows}) > 1:
        raise ConversionError(f"all inputs need equally many calibration rows; got {[len(part) for part in rows]}")
    if len(rows[0]) < LEAST_ROWS:
        given = "calibrate has" if calibrate is not None else "the example has"
        raise ConversionError(
            f"{given} {len(rows[0])} rows, and a code{why} needs {LEAST_ROWS} or more to know how large activations "
            "become: give calibrate=rows, of the training data, as the model takes them"
        )
    rows = [part.detach().to(dtype) for part in rows]
    for part in rows:
        if not bool(part.isfinite().all()):
            raise ConversionError("calibration rows hold NaN or infinite values; leave such rows out")
        if bool((part == part[:1]).all()):
            raise ConversionError(
                "all calibration rows are equal, which says nothing of how large activations become; give rows of "
                "the training data"
            )
    return Calibration.of(rows)


def _examples(given: Examples) -> list[Tensor]:
    """One tensor for each argument."""
    several = isinstance(given, list | tuple)
    arrays: list[Any] = list(given) if several else [given]
    try:
        arrays = [torch.tensor(np.asarray(e)) if _is_array(e) else e for e in arrays]
    except TypeError as error:
        raise ConversionError(f"the example input must hold numbers: {error}") from error
    if not arrays or not all(isinstance(example, Tensor) for example in arrays):
        raise ConversionError(
            f"the example input must be a tensor [B, *shape], or a list of them, one for each argument; {APART}"
        )
    if any(example.is_meta for example in arrays):
        raise ConversionError("the example input has no values: it is on the meta device; give rows on another")
    return arrays


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "to_numpy") and not isinstance(value, Tensor))


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
