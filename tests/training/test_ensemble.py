"""Networks that predict together: whose samples they are, and what the settings say of all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes.errors import ConfigError
from spikebayes.training import Ensemble, Fitted, Scaling

X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))


def member(*layers: nn.Module) -> Fitted:
    rows = Scaling(X.mean(0), X.std(0), torch.zeros(1), torch.ones(1))
    model = nn.Sequential(*layers).eval()
    return Fitted(model, rows, sb.Task.REGRESSION, torch.ones(1), ("y",), calibration=rows.inputs(X.repeat(2, 1)))


def hidden(inputs: int, activation: type[nn.Module] = sb.nn.SoftLIF) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, 8), activation(), sb.nn.Permadrop(0.1)


@pytest.fixture(scope="module")
def members() -> tuple[Fitted, ...]:
    """One hidden layer, two of them, and one whose neurons tell numbers in windows."""
    torch.manual_seed(0)
    shallow, deep = member(*hidden(3), nn.Linear(8, 1)), member(*hidden(3), *hidden(8), nn.Linear(8, 1))
    return shallow, deep, member(*hidden(3, nn.ReLU), nn.Linear(8, 1))


def spikes_of(made: sb.Predictive) -> dict[str, Any]:
    return made.settings["spikes_per_prediction"]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_members_of_different_layers_are_counted_together(order: tuple[int, ...], members: Any) -> None:
    ensemble = Ensemble(tuple(members[k] for k in order))
    networks = ensemble.network()
    made = ensemble.predict(X[:4], network=networks, samples=6, seed=3)
    seeds = [(3 + k * 0x9E3779B97F4A7C15) % 2**64 for k in range(3)]
    alone = [
        one.predict(X[:4], network=network, samples=2, seed=seed)
        for one, network, seed in zip(ensemble.members, networks, seeds, strict=True)
    ]
    assert torch.equal(made.samples, torch.cat([one.samples for one in alone]))
    names = {name for one in alone for name in spikes_of(one)}
    assert spikes_of(made) == {
        name: pytest.approx(sum(spikes_of(one).get(name, 0) for one in alone) / 3) for name in names
    }
    assert made.settings["saturated"].keys() == alone[order.index(2)].settings["saturated"].keys()
    assert (made.settings["samples"], made.settings["members"]) == (6, 3)


def test_fewer_samples_than_members_and_other_numbers_of_networks_are_refused(members: Any) -> None:
    ensemble = Ensemble(members)
    with pytest.raises(ConfigError, match="samples must be at least 3, one of each member; got 2"):
        ensemble.predict(X[:4], samples=2)
    with pytest.raises(ConfigError, match="3 members have 3 networks; got 1"):
        ensemble.predict(X[:4], network=[members[0].network()])
