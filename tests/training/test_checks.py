"""What a training refuses before any work, and with which words."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from problems import network, plane, quick_fit
from spikebayes import with_blank_out
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError
from spikebayes.nn import Sharpened, SoftLIF
from spikebayes.prediction.task import Task
from spikebayes.training.calibration_rows import SHARE, set_apart
from spikebayes.training.checks import check_rows
from spikebayes.training.fit import fit
from spikebayes.training.scaling import Scaling


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 1}, "epochs must be a whole number, at least 2; got 1"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1; got 0"),
        ({"patience": 0}, "patience must be a whole number, at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"weight_decay": float("nan")}, "weight_decay must be 0 or more"),
        ({"gamma": (0.001, 0.02)}, "gamma must fall"),
        ({"gamma": (0.02, 0.0)}, "gamma must fall"),
        ({"gamma": (float("inf"), 0.02)}, "gamma must fall"),
        ({"gamma": (float("nan"), 0.02)}, "gamma must fall"),
        ({"gamma": (0.02,)}, "gamma must be a list of 2, each of it a number"),
        ({"annealing": 0.0}, r"annealing must lie in \(0, 1\)"),
        ({"annealing": 1.0}, r"annealing must lie in \(0, 1\)"),
        ({"annealing": float("nan")}, r"annealing must lie in \(0, 1\)"),
        ({"seed": -1}, "a seed must be an integer"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], says: str) -> None:
    model = network()
    start = model[0].weight.clone()
    with pytest.raises(ConfigError, match=says):
        quick_fit(model, *plane(), **settings)
    assert torch.equal(model[0].weight, start)


def spoiled(values: Tensor, row: int, value: float) -> Tensor:
    values = values.clone()
    values[row] = value
    return values


X, Y = plane(20)
CLASSES = (X[:, 0] > 0).long()


@pytest.mark.parametrize(
    ("x", "y", "validation", "says"),
    [
        (X, Y[:19], (X, Y), "20 training rows of inputs, 19 of targets"),
        (X, Y, (X, Y[:3]), "20 validation rows of inputs, 3 of targets"),
        (X, Y[0, 0], (X, Y), "20 training rows of inputs, a single number of targets"),
        (X[:0], Y[:0], (X, Y), r"the training input must be \[B, \*shape\] with at least one row"),
        (X, Y, (X[:0], Y[:0]), "the validation input must be"),
        (X[:, 0], Y, (X, Y), r"the training input must be .*got \[20\]"),
        (spoiled(X, 3, torch.nan), Y, (X, Y), "the training input has NaN or infinite values in 1 of 20 rows"),
        (X, spoiled(Y, 3, torch.inf), (X, Y), "the training target has NaN or infinite values in 1 of 20 rows"),
        (X, Y, (spoiled(X, 3, -torch.inf), Y), "the validation input has NaN"),
        (X, Y, (X, spoiled(Y, 3, torch.nan)), "the validation target has NaN"),
        (X, Y, (X[:, :1], Y), "the shapes of the training rows"),
        (X, Y.repeat(1, 2), (X, Y), "the shapes of the training rows"),
        (X.repeat(1, 2), Y, (X.repeat(1, 2), Y), r"the model does not take rows of shape \[4\]"),
        (X, Y.repeat(1, 2), (X, Y.repeat(1, 2)), r"the model has 1 outputs; the targets' rows have the shape \[2\]"),
    ],
)
def test_data_of_a_regression(x: Tensor, y: Tensor, validation: tuple[Tensor, Tensor], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit(network(), x, y, validation=validation, epochs=2)


@pytest.mark.parametrize(
    ("y", "y_val", "says"),
    [
        (Y[:, 0], CLASSES, r"training classes must be \[B\] integers; got torch.float32 \[20\]"),
        (CLASSES, CLASSES[:, None], r"validation classes must be \[B\] integers; got torch.int64 \[20, 1\]"),
        (CLASSES - 1, CLASSES, "training classes must be 0 or more; got -1"),
        (CLASSES, CLASSES + 1, "the model has 2 outputs, one per class; the classes go up to 2"),
    ],
)
def test_data_of_a_classification(y: Tensor, y_val: Tensor, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit(network(2), X, y, validation=(X, y_val), task=Task.CLASSIFICATION, epochs=2)


FLAT, DEEP = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), nn.Sequential(nn.Linear(2, 1), nn.Unflatten(1, (1, 1)))


def test_a_refused_model_is_as_it_was() -> None:
    model = network().eval()
    names = set(vars(model))
    with pytest.raises(DataError, match="the model has 1 outputs"):
        fit(model, X, Y.repeat(1, 2), validation=(X, Y.repeat(1, 2)), epochs=2)
    with pytest.raises(ConfigError, match="augment must return"):
        fit(model, X, Y, validation=(X, Y), epochs=2, augment=lambda x: x[:, :1])
    assert not any(m.training for m in model.modules())
    assert set(vars(model)) == names


@pytest.mark.parametrize("model", [FLAT, DEEP, nn.LSTM(2, 1)])
def test_modules_that_do_not_give_rows_of_outputs(model: nn.Module) -> None:
    with pytest.raises(DataError, match=r"must return \[B, C\]"):
        fit(model, X, Y, validation=(X, Y), epochs=2)


@pytest.mark.parametrize("precision", [torch.float64, torch.float16])
def test_a_model_of_another_precision_is_refused_by_its_name(precision: torch.dtype) -> None:
    with pytest.raises(ConfigError, match=f"trains in float32, .* are {str(precision)[6:]}: give model.float"):
        fit(network().to(precision), X, Y, validation=(X, Y), epochs=2)


# -- what could not become a spiking network ---------------------------------------------------------------------


class Counted(nn.Module):
    """Counts the passes in which its model trains."""

    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        return x


def with_nan() -> nn.Module:
    layer = nn.Linear(2, 8)
    torch.nn.init.constant_(layer.weight, torch.nan)
    return layer


@pytest.mark.parametrize(
    ("layers", "error", "says"),
    [
        ([nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1)], ConversionError, "a code needs 100 or more"),
        ([nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), SoftLIF()], ConversionError, "[Dd]ropout"),
        ([nn.Linear(2, 8), SoftLIF(), nn.Dropout(0.1), nn.LayerNorm(8)], ConversionError, "BatchNorm"),
        ([nn.Linear(2, 8), Sharpened(), nn.Tanh(), nn.Dropout(0.1)], ConversionError, "one bit in a step"),
        ([with_nan(), SoftLIF(), nn.Dropout(0.1)], ConversionError, "NaN or infinite, in 1.weight"),
    ],
)
@pytest.mark.parametrize("task", list(Task))
def test_what_could_not_be_converted_is_not_trained(
    layers: list[nn.Module], error: type[SpikebayesError], says: str, task: Task
) -> None:
    counted = Counted()
    model = nn.Sequential(counted, *layers, nn.Linear(8, 2 if task is Task.CLASSIFICATION else 1))
    before = [t.clone() for t in model.state_dict().values()]
    y = CLASSES if task is Task.CLASSIFICATION else Y
    with pytest.raises(error, match=says):
        fit(model, X, y, validation=(X, y), task=task, epochs=2)
    assert counted.passes == 0
    torch.testing.assert_close(list(model.state_dict().values()), before, equal_nan=True, rtol=0, atol=0)


def test_what_sharpens_while_it_trains_is_taken() -> None:
    layers = [nn.Linear(2, 8), nn.BatchNorm1d(8), Sharpened(), nn.Dropout(0.1), nn.Linear(8, 1)]
    fitted = fit(nn.Sequential(*layers), X, Y, validation=plane(20, seed=1), epochs=4)
    assert fitted.network().is_memoryless


@pytest.mark.parametrize("layers", [[], [nn.Dropout(0.0)]])
def test_a_regression_in_which_nothing_is_random_is_not_trained(layers: list[nn.Module]) -> None:
    counted = Counted()
    model = nn.Sequential(counted, nn.Linear(2, 8), SoftLIF(), *layers, nn.Linear(8, 1))
    with pytest.raises(ConfigError, match="nothing in the model is random"):
        fit(model, X, Y, validation=(X, Y), epochs=2)
    assert counted.passes == 0


def test_a_model_that_cannot_be_copied_is_refused_before_it_is_trained() -> None:
    model = nn.Sequential(nn.Linear(2, 8), SoftLIF(), nn.Dropout(0.1), nn.Linear(8, 1))
    model.lock = threading.Lock()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ConfigError, match=r"Sequential has to be copied, and cannot be: .*lock.*; keep locks, open"):
        fit(model, X, Y, validation=(X, Y), epochs=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of scripts
def test_what_torch_jit_compiled_is_not_trained() -> None:
    model = torch.jit.script(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)))
    with pytest.raises(ConfigError, match=r"compiled by torch\.jit, and cannot be looked into; give the module"):
        fit(model, X, Y, validation=(X, Y), epochs=2)  # pyright: ignore[reportArgumentType]


def untrained(layers: list[nn.Module], x: Tensor, y: Tensor, **settings: Any) -> None:
    """Trains, which must not begin."""
    model = nn.Sequential(*layers)
    before = model[0].weight.clone()
    try:
        quick_fit(model, x, y, **settings)
    finally:
        assert torch.equal(model[0].weight, before)


def test_nothing_random_is_told_before_a_classical_regression_is_trained() -> None:
    with pytest.raises(ConfigError, match="nothing in the model is random"):
        untrained([nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)], *plane(), spiking=False)


def test_classes_of_rows_that_calibrate_are_looked_at_before_training() -> None:
    x = plane(200)[0]
    y = (x[:, 0] > 0).long()
    (_, others), apart = set_apart((x[160:], torch.arange(160, 200)), SHARE)
    assert apart is not None
    y[apart[1][0]] = 7
    layers = [nn.Linear(2, 8), SoftLIF(), nn.Dropout(0.1), nn.Linear(8, 2)]
    with pytest.raises(DataError, match="has 2 outputs, one per class; the classes go up to 7"):
        untrained(layers, x, y)
    assert int(y[others].max()) == 1


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "a")])
def test_names_that_do_not_fit_are_refused_before_training(outputs: int, names: tuple[str, ...]) -> None:
    x, y = plane()
    layers = [nn.Linear(2, 8), SoftLIF(), nn.Dropout(0.1), nn.Linear(8, outputs)]
    with pytest.raises(DataError, match="names"):
        untrained(layers, x, y if outputs == 1 else (y[:, 0] > 0).long(), names=names)


def test_a_batch_norm_is_not_trained_on_single_rows() -> None:
    layers = [nn.Linear(2, 8), nn.BatchNorm1d(8), SoftLIF(), nn.Dropout(0.1), nn.Linear(8, 1)]
    with pytest.raises(ConfigError, match="two rows or more at a time; got batch_size 1 for 96 training rows"):
        untrained(layers, *plane(), batch_size=1)


def test_classes_may_get_unreliable_synapses_afterwards() -> None:
    model = nn.Sequential(nn.Linear(2, 8), Sharpened(), nn.Linear(8, 2))
    fitted = fit(model, X[:15], CLASSES[:15], validation=(X[15:], CLASSES[15:]), task="classification", epochs=6)
    assert with_blank_out(fitted.network(), 0.9, inputs=True).is_random


def test_labels_are_no_numbers() -> None:
    labels = np.array(["a", "b"] * (len(X) // 2))
    with pytest.raises(DataError, match=r"targets must be numbers: .*; number classes from 0, or train on a table"):
        fit(network(2), X, labels, validation=(X, CLASSES), task="classification")  # pyright: ignore[reportArgumentType]


CLOCK = 1e9 + np.arange(20.0)


@pytest.mark.parametrize(
    ("y", "feature"),
    [
        (CLOCK, "0"),
        (np.stack([np.arange(20.0), CLOCK], 1), "1"),
        (pd.Series(CLOCK.astype(np.int64)), "0"),
        (pd.DataFrame({"a": np.arange(20), "y": CLOCK}), "'y'"),
        (CLOCK.tolist(), "0"),
    ],
)
def test_targets_that_float32_merges_are_refused(y: Any, feature: str) -> None:
    with pytest.raises(DataError, match=f"^the training target, feature {feature}: its rows differ by 19 at most"):
        fit(network(), X, y, validation=(X, Y), epochs=2)
    values = np.asarray(y)
    assert check_rows(X, values - values.mean(0), Task.REGRESSION, "training")[1].unique().numel() == 20


# -- what would come out wrong, and nothing would tell -----------------------------------------------------------


def test_validation_rows_that_were_learned_are_told() -> None:
    """As by a user without rows of their own, or with a table that was joined to itself."""
    twice = torch.cat([X, X]), torch.cat([Y, Y])
    for x, y, validation in ((X, Y, (X, Y)), (*twice, (X[:10], Y[:10])), (X, CLASSES, (X, CLASSES))):
        with pytest.warns(UserWarning, match=r"(10 of 10|20 of 20) validation rows equal training rows, targets"):
            quick_fit(network(2 if y is CLASSES else 1), torch.cat([x, x]), torch.cat([y, y]), validation=validation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick_fit(network(), X, Y, validation=(torch.cat([X[:9], X + 1]), torch.cat([Y[:9], Y])), epochs=2)


ENDS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "Softplus": (nn.Softplus, "softplus, which gives nothing below 0"),
    "ReLU": (nn.ReLU, "relu, which gives nothing below 0"),
    "Sigmoid": (nn.Sigmoid, r"sigmoid, which gives numbers in \[0, 1\]"),
    "Tanh": (nn.Tanh, r"tanh, which gives numbers in \[-1, 1\]"),
    "LogSigmoid": (nn.LogSigmoid, "log_sigmoid, which gives nothing above 0"),
    "Softmin": (lambda: nn.Softmin(-1), r"softmin, which gives numbers in \[0, 1\]"),
    "ReLU6": (nn.ReLU6, r"hardtanh, which gives numbers in \[0, 6\]"),
    "Hardtanh": (lambda: nn.Hardtanh(-0.5, 2.0), r"hardtanh, which gives numbers in \[-0.5, 2\]"),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_cannot_reach_standardised_targets_is_refused(end: str) -> None:
    make, says = ENDS[end]
    y = Y.exp()
    rows: Any = (X[:15], y[:15])
    more: dict[str, Any] = {"validation": (X[15:], y[15:]), "epochs": 2, "spiking": False, "error": None}
    with pytest.raises(ConfigError, match=f"the model ends in {says}, .* leave it out, or give scaling="):
        fit(nn.Sequential(network(), make()), *rows, **more)
    fit(nn.Sequential(network(), make()), *rows, scaling=Scaling.learn(X[:15], None), **more)
    fit(nn.Sequential(network(), make(), nn.Linear(1, 1)), *rows, **more)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU here")
def test_classes_and_weights_on_a_gpu_are_taken() -> None:
    """Inputs and values were; classes ended in a TypeError, weights in an error of torch's."""
    weights = torch.arange(20.0)
    for x, y, w in ((X, CLASSES, weights), (X.cuda(), CLASSES.cuda(), weights.cuda())):
        validation = (x[:10], y[:10])
        model = network(2)
        found = fit(model, x, y, weights=w, validation=validation, task="classification", epochs=2, error=None)
        assert found.predict(x, samples=3).samples.shape == (3, 20, 2)


def test_a_model_of_which_nothing_learns_is_refused() -> None:
    with pytest.raises(ConfigError, match="no parameter of the model requires a gradient; call requires_grad"):
        quick_fit(network().requires_grad_(False), X, Y)


@pytest.mark.parametrize(
    ("outputs", "y", "says"),
    [
        (1, CLASSES, "one per class; the classes go up to 1: give it two for two classes"),
        (1, CLASSES * 0, "give it two for two classes"),
        (2, CLASSES + 1, "the classes go up to 2: number classes from 0"),
        (2, CLASSES + 2, "the classes go up to 3$"),
    ],
)
def test_classes_without_an_output_are_refused(outputs: int, y: Tensor, says: str) -> None:
    with pytest.raises(DataError, match=says):
        quick_fit(network(outputs), X, y)
