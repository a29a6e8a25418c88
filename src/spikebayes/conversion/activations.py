"""The activations that torch has, as what a coded population can tell: modules, functions and tensor methods."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from spikebayes.conversion.refusals import Refused
from spikebayes.network.coded import Coded
from spikebayes.network.neurons import Chance, Neuron, State

SLOPE = 0.01  # of torch's leaky_relu
FAR = 2.0**20  # beyond it an activation that ends somewhere has reached its end,
STILL = 1 + 1e-3  # so that it grows by no more than this
NEAR, STEPS = 50, 1000  # within +-NEAR a curve falls, if it does, between so many points
FALL = 1e-6  # less is rounding


@dataclass(frozen=True, eq=False)
class Activation:
    """A function of single values.

    Args:
        name: in messages.
        function: of a tensor.
        below: of a ramp, by what values below 0 are multiplied: a number, or one for each channel.
        is_ramp: whether it is 0, or ``below`` times the value, below 0 and the value itself above, up to ``end``.
        end: of a ramp, the largest value that it gives.
        monotone: whether it never falls.
        known_as: its name among those that a graded code can tell though they rise and fall.
        given: the neuron itself, of a model that was trained with a code's levels.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    below: Tensor | None = None
    is_ramp: bool = False
    end: float = math.inf
    monotone: bool = True
    known_as: str = ""
    given: Coded | None = None

    @property
    def rises(self) -> bool:
        """Whether the largest of some values gives the largest of its values."""
        return self.monotone and (self.below is None or bool((self.below >= 0).all()))

    @property
    def furthest(self) -> float:
        """The largest magnitude that it ever gives, inf if there is none."""
        if self.is_ramp:
            return self.end
        sides = torch.tensor([[-FAR, FAR], [-(FAR**3), FAR**3]], dtype=torch.float64)
        largest, beyond = self.function(sides.reshape(4, 1)).abs().reshape(2, 2).amax(1).tolist()
        return largest if beyond <= STILL * largest else math.inf


@dataclass(frozen=True, eq=False)
class Rate(Neuron):
    """A unit that gives its activation's value as it is: what a module's unit does. No part of a spiking network."""

    activation: Activation
    memoryless = True

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        y = self.activation.function(x)
        return y != 0, y, state


# -- ramps ---------------------------------------------------------------------------------------------------


def relu(inplace: bool = False) -> Activation:
    """max(0, x)."""
    return Activation("ReLU", torch.relu, is_ramp=True)


def identity() -> Activation:
    """x: what a relay passes on."""
    return Activation("relay", lambda x: x, torch.ones(()), is_ramp=True)


