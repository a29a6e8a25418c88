"""Tops: how large activations become on calibration rows, with dropout on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.machine.evenly import evenly
from spikebayes.network.network import Input, Population, Readout, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise.keys import Keys
from spikebayes.noise.one_pass import Passed, added, one_pass

LEAST_ROWS = 100  # from which a largest value can be told
MOST_ROWS = 1000  # that are looked at, spread over those given
SAMPLES = 4  # masks of each row
SEED = 0x5EED  # of these masks
AT_ONCE = 1 << 24  # numbers of all nodes that are held
SHARE = 0.5  # of what a unit takes in on one side, that it may take in on the other on rows not seen


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows with masks, on which a network's values are looked at.

    Args:
        rows: ``[B, *shape]`` for each argument.
        samples: masks of each row.
    """

    rows: Sequence[Tensor]
    samples: int = SAMPLES

    @classmethod
    def of(cls, rows: Sequence[Tensor]) -> Calibration:
        """At most ``MOST_ROWS`` of the rows, evenly spread."""
        count = len(rows[0])
        if count > MOST_ROWS:
            chosen = evenly(count, MOST_ROWS)
            rows = [part[chosen] for part in rows]
        return cls(rows)

    @torch.no_grad()
    def passes(self, network: SpikingNetwork) -> Iterator[Iterator[Passed]]:
        """The network without memory on all pairs of a row and a mask, some rows at a time.

        What comes before the first mask is one line for each row.
        """
        numbers = self.samples * sum(size(node.shape) for node in network.nodes())
        for some in torch.arange(len(self.rows[0])).split(max(1, AT_ONCE // numbers)):
            row, sample = some.repeat_interleave(self.samples), torch.arange(self.samples).repeat(len(some))
            yield one_pass(network, [part[some] for part in self.rows], Keys(SEED, sample, row))


def tops(network: SpikingNetwork, calibration: Calibration, axes: dict[str, int | None]) -> dict[str, Tensor]:
    """The largest magnitude of each population's output, or of what it gives to a share of its inputs.

    A unit that was seen on one side only, such as a ReLU that was never active, has an output that says nothing of
    what other rows may bring. What it takes in does: it is given a share of that with either sign. Both scale with
    the unit's weights, so a unit that is small by its weights and is made large again behind them keeps its levels.

    Args:
        network: of ``Rate`` units.
        calibration: the rows.
        axes: by population, the axis of a row along which each place has a value of its own; None for one for all.

    Returns:
        ``[N]``, ``[C, 1, 1]`` or ``[]`` by population, at least 0.
    """
    found: dict[str, Tensor] = {}
    for nodes in calibration.passes(network):
        for passed in nodes:
            node = passed.node
            if not isinstance(node, Population) or node.neuron.pools:
                continue
            assert passed.drive is not None
            shares = [node.neuron.step(side * passed.drive, (), network.dt)[1] for side in (SHARE, -SHARE)]
            magnitude, axis = torch.stack([passed.output, *shares]).abs().amax(0), axes[node.name]
            if axis is None:
                largest = magnitude.max()
            else:
                others = [k for k in range(magnitude.ndim) if k - 1 != axis % (magnitude.ndim - 1)]
                largest = magnitude.amax(others, keepdim=True)[0]
            before = found.get(node.name)
            found[node.name] = largest if before is None else torch.maximum(before, largest)
    return found


@dataclass
class Extent:
    """What a node's values reach on the calibration rows.

    Args:
        norm: largest root of the sum of a line's squares.
        largest: largest magnitude of a value.
        low, high: of the values.
        given: largest magnitude of what its inputs and its constant add up to, which is not in numbers.
        narrowest: of a read-out, the smallest range of an output that varies.
    """

    norm: float = 0.0
    largest: float = 0.0
    low: float = torch.inf
    high: float = -torch.inf
    given: float = 0.0
    narrowest: float = 0.0


def extents(network: SpikingNetwork, calibration: Calibration) -> dict[str, Extent]:
    """Of each node's values under its mask, and of the read-out."""
    found = {node.name: Extent() for node in network.nodes()}
    lowest, highest = torch.tensor(torch.inf), torch.tensor(-torch.inf)  # of each output
    for nodes in calibration.passes(network):
        inputs: dict[str, Tensor] = {}
        for passed in nodes:
            node, extent = passed.node, found[passed.node.name]
            value = passed.value.double().reshape(len(passed.value), -1)
            if isinstance(node, Input):
                inputs[node.name] = passed.value
            elif isinstance(node, Readout) or not node.neuron.pools:
                parts = [c.operator(inputs[c.source]) for c in network.into(node.name) if c.source in inputs]
                extent.given = max(extent.given, float(added(node, parts, 1).abs().max()))
            if isinstance(node, Readout):
                lowest, highest = torch.minimum(lowest, value.amin(0)), torch.maximum(highest, value.amax(0))
            extent.norm = max(extent.norm, float(value.pow(2).sum(1).max().sqrt()))
            extent.low, extent.high = min(extent.low, float(value.min())), max(extent.high, float(value.max()))
            extent.largest = max(abs(extent.low), abs(extent.high))
    ranges = highest - lowest
    found[network.readout.name].narrowest = float(ranges[ranges > 0].min()) if bool((ranges > 0).any()) else 0.0
    return found
