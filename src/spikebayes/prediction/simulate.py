"""simulate(): run a spiking network and look inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikebayes.engine.contract import PROBES, Result, Work
from spikebayes.engine.select import select
from spikebayes.engine.windows import Flat, Window, check_window
from spikebayes.errors import ConfigError
from spikebayes.machine.progress import track
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Shape
from spikebayes.prediction.inputs import (
    MaskScope,
    Values,
    as_inputs,
    blocks,
    check_sampling,
    check_steps,
    row_indices,
)


@dataclass(frozen=True)
class Run:
    """S simulations of B rows.

    Args:
        mean: ``[S, B, C]``, read-out averaged over steps burn_in .. T - 1 by the window's weights.
        counts: spikes over all T steps by population, ``[S, B]`` int64.
        spikes: ``[S, B, T, N]`` bool by population, when probed.
        potentials: ``[S, B, T, N]`` by LIF population, when probed.
        trace: ``[S, B, T, C]`` read-out at every step, when probed.
        engine: name of the engine that ran.
    """

    mean: Tensor
    counts: dict[str, Tensor]
    engine: str
    spikes: dict[str, Tensor] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    trace: Tensor | None = None


def simulate(
    network: SpikingNetwork,
    x: Values,
    *,
    samples: int = 1,
    seed: int = 0,
    steps: int = 300,
    burn_in: int = 0,
    window: Window = Flat(),
    probe: Sequence[str] = (),
    mask_scope: MaskScope = "row",
    rows: Values | None = None,
    engine: str = "auto",
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> Run:
    """Simulate a spiking network and record what is asked for.

    Args:
        network: what ``convert`` made, or one put together by hand.
        x: ``[B, *shape]``, or one for each input; constant over the simulation.
        samples: S, simulations per row, each with masks of its own.
        seed: key of the masks, in [0, 2^64).
        steps: T, time steps of ``network.dt`` seconds.
        burn_in: steps left out of the average.
        window: weights of the others in it, :class:`Flat` or :class:`Hann`.
        probe: of ``"spikes"``, ``"potentials"``, ``"trace"``; their size grows with S B T N.
        mask_scope: ``"row"``: each row its own masks; ``"pass"``: one mask per sample for all rows.
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default.
        engine: ``"auto"``, ``"cpu"`` or ``"reference"``.
        batch_size: most rows at a time; the result does not depend on it.
        dtype: float32 or float64.
        progress: show a progress bar on standard error.

    Returns:
        A :class:`Run`.

    Raises:
        DataError: x is mis-shaped, empty, NaN or infinite.
        ConfigError: a setting is out of range, or the named engine does not support the network.

    Example:
        >>> from spikebayes import convert, nn as sbnn
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), sbnn.SoftLIF(), torch.nn.Linear(3, 1))
        >>> run = simulate(convert(model, torch.zeros(1, 2)), torch.ones(4, 2), steps=50, probe=["spikes"])
        >>> run.spikes["layer1"].shape, bool((run.spikes["layer1"].sum((2, 3)) == run.counts["layer1"]).all())
        (torch.Size([1, 4, 50, 3]), True)
    """
    check_sampling(samples, 1, seed, mask_scope, batch_size)
    check_steps(steps, burn_in)
    check_window(window)
    unknown = set(probe) - set(PROBES)
    if unknown:
        raise ConfigError(f"there is no probe {sorted(unknown)[0]!r}; there are {', '.join(PROBES)}")
    if dtype not in (torch.float32, torch.float64):
        raise ConfigError(f"dtype must be torch.float32 or torch.float64; got {dtype}")
    chosen = select(engine, network)
    inputs = as_inputs(x, argument_shapes(network), dtype)
    indices = row_indices(rows, len(inputs[0]))
    probes = frozenset(probe)
    work = chosen.prepare(network, dtype)
    run = _empty(network, samples, len(indices), steps, probes, dtype, chosen.name)
    most = chosen.block(network, steps, probes)
    plan = list(blocks(indices, samples, most, mask_scope, batch_size))
    for block in track(plan, "simulating", progress):
        rows_here = tuple(part[block.rows] for part in inputs)
        result = work(
            Work(rows_here, block.position, block.row_keys, block.sample_keys, seed, steps, burn_in, probes, window)
        )
        _store(run, result, (block.samples, block.rows))
    return run


def argument_shapes(network: SpikingNetwork) -> list[Shape]:
    """Shape of one row of each argument of the network."""
    shapes = {i.argument: i.shape for i in network.inputs}
    return [shapes[k] for k in sorted(shapes)]


def _empty(
    network: SpikingNetwork,
    samples: int,
    rows: int,
    steps: int,
    probes: frozenset[str],
    dtype: torch.dtype,
    engine: str,
) -> Run:
    outputs = int(torch.Size(network.readout.shape).numel())
    sizes = {p.name: int(torch.Size(p.shape).numel()) for p in network.populations}
    lead = (samples, rows)
    return Run(
        mean=torch.zeros(*lead, outputs, dtype=dtype),
        counts={name: torch.zeros(lead, dtype=torch.int64) for name in sizes},
        engine=engine,
        spikes={n: torch.zeros(*lead, steps, k, dtype=torch.bool) for n, k in sizes.items() if "spikes" in probes},
        potentials={n: torch.zeros(*lead, steps, k, dtype=dtype) for n, k in sizes.items() if "potentials" in probes},
        trace=torch.zeros(*lead, steps, outputs, dtype=dtype) if "trace" in probes else None,
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
    if run.trace is not None and result.trace is not None:
        put(run.trace, result.trace)
