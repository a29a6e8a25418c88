"""The cheapest code within an error, by ticks or by joules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes.conversion.paired_error import relative_error


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Dropout(0.2), nn.Linear(30, 1)).eval()


def error(model: nn.Module, network: sb.SpikingNetwork, rows: torch.Tensor) -> float:
    return relative_error(*(sb.predict(m, rows[:50], samples=50, seed=1).samples for m in (model, network)))


def test_fewer_levels_do_for_larger_errors(model: nn.Module, rows: torch.Tensor) -> None:
    found = [sb.convert(model, rows, code="auto", error=allowed) for allowed in (0.3, 0.05, 0.02)]
    ticks = [network.code.ticks for network in found]
    assert ticks == sorted(set(ticks))
    for network, allowed in zip(found, (0.3, 0.05, 0.02), strict=True):
        assert error(model, network, rows) < 1.3 * allowed  # of other masks


def test_prices_decide_between_codes_of_equal_levels(model: nn.Module, rows: torch.Tensor) -> None:
    dear_spikes = sb.Device("events", 1e-9, 0.0, True, "test")
    dear_updates = sb.Device("updates", 0.0, 1e-9, True, "test")
    by_events = sb.convert(model, rows, code="auto", error=0.2, cost=dear_spikes)
    by_updates = sb.convert(model, rows, code="auto", error=0.2, cost=dear_updates)
    assert isinstance(by_events.code, sb.FirstSpike)
    assert isinstance(by_updates.code, sb.Radix)


def test_an_error_that_cannot_be_had_is_said(model: nn.Module, rows: torch.Tensor) -> None:
    with pytest.warns(UserWarning, match=r"no code reaches .* Radix\(bits=10\) comes closest"):
        network = sb.convert(model, rows, code="auto", error=1e-6)
    assert network.code == sb.Radix(10)
    with pytest.raises(sb.ConfigError, match="error must be positive"):
        sb.convert(model, rows, code="auto", error=0.0)


def test_what_rises_and_falls_gets_a_payload(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    bumps = nn.Sequential(nn.Linear(4, 20), nn.SiLU(), nn.Dropout(0.2), nn.Linear(20, 1)).eval()
    assert isinstance(sb.convert(bumps, rows, code="auto", error=0.1).code, sb.Graded)


def test_a_network_without_dropout_is_measured_by_its_rows(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    steady = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 1)).eval()
    assert sb.convert(steady, rows, code="auto", error=0.05).code is not None
