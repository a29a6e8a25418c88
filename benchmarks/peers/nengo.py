"""Nengo's reference simulator: the network that the library's time semantics come from.

The same as the library: everything. LIF with refractory time and spike times within a step, Alpha filters, one
unfiltered read-out probed in every step. One row at a time, the use that Nengo is made for: the network is built
once (which is not part of a run), and every row gives each neuron a constant current, worked out beforehand, and
takes it below threshold where the row's mask drops it. Convolutions are sparse transforms. In float32, and with
Nengo's optimiser, which merges operators.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.peers.base import Outcome
from benchmarks.peers.graph import Graph
from benchmarks.workloads import Workload
from spikebayes import Alpha, Lowpass
from spikebayes.network import Synapse, output_scale, size

SILENT = -1e6  # current of a dropped neuron
BIAS = 1.0  # taken off every neuron's current again: Nengo reports intercepts, which without a bias divides by zero


class Nengo:
    name = "nengo"
    package = "nengo"

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        graph = Graph(workload, shifts)
        drive: dict[str, NDArray[np.float32]] = {}
        with _single_precision() as nengo:
            model, probes = _build(nengo, graph, drive)
            simulator = nengo.Simulator(model, dt=graph.network.dt, progress_bar=False, optimize=True)

        def run() -> Outcome:
            return _run(graph, simulator, probes, drive)

        weakref.finalize(run, simulator.close)  # Nengo warns of simulators that are dropped while open
        return run


@torch.inference_mode()
def _run(graph: Graph, simulator: Any, probes: dict[str, Any], drive: dict[str, NDArray[np.float32]]) -> Outcome:
    readout = graph.network.readout
    static = graph.static(slice(0, graph.workload.rows))
    kept = {name: torch.where(graph.keep[name] > 0, static[name], SILENT) for name in drive}
    currents = {name: (current - BIAS).flatten(1).numpy() for name, current in kept.items()}
    outputs, emitted = [], dict.fromkeys(graph.neurons, 0.0)
    with _single_precision():
        for row in range(graph.workload.rows):
            for name, current in currents.items():
                drive[name] = current[row]
            simulator.reset()
            simulator.run_steps(graph.steps, progress_bar=False)
            trace = simulator.data[probes[readout.name]][-graph.window :]  # [T - burn_in, C]
            outputs.append(torch.from_numpy(trace.mean(0, dtype=np.float32)).reshape(1, *readout.shape))
            for name in emitted:
                emitted[name] += float(simulator.data[probes[name]].sum())
    output = torch.cat(outputs) + static[readout.name]
    return graph.outcome([output], emitted)


def _build(nengo: Any, graph: Graph, drive: dict[str, NDArray[np.float32]]) -> tuple[Any, dict[str, Any]]:
    """The network, and a probe for each population's spikes (1 each) and for the read-out."""
    network, target = graph.network, {}
    with nengo.Network(seed=0) as model:
        for p in network.populations:
            n, lif = size(p.shape), graph.neurons[p.name]
            drive[p.name] = np.zeros(n, np.float32)
            ensemble = nengo.Ensemble(
                n,
                dimensions=1,
                gain=np.ones(n),
                bias=np.full(n, BIAS),
                eval_points=np.zeros((1, 1)),
                neuron_type=nengo.LIF(
                    tau_rc=lif.tau_rc,
                    tau_ref=lif.tau_ref,
                    amplitude=network.dt,
                    initial_state={"voltage": nengo.dists.Choice([0])},
                ),
            )
            target[p.name] = ensemble.neurons
            given = nengo.Node(lambda t, name=p.name: drive[name], size_out=n)
            nengo.Connection(given, ensemble.neurons, synapse=None)
        target[network.readout.name] = nengo.Node(size_in=size(network.readout.shape))
        for c in network.connections:
            if c.source not in graph.neurons:
                continue
            source = next(p for p in network.populations if p.name == c.source)
            gain = graph.neurons[c.target].gain if c.target in graph.neurons else 1.0
            matrix: Any = c.operator.matrix(source.shape).T * (output_scale(source, network.dt) * gain)
            nengo.Connection(
                target[c.source],
                target[c.target],
                transform=matrix if isinstance(matrix, np.ndarray) else _sparse(nengo, matrix),
                synapse=_synapse(nengo, c.synapse),
            )
        probes = {name: nengo.Probe(part) for name, part in target.items()}
    return model, probes


def _sparse(nengo: Any, matrix: Any) -> Any:
    """A sparse transform, in the older of SciPy's two formats, the one that Nengo knows."""
    return nengo.Sparse(matrix.shape, init=sparse.csr_matrix(matrix, dtype=np.float32))


def _synapse(nengo: Any, synapse: Synapse | None) -> Any:
    match synapse:
        case Lowpass():
            return nengo.Lowpass(synapse.tau)
        case Alpha():
            return nengo.Alpha(synapse.tau)
        case _:
            return None


@contextmanager
def _single_precision() -> Iterator[Any]:
    """Nengo, set to float32 for as long as the block lasts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)  # Nengo 4.1 under NumPy 2
        import nengo  # pyright: ignore[reportMissingImports]

    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", "32")
    try:
        yield nengo
    finally:
        nengo.rc.set("precision", "bits", before)


PEER = Nengo()
