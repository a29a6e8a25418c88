"""What the judge refuses when it is called with arrays of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from spikebayes.errors import SpikebayesError
from spikebayes.evaluate import Margins, decide, mean_equivalence, row_effects

X = np.random.default_rng(0).normal(size=(5, 6, 2))
judge = partial(decide, margins=Margins())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: judge(X, X, ["a", "b"], [0.1]), "each of 2 outputs; got 2 names and 1 tolerances"),
        (lambda: judge(X, X, ["a", "b"], [0.1] * 3), "each of 2 outputs; got 2 names and 3 tolerances"),
        (lambda: judge(X, X, ["a"], [0.1] * 2), "each of 2 outputs; got 1 names and 2 tolerances"),
        (lambda: judge(np.abs(X), np.abs(X), ["a", "b"], [0.1], classes=True), "got 2 names and 1 tolerances"),
        (lambda: judge(X, X, ["a", "b"], [0.1, np.nan]), "tolerances must be numbers, 0 or more"),
        (lambda: judge(X, X, ["a", "b"], [0.1, -1]), "tolerances must be numbers, 0 or more"),
        (
            lambda: judge(X, X[:, :3], ["a", "b"], [0.1] * 2),
            r"\[S, B, C\] are needed; got \[5, 6, 2\] and \[5, 3, 2\]",
        ),
        (lambda: judge(X[0], X, ["a", "b"], [0.1] * 2), r"\[S, B, C\] are needed; got \[6, 2\] and"),
        (
            lambda: judge(X[:1], X, ["a", "b"], [0.1] * 2),
            "at least 2 samples of either side are needed, .*; got 1 and 5",
        ),
        (lambda: judge(X, X[:3], ["a", "b"], [0.1] * 2, paired=True), "equally many in pairs; got 5 and 3"),
        (lambda: judge(X * np.nan, X, ["a", "b"], [0.1] * 2), "reference: 60 of 60 values are NaN"),
        (lambda: judge(X, X, ["a", "b"], [0.1] * 2, alpha=0.5), r"alpha must lie in \(0, 0.5\); got 0.5"),
        (lambda: judge(X, X, ["a", "b"], [0.1] * 2, classes=True), "probabilities, 0 or more; .* give classes=False"),
        (lambda: row_effects(X, X[:3], paired=True), "equally many in pairs; got 5 and 3"),
        (
            lambda: mean_equivalence(X[0], X[:, 0, :1], 1.0, paired=False),
            r"\[S, B\] are needed; got \[6, 2\] and \[5, 1\]",
        ),
        (lambda: mean_equivalence(X, X, 1.0, paired=False), r"\[S, B\] are needed"),
    ],
)
def test_sides_that_do_not_fit_are_refused(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(SpikebayesError, match=says):
        call()
