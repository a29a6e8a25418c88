"""A conversion measures what its code costs, and says it where that is much."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes.conversion.paired_error import relative_error

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
    with pytest.warns(UserWarning, match=r"digits=1\) the network strays .* it is off by .* more") as caught:
        coarse = sb.convert(model(), X, code=sb.Digits(4, 1))
    assert caught[0].filename == __file__
    a, b = (sb.predict(m, X[:50], samples=50, seed=1).samples for m in (model(), coarse))
    measured = relative_error(a, b)
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


def test_the_error_is_that_of_a_closed_form() -> None:
    """Off by twice the standard deviation; outputs that are the same in all samples, or small, change nothing."""
    samples = torch.randn(40, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    samples[:, :, 1], samples[:, :, 2] = 1e9, samples[:, :, 2] * 1e-6
    spread = samples.std(0)
    assert relative_error(samples, samples + 2 * spread + torch.tensor([0.0, 5.0, 0.0])) == pytest.approx(2)
    steady = samples[:1].expand(40, -1, -1).clone()
    assert relative_error(steady, steady + 3 * steady[0].std(0)) == pytest.approx(3)


def test_a_model_whose_rows_are_all_alike_is_not_judged() -> None:
    constant = model(p=0.0)
    with torch.no_grad():
        constant[3].weight.zero_()  # pyright: ignore
    assert said(constant, sb.Digits(2, 1)) == []


def test_measuring_draws_from_no_global_generator() -> None:
    network = model()
    before = torch.random.get_rng_state()
    sb.convert(network, X, code=sb.Digits(4, 4))
    sb.convert(network, X, code="auto", error=0.3)
    assert torch.equal(torch.random.get_rng_state(), before)
