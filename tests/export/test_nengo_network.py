"""Networks in Nengo: the very spikes of the reference engine, in float64."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from exported import decisions, dense, maps
from spikebayes import ConfigError, ConversionError, DataError, SpikingNetwork, convert, export, simulate
from spikebayes.nn import SoftLIF

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)  # Nengo 4.1 under NumPy 2
    nengo = pytest.importorskip("nengo")

STEPS = 80


def run(made: Any, dt: float) -> tuple[dict[str, Any], Any]:
    """Spikes ``[T, N]`` by ensemble and the read-out ``[T, C]``."""
    with made:
        probes = {ensemble.label: nengo.Probe(ensemble.neurons) for ensemble in made.ensembles}
    with nengo.Simulator(made, dt=dt, progress_bar=False) as simulator:
        simulator.run_steps(STEPS, progress_bar=False)
        found = {label: np.array(simulator.data[probe]) > 0 for label, probe in probes.items()}
        return found, np.array(simulator.data[made.probes[0]])


@pytest.mark.parametrize("made", [lambda: maps(whole=True), lambda: maps(whole=False), dense])
def test_convolutions_and_masks(made: Any) -> None:
    model, x = made()
    for layer in model.modules():
        if isinstance(layer, SoftLIF):
            layer.neuron = replace(layer.neuron, tau_ref=0.002)
    network: SpikingNetwork = convert(model, x)
    ours = simulate(
        network, x, samples=2, seed=3, steps=STEPS, probe=["spikes", "trace"], engine="reference", dtype=torch.float64
    )
    spikes, trace = run(export.to_nengo(network, sample=1, row=2, seed=3, x=x[2]), network.dt)
    assert spikes.keys() == ours.spikes.keys()
    for name, theirs in spikes.items():
        mine = ours.spikes[name][1, 2].numpy()
        kept = mine.any(0)  # a dropped neuron fires, unheard
        np.testing.assert_array_equal(mine[:, kept], theirs[:, kept])
        assert mine.sum() > 20
    assert ours.trace is not None
    np.testing.assert_allclose(trace, ours.trace[1, 2].numpy(), atol=1e-12)


def test_inputs_are_nodes_to_be_set() -> None:
    model, x = dense()
    network = spiking_default(model, x)
    given, later = (export.to_nengo(network, x=row) for row in (x[0], None))
    (node,) = [n for n in later.nodes if n.label == network.inputs[0].name]
    node.output = x[0].numpy()
    np.testing.assert_array_equal(run(given, network.dt)[1], run(later, network.dt)[1])
    assert [ensemble.label for ensemble in later.ensembles] == [p.name for p in network.populations]


def spiking_default(model: torch.nn.Module, x: torch.Tensor) -> SpikingNetwork:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dt = ")
        return convert(model, x)


def test_what_nengo_does_not_run_is_named() -> None:
    model, x = decisions()
    with pytest.raises(ConversionError, match=r"population 'layer1': .*Threshold.*population 'layer4'.*SoftLIF"):
        export.to_nengo(convert(model, x))
    network = spiking_default(*dense())
    with pytest.raises(ConfigError, match="seed"):
        export.to_nengo(network, seed=-1)
    with pytest.raises(DataError, match=r"rows of shape \[4\]; got \[3\]"):
        export.to_nengo(network, x=torch.ones(3))
