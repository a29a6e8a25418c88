"""tune(): the fewest steps for an error, found on some rows and held on others."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from spikebayes import (
    Alpha,
    ConfigError,
    DataError,
    Hann,
    Lowpass,
    SpikingNetwork,
    Task,
    Timing,
    convert,
    load_network,
    predict,
    save_network,
    tune,
)
from spikebayes.network import Connection, Dense
from spikebayes.nn import LIFRate, Permadrop
from spikebayes.prediction.tuning import find_timing

ROWS, OTHERS = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(5))


@cache
def made(outputs: int = 1, depth: int = 2, seed: int = 0, p: float = 0.2) -> nn.Sequential:
    """A module whose activation is the LIF rate itself: long simulations agree with it as well as one likes."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i in range(depth):
        linear = nn.Linear(50 if i else 3, 50)
        nn.init.normal_(linear.weight, std=1.2 / linear.in_features**0.5)
        layers += [linear, LIFRate(), Permadrop(p)]
    return nn.Sequential(*layers, nn.Linear(50, outputs)).eval()


def error(
    model: nn.Module, network: SpikingNetwork, x: Tensor, task: Task = Task.REGRESSION, **settings: Any
) -> float:
    """Median over rows of the paired rms difference / the predictive standard deviation."""
    module, spiking = (predict(m, x, samples=30, seed=7, task=task, **settings).samples for m in (model, network))
    return float(((spiking - module).pow(2).mean(0).sqrt() / module.std(0)).median())


@pytest.mark.parametrize("asked", [0.2, 0.05])
def test_fewer_steps_for_the_error_asked_for_hold_on_other_rows(asked: float) -> None:
    model = made()
    network = convert(model, ROWS)
    tuned = tune(network, model, ROWS, error=asked)
    assert tuned.timing is not None
    assert tuned.timing.steps < (60 if asked > 0.1 else 120)  # the default takes 300
    assert error(model, tuned, OTHERS) <= 1.15 * asked
    settings = predict(tuned, OTHERS, samples=2).settings
    assert (settings["steps"], settings["burn_in"]) == (tuned.timing.steps, tuned.timing.burn_in)
    assert settings["window"] == type(tuned.timing.window).__name__
    assert network.timing is None  # what was given is left as it was


def test_a_smaller_error_takes_more_steps() -> None:
    model = made()
    steps = [tune(convert(model, ROWS), model, ROWS, error=e).timing.steps for e in (0.2, 0.1, 0.05)]  # pyright: ignore
    assert steps == sorted(set(steps))


def test_no_other_timing_on_the_way_was_shorter_and_good() -> None:
    """All that is tried of one filter, by separate predictions."""
    model, asked, tau = made(), 0.1, 0.005
    tuned = tune(convert(model, ROWS), model, ROWS, error=asked, taus=[tau], samples=10)
    assert tuned.timing is not None
    plain = convert(model, ROWS, synapse=Alpha(tau))
    module = predict(model, ROWS, samples=10, seed=0).samples

    def of(steps: int, burn_in: int, window: Any = None) -> float:
        made = predict(plain, ROWS, samples=10, seed=0, steps=steps, burn_in=burn_in, window=window).samples
        return float(((made - module).pow(2).mean(0).sqrt() / module.std(0)).median())

    found = tuned.timing
    assert of(found.steps, found.burn_in, found.window) <= 0.9 * asked
    shorter = int(0.92 * found.steps)
    tried = [
        of(shorter, int(share * shorter), w) for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8) for w in (None, Hann())
    ]
    assert min(tried) > 0.9 * asked


def test_an_error_that_cannot_be_had_is_said_and_the_best_is_given() -> None:
    model = made()
    network = convert(model, ROWS)
    with pytest.warns(UserWarning, match=r"no timing that was tried reaches an error of 1e-06; the best has filters"):
        best = tune(network, model, ROWS, error=1e-6, samples=5)
    assert best.timing is not None
    assert error(model, best, OTHERS) < 0.01
    assert find_timing(network, model, ROWS, 1e-6, samples=5).error > 1e-6


def test_a_network_with_its_timing_is_stored(tmp_path: Path) -> None:
    model = made()
    tuned = tune(convert(model, ROWS), model, ROWS, error=0.2, samples=5)
    save_network(tuned, tmp_path)
    loaded = load_network(tmp_path)
    assert repr(loaded) == repr(tuned)
    assert torch.equal(predict(loaded, OTHERS, samples=3).samples, predict(tuned, OTHERS, samples=3).samples)


def test_filters_keep_their_proportions_and_others_stay() -> None:
    model = made(depth=3)
    first, second, third, last = convert(model, ROWS).connections
    kinds = (
        first,
        replace(second, synapse=Lowpass(0.04)),
        replace(third, synapse=Alpha(0.01)),
        replace(last, synapse=None),
    )
    network = replace(convert(model, ROWS), connections=kinds, timing=Timing(9, 3))
    tuned = tune(network, model, ROWS, error=0.3, taus=[0.008], samples=5)
    assert [c.synapse for c in tuned.connections] == [None, Lowpass(0.008), Alpha(0.002), None]


def test_without_filters_the_steps_are_tuned() -> None:
    model = made(depth=1)
    tuned = tune(convert(model, ROWS, synapse=None), model, ROWS, error=0.2)
    assert tuned.timing is not None
    assert tuned.timing.steps < 100
    assert all(c.synapse is None for c in tuned.connections)
    assert error(model, tuned, OTHERS) < 0.23


