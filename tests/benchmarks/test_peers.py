"""Other simulators: that each runs the network it is given, against a loop in NumPy and the library itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.peers import PEERS, available, match_rates, missing
from benchmarks.peers.base import Outcome, Peer
from benchmarks.peers.graph import Graph, in_sequence, masks
from benchmarks.workloads import Workload, workload
from spikebayes import LIF, convert, simulate
from spikebayes.errors import ConfigError
from spikebayes.network.network import Readout, SpikingNetwork, output_scale
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import size
from spikebayes.nn import LIFRate, Permadrop
from spikebayes.nn.zoo import combo

FILTERED = ("nengo",)
ALL = [*PEERS]
DENSE = [name for name in PEERS if name not in FILTERED]

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # of norse


def peer(name: str) -> Peer:
    if name in missing():
        pytest.skip(missing()[name])
    return available()[name]


def unit() -> nn.Module:
    return LIFRate(0.02, 0.003, amplitude=0.02, gain=1.5, bias=1.1)


def towers(rows: int = 3) -> Workload:
    """A small Combo: shared weights, a concatenation, masks on every population."""
    torch.manual_seed(0)
    network = convert(combo(4, 5, 12, 0.3, activation=unit), [torch.zeros(1, n) for n in (4, 5, 5)])
    inputs = tuple(torch.randn(rows, n) for n in (4, 5, 5))
    return Workload("towers", "", network, inputs, 0.05, steps=60, burn_in=20)


def convolution(rows: int = 3) -> Workload:
    """A small convolutional network with a mask on its input too."""
    torch.manual_seed(1)
    model = nn.Sequential(
        *(Permadrop(0.2), nn.Conv2d(2, 3, 3, padding=1), unit(), Permadrop(0.3)),
        *(nn.Conv2d(3, 4, 3, stride=2, padding=1), unit(), Permadrop(0.3), nn.Flatten()),
        *(nn.Linear(64, 8), unit(), Permadrop(0.1), nn.Linear(8, 3)),
    )
    network = convert(model, torch.zeros(1, 2, 8, 8))
    return Workload("convolution", "", network, (torch.randn(rows, 2, 8, 8),), 0.05, steps=60, burn_in=20)


def skipping(rows: int = 3) -> Workload:
    """A population that is read twice, by another and by the read-out."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Sequential(nn.Linear(4, 9), unit()), nn.Sequential(nn.Linear(9, 9), unit())
            self.drop, self.last = Permadrop(0.3), nn.Linear(9, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.drop(self.one(x))
            return self.last(h + self.two(h))

    torch.manual_seed(2)
    network = convert(Skip(), torch.zeros(1, 4))
    return Workload("skipping", "", network, (torch.randn(rows, 4),), 0.05, steps=60, burn_in=20)


Make = Callable[..., Workload]
NETWORKS: list[Make] = [towers, convolution, skipping]


def by_hand(made: Workload, *, refractory: bool, subtract: bool = False) -> Outcome:
    """The network in NumPy, from the engines' matrices: no filters, threshold 1, whole steps of refractory time."""
    network, rows = made.network, made.rows
    keep = {name: mask.flatten(1).double().numpy() for name, mask in masks(made).items()}
    values = {i.name: made.inputs[i.argument].flatten(1).double().numpy() * keep[i.name] for i in network.inputs}
    scales = {n.name: output_scale(n, network.dt) for n in (*network.inputs, *network.populations)}
    matrices: dict[str, list[tuple[str, Any]]] = {node.name: [] for node in network.nodes()}
    for c in network.connections:
        matrix = c.operator.matrix(network.shape(c.source)) * scales[c.source]
        matrices[c.target].append((c.source, matrix))
    voltage = {p.name: np.zeros((rows, size(p.shape))) for p in network.populations}
    wait = {name: np.zeros_like(v) for name, v in voltage.items()}
    fired = dict.fromkeys(voltage, 0.0)
    output = np.zeros((rows, size(network.readout.shape)))
    for step in range(made.steps):
        for node in (*network.populations, network.readout):
            total = 0 if node.constant is None else node.constant.flatten().double().numpy()
            for source, matrix in matrices[node.name]:
                total = total + values[source] @ matrix
            if isinstance(node, Readout):
                output += total * (step >= made.burn_in)
                continue
            neuron = node.neuron
            assert isinstance(neuron, LIF)
            v = voltage[node.name]
            v += (neuron.gain * total + neuron.bias - v) * -math.expm1(-network.dt / neuron.tau_rc)
            v[wait[node.name] > 0] = 0
            wait[node.name] -= 1
            spikes = np.floor(v.clip(0)) if subtract else (v > 1) * 1.0
            v[:] = v - spikes if subtract else v * (spikes == 0)
            wait[node.name][spikes > 0] = round(neuron.tau_ref / network.dt) if refractory else 0
            values[node.name] = spikes * keep[node.name]
            fired[node.name] += values[node.name].mean() / made.steps
    return Outcome(torch.from_numpy(output / (made.steps - made.burn_in)), fired)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("name", DENSE)
def test_dense_simulators_fire_the_spikes_of_a_loop_by_hand(name: str, make: Make) -> None:
    simulator, made = peer(name), make()
    expected = by_hand(made, refractory=name.startswith("torch_loop"), subtract=name == "sinabs")
    found = simulator.prepare(made)()
    assert found.rates == pytest.approx(expected.rates, rel=1e-6)
    assert min(found.rates.values()) > 0.005
    torch.testing.assert_close(found.output.double(), expected.output, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", NETWORKS)
def test_nengo_fires_the_librarys_spikes(make: Make) -> None:
    simulator, made = peer("nengo"), make(2)
    found = simulator.prepare(made)()
    spikes = dict.fromkeys(found.rates, 0)
    for row in range(made.rows):
        network, inputs = masked(made, row)
        run = simulate(network, inputs, steps=made.steps, burn_in=made.burn_in, engine="reference")
        torch.testing.assert_close(found.output[row], run.mean[0, 0], rtol=1e-3, atol=1e-3)
        spikes = {name: n + int(run.counts[name]) for name, n in spikes.items()}
    for p in made.network.populations:
        assert found.rates[p.name] * made.rows * made.steps * size(p.shape) == pytest.approx(spikes[p.name], abs=2)


def masked(made: Workload, row: int) -> tuple[SpikingNetwork, list[Tensor]]:
    """The network without noise and one row to run it on, that row's masks built in."""
    keep = {name: mask[row] for name, mask in masks(made).items()}
    populations = []
    for p in made.network.populations:
        assert isinstance(p.neuron, LIF)
        constant = torch.zeros(p.shape) if p.constant is None else p.constant
        held = torch.where(keep[p.name] > 0, constant, -1e6)
        neuron = replace(p.neuron, amplitude=p.neuron.amplitude / (1 - p.dropout.p if p.dropout else 1.0))
        populations.append(replace(p, neuron=neuron, dropout=None, constant=held))
    inputs = tuple(replace(i, dropout=None) for i in made.network.inputs)
    values = [
        made.inputs[i.argument][row : row + 1] * keep[i.name] / (1 - i.dropout.p if i.dropout else 1.0)
        for i in made.network.inputs
    ]
    return replace(made.network, inputs=inputs, populations=tuple(populations)), values


@pytest.mark.parametrize("name", ALL)
def test_runs_repeat_and_shifts_reach_every_population(name: str) -> None:
    simulator, made = peer(name), towers(rows=2)
    run = simulator.prepare(made)
    first, second = run(), run()
    assert first.rates == second.rates
    assert torch.equal(first.output, second.output)
    assert first.output.shape == (2, 1)
    for shifted in ("cell_tower_1", "joint_7"):
        silenced = simulator.prepare(made, {shifted: -1e4})()
        assert silenced.rates[shifted] == 0
    quiet = simulator.prepare(made, dict.fromkeys(first.rates, -1e4))()
    assert made.network.readout.constant is not None
    torch.testing.assert_close(quiet.output, made.network.readout.constant.expand(2, 1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_rates_are_matched(name: str) -> None:
    simulator, made = peer(name), workload("A", rows=4, width=150, rate=0.03)
    shifts = match_rates(simulator, made)
    rates = simulator.prepare(made, shifts)().rates
    assert set(rates) == set(shifts)
    assert all(rate == pytest.approx(0.03, rel=0.2) for rate in rates.values()), rates


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = convolution(rows=5)

    def run() -> Outcome:
        graph = Graph(made)
        return in_sequence(graph, dict.fromkeys(graph.neurons, lambda current: (current > 1.2).float()))()

    whole = run()
    monkeypatch.setattr("benchmarks.peers.graph.NUMBERS", 2 * made.steps * 192)
    assert [b.stop - b.start for b in Graph(made).blocks(trains=True)] == [2, 2, 1]
    parts = run()
    torch.testing.assert_close(parts.output, whole.output, rtol=1e-5, atol=1e-5)
    assert parts.rates == pytest.approx(whole.rates)


def test_every_simulator_is_there_or_has_a_reason() -> None:
    assert {*available(), *missing()} == set(PEERS)
    assert not {*available()} & {*missing()}
    assert all("not installed" in reason for reason in missing().values())
    for name, made in available().items():
        assert (made.name, made.package) == (name, PEERS[name])


def test_what_they_do_not_run_is_refused() -> None:
    made = towers()
    first, *others = made.network.populations
    renewed = replace(first, dropout=Dropout(0.3, hold=1))
    with pytest.raises(ConfigError, match="redrawn"):
        peer("torch_loop").prepare(replace(made, network=replace(made.network, populations=(renewed, *others))))
