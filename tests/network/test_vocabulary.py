"""The closed vocabulary of network files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spikebayes.errors import ConfigError, StoreError
from spikebayes.network.network import Connection, Input, Readout, SpikingNetwork
from spikebayes.network.operators import Operator
from spikebayes.network.store import load_network, save_network
from spikebayes.network.vocabulary import VOCABULARY, stored


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a test registers is forgotten."""
    before = dict(VOCABULARY)
    yield
    VOCABULARY.clear()
    VOCABULARY.update(before)


def test_the_parts_of_a_network_are_known() -> None:
    parts = {"SpikingNetwork", "Input", "Population", "Connection", "Readout", "Dropout", "BlankOut", "LIF", "Alpha"}
    assert parts <= VOCABULARY.keys()
    assert all(VOCABULARY[name].__name__ == name for name in VOCABULARY)


def test_two_classes_of_one_name_are_refused() -> None:
    def another() -> type:
        @dataclass(frozen=True)
        class LIF:
            tau: float

        return LIF

    message = r"two classes to be stored are named 'LIF': spikebayes\.network\.neurons\.LIF and .*another.*rename"
    with pytest.raises(ConfigError, match=message):
        stored(another())
    assert VOCABULARY["LIF"].__module__ == "spikebayes.network.neurons"


def test_a_class_may_be_registered_twice() -> None:
    known = VOCABULARY["LIF"]
    assert stored(known) is known


def twice() -> type[Operator]:
    class Twice(Operator):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    return Twice


def test_a_registered_operator_is_stored_and_one_that_is_not_is_neither_written_nor_read(tmp_path: Path) -> None:
    x = torch.randn(3, 4)
    kind = twice()
    network = SpikingNetwork((Input("x", (4,)),), (), (Connection("x", "readout", kind()),), Readout((4,)))
    with pytest.raises(StoreError, match=r"Twice cannot be stored: .*register its class"):
        save_network(network, tmp_path)
    stored(kind)
    save_network(network, tmp_path)
    assert torch.equal(load_network(tmp_path).connections[0].operator(x), 2 * x)
    del VOCABULARY["Twice"]
    with pytest.raises(StoreError, match="kind 'Twice' is unknown; upgrade spikebayes, or import the module"):
        load_network(tmp_path)
