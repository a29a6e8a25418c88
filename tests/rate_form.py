"""Whether a converted network computes the same function as its module.

The oracle replaces every LIF population by its rate curve; then network and module, under the same masks, must agree
to rounding. That the LIF population in its turn fires at that rate is shown in ``tests/network/test_neurons.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fuzz import rate_form
from modules import GAMMA
from spikebayes.conversion.convert import convert
from spikebayes.network.network import SpikingNetwork
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

PAIRS = 5  # (sample, row) pairs that each comparison evaluates
SAMPLES, ROWS = torch.arange(PAIRS) // 3, torch.arange(PAIRS) % 3 + 7


def rates(network: SpikingNetwork, inputs: list[Tensor], seed: int) -> Tensor:
    """``[R, *readout]``: the network with the rate curve in place of each population's spikes."""
    return rate_form.rates(network, inputs, Keys(seed, SAMPLES, ROWS), GAMMA)


def settle(model: nn.Module) -> nn.Module:
    """Float64, and batch norm with statistics and weights that matter."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.running_mean is not None:
            m.running_mean.normal_()
            m.running_var.uniform_(0.2, 3)  # pyright: ignore[reportOptionalMemberAccess]
            if m.affine:
                nn.init.normal_(m.weight)
                nn.init.normal_(m.bias)
    return model.double()


@torch.no_grad()
def check(model: nn.Module, *shapes: tuple[int, ...], seed: int = 3) -> SpikingNetwork:
    """Convert, and compare the network's function with the module's under the same masks."""
    inputs = [torch.randn(PAIRS, *shape, dtype=torch.float64) for shape in shapes]
    network = convert(model, [x[:2] for x in inputs])
    with evaluating(model), Masks(Keys(seed, SAMPLES, ROWS)) as masks:
        expected = model(*inputs)
    assert torch.allclose(rates(network, inputs, seed), expected, rtol=0, atol=1e-9)
    assert float(expected.std()) > 1e-3  # two constants would agree without meaning anything
    assert masks.random == network.is_random
    return network
