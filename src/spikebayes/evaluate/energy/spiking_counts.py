"""What a simulation does: synaptic events, neuron updates and mask redraws, counted on its own spikes and masks.

Nothing here is an expectation. A mask held for the whole simulation takes a dropped neuron out of it, with its
synapses. One that is redrawn leaves the neuron in, since it must go on integrating: it only cannot be heard. In a
coded network spikes are counted on the numbers that they tell, and ``schedules.py`` says when a neuron works.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.engine import contract
from spikebayes.engine.contract import SPIKES, Result
from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.classical_counts import ClassicalCounts, ClassicalTally
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.evaluate.energy.multiplications import Term, products
from spikebayes.evaluate.energy.random_bits import blanked, currents, draws, kept, masked
from spikebayes.evaluate.energy.schedules import Schedule, Steps, Windows
from spikebayes.evaluate.energy.zeros import Zeros
from spikebayes.machine.arguments import checked
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.network.timing import Timing
from spikebayes.noise.keys import Keys
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.over_time import UNCOUNTED, why_still
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import MaskScope, SamplingPlan, Values, timing_of
from spikebayes.prediction.simulate import Simulations, argument_shapes

NUMBERS = 1 << 22  # of one tensor held at once while masks are looked at


@dataclass(frozen=True)
class SpikingCounts:
    """Operations of simulations of T steps, those of the burn-in included.

    Args:
        simulations, rows, steps: S x B (B where one run gives all samples of a row: masks are redrawn within it, or
            the network is coded), B and T, of a coded network the ticks of S + depth windows.
        neurons: of the network.
        synapses: between populations and into the read-out: one where any path of a connection's operators leads from
            a unit to a target, whatever the weights.
        spikes: by population, of neurons that the masks keep; of a graded code, messages. Numbers that no mask
            affects are sent once for all samples of a row (``SpikingNetwork.told_once``).
        synaptic_events: one for every spike and every synapse of its neuron onto a target that is not taken out; into
            the read-out all count. A synapse that blanks out counts, since the spike reaches it. A sign neuron's
            spike is +1.
        neuron_updates: neurons that are not taken out, in every step. One update is one step of one neuron, whatever
            it does in it.
        dense_synaptic_operations: multiply-accumulates and pooling sums of all operators on populations, applied as
            they stand in every step, whoever spikes.
        dense_neuron_updates: all neurons times T.
        input_macs: multiply-accumulates of the inputs' connections: a current, computed once per row; where the input
            itself is masked, once per simulation and redraw. No neuron is left out.
        mask_bits: Bernoulli draws: of masks once per simulation and redraw (one for all rows where they share it), of
            blanked synapses once per ``hold`` steps, of units that fire by chance in every step.
        idle_updates: those of ``neuron_updates`` in windows in which a coded population neither receives nor sends:
            while a run begins and ends, and while a sum waits. None where neurons step freely.
        messages: those of the spikes that carry a number (graded codes).
    """

    simulations: int
    rows: int
    steps: int
    neurons: int
    synapses: int
    spikes: dict[str, int]
    synaptic_events: int
    neuron_updates: int
    dense_synaptic_operations: int
    dense_neuron_updates: int
    input_macs: int
    mask_bits: int
    idle_updates: int = 0
    messages: int = 0

    @property
    def awake_updates(self) -> int:
        """Updates of neurons that receive or send."""
        return self.neuron_updates - self.idle_updates

    @property
    def spike_rate(self) -> float:
        """Spikes per neuron and step, over all neurons and simulations."""
        return sum(self.spikes.values()) / self.dense_neuron_updates

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self) | {"awake_updates": self.awake_updates, "spike_rate": self.spike_rate}


@checked
def count(
    network: SpikingNetwork,
    x: Values,
    *,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    redraw: Redraw | None = None,
    seed: int = 0,
    mask_scope: MaskScope = "row",
    rows: Values | None = None,
    engine: str = "auto",
    batch_size: int | None = None,
    progress: bool = False,
) -> tuple[SpikingCounts, ClassicalCounts]:
    """Simulate a network and count its operations, and those of Monte Carlo dropout under the same masks.

    Args:
        network, x, steps, burn_in, redraw, seed, mask_scope, rows, engine, batch_size, progress: as for
            :func:`spikebayes.predict`.
        samples: S >= 1.

    Raises:
        DataError: x is mis-shaped, empty, NaN or infinite, or over time.
        ConfigError: a setting is out of range, the network has no populations, or synapses are drawn as Gaussian
            sums, which are not counted.

    Example:
        >>> from spikebayes import convert
        >>> from spikebayes.nn import zoo
        >>> network = convert(zoo.mlp(2, 1, [5, 4], 0.5), torch.zeros(1, 2))
        >>> spiking, classical = count(network, torch.ones(3, 2), samples=10)
        >>> spiking.dense_neuron_updates == 10 * 3 * 300 * 9, spiking.mask_bits == 10 * 3 * 9
        (True, True)
        >>> classical.macs == 3 * 2 * 5 + 10 * 3 * (5 * 4 + 4)  # the first layer once per row
        True
    """
    plan = SamplingPlan(samples, seed, mask_scope, rows, engine, batch_size, progress=progress)
    if not network.populations:
        raise ConfigError("a network without populations sends no spikes, so there is nothing to count")
    inputs = as_inputs(x, argument_shapes(network), plan.dtype, still=why_still(network) or UNCOUNTED)
    passes, together = samples, 1  # of a row; samples of a row in one simulation
    schedule: Schedule
    if redraw is not None:
        timing = Timing(redraw.steps(samples, network))
        schedule, classical = Steps(timing.steps), ClassicalTally(network, 1)
        network, plan, together = redraw.apply(network), replace(plan, samples=1), samples
    else:
        timing = timing_of(network, steps, burn_in)
        schedule = Steps(timing.steps) if network.code is None else Windows(network, samples)
        classical = ClassicalTally(network, schedule.drawn_steps)
    draws(network, schedule.drawn_steps)  # refuses what cannot be counted
    spiking = SpikingTally(network, schedule)
    zeros = None if network.code is None else Zeros(network)
    units = zeros is None and network.is_memoryless and schedule.drawn_steps == 1  # spikes tell which values are 0
    probes = [contract.NUMBERS] if zeros else [SPIKES] if units or spiking.by_neuron else []
    simulations = Simulations(network, inputs, plan, timing, probes)
    lines = max(1, NUMBERS // max(size(node.shape) for node in network.nodes()))
    for _, work, result in simulations:
        spikes = _spikes(network, result)
        for first in range(0, len(work), lines):
            some = slice(first, first + lines)
            keys = work.keys.at(some)
            here = {name: each[some] for name, each in spikes.items()}
            spiking.add(keys, here)
            seen = [x[work.position[some]] for x in work.inputs]
            nonzero = {i.name: seen[i.argument].flatten(1) != 0 for i in network.inputs}
            if zeros:
                nonzero |= zeros.nonzero(seen, keys)
            elif units:
                nonzero |= {p.name: (here[p.name] > 0) | (p.neuron.off != 0) for p in network.populations}
            for sample in range(together):
                classical.add(keys.later(sample), nonzero)
    count_of_rows = len(simulations.rows)
    masks = count_of_rows if mask_scope == "row" else 1
    return (
        spiking.counts(plan.samples, count_of_rows, plan.samples * masks),
        classical.counts(passes, count_of_rows, passes * masks),
    )


def _spikes(network: SpikingNetwork, result: Result) -> dict[str, Tensor]:
    """By population over all steps, ``[R, N]`` where the result tells single neurons, else ``[R]``."""
    if network.code is not None:
        return {name: network.code.spikes(numbers) for name, numbers in result.numbers.items()}
    return {name: probed.sum(1) for name, probed in result.spikes.items()} or result.counts


class SpikingTally:
    """Counts that grow with every block of (sample, row) pairs, in runs of a schedule."""

    network: SpikingNetwork
    schedule: Schedule
    stages: Stages
    out: dict[Connection, Reach]
    by_neuron: bool
    spikes: dict[str, int]
    events: int
    updates: int
    once: frozenset[str]

    def __init__(self, network: SpikingNetwork, schedule: Schedule) -> None:
        self.network, self.schedule, self.stages = network, schedule, Stages()
        sources = {p.name for p in network.populations}
        self.out = {
            c: Reach(self.stages.of(c.operator, network.shape(c.source)), network.shape(c.source))
            for c in network.connections
            if c.source in sources
        }
        #: whether events can be told only from every neuron's spikes, since neurons reach different targets
        self.by_neuron = not all(reach.uniform for reach in self.out.values())
        self.spikes = dict.fromkeys((p.name for p in network.populations), 0)
        self.events = self.updates = 0
        self.once = network.told_once if network.code is not None else frozenset[str]()

    def add(self, keys: Keys, spikes: dict[str, Tensor]) -> None:
        """Count some pairs.

        Args:
            keys: of R pairs.
            spikes: by population over all steps, ``[R]``, or ``[R, N]``, as it must be if :attr:`by_neuron`.
        """
        keep: dict[str, Tensor] = {}
        first = keys.samples == 0
        spikes = {name: each[first] if name in self.once else each for name, each in spikes.items()}
        for p in self.network.populations:
            self.spikes[p.name] += int(spikes[p.name].sum())
            if self._takes_out(p):
                keep[p.name] = kept(p, keys)
            self.updates += self.schedule.updates(p, keys)
        for connection, reach in self.out.items():
            # what is told once is told to all: a target dropped from this sample may be there in another
            taken_out = None if connection.source in self.once else keep.get(connection.target)
            self.events += _events(reach, spikes[connection.source], taken_out)

    def counts(self, samples: int, rows: int, masks: int) -> SpikingCounts:
        """What was counted, for S samples of B rows that drew so many masks."""
        network, steps, pairs = self.network, self.schedule.steps, samples * rows
        runs = self.schedule.runs(pairs, rows)
        idle = sum(self.schedule.idle(p, rows) for p in network.populations)
        dense = drive = 0
        masked_inputs = {i.name for i in network.inputs if masked(i)}
        for node in (*network.populations, network.readout):
            needed = torch.ones(1, *node.shape, dtype=torch.float64)
            recurring, given = [], []
            for c in network.into(node.name):
                units = torch.ones(1, *network.shape(c.source), dtype=torch.float64)
                random = c.source in masked_inputs or blanked(c)
                term = Term(self.stages.of(c.operator, network.shape(c.source)), units, random)
                (recurring if c in self.out else given).append(term)
            dense += products(recurring, needed).total
            found = products(given, needed)
            given_by = [c for c in network.into(node.name) if c not in self.out]
            changes = (currents(network, c, self.schedule.drawn_steps) for c in given_by)
            drive += rows * found.shared + pairs * max(changes, default=1) * found.drawn
        return SpikingCounts(
            simulations=runs,
            rows=rows,
            steps=steps,
            neurons=network.neurons,
            synapses=sum(reach.synapses for reach in self.out.values()),
            spikes=self.spikes,
            synaptic_events=self.events,
            neuron_updates=self.updates + idle,
            dense_synaptic_operations=dense * runs * steps,
            dense_neuron_updates=network.neurons * runs * steps,
            input_macs=drive,
            mask_bits=masks * draws(network, self.schedule.drawn_steps),
            idle_updates=idle,
            messages=sum(self.spikes.values()) if network.code is not None and network.code.graded else 0,
        )

    def _takes_out(self, node: Population) -> bool:
        """Whether the mask takes neurons out of the simulation: it is never redrawn."""
        return masked(node) and node.dropout is not None and node.dropout.redraws(self.schedule.drawn_steps - 1) == 0


def _events(reach: Reach, spikes: Tensor, keep: Tensor | None) -> int:
    """Events of one connection, of spikes by simulation ``[R]`` or by neuron ``[R, N]``."""
    if not len(spikes):
        return 0
    if not reach.uniform:
        arriving = reach.arriving(spikes)
        return int((arriving if keep is None else arriving * keep).sum())
    by_run = spikes if spikes.ndim == 1 else spikes.sum(1)
    reached = reach.fan_in > 0
    targets = reached.sum() if keep is None else (keep & reached).sum(1)
    return int((by_run * targets).sum())
