"""Which units one sample keeps: masks as arrays, and as the factors that they put on a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.machine.numbers import check_count
from spikebayes.network.network import Input, Population, SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.sampling import MOST_SAMPLES

MOST_ROWS = 1 << 32


def check_keys(sample: int, row: int, seed: int) -> None:
    """Refuse what no draw can be a function of (ConfigError)."""
    check_count("sample", sample, 0, MOST_SAMPLES - 1, "samples are numbered from 0")
    check_count("row", row, 0, MOST_ROWS - 1, "rows are numbered from 0")
    split_seed(seed)


def masked(network: SpikingNetwork) -> tuple[Input | Population, ...]:
    """The inputs and populations that have a mask."""
    return tuple(n for n in (*network.inputs, *network.populations) if n.dropout and n.dropout.acts)


def keeps(network: SpikingNetwork, sample: int, row: int, seed: int) -> dict[str, Tensor]:
    """``[*shape]`` bool by name of what has a mask: the units that a sample of a row keeps."""
    keys = Keys(seed, torch.tensor([sample]), torch.tensor([row]))
    found = {}
    for node in masked(network):
        assert node.dropout is not None
        found[node.name] = dropout_keep(node.dropout, keys, size(node.shape))[0].reshape(node.shape)
    return found


def factors(network: SpikingNetwork, keep: dict[str, Tensor]) -> dict[str, Tensor]:
    """``[*shape]`` float64 by name: 0 where a unit is dropped, else 1/(1 - p)."""
    noise = {node.name: node.dropout for node in masked(network)}
    return {name: kept.double() * noise[name].factor for name, kept in keep.items()}  # pyright: ignore[reportOptionalMemberAccess]
