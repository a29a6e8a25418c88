"""What an operation costs on a device, in joules, with the source of every figure.

The figures are published ones, each measured or simulated by its authors in their own way, so the table they give is
an estimate of orders of magnitude. Two are derived here: a neuron update on a CPU, GPU or ARM is priced as one
multiply-accumulate (as KerasSpiking does), and one in 45 nm arithmetic as a subtraction, a product and an addition.
No figure is published for drawing a bit of a mask: it is counted and costs nothing unless a device says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked


@checked
@dataclass(frozen=True)
class Memory:
    """A hierarchy of memories: weights lie in the smallest that holds them all.

    Args:
        levels: (capacity in bytes, joules per byte read), smallest first; the last capacity is infinite.
        source: of the figures.

    Raises:
        ConfigError: capacities do not rise to infinity, or a price is negative or not finite.
    """

    levels: tuple[tuple[float, float], ...]
    source: str

    def __post_init__(self) -> None:
        capacities = [capacity for capacity, _ in self.levels]
        if not capacities or capacities != sorted(capacities) or capacities[-1] != math.inf:
            raise ConfigError(f"capacities of a memory must rise to infinity; got {capacities}")
        for _, price in self.levels:
            _check_price("a memory's price", price)

    def joules_per_byte(self, stored: float) -> float:
        """Energy per byte read, J, when this many bytes of weights are stored.

        Example:
            >>> HOROWITZ.joules_per_byte(4000), HOROWITZ.joules_per_byte(10_000_000)
            (1.25e-12, 1.625e-10)
        """
        return next(price for capacity, price in self.levels if stored <= capacity)


@checked
@dataclass(frozen=True)
class Device:
    """A machine and the energy of its operations.

    Args:
        name: in tables.
        synaptic_event_j: adding a weight to a target's input, J.
        neuron_update_j: one time step of a neuron, or one evaluation of its rate curve, J.
        event_driven: energy goes only into events and neurons that are not dropped; else into all synapses and
            neurons in every step.
        source: of the figures.
        mac_j: a multiply-accumulate of the classical network or of a constant input, J; by default that of an event.
        weight_memory: where weights are read from, if the other figures do not include it; else None.
        weight_bytes: size of a weight.
        mask_bit_j: drawing one bit of a mask, J.

    Raises:
        ConfigError: a figure that is negative or not finite.

    Example:
        A device of one's own:

        >>> chip = Device("chip", 1e-12, 2e-12, True, "its data sheet")
        >>> chip.mac
        1e-12
    """

    name: str
    synaptic_event_j: float
    neuron_update_j: float
    event_driven: bool
    source: str
    mac_j: float | None = None
    weight_memory: Memory | None = None
    weight_bytes: int = 4
    mask_bit_j: float = 0.0

    def __post_init__(self) -> None:
        for name in ("synaptic_event_j", "neuron_update_j", "mac_j", "mask_bit_j", "weight_bytes"):
            value = getattr(self, name)
            if value is not None:
                _check_price(f"{name} of {self.name}", value)

    @property
    def mac(self) -> float:
        """Energy of a multiply-accumulate, J."""
        return self.synaptic_event_j if self.mac_j is None else self.mac_j

    def fetch(self, weights: int) -> float:
        """Energy of reading one weight of a network with this many, J; 0 if the other figures include it."""
        if self.weight_memory is None:
            return 0.0
        return self.weight_bytes * self.weight_memory.joules_per_byte(weights * self.weight_bytes)


def _check_price(what: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ConfigError(f"{what} must be a number >= 0; got {value}")


#: 64-bit reads at 10, 20 and 100 pJ from caches of 8 KB, 32 KB and 1 MB; DRAM at the lower of its two ends, 1.3 nJ
HOROWITZ = Memory(
    ((8 << 10, 10e-12 / 8), (32 << 10, 20e-12 / 8), (1 << 20, 100e-12 / 8), (math.inf, 1.3e-9 / 8)),
    "Horowitz 2014, fig. 1.1.9 (45 nm)",
)

_DEGNAN = "Degnan, Marr & Hasler 2015, per MAC; an update as one MAC"
_HOEPPNER = "Hoeppner et al. 2019, arXiv 1903.08941"

#: 23.6 pJ for the event and 3.5 pJ for a hop between tiles
LOIHI = Device("Loihi", 27.1e-12, 81e-12, True, "Davies et al. 2018, table 2 (before silicon)")
SPINNAKER = Device("SpiNNaker", 13.3e-9, 26e-9, True, _HOEPPNER)
#: the whole chip's energy over its synaptic events: a neuron's update is in them
TRUENORTH = Device("TrueNorth", 26e-12, 0.0, True, "Merolla et al. 2014, Science 345:668, per synaptic event")
SPINNAKER2 = Device("SpiNNaker 2", 450e-12, 2.19e-9, True, _HOEPPNER)
CPU = Device("CPU", 8.6e-9, 8.6e-9, False, _DEGNAN, weight_memory=HOROWITZ)
GPU = Device("GPU", 0.3e-9, 0.3e-9, False, _DEGNAN, weight_memory=HOROWITZ)
ARM = Device("ARM", 0.9e-9, 0.9e-9, False, _DEGNAN, weight_memory=HOROWITZ)
#: no machine: adders and multipliers alone, of float32 (add 0.9 pJ, product 3.7 pJ), that work on events
ARITHMETIC = Device(
    "45 nm arithmetic",
    0.9e-12,
    5.5e-12,
    True,
    "Horowitz 2014, fig. 1.1.9; an update as 2 additions and a product",
    mac_j=4.6e-12,
    weight_memory=HOROWITZ,
)

#: what :func:`spikebayes.energy` prices by
DEVICES = (LOIHI, TRUENORTH, SPINNAKER, SPINNAKER2, CPU, GPU, ARM, ARITHMETIC)
