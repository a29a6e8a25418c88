"""The CPU engine: event-driven, compiled by numba, simulations in parallel over the cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.engine.contract import POTENTIALS, SPIKES, TRACE, Abilities, Result, Work
from spikebayes.engine.cpu import loops
from spikebayes.engine.cpu.drive import add_currents
from spikebayes.engine.cpu.neurons import NEURONS, SYNAPSES
from spikebayes.engine.cpu.over_time import mean_over_time, moving, nothing_moves
from spikebayes.engine.cpu.packing import Drive, Layout, lay_out
from spikebayes.machine.threads import share_out, threads_here
from spikebayes.network.discrete import DiscreteLIF
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import LIF
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import size
from spikebayes.network.synapses import impulse_response
from spikebayes.network.timing import Timing
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import split_seed

LONGEST = 50  # refractory time in membrane time constants: its exponential must be a float32
BUDGET = 1 << 25  # numbers held at once
BATCH = 64  # simulations that go through the network together, at most
PARTS = 4  # of the work of each of several threads, since cores differ in speed
STRETCH = 320  # steps that a population runs ahead of the next
STATE_BYTES = 1 << 22  # most state of a batch
NEGLIGIBLE = 1e-20  # of an impulse response's peak


class CpuEngine:
    """LIF (discrete LIF too) and threshold populations with masks on their outputs, held or redrawn."""

    name = "cpu"
    over_time = True
    abilities: Abilities = Abilities(NEURONS, SYNAPSES, (Dropout,), " beside neurons or filters with a memory")

    def refusal(self, network: SpikingNetwork) -> str | None:
        unable = self.abilities.refusal(network)
        if unable is not None:
            return unable
        for p in network.populations:
            if type(p.neuron) is LIF and p.neuron.tau_ref > LONGEST * p.neuron.tau_rc:
                return f"refractory times beyond {LONGEST} membrane time constants are not compiled"
            if type(p.neuron) is DiscreteLIF and (why := _uncompiled(p.neuron, network, p.name)):
                return f"{why} are not compiled, as in population {p.name!r}"
        inputs = {i.name for i in network.inputs}
        if any(c.source in inputs and c.synapse for c in network.connections):
            return "filtered inputs are not yet compiled"
        return None

    def prepare(self, network: SpikingNetwork, dtype: torch.dtype) -> Callable[[Work], Result]:
        real = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        layout, drive = lay_out(network, real)
        _run(network, layout, drive, _nothing(network, dtype))
        return lambda work: _run(network, layout, drive, work)

    def block(self, network: SpikingNetwork, steps: int, probes: frozenset[str]) -> int:
        units = sum(size(node.shape) for node in network.nodes()) * (len(_changes(network, steps)) - 1)
        probed = steps * (network.neurons if probes & {SPIKES, POTENTIALS} else size(network.readout.shape))
        return max(1, min(1 << 15, BUDGET // (units + (probed if probes else 0))))


def _uncompiled(neuron: DiscreteLIF, network: SpikingNetwork, name: str) -> str | None:
    """What of neurons in discrete steps the loops do not run; None where they do."""
    if any(isinstance(getattr(neuron, f.name), Tensor) for f in fields(neuron)):
        return "neurons of one population that differ"
    if (neuron.v_threshold, neuron.v_leak) != (1, 0) or neuron.v_reset not in (0, None):
        return "neurons of another threshold than 1, and other voltages than 0 at rest and after a reset,"
    if float(neuron.tau_mem) < network.dt:
        return "neurons that leak more in a step than there is"
    if neuron.tau_syn is not None:
        into = network.into(name)
        if any(c.synapse for c in into) or {c.source for c in into} <= {i.name for i in network.inputs}:
            return "currents of what is filtered already, or of inputs alone,"
        if any(i.dropout and i.dropout.acts and i.dropout.hold is not None for i in network.inputs):
            return "currents beside masks on inputs that are redrawn"
    return None


def _run(network: SpikingNetwork, layout: Layout, drive: Drive, work: Work) -> Result:
    runs, neurons = len(work), sum(size(p.shape) for p in network.populations)
    real = drive.constant.dtype
    weights, change = work.timing.weights().numpy(), _changes(network, work.steps)
    outputs = size(network.readout.shape)
    if work.over_time:
        moved, base, line = moving(network, layout, drive, work)
        position = np.repeat(line[:, None], len(change) - 1, axis=1)
        mean = mean_over_time(moved, base, line, change, weights, outputs)
    else:
        moved = nothing_moves(layout, real)
        base, position = _base(network, drive, work, change)
        mean = _input_mean(base, position, change, weights, outputs)
    counts = np.zeros((runs, len(network.populations)), np.int64)

    def probe(name: str, units: int, dtype: Any) -> NDArray[Any]:
        return np.zeros((runs if name in work.probes else 0, work.steps, units), dtype)

    spikes = probe(SPIKES, neurons, np.bool_)
    potentials = probe(POTENTIALS, neurons, real)
    trace = probe(TRACE, mean.shape[1], real)
    samples, rows = (keys.numpy().astype(np.uint64) for keys in (work.keys.samples, work.keys.rows))
    key = np.array(split_seed(work.keys.seed), np.uint64)
    window = _window(network, weights)
    stretch = -(-work.steps // -(-work.steps // STRETCH))  # of equal length
    order = np.argsort(position[:, 0], kind="stable")  # simulations that see the same follow each other

    def simulate(begin: int, end: int) -> None:
        arrays = (mean, counts, spikes, potentials, trace)
        some = order[begin:end]
        loops.simulate(layout, base, position, change, *moved, samples, rows, key, stretch, window, some, *arrays)

    share_out(simulate, runs, _batch(layout, runs))

    shape = (runs, *network.readout.shape)
    result = Result(
        mean=torch.from_numpy(mean.astype(real)).reshape(shape),
        counts={p.name: torch.from_numpy(counts[:, i].copy()) for i, p in enumerate(network.populations)},
    )
    for i, p in enumerate(network.populations):
        here = slice(int(layout.first[i]), int(layout.first[i] + layout.size[i]))
        if SPIKES in work.probes:
            result.spikes[p.name] = torch.from_numpy(spikes[:, :, here])
        if POTENTIALS in work.probes and not p.neuron.memoryless:
            result.potentials[p.name] = torch.from_numpy(potentials[:, :, here])
            if type(p.neuron) is DiscreteLIF and p.dropout and p.dropout.acts and p.dropout.hold is None:
                kept = dropout_keep(p.dropout, work.keys, size(p.shape))[:, None]  # others fall without end
                result.potentials[p.name] = torch.where(kept, result.potentials[p.name], 0.0)
    if TRACE in work.probes:
        result.trace = torch.from_numpy(trace).reshape(runs, work.steps, *network.readout.shape)
    return result


def _batch(layout: Layout, runs: int) -> int:
    """Simulations in a batch: few enough for their state to stay near, and for every thread to get several."""
    state = (3 * int(layout.start[-1]) + 3 * int(layout.line[layout.bank[-2]])) * layout.weight.itemsize
    threads = threads_here()
    parts = PARTS * threads if threads > 1 else 1
    return max(1, min(BATCH, STATE_BYTES // max(1, state), -(-runs // parts)))


def _nothing(network: SpikingNetwork, dtype: torch.dtype) -> Work:
    """Work without a simulation, which compiles the kernels."""
    none = torch.zeros(0, dtype=torch.int64)
    arguments = {i.argument: i.shape for i in network.inputs}
    inputs = tuple(torch.zeros(1, *arguments[k], dtype=dtype) for k in sorted(arguments))
    return Work(inputs, none, Keys(0, none, none), Timing(1))


def _changes(network: SpikingNetwork, steps: int) -> NDArray[np.int64]:
    """The steps ``[E + 1]`` at which a mask on an input is redrawn, the first step and the end among them."""
    changes = {0, steps}
    for noise in (i.dropout for i in network.inputs):
        if noise and noise.acts:
            changes.update(step for step in range(1, steps) if noise.is_drawn_in(step))
    return np.array(sorted(changes), np.int64)


def _base(
    network: SpikingNetwork, drive: Drive, work: Work, change: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Current from the inputs ``[b, N + C]`` and which line each simulation reads in each epoch ``[R, E]``.

    Without noise on the inputs a row's line serves all its samples; with it every simulation has lines of its own.
    """
    real = drive.constant.dtype
    noisy = any(i.dropout and i.dropout.acts for i in network.inputs)
    epochs = len(change) - 1
    lines = len(work) * epochs if noisy else len(work.inputs[0])
    base = np.repeat(drive.constant[None], lines, axis=0)
    values = [_input_values(network, k, work, noisy, change).astype(real) for k in range(len(network.inputs))]
    add_currents(base, drive.wires, values)
    position = np.arange(lines).reshape(epochs, -1).T if noisy else work.position.numpy()[:, None]
    return base, np.ascontiguousarray(position)


