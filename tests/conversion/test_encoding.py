"""Factors on the way between populations are taken into the weights once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import spikebayes as sb
from modules import Net


class Scaled(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.factors = torch.tensor(factors)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factors


def spread(norm: nn.BatchNorm1d) -> nn.BatchNorm1d:
    with torch.no_grad():
        norm.running_mean.copy_(torch.linspace(-1, 1, norm.num_features))
        norm.running_var.copy_(torch.linspace(0.1, 4, norm.num_features))
        norm.weight.copy_(torch.linspace(0.5, 3, norm.num_features))
    return norm


WAYS = {
    "a norm of the input": lambda: [spread(nn.BatchNorm1d(3)), nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2)],
    "a norm straight into units": lambda: [spread(nn.BatchNorm1d(3)), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3, 4)],
    "a norm between": lambda: [
        nn.Linear(3, 4),
        nn.ReLU(),
        nn.Dropout(0.2),
        spread(nn.BatchNorm1d(4)),
        nn.Linear(4, 4),
    ],
    "a norm and a curve": lambda: [nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.2), spread(nn.BatchNorm1d(4)), nn.Tanh()],
    "a factor behind units": lambda: [nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), Scaled(3, 0.1, 2, -1)],
    "two factors": lambda: [nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), Scaled(3, 0.1, 2, -1), Scaled(0.5, 2, 3, 4)],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_network_is_the_module(way: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*WAYS[way](), nn.Linear(4, 2)).eval()
    x = torch.randn(200, 3)
    classical, coded = (
        sb.predict(m, x[:20], samples=20, seed=1).samples for m in (model, sb.convert(model, x, code=sb.Graded(14)))
    )
    assert (classical - coded).abs().max() < 0.01 * classical.std(0).mean()


@pytest.mark.parametrize("code", [None, "auto", sb.Graded(8)])
def test_an_output_without_an_axis_of_its_own_is_told_by_a_code(code: Any) -> None:
    """As of a regression that ends in ``.squeeze(-1)``."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
    model = Net(lambda m, x: m.body(x).squeeze(-1), body=body)
    x = torch.randn(120, 4)
    network = sb.convert(model, x, code=code)
    a, b = (sb.predict(m, x, samples=5).samples for m in (model, network))
    assert b.shape == (5, 120, 1)
    assert (a - b).std() < 0.1 * a.std()
    assert torch.equal(sb.predict(network, x[:7], samples=2, engine="reference").samples, b[:2, :7])
