"""Threshold and sign networks in whole numbers under masks and synapses that blank out: the same draws, decisions."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikebayes import (
    Bernoulli,
    BlankOut,
    ConfigError,
    Connection,
    Curve,
    DataError,
    Dropout,
    Gaussian,
    Input,
    Population,
    Readout,
    Sign,
    SpikingNetwork,
    Threshold,
    compare,
    convert,
    energy,
    integers,
    predict,
    simulate,
    with_blank_out,
)
from spikebayes.network.operators import Dense
from spikebayes.nn import Permadrop, Sharpened
from spikebayes.training import Scaling


def step() -> Sharpened:
    return Sharpened("brelu", 1.0)


def whole_weights(units: int, inputs: int, seed: int, unit: float = 1 / 64) -> Tensor:
    """Multiples of a unit, 127 of which are each row's largest: none of them is rounded."""
    k = torch.randint(-127, 128, (units, inputs), generator=torch.Generator().manual_seed(seed))
    k[:, 0] = 127
    return k.double() * unit


def noisy(
    neuron: Threshold | Sign,
    hidden: Dropout | None = None,
    given: Dropout | None = None,
    blank: BlankOut | None = None,
) -> SpikingNetwork:
    """Two populations of 20 neurons."""
    constant = torch.randn(20, generator=torch.Generator().manual_seed(7)).double()
    return SpikingNetwork(
        (Input("x", (6,), given),),
        (Population("a", (20,), neuron, hidden), Population("b", (20,), neuron, constant=constant)),
        (
            Connection("x", "a", Dense(whole_weights(20, 6, 0))),
            Connection("a", "b", Dense(whole_weights(20, 20, 1)), blank_out=blank),
            Connection("b", "readout", Dense(whole_weights(3, 20, 2))),
        ),
        Readout((3,)),
    )


def rows_of(count: int, features: int = 6) -> Tensor:
    """Multiples of 1/255."""
    return torch.randint(-255, 256, (count, features), generator=torch.Generator().manual_seed(3)).double() / 255


MASK, GIVEN = Dropout(0.2, site=3), Dropout(0.5, site=1)
BLANK = BlankOut(0.5, 1.0, site=2, successive=True)
SOME = BlankOut(0.25, torch.tensor([1.0, -1.0] * 10), site=2, hold=None)
NOISES = {
    "masks": {"hidden": MASK},
    "masks on inputs too": {"hidden": MASK, "given": GIVEN},
    "masks redrawn": {"hidden": Dropout(0.75, hold=1, site=4)},
    "synapses": {"blank": BlankOut(0.5, 0.0, site=2)},
    "synapses of which a part always transmits": {"blank": BLANK, "hidden": MASK},
    "parts of their own": {"blank": SOME},
}


@pytest.mark.parametrize("neuron", [Threshold(0.3), Sign()])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_the_same_spikes_under_the_same_draws(neuron: Threshold | Sign, noise: str, engine: str) -> None:
    network, x = noisy(neuron, **NOISES[noise]), rows_of(12)
    made = integers(network)
    asked = {"samples": 5, "steps": 3, "seed": 4, "probe": ["spikes"], "engine": engine}
    expected = simulate(network, x, **asked, dtype=torch.float64)
    found = simulate(made.network, made.inputs(x), **asked, dtype=made.dtype)
    for name, fired in expected.spikes.items():
        assert torch.equal(found.spikes[name], fired)
        assert 0 < int(fired.sum()) < fired.numel()
    assert (found.mean.double() * made.readout_scale - expected.mean).abs().max() < 1e-6 * expected.mean.abs().max()


def test_all_numbers_are_whole_under_noise() -> None:
    made = integers(noisy(Threshold(0.3), MASK, GIVEN, BLANK), bits=6)
    for c in made.network.connections:
        assert c.operator.weight is not None
        assert torch.equal(c.operator.weight, c.operator.weight.round())
        assert c.operator.weight.abs().max() <= 31
        assert c.blank_out is None or c.blank_out.scale == 0
    assert len(made.network.connections) == 4  # w a of synapses that blank out is a connection of its own
    assert all(node.dropout is None or node.dropout.factor == 1 for node in made.network.populations)


