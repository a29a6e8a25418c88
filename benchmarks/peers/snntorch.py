"""snnTorch: ``Leaky`` called in a loop over steps, the layers between on time folded into the batch.

The same as the library: the network, weights, masks, threshold 1, reset to 0, the exact leak over a step (beta is
exp(-dt/tau_rc); snnTorch adds currents unscaled, so that 1 - beta is multiplied into static currents and spike
areas). Left out: refractory time, synaptic filters, spike times within a step, the floor of the voltage at 0. The
reset takes effect at the start of the next step, the library's default. Surrogate gradients are turned off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.peers.base import Outcome
from benchmarks.peers.graph import Fire, Graph, in_sequence
from benchmarks.workloads import Workload
from spikebayes import LIF


class SnnTorch:
    name = "snntorch"
    package = "snntorch"

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        dt = workload.network.dt
        graph = Graph(workload, shifts, lambda lif: -math.expm1(-dt / lif.tau_rc))
        return in_sequence(graph, {name: _fire(lif, dt) for name, lif in graph.neurons.items()})


def _fire(lif: LIF, dt: float) -> Fire:
    import snntorch  # pyright: ignore[reportMissingImports]

    beta = math.exp(-dt / lif.tau_rc)
    layer = snntorch.Leaky(beta, reset_mechanism="zero", surrogate_disable=True).eval()  # pyright: ignore

    def fire(current: Tensor) -> Tensor:
        voltage = torch.zeros_like(current[0])
        train = []
        for now in current:
            spikes, voltage = layer(now, voltage)
            train.append(spikes)
        return torch.stack(train)

    return fire


PEER = SnnTorch()
