"""A network's outputs under classification are what its module's are: of a sigmoid they are its values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coarse_codes import coarse
from modules import Net
from spikebayes import (
    DataError,
    Digits,
    FirstSpike,
    Graded,
    Predictive,
    convert,
    integers,
    load_network,
    predict,
    save_network,
    with_spike_noise,
)
from spikebayes.network import Code
from spikebayes.prediction.network_heads import head_of

X = 3 * torch.randn(200, 4, generator=torch.Generator().manual_seed(3))
CODES = [Digits(4, 4), FirstSpike(128), Graded(10)]
SIGMOIDS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard sigmoid": F.hardsigmoid,
    "log sigmoid": F.logsigmoid,
    "flattened": lambda y: y.sigmoid().flatten(1),
}
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "exp": lambda y: torch.exp(y - 4),
    "clamp": lambda y: y.clamp(0, 1),
    "minus softplus of the same": lambda y: -F.softplus(y),
    "half of a sigmoid": lambda y: 0.5 * y.sigmoid(),
    "one minus a sigmoid": lambda y: 1 - y.sigmoid(),
    "a dropped sigmoid": lambda y: F.dropout(y.sigmoid(), 0.1),
    "a softmax": lambda y: torch.cat([y, 0 * y], 1).softmax(1),
}


def net(head: Callable[[Tensor], Tensor], outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, outputs))
    with torch.no_grad():
        body.get_parameter("3.weight").mul_(3)
    return Net(lambda m, x: head(m.body(x)), body=body)


def classes(model: object) -> Predictive:
    return predict(model, X[:20], samples=40, seed=1, task="classification")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("name", SIGMOIDS)
def test_a_network_takes_a_sigmoid_once_as_its_module_does(name: str, code: Code) -> None:
    model = net(SIGMOIDS[name])
    network = convert(model, X, code=code)
    with pytest.warns(UserWarning, match="comes from a sigmoid already"):
        expected = classes(model)
    with pytest.warns(UserWarning, match="comes from a sigmoid already"):
        found = classes(network)
    assert found.settings["outputs"] == expected.settings["outputs"]
    assert float((found.mean - expected.mean).abs().mean()) < 0.05
    assert float(found.mean[:, 1].min()) < 0.4  # which no sigmoid of a sigmoid's value is


@pytest.mark.parametrize("name", SIGMOIDS)
def test_so_it_does_in_whole_numbers_under_noise_and_from_a_file(name: str, tmp_path: Path) -> None:
    network = convert(net(SIGMOIDS[name]), X)
    save_network(network, tmp_path / "network")
    whole = integers(network, bits=10, levels=1000, largest_input=16.0)
    for each in (load_network(tmp_path / "network"), with_spike_noise(network, loss=0.01), whole):
        with pytest.warns(UserWarning, match="comes from a sigmoid already"):
            found = classes(each)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert float((found.mean - classes(network).mean).abs().mean()) < 0.05


@coarse  # exp makes the spread of most rows tiny beside that of a few
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_sigmoid_stays_logits(name: str) -> None:
    assert head_of(convert(net(OTHERS[name]), X, code=Digits(4, 4))).kind == "logits"


def test_sigmoids_of_several_classes_are_refused_as_the_modules_are() -> None:
    model = net(torch.sigmoid, 3)
    network = convert(model, X)
    for each in (model, network, integers(network, bits=10, levels=1000, largest_input=16.0)):
        with pytest.raises(DataError, match="a sigmoid for each class"):
            classes(each)
    values = predict(network, X[:20], samples=40, seed=1)  # of each class, as the refusal says
    torch.testing.assert_close(values.mean, predict(model, X[:20], samples=40, seed=1).mean, atol=0.05, rtol=0)
