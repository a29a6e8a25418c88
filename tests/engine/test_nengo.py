"""The reference engine against Nengo: the very same spikes in float64, step for step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from networks import feed_forward, lif_neurons
from spikebayes import LIF, Alpha, Lowpass, SpikingNetwork, simulate
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)  # Nengo 4.1 under NumPy 2
    nengo = pytest.importorskip("nengo")

EXAMPLES = 220
SYNAPSES = {Lowpass: "Lowpass", Alpha: "Alpha"}


@pytest.mark.slow
def test_the_reference_fires_nengos_spikes_on_random_networks() -> None:
    tally = {"networks": 0, "firing to the last layer": 0, "spikes": 0, "dropped neurons": 0}

    @given(
        feed_forward(lif_neurons()),
        st.integers(60, 120),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2),
        st.integers(0, 1),
    )
    @settings(max_examples=EXAMPLES)
    def check(drawn: Any, steps: int, seed: int, sample: int, row: int) -> None:
        network, x = drawn
        keep = masks(network, seed, sample, row)
        expected, trace = in_nengo(network, x[row].numpy(), keep, steps)
        run = simulate(
            network,
            x,
            samples=3,
            seed=seed,
            steps=steps,
            probe=["spikes", "trace"],
            engine="reference",
            dtype=torch.float64,
        )
        for name, theirs in expected.items():
            ours = run.spikes[name][sample, row].numpy()
            np.testing.assert_array_equal(ours[:, keep[name]], theirs[:, keep[name]])
            assert not ours[:, ~keep[name]].any()
            tally["spikes"] += int(ours.sum())
            tally["dropped neurons"] += int((~keep[name]).sum())
        assert run.trace is not None
        np.testing.assert_allclose(run.trace[sample, row], trace, rtol=1e-9, atol=1e-9)
        tally["networks"] += 1
        tally["firing to the last layer"] += bool(run.counts[network.populations[-1].name][sample, row])

    check()
    assert tally["networks"] >= 200
    assert tally["firing to the last layer"] > 0.6 * tally["networks"]
    assert tally["spikes"] > 30 * tally["networks"]  # what is drawn depends on hypothesis and its pool of constants
    assert tally["dropped neurons"] > tally["networks"]


def masks(network: SpikingNetwork, seed: int, sample: int, row: int) -> dict[str, NDArray[np.bool_]]:
    """``[N]`` of every node: which of its units are kept."""
    keep = {}
    for node in (*network.inputs, *network.populations):
        keep[node.name] = np.ones(node.shape, np.bool_)
        if node.dropout:
            pair = torch.tensor([sample]), torch.tensor([row])
            keep[node.name] = dropout_keep(node.dropout, Keys(seed, *pair), node.shape[0])[0].numpy()
    return keep


def in_nengo(
    network: SpikingNetwork, x: NDArray[np.float64], keep: dict[str, NDArray[np.bool_]], steps: int
) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.float64]]:
    """The same network run by Nengo on one row: spikes ``[T, N]`` by population, dropped ones too; trace ``[T, C]``.

    A population is an ensemble whose encoders are the unit vectors, so that its input is one current per neuron; a
    dropped neuron is one whose outgoing weights are zero.
    """
    with nengo.Network(seed=0) as model:
        target, source, probes = {}, {}, {}
        for node in network.inputs:
            source[node.name] = nengo.Node(x)
        for p in network.populations:
            n = p.shape[0]
            assert isinstance(p.neuron, LIF)
            constant = np.zeros(n) if p.constant is None else p.constant.numpy()
            target[p.name] = nengo.Ensemble(
                n,
                dimensions=n,
                encoders=np.eye(n),
                eval_points=np.zeros((1, n)),
                gain=np.full(n, p.neuron.gain),
                bias=p.neuron.gain * constant + p.neuron.bias,
                neuron_type=nengo.LIF(
                    tau_rc=p.neuron.tau_rc,
                    tau_ref=p.neuron.tau_ref,
                    amplitude=p.neuron.amplitude,
                    initial_state={"voltage": nengo.dists.Choice([0])},
                ),
            )
            source[p.name] = target[p.name].neurons
            probes[p.name] = nengo.Probe(source[p.name])
        readout = target[network.readout.name] = nengo.Node(size_in=network.readout.shape[0])
        probes[network.readout.name] = nengo.Probe(readout)
        if network.readout.constant is not None:
            nengo.Connection(nengo.Node(network.readout.constant.numpy()), readout, synapse=None)
        noise = {node.name: node.dropout for node in (*network.inputs, *network.populations)}
        for c in network.connections:
            dropout = noise[c.source]
            values = keep[c.source] / (1 - dropout.p) if dropout else keep[c.source]
            synapse = None if c.synapse is None else getattr(nengo, SYNAPSES[type(c.synapse)])(c.synapse.tau)
            weight: Any = c.operator.weight
            nengo.Connection(source[c.source], target[c.target], transform=weight.numpy() * values, synapse=synapse)
    with nengo.Simulator(model, dt=network.dt, progress_bar=False) as simulator:
        simulator.run_steps(steps, progress_bar=False)
        data = {name: np.array(simulator.data[probe]) for name, probe in probes.items()}
    trace = data.pop(network.readout.name)
    return {name: values > 0 for name, values in data.items()}, trace
