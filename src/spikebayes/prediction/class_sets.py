"""Sets of classes that hold the true one at a given rate: adaptive prediction sets.

A class's score is the probability of all classes that are as probable or more, itself included (ties by the classes'
order), and a penalty for each rank beyond those that are free. No random number enters: a set is a function of its
row, at the price of holding the true class somewhat more often than asked.

References:
    Romano, Sesia & Candes 2020, Classification with valid and adaptive coverage (APS, their u = 1);
    Angelopoulos et al. 2021, Uncertainty sets for image classifiers (RAPS, the penalty).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.prediction.conformal import Conformal, rank, short_of


def class_scores(probabilities: Tensor, penalty: float = 0.0, free: int = 1) -> Tensor:
    """``[B, K]`` of class probabilities ``[B, K]``, see above.

    Example:
        >>> class_scores(torch.tensor([[0.2, 0.5, 0.3]])).tolist()
        [[1.0, 0.5, 0.8]]
        >>> class_scores(torch.tensor([[0.25, 0.5, 0.25]]), penalty=0.5).tolist()
        [[1.25, 0.5, 2.0]]
    """
    ordered, order = torch.sort(probabilities.double(), dim=-1, descending=True, stable=True)
    ranks = torch.arange(1, ordered.shape[-1] + 1, dtype=torch.float64)
    scores = ordered.cumsum(-1).clamp(max=1.0) + penalty * (ranks - free).clamp(min=0)
    return torch.empty_like(scores).scatter(-1, order, scores).round(decimals=7)  # as far as float32 tells them apart


def class_sets(known: Conformal, probabilities: Tensor, coverage: float) -> Tensor:
    """``[B, K]`` bool: the classes whose score is at most the one of rank ceil((n + 1) coverage), and the favourite.

    Where n is too small for that, all classes.
    """
    if short_of(known.rows, coverage):
        return torch.ones(probabilities.shape, dtype=torch.bool)
    limit = known.scores.sort(0).values[rank(known.rows, coverage) - 1]  # [1]
    scores = class_scores(probabilities, known.settings["penalty"], int(known.settings["free"]))
    return with_favourite(scores <= limit, probabilities)


def likely_sets(probabilities: Tensor, coverage: float) -> Tensor:
    """``[B, K]`` bool: the fewest classes whose probabilities add up to the coverage, taken at their word."""
    scores = class_scores(probabilities)
    return with_favourite(scores - probabilities < coverage, probabilities)


def with_favourite(sets: Tensor, probabilities: Tensor) -> Tensor:
    """No set is empty: the most probable class is in each."""
    return sets.scatter(-1, probabilities.argmax(-1, keepdim=True), True)
