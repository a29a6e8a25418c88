"""Networks in whole numbers: weights of a few bits, sums and states of stated widths."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikebayes.conversion.whole_codes import whole_codes
from spikebayes.conversion.whole_lif import whole_lif
from spikebayes.conversion.whole_thresholds import whole_thresholds
from spikebayes.conversion.whole_weights import ACCUMULATOR, EXACT, Source, check_wired, whole_number
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import is_whole
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import LIF
from spikebayes.nn.few_bits import largest_whole

LEVELS = 2**16  # of an input


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """The result of :func:`integers`; ``predict`` takes it, with inputs and outputs in their original units.

    Args:
        network: its weights, constants and thresholds are whole numbers, in float tensors; its inputs are to be whole
            numbers too, those of :meth:`inputs`, and so is what is read. An engine runs it without rounding in
            :attr:`dtype`. Populations that are an OR or a race are unchanged.
        bits: of weights, and of the thresholds of threshold neurons.
        levels: L; an input of 1 is L.
        largest_input: the largest magnitude of an input, in the input's own units.
        scales: for each population but ORs and races, ``[O]``, one for each row of weights (of a Conv: each channel),
            or one for all: what a weight of 1 stands for.
        constants: for each population of threshold neurons but ORs, the largest number of constant synapses that make
            up a neuron's threshold.
        largest: for each population but ORs and races, and for the read-out, the largest magnitude that a sum, and
            what is held of it, can reach.
        readout_scale: value of a 1 at the read-out in the units of the original network.
        widths: numbers of bits, by what they hold: ``weight``; then ``threshold`` and ``sum`` of threshold neurons,
            ``sum`` and ``number`` of coded ones, ``current``, ``voltage`` and ``factor`` of LIF.
        shifts: of LIF, by how many bits the weights of each row are shifted left in addition.
        standardised: whether the original network takes standardised inputs.
    """

    network: SpikingNetwork
    bits: int
    levels: int
    largest_input: float
    scales: dict[str, Tensor]
    constants: dict[str, int]
    largest: dict[str, int]
    readout_scale: float = 1.0
    widths: dict[str, int] = field(default_factory=dict)
    shifts: dict[str, Tensor] = field(default_factory=dict)
    standardised: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """float32 where all sums stay below 2^24, so that it holds them exactly, else float64, as fixed point is."""
        exact = max(self.largest.values()) < EXACT and "current" not in self.widths
        return torch.float32 if exact else torch.float64

    def __repr__(self) -> str:
        widths = ", ".join(f"{what} {bits}" for what, bits in self.widths.items())
        return (
            f"IntegerNetwork(bits of {widths}; inputs +-{self.largest_input:g} in steps of 1/{self.levels})\n"
            + repr(self.network)
        )

    def inputs(self, x: Tensor) -> Tensor:
        """Inputs of any shape rounded to the whole numbers that the network takes, in :attr:`dtype`.

        Raises:
            DataError: a value that is NaN, or larger in size than ``largest_input``.
        """
        limit = max(self.largest_input, float(torch.tensor(self.largest_input, dtype=torch.float32)))
        beyond = ~(x.abs() <= limit)
        if bool(beyond.any()):
            raise DataError(
                f"an input of {float(x[beyond][0]):g} is not within +-{self.largest_input:g}; "
                "give integers() a larger largest_input, or finite values"
            )
        most = whole_number(self.levels, self.largest_input)
        return torch.round(x.double() * self.levels).clamp(-most, most).to(self.dtype)


@checked
def integers(
    network: SpikingNetwork,
    *,
    bits: int = 8,
    levels: int = 255,
    largest_input: float = 1.0,
    state_bits: int | None = None,
) -> IntegerNetwork:
    """A network with weights of a few bits each, for hardware that adds whole numbers; masks and draws are the same.

    Each neuron's weights have a scale s, set by the largest of them:

        w_j ~ s k_j,   k_j = round(w_j/s),   s = max_j |w_j| / (2^(bits-1) - 1)

    and they include the factor 1/(1 - p) of their source's mask. All weights onto the read-out share one scale.
    Synapses that blank out, with values xi + a, become two each, for w xi and w a, both in whole numbers.

    * Threshold and sign neurons fire iff sum_j k_j x_j >= T = ceil((theta - c)/s), so they decide as if their weights
      were s k_j. A T beyond the range of a threshold is made up by constant synapses of ``bits`` too: they add to
      every sum, and are counted. Max pooling (an OR) already has weights of 1. Sums have 32 bits.
    * Coded neurons (``Digits`` and the others) hold a sum of 32 bits, of which a whole number U is worth 1 of the
      number they send: s = 1/U, rounded to make U whole, before ReLU and similar ramps (``network.WholeRamp``). Other
      curves have whole thresholds, and one scale for the whole population.
    * LIF neurons become ``network.FixedPointLIF``, behind ``FixedPointLowpass`` or ``FixedPointAlpha``: weights k_j
      are shifted left as far as currents and voltages of ``state_bits`` leave room, these decay by factors of 12
      bits, rounded towards zero, and refractory times are whole steps. No state can overflow: scales are chosen for
      the case that all synapses act together. A row whose weights are all below 1/256 of the population's largest may
      be held more coarsely than in ``bits``.

    A weight from an input counts L times as much as one from a spike: where a neuron has both, those from the input
    are L times as coarse; more bits or fewer levels help.

    float32 holds sums below 2^24 exactly: ``predict`` with an :class:`IntegerNetwork` chooses the dtype accordingly;
    to ``simulate``, pass its network and ``dtype=``:attr:`IntegerNetwork.dtype`. LIF is simulated in float64 in any
    case.

    Args:
        network: of threshold or sign neurons without memory, of a code in windows, or of LIF neurons; each population
            behind Dense or Conv operators or factors on single units, with averages over windows before them unless
            its neurons are threshold neurons; or an OR, or a race.
        bits: 2 to 16.
        levels: L, of the inputs: an input x becomes the whole number nearest to L x; 255 suits images.
        largest_input: no |x| is larger; it bounds sums and thus thresholds. 1 suits images.
        state_bits: of LIF neurons' currents and voltages, 8 to 32; None takes 24 where that holds them, else 32.

    Raises:
        ConfigError: bits, levels or the largest input out of range; other neurons, filters, or an operator
            that is not of that form; draws of real numbers; pooling that is no OR; connections that give a neuron's
            weights different rows; sums beyond their width.

    References:
        one scale per channel: Krishnamoorthi 2018, arXiv:1806.08342; states of 24 bits and factors of 12: Davies et
        al. 2018, IEEE Micro 38:82. The constant synapses are ours.

    Example:
        >>> from torch import nn
        >>> from spikebayes import convert, predict
        >>> from spikebayes.nn import Permadrop, SoftLIF
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(6, 40), SoftLIF(), Permadrop(0.2), nn.Linear(40, 2))
        >>> x = torch.rand(5, 6)
        >>> network = convert(net, x)
        >>> whole = integers(network, bits=8)
        >>> whole.widths
        {'weight': 8, 'current': 24, 'voltage': 24, 'factor': 12}
        >>> exact, rounded = predict(network, x, samples=20), predict(whole, x, samples=20)
        >>> bool(((exact.samples - rounded.samples).abs() < 0.2 * exact.model_std).all())
        True
    """
    top = largest_whole(bits)
    _check_settings(network, levels, largest_input, state_bits)
    check_wired(network)
    most = whole_number(levels, largest_input)
    inputs = {i.name: Source(most, i.dropout.factor if i.dropout else 1.0, levels) for i in network.inputs}
    if network.code is not None:
        made = whole_codes(network, bits, top, inputs)
    elif any(isinstance(p.neuron, LIF) for p in network.populations):
        made = whole_lif(network, bits, top, inputs, state_bits)
    else:
        made = whole_thresholds(network, bits, top, inputs)
    return IntegerNetwork(
        made.network,
        bits,
        levels,
        largest_input,
        made.scales,
        made.constants,
        made.largest,
        made.readout_scale,
        made.widths,
        made.shifts,
        any(i.standardised for i in network.inputs),
    )


def _check_settings(network: SpikingNetwork, levels: int, largest_input: float, state_bits: int | None) -> None:
    if not is_whole(levels) or not 1 <= levels < LEVELS:
        raise ConfigError(f"levels must be a whole number from 1 to {LEVELS - 1}; got {levels!r}")
    if not 0 < levels * largest_input < ACCUMULATOR:
        raise ConfigError(f"largest_input must be above 0, and times levels below 2^31; got {largest_input!r}")
    if state_bits is None:
        return
    if not 8 <= state_bits <= 32:
        raise ConfigError(
            f"state_bits must be 8 to 32, or None for the first of 24 and 32 that holds; got {state_bits}"
        )
    if not any(isinstance(p.neuron, LIF) for p in network.populations):
        raise ConfigError("state_bits is of LIF neurons, and the network has none; leave it out")
