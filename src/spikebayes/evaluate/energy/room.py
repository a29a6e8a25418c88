"""Whether a network fits on chips, and how long it takes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikebayes.evaluate.energy.hardware_limits import CHIPS, Demand, Latency, Limits, demand, latency
from spikebayes.machine.aligned import aligned
from spikebayes.machine.arguments import checked
from spikebayes.machine.notebook import as_html
from spikebayes.network.network import SpikingNetwork

HEADINGS = ["chip", "memory for weights", "first sample", "prediction", "room"]


@dataclass(frozen=True)
class Room:
    """One chip.

    Args:
        chip: it.
        memory: bytes that the weights take there.
        ms: until the first sample, and until all; None where its makers do not state the shortest step.
        excesses: what exceeds its limits, in words; empty if the network fits.
    """

    chip: Limits
    memory: int
    ms: tuple[float | None, float | None]
    excesses: list[str]


@dataclass(frozen=True)
class Rooms:
    """What a network needs of chips, and on which it fits; see :func:`limits`. Printed, a table.

    Args:
        demand: neurons, fan-in, synapses and stored numbers.
        latency: steps until a sample and a prediction.
        chips: one for each chip.
    """

    demand: Demand
    latency: Latency
    chips: tuple[Room, ...]

    @property
    def lines(self) -> list[str]:
        """The table, a line for each chip, then why chips are too small, and what helps."""
        lines, reasons = [HEADINGS], []
        for room in self.chips:
            shown = ["not told" if time is None else f"{time:.3g} ms" for time in room.ms]
            fits = "too small" if room.excesses else "fits"
            lines.append([room.chip.name, f"{room.memory / 1024:,.1f} KiB", *shown, fits])
            reasons += [f"{room.chip.name} is too small: {'; '.join(room.excesses)}"] if room.excesses else []
        return [*aligned(lines), *reasons, *self._cure()]

    def _cure(self) -> list[str]:
        fewest = [
            r.chip.fan_in for r in self.chips if r.chip.fan_in is not None and self.demand.fan_in > r.chip.fan_in
        ]
        if not fewest:
            return []
        return [
            f"threshold networks keep their decisions with a fan-in of {min(fewest):,}: "
            f"sb.split_fan_in(sb.integers(network), {min(fewest)}); others need layers of no more inputs"
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        """For notebooks: as in text."""
        return as_html("Room on chips", text=str(self))


@checked
def limits(
    network: SpikingNetwork,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    chips: Sequence[Limits] = CHIPS,
) -> Rooms:
    """What a network needs of neuromorphic chips, whether it fits on them, and how long it takes there.

    What inputs and outputs need is not counted.

    Args:
        network: any with populations.
        samples: S, of a prediction.
        steps, burn_in: of a sample; by default the network's own.
        chips: which.

    Raises:
        ConfigError: a network without populations, no sample, or steps out of range.

    Example:
        >>> import torch
        >>> from spikebayes import convert
        >>> from spikebayes.nn import zoo
        >>> found = limits(convert(zoo.mlp(4, 1, [300, 8]), torch.zeros(1, 4)), steps=40, burn_in=20)
        >>> [room.chip.name for room in found.chips if room.excesses]
        ['TrueNorth, one chip']
    """
    return rooms(demand(network), latency(network, samples, steps, burn_in), chips)


def rooms(asked: Demand, takes: Latency, chips: Sequence[Limits] = CHIPS) -> Rooms:
    """The chips' rooms for a demand."""
    found = []
    for chip in chips:
        first, last = (None if chip.step is None else 1e3 * chip.step * n for n in (takes.sample, takes.prediction))
        found.append(Room(chip, asked.memory(chip), (first, last), asked.excesses(chip)))
    return Rooms(asked, takes, tuple(found))
