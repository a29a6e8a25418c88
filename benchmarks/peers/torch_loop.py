"""A loop over steps in plain torch, as one would write it by hand.

The same as the library: the network, weights, masks, threshold 1, reset to 0, exact leak over a step, a refractory
time in whole steps. Left out: synaptic filters, and spike times within a step (a refractory time is rounded, and
starts at the end of the step). All rows and all populations are stepped together, in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.peers.base import Outcome
from benchmarks.peers.graph import Graph
from benchmarks.workloads import Workload


class TorchLoop:
    name = "torch_loop"
    package = "torch"
    each_step = False

    def prepare(self, workload: Workload, shifts: Mapping[str, float] | None = None) -> Callable[[], Outcome]:
        graph = Graph(workload, shifts, each_step=self.each_step)
        return lambda: _run(graph)


@torch.inference_mode()
def _run(graph: Graph) -> Outcome:
    readout, dt = graph.network.readout.name, graph.network.dt
    outputs, emitted = [], dict.fromkeys(graph.neurons, 0.0)
    for rows in graph.blocks(trains=False):
        static = graph.static(rows)
        layers = {
            name: _Layer(static[name], neuron.tau_rc, neuron.tau_ref, dt) for name, neuron in graph.neurons.items()
        }
        links = {name: [(k.source, k.operator, k.factor[rows]) for k in graph.into[name]] for name in graph.into}
        read = {source: torch.zeros_like(static[source]) for source in graph.read}
        for step in range(graph.steps):
            if graph.each_step:
                static = graph.static(rows)
            for name, layer in layers.items():
                current = static[name]
                for source, operator, factor in links[name]:
                    current = operator(layers[source].spikes * factor).add_(current)
                layer.step(current)
            if step >= graph.steps - graph.window:
                for source, total in read.items():
                    total += layers[source].spikes
        for source, operator, factor in links[readout]:
            static[readout] += operator(read[source] * (factor / graph.window))
        outputs.append(static[readout])
        for name, layer in layers.items():
            emitted[name] += float((layer.count * graph.keep[name][rows]).sum())
    return graph.outcome(outputs, emitted)


class _Layer:
    """One population's state, ``[B, *shape]``: voltage, steps to wait, spikes of this step, spikes so far."""

    def __init__(self, like: Tensor, tau_rc: float, tau_ref: float, dt: float) -> None:
        self.voltage, self.wait, self.count = (torch.zeros_like(like) for _ in range(3))
        self.spikes = torch.zeros_like(like, dtype=torch.bool)
        self.full, self.pause = -math.expm1(-dt / tau_rc), round(tau_ref / dt)

    def step(self, current: Tensor) -> None:
        self.voltage.lerp_(current, self.full)
        if self.pause:
            self.voltage.masked_fill_(self.wait > 0, 0.0)
            self.wait.sub_(1)
        torch.gt(self.voltage, 1.0, out=self.spikes)
        self.voltage.masked_fill_(self.spikes, 0.0)
        if self.pause:
            self.wait.masked_fill_(self.spikes, self.pause)
        self.count.add_(self.spikes)


PEER = TorchLoop()
