"""SpikingJelly: ``LIFNode`` in multi-step mode, time folded into the batch for the layers between.

The same as the library: the network, weights, masks, threshold 1, hard reset to 0, and with decay_input and
tau = 1/(1 - exp(-dt/tau_rc)) the exact leak over a step. Left out: refractory time, synaptic filters, spike times
within a step, the floor of the voltage at 0. ``SimpleLIFNode``, which keeps nothing for a backward pass, is as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from torch import Tensor

from benchmarks.peers.base import Outcome
from benchmarks.peers.graph import Fire, Graph, in_sequence
from benchmarks.workloads import Workload
from spikebayes import LIF


class SpikingJelly:
    name = "spikingjelly"
    package = "spikingjelly"
    each_step = False

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        graph = Graph(workload, shifts, each_step=self.each_step)
        return in_sequence(graph, {name: _fire(lif, workload.network.dt) for name, lif in graph.neurons.items()})


def _fire(lif: LIF, dt: float) -> Fire:
    from spikingjelly.activation_based import neuron  # pyright: ignore[reportMissingImports]

    node = neuron.LIFNode(-1 / math.expm1(-dt / lif.tau_rc), decay_input=True, step_mode="m").eval()

    def fire(current: Tensor) -> Tensor:
        node.reset()
        return node(current)

    return fire


PEER = SpikingJelly()
