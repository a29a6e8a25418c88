"""Layers of unreliable synapses and sign units (S2M)."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.network.neurons import Bernoulli, Curve, Sign
from spikebayes.network.noise import BlankOut, Gaussian, Law, Sampling, check_keep
from spikebayes.network.operators import Conv, Dense, Operator, Shape
from spikebayes.nn.signs import StraightThrough, plus_minus
from spikebayes.nn.unit import Demand, Place, Spiking, Units, Values
from spikebayes.noise.blank_out import blank_out_scale, gaussian_sums
from spikebayes.noise.blank_out_sums import exact_sums, lay_out_weights
from spikebayes.noise.random_layers import Draws, randomly

ONE_SOURCE = Demand(Values.ONE_SOURCE, "its synapses need one population or input as their source, and no bias on it")
SIGNS = Demand(Values.SIGNS, "Law() needs inputs of +-1 only, without dropout; use Exact() or Gaussian()")


class _BlankOut(Spiking):
    """What the dense and the convolutional layer share: w ``[O, ...]``, beta ``[O]``, p."""

    weight: nn.Parameter
    beta: nn.Parameter
    keep: float
    sampling: Sampling

    def __init__(self, shape: tuple[int, ...], keep: float, beta: float, sampling: Sampling) -> None:
        super().__init__()
        check_keep(keep)
        if keep == 1:
            raise ConfigError("keep must be below 1: synapses that always transmit are not random")
        if min(shape) < 1:
            raise ConfigError(f"a layer needs at least one unit and one synapse for each; got weights {list(shape)}")
        check_size("a layer", *shape)
        if not math.isfinite(beta):
            raise ConfigError(f"beta must be finite; got {beta}")
        self.keep, self.sampling = keep, sampling
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))
        self.beta = nn.Parameter(torch.full(shape[:1], float(beta)))

    @property
    def scale(self) -> Tensor:
        """a_i ``[O]``: beta_i = (a_i + p) / sqrt(2 p (1 - p))."""
        return blank_out_scale(self.beta, self.keep)

    def forward(self, z: Tensor) -> Tensor:
        return randomly(_signs, z, self)

    def law(self, z: Tensor) -> Tensor:
        """v_i . z, of which (1 + erf) / 2 is the probability of +1 (eq. 3); ``[R, *]`` shaped like the output.

        |w_i| is the root of sum_j (w_ij z_j)^2, which for z of +-1 is the norm of the weights.
        """
        return self._normalised(z)

    def _normalised(self, z: Tensor) -> Tensor:
        norm = self._norm(z.detach()).clamp(min=torch.finfo(z.dtype).tiny)
        return self._operator(self.weight)(z) * (self._per_unit(self.beta) / norm)

    def units(self, place: Place) -> Units:
        operator = self._operator(self.weight.detach().clone())
        if isinstance(place.sampling, Law):
            neuron = Bernoulli(Curve.ERF, site=place.site)
            factor = self.law_factor(place.shape).detach()
            return Units(neuron, operator, factor=factor, demands=(ONE_SOURCE, SIGNS))
        noise = BlankOut(self.keep, self.scale.detach(), 1, place.site, place.sampling, successive=True)
        return Units(Sign(), operator, noise, demands=(ONE_SOURCE,))

    def law_factor(self, shape: Shape) -> Tensor:
        """beta_i / |w_i|, by which w_i . z becomes v_i . z for rows of +-1 of a shape; broadcastable."""
        norm = self._full_norm(torch.ones(1, *shape, dtype=self.weight.dtype, device=self.weight.device))
        return self._per_unit(self.beta) / norm.clamp(min=torch.finfo(norm.dtype).tiny)

    def _norm(self, z: Tensor) -> Tensor:
        """|w_i|, broadcastable against the output."""
        if not _signs_only(z):  # either way the same but for rounding: no decision
            return _root(self._operator(self.weight.square())(z.square()))
        return self._full_norm(z)

    def drawn(self, z: Tensor, draws: Draws) -> Tensor:
        """``[R, *]`` bool: which units are +1."""
        if draws.certain or isinstance(self.sampling, Law):
            return draws.fire(self.law(z), Curve.ERF)
        operator = self._operator(self.weight.detach())
        synapses = operator.weight_rows()
        assert synapses is not None
        seen, weight = synapses.unfold(z).contiguous(), synapses.weight  # [R, L, K], [O, K]
        noise = BlankOut(self.keep, site=draws.site)
        if isinstance(self.sampling, Gaussian):
            part = gaussian_sums(noise, seen, weight, draws.keys)
        else:
            if z.device.type != "cpu":
                raise ConfigError("exact sampling of blank-out synapses runs on the CPU; use Law() or Gaussian()")
            part = exact_sums(noise, seen, lay_out_weights(weight.to(seen.dtype), seen.shape[1]), draws.keys)
        return synapses.fold(part + self.scale * (seen @ weight.T), tuple(operator(z[:1]).shape[1:])) >= 0

    @abstractmethod
    def _operator(self, weight: Tensor) -> Operator:
        """z to sum_j weight_ij z_j, as an operator of a network."""

    @abstractmethod
    def _full_norm(self, z: Tensor) -> Tensor:
        """|w_i| for inputs of +-1, broadcastable against the output."""

    @abstractmethod
    def _per_unit(self, values: Tensor) -> Tensor:
        """``[O]`` shaped to broadcast against the output."""


@checked
class BlankOutLinear(_BlankOut):
    """Sign units behind synapses that blank out: z_i = sign(sum_j (xi_ij + a_i) w_ij z_j), xi_ij ~ Bernoulli(p).

    With many synapses and inputs of +-1, P(z_i = 1) = (1 + erf(beta_i w_i . z / |w_i|)) / 2 with
    beta_i = (a_i + p) / sqrt(2 p (1 - p)): the weights are normalised by their own noise. Training differentiates
    this probability, while the sampled sign is passed forward (straight-through); beta and w are both learned, and
    their gradients are those of weight normalisation.

    Random in training and in evaluation. On its own it draws from torch's generator, in ``spikebayes.predict`` from
    the counter-based one.

    Args:
        inputs, outputs: K and O.
        keep: p in (0, 1), probability that a synapse transmits.
        beta: initial value of beta_i.
        sampling: :class:`Law` (fast, for training), :class:`Gaussian`, or :class:`Exact`, a draw for every synapse.

    Shapes:
        z ``[R, K]`` (of +-1; 0 where dropped) to ``[R, O]`` of +-1.

    Raises:
        ConfigError: a size or setting out of range.

    Reference:
        Neftci 2017, eqs. 1 to 3 and section II.B.

    Example:
        >>> layer = BlankOutLinear(20, 3)
        >>> layer(torch.ones(5, 20)).abs().unique().tolist()
        [1.0]
    """

    def __init__(
        self, inputs: int, outputs: int, keep: float = 0.5, *, beta: float = 1.0, sampling: Sampling = Law()
    ) -> None:
        super().__init__((outputs, inputs), keep, beta, sampling)

    def _operator(self, weight: Tensor) -> Operator:
        return Dense(weight)

    def _normalised(self, z: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and _signs_only(z)):
            return super()._normalised(z)
        return _WeightNorm.apply(z, self.weight, self.beta)  # pyright: ignore[reportReturnType]

    def _full_norm(self, z: Tensor) -> Tensor:
        return torch.linalg.vector_norm(self.weight, dim=1)

    def _per_unit(self, values: Tensor) -> Tensor:
        return values

    def extra_repr(self) -> str:
        out, fan_in = self.weight.shape
        return f"{fan_in}, {out}, keep={self.keep}, sampling={self.sampling}"


@checked
class BlankOutConv2d(_BlankOut):
    """Sign units whose synapses share weights over space but blank out independently; otherwise as BlankOutLinear.

    At the borders a unit has fewer synapses, and |w_i| in the formula counts only those it has.

    Args:
        channels, outputs: of input and output.
        kernel: height and width of a patch, or one number for both.
        stride, padding: likewise.
        keep, beta, sampling: as in :class:`BlankOutLinear`; beta for each output channel.

    Shapes:
        z ``[R, channels, H, W]`` to ``[R, outputs, H', W']`` of +-1.

    Raises:
        ConfigError: a size or setting out of range.

    Reference:
        Neftci 2017, eqs. 1 to 3.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __init__(
        self,
        channels: int,
        outputs: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        keep: float = 0.5,
        beta: float = 1.0,
        sampling: Sampling = Law(),
    ) -> None:
        kernel, stride, padding = _pair(kernel), _pair(stride), _pair(padding)
        super().__init__((outputs, channels, *kernel), keep, beta, sampling)
        self.kernel, self.stride, self.padding = kernel, stride, padding
        if min(self.stride) < 1 or min(self.padding) < 0:
            raise ConfigError(f"stride must be positive and padding 0 or more; got {self.stride} and {self.padding}")

    def _operator(self, weight: Tensor) -> Operator:
        return Conv(weight, self.stride, self.padding, (1, 1))

    def _full_norm(self, z: Tensor) -> Tensor:
        return _root(self._operator(self.weight.square())(torch.ones_like(z[:1])))

    def _per_unit(self, values: Tensor) -> Tensor:
        return values[:, None, None]

    def extra_repr(self) -> str:
        out, channels = self.weight.shape[:2]
        sizes = f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"
        return f"{channels}, {out}, {sizes}, keep={self.keep}, sampling={self.sampling}"


