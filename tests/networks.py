"""Spiking networks drawn by hypothesis, shared by the tests of the engines."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from spikebayes import LIF, Alpha, Connection, Dropout, Input, Lowpass, Population, Readout, SpikingNetwork, Threshold
from spikebayes.engine.contract import POTENTIALS, SPIKES, TRACE
from spikebayes.engine.select import ENGINES
from spikebayes.network.operators import Dense
from spikebayes.network.synapses import Synapse

PROBES = (SPIKES, POTENTIALS, TRACE)  # of networks that step freely
STEPPING = [engine for engine in ENGINES if engine.name != "windows"]  # the engines that run them
ENGINE_NAMES = list(dict.fromkeys(engine.name for engine in STEPPING))
KEEP_BITS = (0.5, 0.25, 0.1, 0.9)  # drop probabilities that take 1, 2 and 32 bits a draw


def synapses() -> st.SearchStrategy[Synapse | None]:
    """No filter, Lowpass or Alpha."""
    tau = st.floats(1e-3, 0.03)
    return st.none() | tau.map(Lowpass) | tau.map(Alpha)


def lif_neurons() -> st.SearchStrategy[LIF]:
    """LIF neurons of which most fire without input."""
    return st.builds(
        LIF,
        tau_rc=st.floats(5e-3, 0.05),
        tau_ref=st.sampled_from([0.0, 2e-4]) | st.floats(0, 5e-3),
        amplitude=st.floats(2e-3, 0.02),
        gain=st.floats(0.5, 3),
        bias=st.floats(1.0, 3.0),
    )


def neurons() -> st.SearchStrategy[LIF | Threshold]:
    """Every neuron that all engines run."""
    return lif_neurons() | lif_neurons() | st.builds(Threshold, threshold=st.floats(-0.5, 0.5))


@st.composite
def feed_forward(
    draw: st.DrawFn,
    neuron: st.SearchStrategy[LIF] | st.SearchStrategy[LIF | Threshold],
    rows: int = 2,
    redraws: bool = False,
) -> tuple[SpikingNetwork, Tensor]:
    """A dense network of 1 to 3 populations in float64, with skip connections, and ``[rows, F]`` to run it on.

    With ``redraws`` some masks are redrawn during the simulation.

    Weights come from a drawn seed rather than from hypothesis: round numbers would put potentials exactly on the
    threshold, where the order of a sum decides.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(2, 12), min_size=1, max_size=3))
    drop = st.none() | st.sampled_from(KEEP_BITS)

    def dropout(site: int) -> Dropout | None:
        p = draw(drop)
        if p is None or not redraws:
            return None if p is None else Dropout(p, site=site)
        hold, start = draw(st.none() | st.integers(1, 30)), draw(st.integers(0, 20))
        return Dropout(p, hold=hold, site=site, start=start, successive=draw(st.booleans()))

    inputs = (Input("x", (features,), dropout(0)),)
    populations = tuple(
        Population(f"layer{i}", (n,), draw(neuron), dropout(i), draw(st.none() | st.just(_normal(rng, n, scale=0.2))))
        for i, n in enumerate(sizes, start=1)
    )
    readout = Readout((outputs,), draw(st.none() | st.just(_normal(rng, outputs))))

    connections = []
    targets = [(p.name, p.shape[0]) for p in populations] + [(readout.name, outputs)]
    sources: list[tuple[str, int]] = [("x", features)]
    for name, n in targets:
        for source, m in sources:
            direct = source == sources[-1][0]
            if direct or draw(st.booleans()):
                synapse = None if source == "x" else draw(synapses())
                connections.append(Connection(source, name, Dense(_normal(rng, n, m, scale=0.7 / m**0.5)), synapse))
        sources.append((name, n))
    dt = draw(st.sampled_from([5e-4, 1e-3, 2e-3]) | st.floats(5e-4, 2e-3))
    return SpikingNetwork(inputs, populations, tuple(connections), readout, dt), _normal(rng, rows, features)


def _normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape) * scale)
