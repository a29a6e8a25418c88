"""Rows that come batch by batch give the samples of one call with all of them, bit for bit, and are kept nowhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, Subset, TensorDataset, WeightedRandomSampler

import spikebayes as sb
from coarse_codes import on_purpose
from spikebayes.nn import zoo
from spikebayes.prediction import batches as source

torch.manual_seed(0)
X, LABELS = torch.randn(50, 3), torch.arange(50)
MODEL = zoo.mlp(3, 2, [20], 0.3).eval()
NETWORK = sb.convert(MODEL, X)
ORDINARY = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)).eval()
with on_purpose():
    CODED = sb.convert(ORDINARY, X, code=sb.Digits(4, 2), calibrate=torch.randn(100, 3))
SUBJECTS = {"module": MODEL, "network": NETWORK, "coded": CODED}
QUICK: dict[str, Any] = {"samples": 5, "seed": 3}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(3, 4), nn.Linear(2, 4), nn.Dropout(0.4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.drop(self.first(x) + self.second(y)).sum(1, keepdim=True)


class Optional(Two):
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x, torch.zeros(len(x), 2) if y is None else y)


class Any_(Two):
    def forward(self, *given: Tensor) -> Tensor:
        return super().forward(*given)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(X)


def one_buffer(kind: type[Any]) -> Iterator[Any]:
    """Batches that are all in the same memory, one after the other."""
    buffer = torch.empty(10, 3)
    for part in X.split(10):
        buffer.copy_(part)
        yield buffer if kind is Tensor else buffer.numpy()


FORMS: dict[str, Callable[[], Any]] = {
    "a tensor that is filled again": lambda: one_buffer(Tensor),
    "an array that is filled again": lambda: one_buffer(np.ndarray),
    "a loader with labels": lambda: DataLoader(TensorDataset(X, LABELS), batch_size=7),
    "a loader without": lambda: DataLoader(X, batch_size=50),  # pyright: ignore[reportArgumentType]
    "a loader of a stream": lambda: DataLoader(Stream(), batch_size=1),
    "a loader that collates nothing": lambda: DataLoader(list(X.split(10)), batch_size=None),  # pyright: ignore[reportArgumentType]
    "a generator": lambda: (part for part in X.split(1)),
    "an iterator of arrays": lambda: iter(np.array_split(X.numpy(), 3)),
    "frames": lambda: map(pd.DataFrame, np.array_split(X.numpy(), 6)),
    "tuples with text": lambda: ((part, ["a"] * len(part), 3) for part in X.split(49)),
    "arguments and a label": lambda: (((part,), len(part)) for part in X.split(20)),
    "lists of numbers": lambda: (part.tolist() for part in X.split(20)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("together", [8, 1 << 16])
def test_batches_give_the_samples_of_one_call(
    form: str, subject: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAIRS", together * QUICK["samples"])
    whole = sb.predict(SUBJECTS[subject], X, **QUICK)
    parts = sb.predict(SUBJECTS[subject], FORMS[form](), **QUICK)
    assert torch.equal(parts.samples, whole.samples)
    assert parts.draw.same_masks(whole.draw)
    assert parts.settings == whole.settings  # spikes are counted over all of them


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "classification"},
        {"mask_scope": "pass"},
        {"redraw": sb.Redraw(20, gap=5, lead=30)},
        {"batch_size": 3},
        {"dtype": torch.float64},
        {"progress": True},
    ],
    ids=str,
)
def test_whatever_the_settings(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAIRS", 60)
    whole = sb.predict(NETWORK, X, **QUICK, **settings)
    assert torch.equal(sb.predict(NETWORK, iter(X.split(11)), **QUICK, **settings).samples, whole.samples)


def test_arguments_come_first_and_labels_after() -> None:
    y = torch.randn(50, 2)
    for model in (Two().eval(), Any_().eval()):
        whole = sb.predict(model, (X, y), **QUICK)
        assert torch.equal(sb.predict(model, DataLoader(TensorDataset(X, y), 8), **QUICK).samples, whole.samples)
    whole = sb.predict(model := Two().eval(), (X, y), **QUICK)
    assert torch.equal(sb.predict(model, DataLoader(TensorDataset(X, y, LABELS), 8), **QUICK).samples, whole.samples)
    nested = (([a, b], label) for a, b, label in zip(X.split(8), y.split(8), LABELS.split(8), strict=True))
    assert torch.equal(sb.predict(model, nested, **QUICK).samples, whole.samples)


def test_what_may_be_an_argument_or_a_label_is_asked_for() -> None:
    model = Optional().eval()
    with pytest.raises(sb.DataError, match=r"takes 1 to 2 arguments and the batch holds 2 things.*\(\(x,\) for x"):
        sb.predict(model, DataLoader(TensorDataset(X, LABELS), 8), **QUICK)
    told = ((x,) for x, _ in DataLoader(TensorDataset(X, LABELS), 8))
    assert torch.equal(sb.predict(model, told, **QUICK).samples, sb.predict(model, X, **QUICK).samples)


def nothing() -> Any:
    parts = iter(X.split(9))
    sb.predict(MODEL, parts, **QUICK)
    return parts  # which has given its batches


SHUFFLED = "in an order of its own"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "empty": (lambda: iter([]), "no batch came"),
    "used up": (nothing, "an iterator gives its batches once, so make it anew"),
    "an empty batch": (lambda: iter([X, X[:0]]), "batch 2, whose first row is row 50: .* at least one row"),
    "another shape": (lambda: iter([X[:5], X[:5, :2]]), r"batch 2, .* row 5: .* of shape \[3\]; got \[2\]"),
    "no rows": (lambda: iter(X), r"batch 1, .* must be \[B, \*shape\] .*; got \[3\]"),
    "NaN": (lambda: iter([X[:5], X[:5] / 0]), "batch 2, whose first row is row 5: .* NaN or infinite"),
    "a mapping": (lambda: iter([{"x": X}]), "batch 1, .* must be a tensor, array or data frame"),
    "text": (lambda: iter(["abc"]), "batch 1, .* must be a tensor, array or data frame"),
    "None": (lambda: iter([None]), "batch 1, .* must be a tensor, array or data frame"),
    "shuffled": (lambda: DataLoader(TensorDataset(X), 8, shuffle=True), SHUFFLED),
    "weighted": (lambda: DataLoader(TensorDataset(X), 8, sampler=WeightedRandomSampler([1.0] * 50, 50)), SHUFFLED),
    "some": (lambda: DataLoader(TensorDataset(X), 8, sampler=[3, 1]), SHUFFLED),
    "batches of some": (lambda: DataLoader(TensorDataset(X), batch_sampler=[[1, 2], [0]]), SHUFFLED),
    "shuffled batches": (
        lambda: DataLoader(
            TensorDataset(X),
            batch_sampler=torch.utils.data.BatchSampler(RandomSampler(X), 8, False),  # pyright: ignore
        ),
        "by a RandomSampler",
    ),
    "as workers have them": (lambda: DataLoader(TensorDataset(X), 8, in_order=False), "with in_order=True"),
    "the last left out": (lambda: DataLoader(TensorDataset(X), 8, drop_last=True), "leaves out its last rows"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("subject", ["module", "network"])
def test_batches_that_cannot_be_numbered_or_read_are_refused(case: str, subject: str) -> None:
    make, says = REFUSED[case]
    with pytest.raises(sb.SpikebayesError, match=says) as refused:
        sb.predict(SUBJECTS[subject], make(), **QUICK)
    assert "\n" not in str(refused.value)


def test_row_numbers_are_for_rows_that_are_there_at_once() -> None:
    with pytest.raises(sb.ConfigError, match=r"rows= is for rows that are there all at once; .*: leave rows out"):
        sb.predict(MODEL, iter([X]), rows=LABELS, **QUICK)


def test_a_subset_and_whole_batches_are_taken() -> None:
    some = DataLoader(Subset(TensorDataset(X), [4, 2]), 1)
    assert torch.equal(sb.predict(MODEL, some, **QUICK).samples, sb.predict(MODEL, X[[4, 2]], **QUICK).samples)
    assert sb.predict(MODEL, DataLoader(TensorDataset(X), 25, drop_last=True), **QUICK).samples.shape[1] == 50


def test_masks_never_repeat() -> None:
    same = torch.ones(40, 3)
    samples = sb.predict(MODEL, iter(same.split(10)), **QUICK).samples[:, :, 0]
    assert len(torch.unique(samples.T, dim=0)) == 40
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):  # not the loop by hand that is warned of
            sb.predict(MODEL, iter(torch.rand(40, 3).split(10)), **QUICK)


CLOCK = np.linspace(0, 4_000, 400)[:, None] + 1.7e9  # float32 has steps of 128 there


def test_rows_that_rounding_merges_are_refused_when_all_are_there() -> None:
    model = zoo.mlp(1, 1, [3], 0.2).eval()
    with pytest.raises(sb.DataError, match="its rows differ by 4e"):
        sb.predict(model, iter(np.array_split(CLOCK, 4)), **QUICK)
    wide = np.concatenate([CLOCK, [[0.0]]])  # a batch of these would be refused alone, all of them are not
    assert torch.equal(
        sb.predict(model, iter(np.array_split(wide, 4)), **QUICK).samples, sb.predict(model, wide, **QUICK).samples
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_of_a_prediction_nothing_but_its_samples_is_kept(task: str) -> None:
    """By what torch had allocated at the most: the samples in float32, inputs and row numbers, and a constant."""
    rows, samples = 20_000, 80
    x = torch.rand(rows, 3)
    with torch.profiler.profile(profile_memory=True) as profile:
        found = sb.predict(NETWORK, x, samples=samples, steps=2, burn_in=1, task=task)
    held, most = 0, 0
    for event in profile.profiler.kineto_results.events():  # pyright: ignore
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    kept = found.samples.nelement() * 4
    assert kept == rows * samples * 2 * 4
    assert most < kept + 32 * rows + (16 << 20)
