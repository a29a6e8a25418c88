"""Norse: ``LIFBoxCell`` lifted over time, the layers between on time folded into the batch.

The same as the library: the network, weights, masks, threshold 1, reset to 0, and with
tau_mem_inv = (1 - exp(-dt/tau_rc))/dt the exact leak over a step. Left out: refractory time, synaptic filters, spike
times within a step, the floor of the voltage at 0. Of Norse's LIF cells it is the one without a synaptic current of
its own, and the fastest.
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


class Norse:
    name = "norse"
    package = "norse"

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        graph = Graph(workload, shifts)
        return in_sequence(graph, {name: _fire(lif, workload.network.dt) for name, lif in graph.neurons.items()})


def _fire(lif: LIF, dt: float) -> Fire:
    from norse.torch import LIFBoxCell  # pyright: ignore[reportMissingImports]
    from norse.torch.functional import lif_box  # pyright: ignore[reportMissingImports]
    from norse.torch.functional.lift import lift  # pyright: ignore[reportMissingImports]

    inverse = torch.tensor(-math.expm1(-dt / lif.tau_rc) / dt)
    cell = lift(LIFBoxCell(lif_box.LIFBoxParameters(tau_mem_inv=inverse), dt=dt))

    def fire(current: Tensor) -> Tensor:
        rest = lif_box.LIFBoxFeedForwardState(v=torch.zeros_like(current[0]))
        return cell(current, state=rest)[0]

    return fire


PEER = Norse()
