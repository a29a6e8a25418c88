"""Arguments that would run for ever, or take all memory, are refused before any work: the bound and the cure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikebayes as sb
from spikebayes.data import split_rows
from spikebayes.errors import ConfigError
from spikebayes.evaluate import binned_gap, bootstrap, calibration_error, count, exceedance, exchange_test
from spikebayes.machine import memory
from spikebayes.network import Alpha
from spikebayes.network.synapses import impulse_response
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, Contours, PopulationDecode, zoo
from spikebayes.training import Scaling
from spikebayes.training.recipe import Recipe

X = torch.rand(4, 2)
MODEL = zoo.mlp(2, 1, [3], 0.2).eval()
NETWORK = sb.convert(MODEL, X)
LINE = np.arange(6.0)[:, None]
RNG = np.random.default_rng(0)
TRAINING = {"epochs": 2, "batch_size": 1, "learning_rate": 0.1, "weight_decay": 0.0, "patience": 1}


@pytest.mark.parametrize("many", [10**9, 2**31, 10**15])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: sb.predict(MODEL, X, samples=n), "samples must be at most 16,777,216; got .*: fewer"),
        (lambda n: sb.predict(NETWORK, X, samples=n), "samples must be at most 16,777,216"),
        (lambda n: sb.simulate(NETWORK, X, samples=n), "samples must be at most 16,777,216"),
        (lambda n: sb.simulate(NETWORK, X, steps=n), "steps must be at most 33,554,432; got .*: take"),
        (lambda n: sb.energy(NETWORK, X, samples=n), "samples must be at most 16,777,216"),
        (lambda n: sb.energy(NETWORK, X, redraw=sb.Redraw(n)), "steps must be at most 33,554,432"),
        (lambda n: count(NETWORK, X, samples=n), "samples must be at most 16,777,216"),
        (lambda n: Recipe(**{**TRAINING, "epochs": n}), "epochs must be at most 1,000,000; got .*: patience"),
        (lambda n: exchange_test(LINE, LINE, RNG, n), "exchanges must be at most 1,000,000; got .*: 10,000 give"),
        (lambda n: exceedance(np.arange(3), n, 5), "n must be at most 1,048,576; got .*: fewer samples"),
        (lambda n: exceedance(np.arange(3), 5, n), "m must be at most 1,048,576"),
        (lambda n: exceedance(np.arange(3), n, n), "n must be at most 1,048,576"),
        (lambda n: bootstrap(np.mean, LINE[:, 0], resamples=n), "resamples must be at most 1,000,000; got .*: fewer"),
        (lambda n: binned_gap([0.5], [1], bins=n), "bins must be at most 1,048,576; got .*: with few rows"),
        (lambda n: calibration_error(torch.ones(2, 1), torch.zeros(2), bins=n), "bins must be at most 1,048,576"),
        (lambda n: impulse_response(Alpha(0.01), 1e-3, n), "steps must be at most 33,554,432; got .*: filters die"),
        (lambda n: split_rows(n, 0.1, 0), "a table's rows of .* is too large; at most 268,435,456"),
        (lambda n: Scaling.identity((n,)), "a row of .* is too large; at most 268,435,456"),
        (
            lambda n: zoo.Combo(n, 2, 3, 0.1, sb.nn.SoftLIF),
            "a layer of .* x 3 is too large; .* in all: take",
        ),
        (lambda n: zoo.combo(2, n, 3), "a layer of .* is too large"),
        (lambda n: zoo.combo(2, 2, n), "a layer of 2 x .* is too large"),
        (lambda n: zoo.mlp(n, 1), "a layer of .* x 100 is too large"),
        (lambda n: zoo.mlp(1, 1, [n]), "a layer of 1 x .* is too large"),
        (lambda n: zoo.s2m(1, n), "a layer of .* is too large"),
        (lambda n: zoo.s2m_conv(n), "a layer of 128 x .* is too large"),
        (lambda n: zoo.sigmoid_network(1, 1, [2, n]), "a layer of .* is too large"),
        (lambda n: zoo.sharpened([n], 2, hidden=[3]), "a layer of .* is too large"),
        (lambda n: zoo.sharpened([2], 2, hidden=[n]), "a layer of .* is too large"),
        (lambda n: zoo.sharpened([2], 2, hidden=[2], width=n), "a layer of .* is too large"),
        (lambda n: zoo.sharpened([2], n, hidden=[2], width=None), "a layer of .* is too large"),
        (lambda n: zoo.sharpened([1, 9, 9], 2, convolutions=[(n, 3, False)]), "a convolution of .* is too large"),
        (lambda n: zoo.sharpened([1, 9, 9], 2, convolutions=[(1, n, False)]), "a convolution of .* is too large"),
        (lambda n: BlankOutLinear(n, 2), "a layer of 2 x .* is too large"),
        (lambda n: BlankOutLinear(2, n), "a layer of .* x 2 is too large"),
        (lambda n: BlankOutConv2d(1, 2, n), "a layer of 2 x 1 x .* is too large"),
        (lambda n: Contours(n), "masks of .* is too large"),
        (lambda n: PopulationDecode(2, n), "keys of 2 x .* is too large"),
    ],
)
def test_so_many_are_refused(call: Callable[[int], Any], message: str, many: int) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        call(many)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        partial(sb.predict, MODEL, torch.zeros(100_000, 2), samples=1 << 24),
        partial(sb.predict, NETWORK, torch.zeros(100_000, 2), samples=1 << 24),
        partial(sb.simulate, NETWORK, torch.zeros(100_000, 2), steps=1 << 22, probe=["spikes"]),
        partial(sb.simulate, NETWORK, torch.zeros(100_000, 2), steps=1 << 22, probe=["trace"]),
    ],
)
def test_what_memory_cannot_hold_is_refused_before_any_work(call: Callable[[], Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"needs .* GB of memory, more than there is; take fewer samples, or predict"
    ):
        call()


def test_bounds_leave_room_for_what_is_large() -> None:
    assert exceedance(np.array([2]), 2000, 1999)[0] == 1.0  # two steps of the path suffice
    assert len(impulse_response(Alpha(0.01), 1e-3, 1 << 20)) == 1 << 20
    assert len(split_rows(10**6, 0.1, 0)[1]) == 10**5
    assert isinstance(nn.Sequential(*zoo.mlp(1 << 20, 1, [2])), nn.Module)
    assert sb.predict(replace(NETWORK), X, samples=5, steps=12, burn_in=2).samples.shape == (5, 4, 1)


def test_a_container_may_have_less_memory_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER", (limit, tmp_path / "none"))
    memory.check_memory(1 << 20, "it", "less")
    limit.write_text("max\n")
    memory.check_memory(1 << 20, "it", "less")
    limit.write_text(f"{1 << 20}\n")
    with pytest.raises(ConfigError, match=r"it needs 0\.0042 GB of memory, more than there is; less"):
        memory.check_memory(1 << 20, "it", "less")
