"""simulate(): run a spiking network and look inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from spikebayes.engine.contract import NUMBERS, POTENTIALS, PROBES, SPIKES, TRACE, Engine, Result, Work
from spikebayes.engine.prepared import prepared
from spikebayes.engine.select import select
from spikebayes.engine.windows.engine import WindowsEngine
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_memory
from spikebayes.machine.progress import track
from spikebayes.network.coded import Coded
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Shape, size
from spikebayes.network.timing import Timing, Window
from spikebayes.prediction.inputs import Block, Blocks, as_inputs
from spikebayes.prediction.over_time import changing, check_draws, steps_of, timing_over, why_still
from spikebayes.prediction.sampling import FEWER, MaskScope, SamplingPlan, Values, timing_of

MOVING = 1 << 25  # numbers of the currents that inputs over time give in every step of a block


@dataclass(frozen=True)
class Run:
    """S simulations of B rows.

    Args:
        mean: ``[S, B, C]``, read-out averaged over steps burn_in .. T - 1 by the window's weights.
        counts: spikes over all T steps by population, ``[S, B]`` int64.
        spikes: ``[S, B, T, N]`` bool by population, when probed.
        potentials: ``[S, B, T, N]`` by population, when probed; 0 for neurons without memory, which have none.
        trace: ``[S, B, T, C]`` read-out at every step, when probed.
        engine: name of the engine that ran.
        numbers: ``[S, B, N]`` int32 by population of a coded network, the numbers it sent, when probed.
        saturated: ``[S, B]`` int64 by coded population, how many neurons were cut off at their highest number.
        dt: time step, s; of a coded network a tick.

    For a coded network T is the number of ticks of the window in which a population sends the sample's number; the
    trace is the read-out as received so far in its last window, and nothing is averaged.
    """

    mean: Tensor
    counts: dict[str, Tensor]
    engine: str
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    trace: Tensor | None = None
    numbers: dict[str, Tensor] = field(default_factory=dict)
    saturated: dict[str, Tensor] = field(default_factory=dict)
    dt: float = 1e-3

    def __repr__(self) -> str:
        s, b, c = self.mean.shape
        found = {SPIKES: self.spikes, POTENTIALS: self.potentials, NUMBERS: self.numbers}
        probed = [name for name in PROBES if (self.trace is not None if name == TRACE else found[name])]
        return f"Run({', '.join([f'{s} samples x {b} rows x {c} outputs', self.engine, *probed])})"


@checked
def simulate(
    network: SpikingNetwork,
    x: Values,
    *,
    samples: int = 1,
    seed: int = 0,
    steps: int | None = None,
    burn_in: int | None = None,
    window: Window | None = None,
    probe: Sequence[str] = (),
    mask_scope: MaskScope = "row",
    rows: Values | None = None,
    engine: str = "auto",
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> Run:
    """Simulate a spiking network and record what is probed.

    Args:
        network: what ``convert`` made, or one put together by hand.
        x: ``[B, *shape]``, or one for each input, constant over the simulation; or ``[B, T, *shape]``, an input over
            time, of which step t, from 0, sees ``x[:, t]``. Some inputs may be over time and others constant. A coded
            network takes constant ones only.
        samples: S, simulations per row, each with masks of its own.
        seed: key of the masks, in [0, 2^64).
        steps: T, time steps of ``network.dt`` seconds; those of x where it is over time, else by default as for
            :func:`spikebayes.predict`. A coded network takes none.
        burn_in: steps left out of the average; none where steps are given, or x is over time, else as for
            ``predict``.
        window: weights of the other steps in it, :class:`Flat` or :class:`Hann`; by default as for ``predict``.
        probe: of ``"spikes"``, ``"potentials"``, ``"trace"``, whose size grows with S B T N; of a coded network
            ``"numbers"`` too.
        mask_scope: ``"row"``: each row its own masks; ``"pass"``: one mask per sample for all rows.
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default.
        engine: ``"auto"``, ``"cpu"``, ``"windows"`` or ``"reference"``; only the last steps through the ticks of
            windows.
        batch_size: largest number of rows at a time; the result does not depend on it.
        dtype: float32 or float64.
        progress: show a progress bar on standard error.

    Returns:
        A :class:`Run`.

    Raises:
        DataError: x is mis-shaped, empty, NaN or infinite, or over time for a coded network.
        ConfigError: a setting is out of range, steps contradict those of x, or the named engine does not support the
            network.

    Example:
        >>> from spikebayes import convert, nn as sbnn
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), sbnn.SoftLIF(), torch.nn.Linear(3, 1))
        >>> run = simulate(convert(model, torch.zeros(1, 2)), torch.ones(4, 2), steps=50, probe=["spikes"])
        >>> run.spikes["layer1"].shape, bool((run.spikes["layer1"].sum((2, 3)) == run.counts["layer1"]).all())
        (torch.Size([1, 4, 50, 3]), True)
    """
    plan = SamplingPlan(samples, seed, mask_scope, rows, engine, batch_size, dtype, progress)
    shapes = argument_shapes(network)
    inputs = as_inputs(x, shapes, plan.dtype, still=why_still(network))
    total = steps_of(inputs, shapes)
    if network.code is None and (steps is not None or total is not None):
        burn_in = 0 if burn_in is None else burn_in
    if total is None:
        timing = timing_of(network, steps, burn_in, window)
    else:
        timing = timing_over(network, total, steps, burn_in, window)
    simulations = Simulations(network, inputs, plan, timing, probe)
    found = _empty(network, simulations, plan, timing)
    for block, _, result in simulations:
        _store(found, result, (block.samples, block.rows))
    return found


class Simulator:
    """A network made ready once, for rows that may come in parts.

    Args:
        network: it.
        plan: which samples. timing: of each. probe: what is recorded.
        over_time: which of its arguments are ``[B, T, *shape]``.

    Raises:
        ConfigError: an unknown probe, or the plan's engine does not support the network, or inputs over time.
    """

    network: SpikingNetwork
    plan: SamplingPlan
    timing: Timing
    probes: frozenset[str]
    engine: Engine
    over_time: frozenset[int]
    shapes: list[Shape]

    def __init__(
        self,
        network: SpikingNetwork,
        plan: SamplingPlan,
        timing: Timing,
        probe: Sequence[str] = (),
        over_time: frozenset[int] = frozenset(),
    ) -> None:
        known = [p for p in PROBES if p != NUMBERS or network.code is not None]
        unknown = set(probe) - set(known)
        if unknown:
            raise ConfigError(f"there is no probe {sorted(unknown)[0]!r} here; there are {', '.join(known)}")
        plan = _by_ticks(plan, probe) if network.code is not None else plan
        self.network, self.plan, self.timing, self.probes = network, plan, timing, frozenset(probe)
        self.engine, self.over_time = select(plan.engine, network, bool(over_time)), over_time
        check_draws(network, plan.samples, timing.steps)
        self.shapes = argument_shapes(network)

    @cached_property
    def simulate_block(self) -> Callable[[Work], Result]:
        """The network as its engine has laid it out."""
        return prepared(self.network, (type(self.engine), self.plan.dtype, self.plan.device), self._prepare)

    def _prepare(self) -> Callable[[Work], Result]:
        device, dtype = torch.device(self.plan.device), self.plan.dtype
        if device.type == "cpu":
            return self.engine.prepare(self.network, dtype)
        return _elsewhere(self.engine).prepare(self.network, dtype, device)

    def __call__(
        self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False
    ) -> Iterator[tuple[Block, Work, Result]]:
        """The simulations of some rows, block by block.

        Args:
            inputs: the network's arguments, checked.
            rows: ``[B]`` their indices.
            progress: show a progress bar on standard error.
        """
        for block in track(Blocks(rows, self.plan, self._most), "simulating", progress):
            rows_here = tuple(part[block.rows] for part in inputs)
            work = Work(rows_here, block.position, block.keys, self.timing, self.probes, self.over_time)
            yield block, work, self.simulate_block(work)

    @property
    def _most(self) -> int:
        """How many simulations go to the engine at once; inputs over time give lines of currents in every step."""
        most = self.engine.block(self.network, self.timing.steps, self.probes)
        if not self.over_time:
            return most
        lines = max(1, MOVING // (self.timing.steps * sum(size(node.shape) for node in self.network.nodes())))
        masked = any(i.dropout and i.dropout.acts for i in self.network.inputs)  # then each simulation has its own
        return min(most, lines if masked else lines * self.plan.samples)


class Simulations:
    """The simulations that a plan asks for, block by block: (block, work, result), for whoever looks at them.

    Args:
        network: it.
        inputs: its arguments, checked.
        plan: which samples. timing: of each. probe: what is recorded.

    Raises:
        ConfigError: an unknown probe, or the plan's engine does not support the network, or inputs over time.
    """

    simulator: Simulator
    inputs: tuple[Tensor, ...]
    rows: Tensor

    def __init__(
        self,
        network: SpikingNetwork,
        inputs: tuple[Tensor, ...],
        plan: SamplingPlan,
        timing: Timing,
        probe: Sequence[str] = (),
    ) -> None:
        over_time = changing(inputs, argument_shapes(network))
        self.simulator, self.inputs = Simulator(network, plan, timing, probe, over_time), inputs
        self.rows = plan.indices(len(self.inputs[0]))

    def __iter__(self) -> Iterator[tuple[Block, Work, Result]]:
        return self.simulator(self.inputs, self.rows, self.simulator.plan.progress)


def _elsewhere(engine: Engine) -> WindowsEngine:
    """The engine, if it runs on other devices than the CPU."""
    if not isinstance(engine, WindowsEngine):
        raise ConfigError(
            f"the {engine.name} engine runs on the CPU alone; device= is for modules, and for networks that tell "
            "numbers in windows (engine 'windows')"
        )
    return engine


def _by_ticks(plan: SamplingPlan, probe: Sequence[str]) -> SamplingPlan:
    """The plan with an engine that steps the ticks of windows, if one of them is to be seen."""
    if not set(probe) - {NUMBERS}:
        return plan
    if plan.engine not in ("auto", "reference"):
        raise ConfigError(f"the {plan.engine} engine has no single ticks; probe numbers, or use engine='reference'")
    return replace(plan, engine="reference")


def argument_shapes(network: SpikingNetwork) -> list[Shape]:
    """Shape of one row of each argument of the network."""
    shapes = {i.argument: i.shape for i in network.inputs}
    return [shapes[k] for k in sorted(shapes)]


def _empty(network: SpikingNetwork, simulations: Simulations, plan: SamplingPlan, timing: Timing) -> Run:
    outputs, probes, dtype = size(network.readout.shape), simulations.simulator.probes, plan.dtype
    lead, steps = (plan.samples, len(simulations.rows)), timing.steps
    per_step = network.neurons * (SPIKES in probes) + dtype.itemsize * network.neurons * (POTENTIALS in probes)
    per_step += dtype.itemsize * outputs * (TRACE in probes)
    each = dtype.itemsize * outputs + 8 * len(network.populations) + steps * per_step  # bytes of a simulation
    check_memory(lead[0] * lead[1] * each // 4, "all that is kept of the simulations", FEWER)

    def probe(kind: str, dtype: torch.dtype) -> dict[str, Tensor]:
        sizes = {p.name: size(p.shape) for p in network.populations if kind in probes}
        return {name: torch.zeros(*lead, steps, units, dtype=dtype) for name, units in sizes.items()}

    return Run(
        mean=torch.zeros(*lead, outputs, dtype=dtype),
        counts={p.name: torch.zeros(lead, dtype=torch.int64) for p in network.populations},
        engine=simulations.simulator.engine.name,
        spikes=probe(SPIKES, torch.bool),
        potentials=probe(POTENTIALS, dtype),
        trace=torch.zeros(*lead, steps, outputs, dtype=dtype) if TRACE in probes else None,
        numbers={
            p.name: torch.zeros(*lead, size(p.shape), dtype=torch.int32)
            for p in network.populations
            if NUMBERS in probes
        },
        saturated={
            p.name: torch.zeros(lead, dtype=torch.int64) for p in network.populations if isinstance(p.neuron, Coded)
        },
        dt=network.dt,
    )


def _store(run: Run, result: Result, at: tuple[slice, slice]) -> None:
    """Put a block's lines where they belong."""

    def put(target: Tensor, source: Tensor) -> None:
        here = target[at]
        here.copy_(source.reshape(here.shape))

    put(run.mean, result.mean)
    for name, count in result.counts.items():
        put(run.counts[name], count)
    for name, spikes in result.spikes.items():
        put(run.spikes[name], spikes)
    for name, potential in result.potentials.items():
        put(run.potentials[name], potential)
    for name, numbers in result.numbers.items():
        put(run.numbers[name], numbers)
    for name, cut in result.saturated.items():
        put(run.saturated[name], cut)
    if run.trace is not None and result.trace is not None:
        put(run.trace, result.trace)
