"""What a network asks of hardware, counted by hand."""

from __future__ import annotations

import pytest
import torch

from spikebayes import ConfigError, Connection, Input, Population, Readout, SpikingNetwork, Threshold
from spikebayes.evaluate.energy.hardware_limits import Latency, Layer, Limits, demand, latency, weights_of
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.codes import Digits
from spikebayes.network.operators import Chain, Conv, Dense, Pick, Reshape, Windows

X = Input("x", (1, 4))


def network(*connections: Connection) -> SpikingNetwork:
    """Neurons ``h`` and ``k`` behind an input of 4, and a read-out of ``k``."""
    populations = (Population("h", (2, 4), Threshold(0.5)), Population("k", (1, 3), Threshold(-1.0)))
    read = Connection("k", "readout", Dense(torch.ones(2, 3)))
    return SpikingNetwork((X,), populations, (*connections, read), Readout((1, 2)))


CONV = Connection("x", "h", Conv(torch.ones(2, 1, 3), (1,), (1,), (1,)))
DENSE = Connection("x", "k", Dense(torch.ones(3, 4)))


def test_synapses_are_counted_with_edges_and_over_all_connections() -> None:
    found = demand(network(CONV, DENSE, DENSE))
    assert found.layers == (Layer("h", 8, 3, 2 * 10), Layer("k", 3, 8, 24))
    assert (found.neurons, found.fan_in, found.synapses) == (11, 8, 44)
    assert found.excesses(Limits("tiny", 10, 4, "made up")) == ["11 neurons > 10", "k: fan-in 8 > 4"]
    assert found.excesses(Limits("just enough", 11, 8, "made up")) == []


def test_neurons_without_connections_have_no_synapses() -> None:
    assert demand(network(CONV)).layers == (Layer("h", 8, 3, 20), Layer("k", 3, 0, 0))


def test_runners_of_a_race_are_synapses() -> None:
    """Windows of 3 with padding, over 4 places: 2 and 3 of them inside."""
    code = Digits(4, 2)
    populations = (
        Population("h", (2, 4), Coded(code, Ramp(), torch.tensor(1.0))),
        Population("k", (2, 2), Race(code)),
    )
    connections = (
        CONV,
        Connection("h", "k", Windows((3,), (2,), (1,), (1,))),
        Connection("k", "readout", Chain((Reshape((4,)), Dense(torch.ones(2, 4))))),
    )
    found = demand(SpikingNetwork((X,), populations, connections, Readout((2,))))
    assert found.layers == (Layer("h", 8, 3, 2 * 10), Layer("k", 4, 3, 2 * 5))


def test_where_units_move_to_is_no_weight() -> None:
    """A picture that is continued at its edges, as circular padding does it."""
    around = Chain((Pick(2, torch.tensor([3, 0, 1, 2, 3, 0])), Conv(torch.ones(2, 1, 3), (1,), (0,), (1,))))
    assert weights_of(network(Connection("x", "h", around))) == 2 * 3 + 2 * 3
    assert demand(network(Connection("x", "h", around))).layers[0] == Layer("h", 8, 3, 24)


def test_layers_without_memory_lag_by_a_step() -> None:
    assert latency(network(CONV, DENSE), samples=10) == Latency(1 + 1, 10 + 1)
    assert latency(network(CONV, DENSE), samples=10, steps=50, burn_in=0) == Latency(50 + 1, 500 + 1)


def test_a_network_without_neurons_is_refused() -> None:
    read = Connection("x", "readout", Dense(torch.ones(2, 4)))
    with pytest.raises(ConfigError, match="a network without populations needs no neurons"):
        demand(SpikingNetwork((X,), (), (read,), Readout((1, 2))))