def clamped(low: float | None, high: float | None) -> Activation:
    """Cut off on either side, or both."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise Refused("its limits are tensors; clamp to numbers")
    name, end = f"clamp({low}, {high})", math.inf if high is None else float(high)
    if low == 0 and end > 0:
        return Activation(name, lambda x: x.clamp(0, high), is_ramp=True, end=end)
    return Activation(name, lambda x: x.clamp(low, high))


def leaky(negative_slope: float = SLOPE, inplace: bool = False) -> Activation:
    """x, or slope times x below 0."""
    slope = float(negative_slope)
    return Activation(f"LeakyReLU({slope:g})", lambda x: torch.where(x < 0, slope * x, x), torch.tensor(slope), True)


def parametric(weight: Tensor) -> Activation:
    """LeakyReLU with a slope for each channel, axis 1 of the batch."""
    weight = weight.detach().clone()

    def function(x: Tensor) -> Tensor:
        slope = weight.to(x) if weight.numel() == 1 else weight.to(x).reshape(-1, *[1] * (x.ndim - 2))
        return torch.where(x < 0, slope * x, x)

    return Activation("PReLU", function, weight, True)


def absolute() -> Activation:
    """|x|, a ramp with slope -1 below 0."""
    return Activation("abs", torch.abs, torch.tensor(-1.0), True)


# -- curves --------------------------------------------------------------------------------------------------


def curve(name: str, function: Callable[..., Tensor]) -> Callable[..., Activation]:
    """A function of torch with its settings, with which it must never fall."""

    def made(*settings: Any, **named: Any) -> Activation:
        named.pop("inplace", None)

        def with_settings(x: Tensor) -> Tensor:
            return function(x, *settings, **named)

        given = with_settings(torch.linspace(-NEAR, NEAR, STEPS + 1, dtype=torch.float64))
        if bool((given.diff() < -FALL).any()):
            raise Refused("with these settings it falls somewhere; take some with which it only rises, or LeakyReLU")
        return Activation(name, with_settings)

    return made


def bump(known_as: str) -> Callable[..., Activation]:
    """A function that rises and falls."""
    from spikebayes.network.coded import FUNCTIONS

    return lambda inplace=False: Activation(known_as, FUNCTIONS[known_as], monotone=False, known_as=known_as)


def gelu(approximate: str = "none") -> Activation:
    """Gaussian error linear unit."""
    return bump("gelu" if approximate == "none" else "gelu_tanh")()


def power(exponent: Any) -> Activation:
    """Squares alone."""
    if exponent != 2:
        raise Refused(f"a power of {exponent} is not known; only squares are, under a Graded code")
    return bump("square")()


MODULES: dict[type[nn.Module], Callable[[Any], Activation]] = {
    nn.ReLU: lambda m: relu(),
    nn.ReLU6: lambda m: clamped(0.0, 6.0),
    nn.Hardtanh: lambda m: clamped(m.min_val, m.max_val),
    nn.LeakyReLU: lambda m: leaky(m.negative_slope),
    nn.RReLU: lambda m: leaky((m.lower + m.upper) / 2),
    nn.PReLU: lambda m: parametric(m.weight),
    nn.ELU: lambda m: curve("ELU", F.elu)(m.alpha),
    nn.CELU: lambda m: curve("CELU", F.celu)(m.alpha),
    nn.SELU: lambda m: curve("SELU", F.selu)(),
    nn.Sigmoid: lambda m: curve("Sigmoid", torch.sigmoid)(),
    nn.LogSigmoid: lambda m: curve("LogSigmoid", F.logsigmoid)(),
    nn.Hardsigmoid: lambda m: curve("Hardsigmoid", F.hardsigmoid)(),
    nn.Tanh: lambda m: curve("Tanh", torch.tanh)(),
    nn.Softplus: lambda m: curve("Softplus", F.softplus)(m.beta, m.threshold),
    nn.Softsign: lambda m: curve("Softsign", F.softsign)(),
    nn.Tanhshrink: lambda m: curve("Tanhshrink", F.tanhshrink)(),
    nn.Softshrink: lambda m: curve("Softshrink", F.softshrink)(m.lambd),
    nn.Hardshrink: lambda m: curve("Hardshrink", F.hardshrink)(m.lambd),
    nn.GELU: lambda m: gelu(m.approximate),
    nn.SiLU: lambda m: bump("silu")(),
    nn.Mish: lambda m: bump("mish")(),
    nn.Hardswish: lambda m: bump("hardswish")(),
}
#: functions, and tensor methods by their names, from a call's further arguments
FUNCTIONS: dict[Any, Callable[..., Activation]] = {
    F.relu: relu,
    F.relu6: lambda inplace=False: clamped(0.0, 6.0),
    F.hardtanh: lambda min_val=-1.0, max_val=1.0, inplace=False: clamped(min_val, max_val),
    F.leaky_relu: leaky,
    F.prelu: parametric,
    F.elu: lambda alpha=1.0, inplace=False: curve("ELU", F.elu)(alpha),
    F.celu: lambda alpha=1.0, inplace=False: curve("CELU", F.celu)(alpha),
    F.selu: lambda inplace=False: curve("SELU", F.selu)(),
    F.logsigmoid: curve("LogSigmoid", F.logsigmoid),
    F.hardsigmoid: lambda inplace=False: curve("Hardsigmoid", F.hardsigmoid)(),
    F.softplus: curve("Softplus", F.softplus),
    F.softsign: curve("Softsign", F.softsign),
    F.tanhshrink: curve("Tanhshrink", F.tanhshrink),
    F.softshrink: curve("Softshrink", F.softshrink),
    F.hardshrink: curve("Hardshrink", F.hardshrink),
    F.gelu: gelu,
    F.silu: bump("silu"),
    F.mish: bump("mish"),
    F.hardswish: bump("hardswish"),
}
for _names, _make in (
    (("relu",), relu),
    (("clamp", "clip"), lambda min=None, max=None: clamped(min, max)),
    (("clamp_min",), lambda min: clamped(min, None)),
    (("clamp_max",), lambda max: clamped(None, max)),
    (("sigmoid",), curve("Sigmoid", torch.sigmoid)),
    (("tanh",), curve("Tanh", torch.tanh)),
    (("prelu",), parametric),
    (("selu",), curve("SELU", F.selu)),
    (("celu",), lambda alpha=1.0: curve("CELU", F.celu)(alpha)),
    (("abs", "absolute"), absolute),
    (("exp",), curve("exp", torch.exp)),
    (("atan", "arctan"), curve("atan", torch.atan)),
    (("erf",), curve("erf", torch.erf)),
    (("asinh", "arcsinh"), curve("asinh", torch.asinh)),
    (("square",), bump("square")),
    (("pow",), power),
):
    _in_place = [f"{name}_" for name in _names if any(hasattr(home, f"{name}_") for home in (Tensor, torch))]
    for _name in (*_names, *_in_place):
        FUNCTIONS[_name] = _make
        if hasattr(torch, _name):
            FUNCTIONS[getattr(torch, _name)] = _make
FUNCTIONS |= {operator.abs: absolute, abs: absolute, operator.pow: power, torch.special.expit: FUNCTIONS["sigmoid"]}
for _old in ("sigmoid", "tanh"):  # kept in torch.nn.functional for old code
    FUNCTIONS[getattr(F, _old)] = FUNCTIONS[_old]
for _inner in ("leaky_relu_", "elu_", "hardtanh_", "relu_"):
    if hasattr(F, _inner) and hasattr(F, _inner[:-1]):
        FUNCTIONS[getattr(F, _inner)] = FUNCTIONS[getattr(F, _inner[:-1])]


def is_activation(node: fx.Node, model: nn.Module) -> bool:
    """Whether a node of a graph calls one of them."""
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))) in MODULES
    return node.op in ("call_function", "call_method") and node.target in FUNCTIONS


def argument_of(node: fx.Node) -> Any:
    """What an activation is called on."""
    return node.args[0] if node.args else node.kwargs.get("input")


def activation_of(node: fx.Node, model: nn.Module, arguments: Any, keywords: Any) -> Activation:
    """The activation that a node calls, its first argument left out."""
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        return MODULES[type(module)](module)
    return FUNCTIONS[node.target](*arguments[1:], **{k: v for k, v in keywords.items() if k != "input"})
