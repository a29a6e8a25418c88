"""A conversion measures what its code costs, and says it where that is much."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikebayes as sb
from modules import Net
from spikebayes.conversion.paired_error import errors_of_outputs

X = torch.randn(150, 4, generator=torch.Generator().manual_seed(0))


def model(outputs: int = 1, p: float = 0.2) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Dropout(p), nn.Linear(30, outputs)).eval()


def said(network: nn.Module, code: sb.Digits | str, **settings: float) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sb.convert(network, X, code=code, **settings)  # pyright: ignore[reportArgumentType]
    return [str(warning.message) for warning in caught]


def test_a_coarse_code_is_said_with_its_error_and_a_cure() -> None:
    with pytest.warns(UserWarning, match=r"digits=1\) the network strays .* its output is off by .* more") as caught:
        coarse = sb.convert(model(), X, code=sb.Digits(4, 1))
    assert caught[0].filename == __file__
    a, b = (sb.predict(m, X[:50], samples=50, seed=1).samples for m in (model(), coarse))
    measured = float(errors_of_outputs(a, b))
    told = float(str(caught[0].message).split("off by ")[1].split()[0])
    assert told == pytest.approx(measured, rel=0.4)  # of other masks and fewer rows
    assert said(model(), sb.Digits(4, 4)) == []


def test_a_code_that_was_chosen_is_measured_once() -> None:
    assert said(model(), "auto", error=2.0) == []
    assert len(said(model(), "auto", error=1e-6)) == 1


def test_without_dropout_the_spread_over_rows_counts() -> None:
    steady = model(p=0.0)
    assert said(steady, sb.Digits(4, 4)) == []
    assert len(said(steady, sb.Digits(2, 2))) == 1


def test_one_output_of_several_is_named() -> None:
    """Its spread is a thousandth of what the other's is, beside a sum of the same size that no mask changes."""

    def forward(m: Any, x: Tensor) -> Tensor:
        steady = torch.relu(m.first(x))
        dropped = m.drop(steady)
        return torch.cat([m.last(dropped), m.last(steady) + 1e-3 * m.last(dropped)], 1)

    torch.manual_seed(0)
    parts = {"first": nn.Linear(4, 30), "drop": nn.Dropout(0.2), "last": nn.Linear(30, 1)}
    found = said(Net(forward, **parts).eval(), sb.Digits(4, 4))
    assert len(found) == 1
    assert "output 1 is off by" in found[0]


def test_errors_of_outputs_are_those_of_a_closed_form() -> None:
    """Off by twice the standard deviation; the same in all samples; the same in all rows and samples."""
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(40, 9, 3, generator=generator, dtype=torch.float64)
    samples[:, :, 1], samples[:, :, 2] = samples[:1, :, 1], 5.0
    given = samples + torch.stack([2 * samples[..., 0].std(0), torch.ones(9), torch.ones(9)], 1)
    assert errors_of_outputs(samples, given).tolist() == pytest.approx([2, 0, 0])
    steady = samples[:1].expand(40, -1, -1).clone()
    spread = steady[0].std(0)
    found = errors_of_outputs(steady, steady + 3 * spread)
    assert found.tolist() == pytest.approx([3, 3, 0])
    assert errors_of_outputs(torch.full((5, 4, 1), 2.0), torch.zeros(5, 4, 1)).tolist() == [0]


def test_measuring_draws_from_no_global_generator() -> None:
    network = model()
    before = torch.random.get_rng_state()
    sb.convert(network, X, code=sb.Digits(4, 4))
    sb.convert(network, X, code="auto", error=0.3)
    assert torch.equal(torch.random.get_rng_state(), before)