def _signs(draws: Draws, z: Tensor, layer: _BlankOut) -> Tensor:
    if not torch.is_grad_enabled():
        return plus_minus(layer.drawn(z, draws), z)
    v = layer.law(z)
    on = draws.fire(v, Curve.ERF) if isinstance(layer.sampling, Law) else layer.drawn(z.detach(), draws)
    return StraightThrough.apply(v, on, Curve.ERF)


class _WeightNorm(torch.autograd.Function):
    """z . beta_i w_i / |w_i|, with the gradients of weight normalisation in two passes over the weights.

    Autograd takes seven, which is most of the time of a training step.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: Tensor, beta: Tensor) -> Tensor:
        sums = z @ weight.T
        norm = torch.linalg.vector_norm(weight, dim=1).clamp_(min=torch.finfo(weight.dtype).tiny)
        ctx.save_for_backward(z, weight, beta, sums, norm)
        return sums * (beta / norm)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        z, weight, beta, sums, norm = ctx.saved_tensors
        wanted, (gradient,) = ctx.needs_input_grad, gradients
        by_beta = (gradient * sums).sum(0) / norm
        by_sums = gradient * (beta / norm)
        by_z = by_sums @ weight if wanted[0] else None
        by_weight = None
        if wanted[1]:
            by_weight = (by_sums.T @ z).addcmul_((by_beta * beta / norm / norm)[:, None], weight, value=-1.0)
        return by_z, by_weight, by_beta


def _signs_only(z: Tensor) -> bool:
    return bool((z.abs() == 1).all().item())


def _root(square: Tensor) -> Tensor:
    """With a gradient of 0 at 0, where a unit sees nothing."""
    return square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
