"""The reference engine against Nengo: the very same spikes in float64, step for step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks import feed_forward, lif_neurons
from spikebayes import export, simulate
from spikebayes.export.masks import keeps
from studies.export.importers import nengo_run

EXAMPLES = 220


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
        trace, expected = nengo_run(export.to_nengo(network, sample, row, seed, x=x[row]), network.dt, steps)
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
        masks = keeps(network, sample, row, seed)
        for name, theirs in expected.items():
            ours = run.spikes[name][sample, row]
            keep = masks.get(name, torch.ones(theirs.shape[1], dtype=torch.bool))
            assert torch.equal(ours[:, keep], theirs[:, keep])
            assert not ours[:, ~keep].any()
            tally["spikes"] += int(ours.sum())
            tally["dropped neurons"] += int((~keep).sum())
        assert run.trace is not None
        np.testing.assert_allclose(run.trace[sample, row], trace, rtol=1e-9, atol=1e-9)
        tally["networks"] += 1
        tally["firing to the last layer"] += bool(run.counts[network.populations[-1].name][sample, row])

    check()
    assert tally["networks"] >= 200
    assert tally["firing to the last layer"] > 0.6 * tally["networks"]
    assert tally["spikes"] > 30 * tally["networks"]  # what is drawn depends on hypothesis and its pool of constants
    assert tally["dropped neurons"] > tally["networks"]
