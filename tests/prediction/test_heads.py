"""What outputs are under classification: K logits, one logit, probabilities already, or nothing of the kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net
from spikebayes import ConfigError, DataError, Predictive, Task, convert, predict
from spikebayes.nn import SoftLIF
from spikebayes.prediction.heads import Head, class_probabilities

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))


def net(outputs: int, head: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 32), SoftLIF(1e-3), nn.Dropout(0.2), nn.Linear(32, outputs))
    with torch.no_grad():
        body[3].weight *= 20
    return body if head is None else Net(lambda m, x: head(m.body(x)), body=body)


def classes(model: nn.Module, task: Task | str = "classification") -> Predictive:
    return predict(model, X, samples=30, seed=1, task=task)


HEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda y: y.softmax(-1),
    "log softmax": lambda y: F.log_softmax(y, -1),
    "a softmax by hand": lambda y: y.exp() / y.exp().sum(-1, keepdim=True),
}


@pytest.mark.parametrize("name", HEADS)
def test_probabilities_are_taken_once(name: str) -> None:
    with pytest.warns(UserWarning, match="probabilities already"):
        found = classes(net(3, HEADS[name]))
    torch.testing.assert_close(found.samples, classes(net(3)).samples)
    assert found.settings["outputs"] == ("log-probabilities" if name == "log softmax" else "probabilities")


def test_one_logit_is_the_logit_of_the_second_of_two_classes() -> None:
    found = classes(net(1))
    logit = predict(net(1), X, samples=30, seed=1).samples
    assert found.samples.shape == (30, 6, 2)
    torch.testing.assert_close(found.samples[..., 1:], logit.sigmoid())
    assert float(found.entropy.min()) > 0


ONE: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "a layer": nn.Sigmoid(),
    "a method, squeezed": lambda y: y.sigmoid().squeeze(-1),
    "log sigmoid": F.logsigmoid,
}


@pytest.mark.parametrize("name", ONE)
def test_a_sigmoid_is_taken_once(name: str) -> None:
    with pytest.warns(UserWarning, match="comes from a sigmoid already"):
        found = classes(net(1, ONE[name]))
    torch.testing.assert_close(found.samples, classes(net(1)).samples)


def test_outputs_that_may_be_probabilities_are_said_to_be() -> None:
    with pytest.warns(UserWarning, match=r"lies in \[0, 1\]"):
        classes(net(1, lambda y: 1 / (1 + (-y).exp())))


SEVERAL: dict[str, Callable[[Tensor], Tensor]] = {
    "clamped": lambda y: y.sigmoid().clamp(1e-6, 1 - 1e-6),
    "times 1": lambda y: y.sigmoid() * 1.0,
    "by hand": lambda y: 1 / (1 + (-y).exp()),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_outputs_that_may_be_probabilities_are_said_to_be(name: str) -> None:
    with pytest.warns(UserWarning, match=r"lies in \[0, 1\].*return the logits.*task='regression'"):
        classes(net(3, SEVERAL[name]))


def test_logits_are_not_said_to_be_probabilities() -> None:
    drawn = torch.rand(4, 6, 2, generator=torch.Generator().manual_seed(0))
    apart = drawn.clone()
    apart[3, 2, 1] = 1.01
    few = drawn[:, :2].repeat(20, 1, 1)  # many samples, but of few rows
    for logits in (few, apart, -drawn, torch.zeros(4, 6, 2)):  # warnings are errors
        found, kind = class_probabilities(logits.clone(), Head((2,)))
        assert kind == "logits"
        torch.testing.assert_close(found, logits.softmax(-1))
    with pytest.warns(UserWarning, match="lies in"):
        class_probabilities(drawn, Head((2,)))


def test_one_of_several_sigmoids_is_a_sigmoid() -> None:
    model = net(3, lambda y: y.sigmoid()[:, 1])
    with pytest.warns(UserWarning, match="comes from a sigmoid already"):
        found = classes(model)
    torch.testing.assert_close(found.samples, classes(net(3, lambda y: y[:, 1])).samples)


def test_a_part_that_was_made_a_sigmoid_says_nothing_of_the_rest() -> None:
    def first(y: Tensor) -> Tensor:
        y = y * 1
        y[:, :1].sigmoid_()
        return y

    assert classes(net(3, first)).settings["outputs"] == "logits"


def test_sigmoids_of_several_classes_are_no_distribution() -> None:
    with pytest.raises(DataError, match="a sigmoid for each class"):
        classes(net(3, torch.sigmoid))


def test_classes_of_pixels_are_refused_with_what_to_do() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), SoftLIF(1e-3), nn.Dropout2d(0.2), nn.Conv2d(8, 5, 1))
    images = torch.randn(2, 3, 6, 6)
    for each in (model, convert(model, images)):
        with pytest.raises(DataError, match=r"returns \[B, 5, 6, 6\].*samples.reshape\(S, B, 5, 6, 6\).softmax\(2\)"):
            predict(each, images, samples=3, task="classification", **({} if each is model else {"steps": 210}))
    values = predict(model, images, samples=3).samples.reshape(3, 2, 5, 6, 6).softmax(2)
    torch.testing.assert_close(values.sum(2), torch.ones(3, 2, 6, 6))


def test_one_output_may_have_no_axis_of_its_own() -> None:
    plain, squeezed = net(1), net(1, lambda y: y.squeeze(-1))
    torch.testing.assert_close(predict(squeezed, X, seed=1).samples, predict(plain, X, seed=1).samples)
    network = convert(squeezed, X)
    assert predict(network, X, samples=3, steps=210).samples.shape == (3, 6, 1)


@pytest.mark.parametrize("task", ["regresion", "Classification", "", None, 1])
def test_a_task_that_is_none_is_refused_by_the_near_one(task: object) -> None:
    with pytest.raises(ConfigError, match="task must be one of 'regression', 'classification'; got") as caught:
        classes(net(1), task)  # pyright: ignore[reportArgumentType]
    assert ("did you mean" in str(caught.value)) == (task in ("regresion", "Classification"))
    with pytest.raises(ConfigError, match="task must be"):
        Predictive(torch.zeros(2, 3, 1), classes(net(1)).draw, task)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("task", ["classification", Task.CLASSIFICATION])
def test_a_task_by_its_name_is_the_task(task: Task | str) -> None:
    found = classes(net(3), task)
    assert found.task is Task.CLASSIFICATION
    torch.testing.assert_close(found.samples.sum(-1), torch.ones(30, 6))


RETURNED: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "a dictionary": (lambda y: {"logits": y, "loss": y}, "got a dict of logits, loss: wrap it"),
    "classes": (lambda y: y.argmax(-1), "got torch.int64: return what comes before"),
    "a decision": (lambda y: y > 0, "got torch.bool"),
    "a sum over rows": (lambda y: y.sum(0), r"for 128 rows it gave \[3\]"),
    "complex numbers": (lambda y: torch.complex(y, y), "got torch.complex64"),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_no_tensor_of_real_numbers_is_refused(name: str) -> None:
    head, message = RETURNED[name]
    with pytest.raises(DataError, match=message):
        classes(net(3, head))  # pyright: ignore[reportArgumentType]
