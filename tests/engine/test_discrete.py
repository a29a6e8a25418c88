"""Neurons in discrete steps, compiled: the reference's spikes, with and without currents of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import feed_forward
from spikebayes import ConfigError, Connection, Dropout, Input, Lowpass, Population, Readout, SpikingNetwork, simulate
from spikebayes.network import Dense, DiscreteLIF


def neurons() -> st.SearchStrategy[Any]:
    """All that is compiled: at rest at 0, threshold 1, reset to 0 or by taking the threshold off."""
    syn, tau = st.none() | st.floats(2e-3, 0.02), st.floats(3e-3, 0.03)
    numbers = {"tau_syn": syn, "w_in": st.floats(0.5, 3), "amplitude": st.floats(0.5, 4)}
    return st.builds(DiscreteLIF, tau, st.floats(0.5, 8), v_reset=st.sampled_from([0.0, None]), **numbers)


@pytest.mark.slow
@given(feed_forward(neurons(), redraws=True), st.integers(0, 2**64 - 1))
@settings(max_examples=40)
def test_the_cpu_engine_fires_the_references_spikes(drawn: Any, seed: int) -> None:
    network, x = drawn
    inputs = tuple(replace(i, dropout=i.dropout and replace(i.dropout, hold=None)) for i in network.inputs)
    unfiltered = tuple(replace(c, synapse=None) for c in network.connections)
    first = network.populations[0]  # driven by inputs alone
    first = replace(first, neuron=replace(first.neuron, tau_syn=None))
    populations = (first, *network.populations[1:])
    network = replace(network, inputs=inputs, populations=populations, connections=unfiltered, dt=1e-3)
    options = {"samples": 3, "seed": seed, "steps": 90, "burn_in": 20, "dtype": torch.float64}
    ours, reference = (
        simulate(network, x, engine=engine, probe=["spikes", "potentials", "trace"], **options)  # pyright: ignore
        for engine in ("cpu", "reference")
    )
    for name, spikes in reference.spikes.items():
        assert torch.equal(ours.spikes[name], spikes)
        assert torch.allclose(ours.potentials[name], reference.potentials[name], atol=1e-9)
    assert torch.allclose(ours.mean, reference.mean, atol=1e-9)
    quiet = simulate(network, x, engine="cpu", **options)  # pyright: ignore  # without lists of spikes
    assert torch.allclose(quiet.mean, reference.mean, atol=1e-9)


@pytest.mark.parametrize(
    ("neuron", "options", "message"),
    [
        (DiscreteLIF(torch.tensor([0.01, 0.02])), {}, "neurons of one population that differ are not compiled"),
        (DiscreteLIF(v_threshold=0.5), {}, "another threshold than 1"),
        (DiscreteLIF(v_reset=-0.5), {}, "other voltages than 0 at rest and after a reset"),
        (DiscreteLIF(tau_mem=5e-4), {}, "leak more in a step than there is"),
        (DiscreteLIF(tau_syn=0.01), {"synapse": Lowpass(0.01)}, "filtered already"),
        (DiscreteLIF(tau_syn=0.01), {"source": "x"}, "of inputs alone"),
        (DiscreteLIF(tau_syn=0.01), {"hold": 5}, "masks on inputs that are redrawn"),
    ],
)
def test_others_are_refused_by_name_and_run_by_the_reference(
    neuron: DiscreteLIF, options: dict[str, Any], message: str
) -> None:
    dense, hold = Dense(torch.eye(2)), options.pop("hold", None)
    inputs = (Input("x", (2,), hold and Dropout(0.2, hold=hold)),)
    wires = Connection("x", "a", dense), Connection(options.pop("source", "a"), "b", dense, **options)
    populations = Population("a", (2,), DiscreteLIF(0.01)), Population("b", (2,), neuron)
    network = SpikingNetwork(inputs, populations, (*wires, Connection("b", "readout", dense)), Readout((2,)))
    with pytest.raises(ConfigError, match=message):
        simulate(network, torch.ones(1, 2), steps=10, engine="cpu")
    assert simulate(network, torch.ones(1, 2), steps=10).engine == "reference"
