"""Room on chips: the demand against each chip's limits, and what is said of those that are too small."""

from __future__ import annotations

import torch
from torch import nn

from spikebayes import convert, integers, limits, split_fan_in
from spikebayes.evaluate import CHIPS, Limits, demand, latency
from spikebayes.nn import Sharpened, zoo

NARROW = Limits("narrow", 1000, 32, "nowhere", step=1e-3)
WIDE = Limits("wide", None, None, "nowhere", memory=100)


def test_each_chip_is_held_against_the_demand() -> None:
    network = convert(zoo.mlp(4, 1, [40, 8]), torch.zeros(1, 4))
    found = limits(network, samples=10, steps=50, burn_in=20, chips=(NARROW, WIDE))
    assert found.demand == demand(network)
    assert found.latency == latency(network, 10, 50, 20)
    narrow, wide = found.chips
    assert (narrow.ms, wide.ms) == ((50.0, 500.0), (None, None))
    assert (narrow.memory, wide.memory) == (found.demand.memory(NARROW), found.demand.memory(WIDE))
    assert narrow.excesses[0].endswith("fan-in 40 > 32")
    assert wide.excesses == [f"{wide.memory:,} bytes of 8-bit weights > 100"]
    said = str(found).splitlines()
    assert said[1].split()[-2:] == ["too", "small"]
    assert "sb.split_fan_in(sb.integers(network), 32)" in said[-1]
    assert [room.chip for room in limits(network).chips] == list(CHIPS)


def test_a_network_with_a_smaller_fan_in_has_room() -> None:
    torch.manual_seed(0)
    step = Sharpened("brelu", 1.0)
    whole = integers(
        convert(nn.Sequential(nn.Linear(60, 9), step, nn.Linear(9, 2)), torch.zeros(1, 60)), bits=2, levels=1
    )
    (before,) = limits(whole.network, chips=(NARROW,)).chips
    found = limits(split_fan_in(whole, 32).network, chips=(NARROW,))
    assert len(before.excesses) == 1
    assert found.chips[0].excesses == []
    assert "split_fan_in" not in str(found)