class Net(nn.Module):
    """Steps under dropout, and synapses that are no multiples of anything."""

    def __init__(self, outputs: int, pooled: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        first = [nn.Conv2d(1, 6, 3), step(), nn.MaxPool2d(2), Permadrop(0.3), nn.Flatten()]
        layers = first if pooled else [Permadrop(0.1), nn.Linear(49, 60), step(), Permadrop(0.2)]
        width = 24 if pooled else 60
        self.net = nn.Sequential(*layers, nn.Linear(width, 40), step(), Permadrop(0.2), nn.Linear(40, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_posterior_is_kept_in_the_units_of_the_network(pooled: bool, task: str) -> None:
    shape = (1, 7, 7) if pooled else (49,)
    x = torch.randint(0, 256, (40, *shape), generator=torch.Generator().manual_seed(1)) / 255
    network = convert(Net(3, pooled), x)
    exact = predict(network, x, samples=60, task=task)
    verdicts = {}
    for bits in (4, 16):
        made = predict(integers(network, bits=bits), x, samples=60, task=task)
        assert made.settings["whole_numbers"] == {"levels": 255, "weight": bits, "threshold": bits, "sum": 32}
        verdicts[bits] = compare(exact, made)
    error = {bits: float(np.median(v.paired_rmse)) for bits, v in verdicts.items()}
    assert verdicts[16].outcome == "kept"
    assert error[16] < 0.01 * error[4]


def test_blank_out_of_a_trained_network_keeps_its_posterior() -> None:
    x = torch.randint(0, 256, (30, 49), generator=torch.Generator().manual_seed(1)) / 255
    plain = nn.Sequential(*(part for part in Net(2).net if not isinstance(part, Permadrop)))
    network = with_blank_out(convert(plain, x), 0.7)
    exact, made = predict(network, x, samples=50), predict(integers(network, bits=16), x, samples=50)
    assert compare(exact, made).outcome == "kept"
    assert not torch.equal(exact.samples, made.samples)


def test_predict_rounds_inputs_and_takes_batches() -> None:
    network, x = noisy(Threshold(0.3), MASK), rows_of(30).float()
    made = integers(network)
    at_once = predict(made, x, samples=7)
    assert torch.equal(predict(made, x.split(8).__iter__(), samples=7).samples, at_once.samples)
    assert torch.equal(predict(made, x * 0.999, samples=7).samples, at_once.samples)
    with pytest.raises(DataError, match=r"an input of 1.5 is not within \+-1"):
        predict(made, x + 1.5 - x[0, 0], samples=7, seed=1)


def test_inputs_that_change_over_time_are_rounded_in_every_step() -> None:
    network, x = noisy(Threshold(0.3), MASK), rows_of(24).float().reshape(8, 3, 6)
    made = integers(network)
    frames = [predict(made, x[:, t], samples=5, rows=range(8)).samples for t in range(3)]
    torch.testing.assert_close(predict(made, x, samples=5).samples, torch.stack(frames).mean(0))


def test_inputs_that_should_be_standardised_are_told_of_before_they_are_rounded() -> None:
    x = 100 + torch.randn(50, 49, generator=torch.Generator().manual_seed(2))
    model = Net(2)
    scaling = Scaling.learn(x, torch.randn(50, 2))
    network = convert(model, scaling.inputs(x))
    network = replace(network, inputs=tuple(replace(i, standardised=True) for i in network.inputs))
    made = integers(network, largest_input=200.0)
    predict(made, scaling.inputs(x), samples=2)
    with pytest.warns(UserWarning, match="standard"):
        predict(made, x, samples=2)


def test_draws_of_real_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="draws sums of its synapses as real numbers; convert with sampling=Exact"):
        integers(noisy(Sign(), blank=replace(BLANK, sampling=Gaussian())))
    network = noisy(Sign())
    lawful = tuple(replace(p, neuron=Bernoulli(Curve.ERF, site=5)) for p in network.populations)
    with pytest.raises(
        ConfigError, match="units that fire with a probability draw real numbers; convert with sampling=Exact"
    ):
        integers(replace(network, populations=lawful))


def test_what_a_network_in_whole_numbers_costs_and_shows() -> None:
    network, x = noisy(Threshold(0.3), MASK), rows_of(6)
    made = integers(network)
    first, *others = repr(made).splitlines()
    assert first == "IntegerNetwork(bits of weight 8, threshold 8, sum 32; inputs +-1 in steps of 1/255)"
    assert others == repr(made.network).splitlines()
    before = energy(network, x.float(), samples=5)
    after = energy(made.network, made.inputs(x), samples=5)
    assert after.spiking.spikes == before.spiking.spikes
    assert pickle.loads(pickle.dumps(made)).widths == made.widths