def _input_values(
    network: SpikingNetwork, index: int, work: Work, noisy: bool, change: NDArray[np.int64]
) -> NDArray[Any]:
    """One input's values, masked where it has noise; the mask's 1/(1 - p) is part of the weights.

    ``[b, F]``, or with noise on any input ``[E * R, F]``, epoch by epoch.
    """
    node = network.inputs[index]
    values: Tensor = work.inputs[node.argument].flatten(1)
    if not noisy:
        return values.numpy()
    values, noise = values[work.position], node.dropout
    if noise is None or not noise.acts:
        return values.repeat(len(change) - 1, 1).numpy()
    drawn = (dropout_keep(noise, work.keys, size(node.shape), step) for step in change[:-1].tolist())
    return torch.cat([values * keep for keep in drawn]).numpy()


def _input_mean(
    base: NDArray[Any], position: NDArray[np.int64], change: NDArray[np.int64], weights: NDArray[Any], outputs: int
) -> NDArray[np.float64]:
    """What inputs and constants alone give the read-out, averaged over time: ``[R, C]``."""
    shares = np.add.reduceat(weights, change[:-1])  # [E]
    direct = base[:, base.shape[1] - outputs :].astype(np.float64)  # [b, C]
    return np.einsum("rec,e->rc", direct[position], shares)


def _window(network: SpikingNetwork, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each filter bank into the read-out, the share of the average that a spike in each step has: ``[banks, T]``.

    A spike in step s is read as h[t - s] in step t, h the impulse response, and step t has the weight w[t] ``[T]`` in
    the average, so the spike's share is the sum of w[t] h[t - s] over t >= s.
    """
    steps = len(weights)
    populations = {p.name for p in network.populations}
    filters = dict.fromkeys(c.synapse for c in network.into(network.readout.name) if c.source in populations)
    window = np.zeros((max(1, len(filters)), steps))
    for line, synapse in zip(window, filters, strict=False):
        response = impulse_response(synapse, network.dt, steps)
        heard = np.flatnonzero(response > NEGLIGIBLE * response.max())[-1] + 1 if response.any() else 1
        line[:] = np.convolve(weights[::-1], response[:heard])[:steps][::-1]
    return window