@pytest.mark.slow
def test_classes_are_compared_as_probabilities() -> None:
    model = made(outputs=3)
    logits = tune(convert(model, ROWS), model, ROWS, error=0.1, task=Task.CLASSIFICATION)
    assert error(model, logits, OTHERS, Task.CLASSIFICATION) < 0.12
    head = nn.Sequential(*model, nn.Softmax(-1))
    with pytest.warns(UserWarning, match="are probabilities already"):
        probabilities = tune(convert(head, ROWS), head, ROWS, error=0.1, task="classification")
    assert probabilities.timing == logits.timing


def test_one_logit_is_a_sigmoid() -> None:
    model = made()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned = tune(convert(model, ROWS), model, ROWS, error=0.1, task="classification")
        assert error(model, tuned, OTHERS, Task.CLASSIFICATION) < 0.12


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, lambda x: [x], lambda x: x.double()])
def test_rows_come_as_predict_takes_them(form: Any) -> None:
    model = made()
    given = {"error": 0.2, "samples": 4}
    assert (
        tune(convert(model, ROWS), model, form(ROWS), **given).timing
        == tune(  # pyright: ignore
            convert(model, ROWS), model, ROWS, **given
        ).timing
    )  # pyright: ignore


class Two(nn.Module):
    """Two arguments."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.out = nn.Linear(3, 40), nn.Linear(2, 40), nn.Linear(40, 1)
        self.rate, self.drop = LIFRate(), Permadrop(0.2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(self.drop(self.rate(self.first(a) + self.second(b))))


def test_several_arguments() -> None:
    model, x = Two().eval(), [ROWS, torch.randn(40, 2)]
    tuned = tune(convert(model, x), model, x, error=0.2)
    assert tuned.timing is not None
    assert tuned.timing.steps < 150


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ({"error": 0.0}, ConfigError, "error must be a positive number of standard deviations, as 0.03; got 0.0"),
        ({"error": -0.1}, ConfigError, "error must be a positive number"),
        ({"error": float("nan")}, ConfigError, "error must be a positive number"),
        ({"error": float("inf")}, ConfigError, "error must be a positive number"),
        ({"rows": ROWS[:9]}, DataError, "tune needs 10 rows or more, like those to be predicted; got 9: give more"),
        ({"rows": ROWS[:, :2]}, DataError, r"rows must have rows of shape \[3\]; got \[2\]"),
        ({"rows": ROWS * torch.nan}, DataError, "rows has NaN or infinite values in 40 of 40 rows"),
        ({"rows": [ROWS, ROWS]}, DataError, "the network takes 1 inputs; got 2"),
        ({"taus": []}, ConfigError, "taus must name at least one time constant"),
        ({"taus": [0.0]}, ConfigError, "time constant must be a positive number of seconds; got 0"),
        ({"taus": [20.0]}, ConfigError, "at most 100,000; got .*: time constants are in seconds, 0.02 is 20 ms"),
        ({"samples": 0}, ConfigError, "samples must be a whole number, at least 2; got 0"),
        ({"samples": 1}, ConfigError, "samples must be a whole number, at least 2; got 1"),
        ({"task": "regresion"}, ConfigError, "task"),
        ({"engine": "gpu"}, ConfigError, "gpu"),
        ({"model": made(outputs=2)}, ConfigError, "the module gives 2 outputs, the network 1: give the module that"),
        ({"model": made(seed=1)}, ConfigError, r"do not move with the module's \(correlation .*\): give the"),
        ({"model": made(p=0.0)}, ConfigError, "nothing in the model is random"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_is_refused(given: dict[str, Any], kind: type[Exception], says: str) -> None:
    usual = {"network": convert(made(), ROWS), "model": made(), "rows": ROWS, "samples": 4}
    with pytest.raises(kind, match=says):
        tune(**(usual | given))


def test_the_same_function_of_other_units_does_not_match() -> None:
    """Means agree; samples under the same masks do not move together."""
    model, other = made(), copy.deepcopy(made())
    for first, second in ((0, 3), (3, 6)):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(first))
        linear, behind = other[first], other[second]
        assert isinstance(linear, nn.Linear)
        assert isinstance(behind, nn.Linear)
        with torch.no_grad():
            linear.weight.copy_(linear.weight[order])
            linear.bias.copy_(linear.bias[order])
            behind.weight.copy_(behind.weight[:, order])
    plain = [nn.Sequential(*[m for m in layers if not isinstance(m, Permadrop)])(ROWS) for layers in (model, other)]
    torch.testing.assert_close(*plain, rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigError, match="do not move with the module's"):
        tune(convert(model, ROWS), other, ROWS, samples=10)


def test_codes_know_their_ticks() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 1))
    coded = convert(model, torch.randn(100, 3))
    with pytest.raises(
        ConfigError, match=r"codes know their ticks: .* Digits\(radix=4, digits=4\), a sample in 12 ticks"
    ):
        tune(coded, model, ROWS)


def test_a_network_without_memory_has_nothing_to_tune() -> None:
    model = made()
    network = convert(model, ROWS)
    steps = replace(
        network,
        populations=(),
        connections=(Connection("input_1", "readout", Dense(torch.ones(1, 3))),),
    )
    with pytest.raises(ConfigError, match="a step of a network without memory is a sample"):
        tune(steps, model, ROWS)
