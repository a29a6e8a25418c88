"""A neuron that the library does not have: its class, the module that becomes a population of it, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spikebayes import convert, predict, simulate
from spikebayes.errors import ConversionError
from spikebayes.network.neurons import Chance, Neuron, State, Threshold
from spikebayes.network.store import load_network, save_network
from spikebayes.network.vocabulary import VOCABULARY, stored
from spikebayes.nn import Permadrop, Place, Spiking, Units
from spikebayes.nn.encoders import NoisySign


@stored
@dataclass(frozen=True)
class Band(Neuron):
    """Memoryless unit: output 1 when the input is no further than the width from 0, else 0."""

    width: float
    memoryless = True

    def step(self, x: Tensor, state: State, dt: float, chance: Chance | None = None) -> tuple[Tensor, Tensor, State]:
        spiked = x.abs() <= self.width
        return spiked, spiked.to(x.dtype), state


class InBand(Spiking):
    """z = 1 where \\|x - centre\\| <= width, else 0."""

    def __init__(self, centre: float, width: float) -> None:
        super().__init__()
        self.centre, self.width = centre, width

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.centre).abs() <= self.width).to(x.dtype)

    def units(self, place: Place) -> Units:
        return Units(Band(self.width), shift=-self.centre)


class Wrong(InBand):
    """Says that it becomes other neurons than it is."""

    def units(self, place: Place) -> Units:
        return Units(Threshold(self.width), shift=-self.centre)


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    yield
    del VOCABULARY["Band"]


def model(unit: type[InBand] = InBand) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 40), unit(0.25, 0.5), nn.Linear(40, 30), unit(0.0, 0.3), nn.Linear(30, 2)]
    return nn.Sequential(*layers)


X = torch.randn(50, 5, generator=torch.Generator().manual_seed(1))


def test_in_spikes_it_is_the_module(tmp_path: Path) -> None:
    network = convert(model(), X)
    assert [type(p.neuron) for p in network.populations] == [Band, Band]
    run = simulate(network, X, samples=1, steps=1, engine="reference")
    with torch.no_grad():
        torch.testing.assert_close(run.mean[0], model()(X))
    assert 0.2 < run.counts["layer1"].sum() / (50 * 40) < 0.8
    save_network(network, tmp_path)
    again = simulate(load_network(tmp_path), X, samples=1, steps=1, engine="reference")
    assert torch.equal(again.mean, run.mean)


def test_its_samples_are_the_modules_under_the_same_masks() -> None:
    net = nn.Sequential(NoisySign(0.5), *model()[:2], Permadrop(0.3), *model()[2:])
    network = convert(net, X)
    one = predict(net, X, samples=20, seed=3).samples
    other = predict(network, X, samples=20, seed=3, engine="reference").samples
    assert one.std(0).min() > 0
    assert ((one - other).abs() < 1e-5 * one.abs().max()).all(2).double().mean() > 0.99


def test_a_pool_behind_it_is_an_or() -> None:
    net = nn.Sequential(nn.Conv1d(1, 3, 2), InBand(0.2, 0.3), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 2))
    run = simulate(convert(net, X[:, None]), X[:, None], samples=1, steps=1, engine="reference")
    with torch.no_grad():
        torch.testing.assert_close(run.mean[0], net(X[:, None]))


def test_a_module_that_says_something_else_of_itself_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"\(Wrong, module '1'\) gives something else than its neurons"):
        convert(model(Wrong), X)
