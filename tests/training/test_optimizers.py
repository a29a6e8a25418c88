"""Optimisers by name: torch's own, with torch's defaults."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop

from problems import network, plane, quick_fit
from spikebayes.errors import ConfigError
from spikebayes.training.optimizers import OPTIMIZERS, make_optimizer

PLAIN: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (Adam, {}),
    "adamw": (AdamW, {}),
    "nadam": (NAdam, {}),
    "radam": (RAdam, {}),
    "rmsprop": (RMSprop, {}),
    "sgd": (SGD, {"momentum": 0.9, "nesterov": True}),
}


def walk(optimizer: Optimizer, w: Tensor) -> Tensor:
    """Five steps down a bent valley."""
    for _ in range(5):
        optimizer.zero_grad()
        (w.square() * torch.arange(1.0, 4.0) + w.prod()).sum().backward()
        optimizer.step()
    return w.detach()


def start() -> Tensor:
    return torch.tensor([1.0, -2.0, 0.5], requires_grad=True)


def test_the_list_is_the_documented_one() -> None:
    assert OPTIMIZERS.keys() == PLAIN.keys()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", PLAIN)
def test_an_optimizer_is_torchs_of_that_name(name: str, decay: float) -> None:
    kind, settings = PLAIN[name]
    ours, theirs = start(), start()
    made = make_optimizer(name, [ours], 0.02, decay)
    assert type(made) is kind
    expected = walk(kind([theirs], lr=0.02, weight_decay=decay, **settings), theirs)
    torch.testing.assert_close(walk(made, ours), expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(expected, start().detach())


def test_parameters_may_come_one_by_one() -> None:
    model = network()
    made = make_optimizer("adam", model.parameters(), 1e-3)
    assert len(made.param_groups[0]["params"]) == len(list(model.parameters()))


def test_an_unknown_name_is_refused_here_and_by_fit() -> None:
    says = "optimizer must be one of adam, adamw, nadam, radam, rmsprop, sgd; got 'lion'"
    with pytest.raises(ConfigError, match=says):
        make_optimizer("lion", [start()], 1e-3)
    with pytest.raises(ConfigError, match=says):
        quick_fit(network(), *plane(), optimizer="lion")


def test_every_optimizer_trains_and_each_in_its_own_way() -> None:
    found = []
    for name in PLAIN:
        model = network()
        quick_fit(model, *plane(60), epochs=2, optimizer=name)
        found.append(model[0].weight.detach().clone())
        assert found[-1].isfinite().all()
        assert not torch.equal(found[-1], network()[0].weight)
    assert not any(torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


def test_adam_is_what_fit_takes_unless_told_otherwise() -> None:
    models = network(), network()
    quick_fit(models[0], *plane(60), epochs=2)
    quick_fit(models[1], *plane(60), epochs=2, optimizer="adam")
    assert torch.equal(models[0][0].weight, models[1][0].weight)


PARAMETERS = [torch.zeros(1, requires_grad=True)]


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize(
    ("parameters", "rates", "says"),
    [
        (PARAMETERS, (-1.0, 0.0), "learning_rate must be positive; got -1.0"),
        (PARAMETERS, (math.nan, 0.0), "learning_rate must be positive"),
        (PARAMETERS, (math.inf, 0.0), "learning_rate must be positive"),
        (PARAMETERS, (0.1, -1.0), "weight_decay must be 0 or more; got -1.0"),
        (PARAMETERS, (0.1, math.nan), "weight_decay must be 0 or more"),
        ([], (0.1, 0.0), "parameters must be tensors to be trained, .*empty"),
        ([None], (0.1, 0.0), "parameters must be tensors to be trained"),
        ([2 * PARAMETERS[0]], (0.1, 0.0), "parameters must be tensors to be trained, .*leaf"),
    ],
)
def test_what_cannot_be_optimised_is_refused(name: str, parameters: Any, rates: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_optimizer(name, parameters, *rates)
