"""Networks in Nengo: the very spikes of the reference engine, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from exported import decisions, dense, maps, spiking
from spikebayes import Alpha, ConfigError, ConversionError, DataError, SpikingNetwork, convert, export, simulate
from spikebayes.export.masks import keeps
from spikebayes.nn import SoftLIF
from studies.export.importers import nengo_run

STEPS = 120


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
    trace, spikes = nengo_run(export.to_nengo(network, sample=1, row=2, seed=3, x=x[2]), network.dt, STEPS)
    assert spikes.keys() == ours.spikes.keys()
    masks = keeps(network, 1, 2, 3)
    for name, theirs in spikes.items():
        mine = ours.spikes[name][1, 2]
        kept = masks[name].flatten() if name in masks else slice(None)  # a dropped neuron fires, unheard
        assert torch.equal(mine[:, kept], theirs[:, kept])
        assert mine.sum() > 1
    assert ours.trace is not None
    assert torch.allclose(trace, ours.trace[1, 2], rtol=0, atol=1e-12)


def test_inputs_are_nodes_to_be_set() -> None:
    model, x = dense()
    network = spiking(model, x, Alpha(0.02))
    given, later = (export.to_nengo(network, x=row) for row in (x[0], None))
    (node,) = [n for n in later.nodes if n.label == network.inputs[0].name]
    node.output = x[0].numpy()
    assert torch.equal(nengo_run(given, network.dt, STEPS)[0], nengo_run(later, network.dt, STEPS)[0])
    assert [ensemble.label for ensemble in later.ensembles] == [p.name for p in network.populations]


def test_what_nengo_does_not_run_is_named() -> None:
    model, x = decisions()
    with pytest.raises(ConversionError, match=r"population 'layer1': .*Threshold.*population 'layer4'.*SoftLIF"):
        export.to_nengo(convert(model, x))
    network = spiking(*dense())
    with pytest.raises(ConfigError, match="seed"):
        export.to_nengo(network, seed=-1)
    with pytest.raises(DataError, match=r"rows of shape \[4\]; got \[3\]"):
        export.to_nengo(network, x=torch.ones(3))
