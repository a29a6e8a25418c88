"""Threshold networks in whole numbers: the same decisions, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikebayes import ConfigError, SpikingNetwork, convert, folded, integers, simulate
from spikebayes.network.operators import Conv, Dense, parts
from spikebayes.nn import Permadrop, Sharpened, SoftLIF
from stepped import stepped


def trained(bits: int | None = 8) -> tuple[SpikingNetwork, torch.Tensor]:
    """The network of a small module of steps, and images of 8 bits."""
    x = torch.randint(0, 256, (80, 1, 9, 9), generator=torch.Generator().manual_seed(1)) / 255
    return convert(folded(stepped(x, 4, convolutions=[(5, 3, True)], hidden=(11,), width=12, bits=bits)), x), x


def outputs(network: SpikingNetwork, x: torch.Tensor) -> torch.Tensor:
    return simulate(network, x, samples=1, steps=1).mean[0]


def test_weights_trained_with_8_bits_give_the_very_same_classes() -> None:
    network, x = trained()
    made = integers(network)
    read = outputs(made.network, made.inputs(x))
    assert torch.equal(read.argmax(1), outputs(network, x).argmax(1))
    assert len(set(read.argmax(1).tolist())) > 1


def test_sums_in_32_bits_give_the_same_spikes() -> None:
    network, x = trained()
    made = integers(network)
    run = simulate(made.network, made.inputs(x), samples=1, steps=1, probe=["spikes"])
    first = made.network.populations[0]
    conv = made.network.into(first.name)[0].operator
    assert isinstance(conv, Conv)
    image = torch.nn.functional.pad(made.inputs(x).to(torch.int32), (1, 1, 1, 1))
    windows = image.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)  # [B, 1, H, W, 9], whole numbers
    total = (windows[:, 0, :, :, None] * conv.weight.to(torch.int32).flatten(1)).sum(-1, dtype=torch.int32)
    assert first.constant is not None
    fires = total.permute(0, 3, 1, 2) + first.constant.to(torch.int32) >= 0
    assert torch.equal(run.spikes[first.name][0, :, 0], fires.flatten(1))
    assert int(total.abs().max()) <= made.largest[first.name]


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_all_weights_and_constants_are_whole_and_small_enough(bits: int) -> None:
    made = integers(trained(None)[0], bits=bits)
    top = 2 ** (bits - 1) - 1
    for connection in made.network.connections:
        for operator in parts(connection.operator):
            if isinstance(operator, Dense | Conv):
                assert torch.equal(operator.weight, operator.weight.round())
                assert operator.weight.abs().max() <= top
    for population in made.network.populations:
        if population.name in made.scales:
            assert population.constant is not None
            assert torch.equal(population.constant, population.constant.round())
            allowed = top + made.constants[population.name] * top * 255
            assert population.constant.abs().max() <= allowed
    assert made.bits == bits


def test_what_is_not_of_that_form_is_refused() -> None:
    def of(*layers: nn.Module) -> SpikingNetwork:
        return convert(nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2)), torch.zeros(1, 3))

    with pytest.raises(ConfigError, match="LIF neurons; whole numbers are for threshold neurons"):
        integers(of(SoftLIF()))
    with pytest.raises(ConfigError, match="has dropout; convert the network without it"):
        integers(of(Sharpened("brelu", 1.0), Permadrop(0.5)))
    with pytest.raises(ConfigError, match="is not one Dense or Conv"):
        integers(of(Sharpened("brelu", 1.0), nn.Linear(4, 4), nn.Linear(4, 4), Sharpened("brelu", 1.0)))
    good = of(Sharpened("brelu", 1.0))
    for bits in (1, 17, True):
        with pytest.raises(ConfigError, match="weights may have 2 to 16 bits"):
            integers(good, bits=bits)
    for levels in (0, 1 << 16):
        with pytest.raises(ConfigError, match="levels must be a whole number from 1 to 65535"):
            integers(good, levels=levels)
