"""Sets of classes that hold the true one at a given rate: adaptive prediction sets.

A class's score is the probability of all classes that are more probable (ties by the classes' order), and a penalty
for each rank beyond those that are free. The class itself is left out: the favourite scores 0, and where favourites
are true more often than sets are to hold, a set is the favourite alone. No random number enters: a set is a function
of its row, at the price of holding the true class somewhat more often than asked.

References:
    Romano, Sesia & Candes 2020, Classification with valid and adaptive coverage (APS, with
        their u = 0; of runs from before, which do not say, u = 1: the class itself included);
    Angelopoulos et al. 2021, Uncertainty sets for image classifiers (RAPS, the penalty).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.prediction.conformal import Conformal, rank, short_of


def class_scores(probabilities: Tensor, penalty: float = 0.0, free: int = 1, u: float = 0.0) -> Tensor:
    """``[B, K]`` of class probabilities ``[B, K]``, see above; ``u`` is the share of its own that a class adds.

    Example:
        >>> class_scores(torch.tensor([[0.2, 0.5, 0.3]])).tolist()
        [[0.8, 0.0, 0.5]]
        >>> class_scores(torch.tensor([[0.25, 0.5, 0.25]]), penalty=0.5).tolist()
        [[1.0, 0.0, 1.75]]
    """
    ordered, order = torch.sort(probabilities.double(), dim=-1, descending=True, stable=True)
    ranks = torch.arange(1, ordered.shape[-1] + 1, dtype=torch.float64)
    before = torch.cat([torch.zeros_like(ordered[..., :1]), ordered.cumsum(-1)[..., :-1]], -1)
    scores = (before + u * ordered).clamp(max=1.0) + penalty * (ranks - free).clamp(min=0)
    return torch.empty_like(scores).scatter(-1, order, scores).round(decimals=7)  # as far as float32 tells them apart


def class_sets(known: Conformal, probabilities: Tensor, coverage: float) -> Tensor:
    """``[B, K]`` bool: the classes whose score is at most the one of rank ceil((n + 1) coverage), and the favourite.

    Where n is too small for that, all classes.
    """
    if short_of(known.rows, coverage):
        return torch.ones(probabilities.shape, dtype=torch.bool)
    limit = known.scores.sort(0).values[rank(known.rows, coverage) - 1]  # [1]
    scores = class_scores(
        probabilities, known.settings["penalty"], int(known.settings["free"]), known.settings.get("u", 1.0)
    )
    return with_favourite(scores <= limit, probabilities)


def likely_sets(probabilities: Tensor, coverage: float) -> Tensor:
    """``[B, K]`` bool: the fewest classes whose probabilities add up to the coverage, taken at their word."""
    return with_favourite(class_scores(probabilities) < coverage, probabilities)


def with_favourite(sets: Tensor, probabilities: Tensor) -> Tensor:
    """No set is empty: the most probable class is in each."""
    return sets.scatter(-1, probabilities.argmax(-1, keepdim=True), True)
