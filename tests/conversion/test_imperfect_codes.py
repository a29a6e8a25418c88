"""Imperfect weights of coded networks: a scale for each unit, and sums that stay exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from coded_networks import coded
from spikebayes import (
    Digits,
    FirstSpike,
    SpikingNetwork,
    convert,
    predict,
    quantised,
    scaled,
    simulate,
    with_device_noise,
    with_row_gains,
)
from spikebayes.network.coded import Coded, Ramp
from spikebayes.network.network import Connection, Input, Population, Readout
from spikebayes.network.operators import Dense

EVERY: dict[str, Callable[[SpikingNetwork], SpikingNetwork]] = {
    "8 bits": lambda n: quantised(n, 8),
    "2 bits": lambda n: quantised(n, 2, "max"),
    "row gains": lambda n: with_row_gains(n, 0.3, seed=1),
    "device noise": lambda n: with_device_noise(n, 0.3, seed=1),
    "scaled": lambda n: scaled(n, 1.1),
}


@pytest.mark.filterwarnings("ignore:.*lie above its highest level")
@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_engines_and_batches_agree_to_the_bit(change: Callable[[SpikingNetwork], SpikingNetwork]) -> None:
    """Only weights on the grids of the sums have sums that are the same in whatever order."""
    for seed in (900, 902, 906, 911):
        plain, rows = coded(seed)
        network, x = change(plain), [part[:4] for part in rows]
        a, b, c = (
            simulate(network, x, samples=3, engine=engine, probe=["numbers"], batch_size=size)
            for engine, size in (("reference", None), ("windows", None), ("windows", 2))
        )
        assert torch.equal(a.mean, b.mean)
        assert torch.equal(a.mean, c.mean)
        assert all(torch.equal(numbers, b.numbers[name]) for name, numbers in a.numbers.items())
        assert not torch.equal(a.mean, simulate(plain, x, samples=3).mean)


@pytest.mark.parametrize(("bits", "clip"), [(2, "mse"), (4, "max"), (4, "mse"), (8, "mse"), (12, "max")])
def test_each_unit_has_whole_numbers_times_a_scale_of_its_own(bits: int, clip: str) -> None:
    levels = 2 ** (bits - 1) - 1
    for seed in (900, 902, 906):
        network, _ = coded(seed)
        for old, new in zip(network.connections, quantised(network, bits, clip).connections, strict=True):  # pyright: ignore[reportArgumentType]
            grids = {n.name: n.grid for n in (*network.populations, network.readout)}
            inputs = old.source in {i.name for i in network.inputs}
            for before, after in zip(old.operator.parts, new.operator.parts, strict=True):
                if before.weight is None or after.weight is None:
                    continue
                assert after.weight.dtype == before.weight.dtype
                for w, q in zip(before.weight.flatten(1).double(), after.weight.flatten(1).double(), strict=True):
                    if inputs or not bool(q.any()):
                        assert len(q.unique()) <= 2 * levels + 1
                        continue
                    whole = (q / grids[old.target]).round()
                    assert torch.equal(whole * grids[old.target], q)
                    factors = [int(k) for k in whole.abs()]
                    assert max(factors) // math.gcd(*factors) <= levels
                    assert float((q - w).abs().max()) <= float(w.abs().max())


def test_scales_of_units_by_hand() -> None:
    """Two rows of one layer, 4 bits: by one scale the small row would be nothing."""
    neuron, grid = Coded(Digits(4, 2), Ramp(), torch.tensor(15.0)), 2.0**-10
    big, small = torch.tensor([7.0, -3.6, 0.4]), torch.tensor([7.0, -3.6, 0.4]) / 64
    network = SpikingNetwork(
        (Input("x", (3,)),),
        (Population("a", (3,), neuron), Population("b", (2,), neuron, grid=grid)),
        (
            Connection("x", "a", Dense(torch.eye(3))),
            Connection("a", "b", Dense(torch.stack([big, small]))),
            Connection("b", "readout", Dense(torch.eye(2))),
        ),
        Readout((2,)),
    )
    found = quantised(network, 4, "max").connections[1].operator.weight
    assert found is not None
    assert found.tolist() == [[7.0, -4.0, 0.0], [7 / 64, -4 / 64, 0.0]]
    finer = replace(network, populations=(network.populations[0], replace(network.populations[1], grid=2.0**-6)))
    coarse = quantised(finer, 5, "max").connections[1].operator.weight  # 7/64 / 15 is below the grid: it is the scale
    assert coarse is not None
    assert coarse[1].tolist() == [7 / 64, -4 / 64, 0.0]


def test_more_bits_are_nearer_to_the_module() -> None:
    torch.manual_seed(0)
    layers = [
        torch.nn.Linear(6, 60),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(60, 60),
        torch.nn.ReLU(),
    ]
    model = torch.nn.Sequential(*layers, torch.nn.Dropout(0.1), torch.nn.Linear(60, 1)).eval()
    x = torch.randn(200, 6)
    classical = predict(model, x[:30], samples=40, seed=1).samples
    for code in (Digits(4, 4), FirstSpike(64)):
        network = convert(model, x, code=code)
        samples = [
            predict(n, x[:30], samples=40, seed=1).samples
            for n in (*(quantised(network, b) for b in (3, 5, 8)), network)
        ]
        errors = [float(((s - classical).square().mean(0).sqrt() / classical.std(0)).median()) for s in samples]
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 2 * errors[3] + 0.05
