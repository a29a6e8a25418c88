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


HALF = (torch.arange(12).reshape(1, 3, 4) % 3 > 0).float()
MASKED = {
    "a convolution": lambda m, h: m.second(h * HALF).flatten(1),
    "averages": lambda m, h: nn.functional.avg_pool2d(h * HALF, (3, 2)).flatten(1),
    "lines": lambda m, h: m.lines(h.flatten(2) * torch.tensor([[1.0], [0.0], [1.0]])).flatten(1),
    "a channel": lambda m, h: m.second(h * torch.tensor([1.0, 0.0, -1.0]).reshape(3, 1, 1)).flatten(1),
    "a mask beyond an edge": lambda m, h: m.second(nn.functional.pad(h * HALF, (1, 1)) * -1).flatten(1),
}


@pytest.mark.parametrize("way", MASKED)
def test_units_that_a_fixed_mask_silences_stay_silent(way: str) -> None:
    """A factor of 0 is none that the weights behind it may take for that of the other units of a channel."""
    torch.manual_seed(0)
    layers = {"first": nn.Conv2d(2, 3, 3, padding=1), "second": nn.Conv2d(3, 2, 2), "lines": nn.Linear(12, 2)}
    body = Net(lambda m, x: MASKED[way](m, m.drop(torch.relu(m.first(x)))), **layers, drop=nn.Dropout(0.2))
    x = torch.randn(150, 2, 3, 4)
    classical, coded = (
        sb.predict(m, x[:20], samples=20, seed=1).samples for m in (body, sb.convert(body, x, code=sb.Graded(14)))
    )
    assert (classical - coded).abs().max() < 0.01 * classical.std(0).mean()


@pytest.mark.parametrize("end", [6.0, 2000.0, 3e6])
def test_what_a_clamp_cuts_off_stays_cut_off(end: float) -> None:
    """However large: no value is told beyond the clamp's end, whatever the headroom."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 30), nn.Hardtanh(0.0, end), nn.Dropout(0.2), nn.Linear(30, 1))
    x = end * torch.randn(150, 3)
    classical, coded = (
        sb.predict(m, 4 * x[:20], samples=20, seed=1).samples
        for m in (model, sb.convert(model, x, code=sb.Graded(14)))
    )
    assert (classical - coded).abs().max() < 0.01 * classical.std(0).mean()


@pytest.mark.parametrize("largest", [1.0, 1e9, 1e15])
def test_a_curve_that_grows_without_end_is_told_however_large_its_inputs(largest: float) -> None:
    """As asinh, by which raw measurements are made small."""
    torch.manual_seed(0)
    model = Net(lambda m, x: m.last(m.drop(torch.asinh(x))), last=nn.Linear(3, 1), drop=nn.Dropout(0.2))
    x = largest * torch.rand(150, 3) ** 4
    classical, coded = (
        sb.predict(m, x[:20], samples=20, seed=1).samples for m in (model, sb.convert(model, x, code=sb.Graded(14)))
    )
    assert (classical - coded).abs().max() < 0.01 * classical.std(0).mean()


@pytest.mark.parametrize("code", [sb.Digits(4, 4), sb.Graded(8)])
@pytest.mark.parametrize("curve", [nn.ELU(-1.0), nn.Softplus(threshold=-5.0)])
def test_a_curve_that_falls_by_its_settings_is_refused(curve: nn.Module, code: Any) -> None:
    """Its levels would be those of a curve that only rises."""
    model = nn.Sequential(nn.Linear(3, 4), curve, nn.Dropout(0.2), nn.Linear(4, 1))
    with pytest.raises(sb.ConversionError, match="with these settings it falls somewhere; take some with which"):
        sb.convert(model, torch.randn(100, 3), code=code)


def test_slopes_that_the_model_reads_after_it_pooled_are_known() -> None:
    torch.manual_seed(0)
    slopes = torch.tensor([0.1, 0.5, 0.2])
    model = Net(
        lambda m, x: m.last(
            m.drop(nn.functional.prelu(nn.functional.max_pool2d(m.first(x), 2), m.slopes)).flatten(1)
        ),
        first=nn.Conv2d(2, 3, 3, padding=1),
        last=nn.Linear(12, 1),
        drop=nn.Dropout(0.2),
        slopes=slopes,
    )
    x = torch.randn(150, 2, 4, 4)
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
