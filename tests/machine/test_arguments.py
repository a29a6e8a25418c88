"""Arguments of another kind than annotated are refused in one line, whatever function is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate import brier, coverage, exchange_test, holm, ks_test, row_effects, tost, uniformity
from spikebayes.network import Conv, Dense, Input
from spikebayes.nn import zoo
from spikebayes.training import Scaling


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sb.LIF(tau_rc="a"), ConfigError, "LIF: tau_rc must be a number; got 'a'"),
        (lambda: sb.LIF(gain=True), ConfigError, "LIF: gain must be a number; got True"),
        (
            lambda: sb.Alpha(torch.ones(2)),
            ConfigError,
            r"Alpha: tau must be a number; got a tensor, torch.float32 \[2\]",
        ),
        (lambda: sb.Dropout(0.5, hold=1.5), ConfigError, "Dropout: hold must be a whole number or None; got 1.5"),
        (lambda: Dense([1.0]), DataError, r"Dense: weight must be a tensor; got \[1.0\]"),
        (lambda: zoo.mlp(2, 1, "ab"), ConfigError, "mlp: hidden must be a list, each of it a whole number; got 'ab'"),
        (lambda: zoo.mlp(2, 1, [2.5]), ConfigError, r"mlp: hidden must be a list, .*; got \[2.5\]"),
        (lambda: brier("a", torch.ones(1)), DataError, "brier: probabilities must be a tensor; got 'a'"),
        (lambda: coverage([0], [1], ["x"]), DataError, r"coverage: target must be numbers; got \['x'\]"),
        (lambda: coverage([[1], [1, 2]], 0, 0), DataError, "coverage: lower must be numbers"),
        (lambda: sb.nn.few_bits(3), ConfigError, "few_bits: model must be a Module; got 3"),
    ],
)
def test_a_value_of_another_kind_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}") as caught:
        call()
    assert "\n" not in str(caught.value)


TWO, THREE, RNG = np.ones((4, 2)), np.ones((4, 3)), np.random.default_rng(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ks_test(TWO, THREE, RNG),
        lambda: exchange_test(TWO, TWO[0], RNG),
        lambda: holm(TWO),
        lambda: uniformity(np.array(0.5)),
        lambda: tost(TWO, THREE, 5, 0.5),
        lambda: row_effects(TWO, TWO, paired=False),
        lambda: Scaling.learn(torch.tensor(2.0), None),
        lambda: Scaling.learn(torch.full((3, 2), torch.inf), None),
        lambda: Conv(torch.ones(2, 1, 3), (1, 1), (0,), (1,)),
        lambda: sb.nn.WinnerTakeAll(10**6),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call: Any) -> None:
    with pytest.raises((ConfigError, DataError), match="got"):
        call()


def test_plain_values_are_taken_as_they_are() -> None:
    assert sb.LIF(tau_rc=np.float32(0.5)).tau_rc == 0.5
    assert sb.Dropout(np.float64(0.5), hold=np.int64(2), successive=np.bool_(True)).hold == 2  # pyright: ignore
    assert isinstance(zoo.mlp(2, 1, hidden=range(3, 5)), nn.Module)


def test_names_that_are_not_there_stay_python_s_own_error() -> None:
    with pytest.raises(TypeError, match=r"^Alpha: .*'tau'"):
        sb.Alpha(tua=1)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match=r"^convert: too many positional arguments"):
        sb.convert(nn.Identity(), torch.ones(1, 1), 1e-3)  # pyright: ignore[reportCallIssue]


def test_a_whole_number_in_the_place_of_a_float_becomes_one() -> None:
    taken = sb.nn.SoftLIF(tau_rc=2**70)
    assert isinstance(taken.neuron.tau_rc, float)
    assert taken.neuron.tau_rc == 2.0**70
    assert taken(torch.ones(1)).isfinite().all()


def test_a_number_beyond_all_floats_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tau_rc must be a number; got 10000"):
        sb.nn.SoftLIF(tau_rc=10**400)


def test_a_type_variable_asks_for_its_bound() -> None:
    with pytest.raises(ConfigError, match="module must be a Module; got 'cpu'"):
        sb.nn.spread_weights("cpu")  # pyright: ignore[reportArgumentType]


def test_names_that_only_type_checkers_import_are_looked_at_where_they_are_of_collections() -> None:
    with pytest.raises(ConfigError, match="names must be a list, each of it text"):
        sb.plot.frontier([1], [2], names=3)  # pyright: ignore[reportArgumentType]


def test_numpys_whole_numbers_and_lists_are_worked_with_as_pythons_own() -> None:
    assert tuple(sb.nn.BlankOutConv2d(1, 2, np.int64(3)).weight.shape) == (2, 1, 3, 3)  # pyright: ignore
    assert isinstance(sb.nn.few_bits(nn.Sequential(nn.Linear(2, 1)), np.int64(4)), nn.Module)  # pyright: ignore
    assert Input("x", [3]).shape == (3,)  # pyright: ignore[reportArgumentType]
    assert Conv(torch.ones(1, 1, 3, 3), [2, 2], [0, 0], [1, 1]).stride == (2, 2)  # pyright: ignore
