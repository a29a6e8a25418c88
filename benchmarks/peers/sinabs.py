"""Sinabs: ``LIF`` over whole sequences, the layers between on time folded into the batch (rows first, as it wants).

The same as the library: the network, weights, masks, threshold 1, the exact leak over a step. Left out: refractory
time, synaptic filters, spike times within a step, the floor of the voltage at 0. Its defaults are kept, which are
also its fastest: a spike takes 1 off the voltage, and a neuron may fire more than once in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from benchmarks.peers.base import Outcome
from benchmarks.peers.graph import Fire, Graph, in_sequence
from benchmarks.workloads import Workload
from spikebayes import LIF


class Sinabs:
    name = "sinabs"
    package = "sinabs"

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        graph = Graph(workload, shifts)
        fire = {name: _fire(lif, workload.network.dt) for name, lif in graph.neurons.items()}
        return in_sequence(graph, fire, time=1)


def _fire(lif: LIF, dt: float) -> Fire:
    import sinabs.layers  # pyright: ignore[reportMissingImports]

    layer = sinabs.layers.LIF(tau_mem=lif.tau_rc / dt).eval()

    def fire(current: Tensor) -> Tensor:
        layer.init_state_with_shape((current.shape[0], *current.shape[2:]))
        return layer(current)

    return fire


PEER = Sinabs()
