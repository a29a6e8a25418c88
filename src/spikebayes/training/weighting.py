"""Weights of rows: how much each counts in the loss, in training and where the weights of the network are chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from spikebayes.errors import DataError
from spikebayes.machine.kinds import shown
from spikebayes.prediction.inputs import plain
from spikebayes.prediction.sampling import Values


def check_weights(weights: Values, rows: int, what: str) -> Tensor:
    """Weights ``[B]`` of rows, divided by their mean.

    Args:
        weights: ``[B]``, none below 0, not all 0.
        rows: B.
        what: rows they are of, for messages.

    Raises:
        DataError: another shape, numbers that are not finite, or negative, or all 0.

    Example:
        >>> check_weights([1, 3], 2, "training").tolist()
        [0.5, 1.5]
    """
    try:
        found = torch.as_tensor(plain(weights)).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{what} weights must be numbers: {str(error).splitlines()[0]}") from error
    if found.shape != (rows,) or not bool(found.isfinite().all()):
        raise DataError(f"{what} weights must be one finite number per row, [{rows}]; got {shown(found)}")
    if bool((found < 0).any()) or not bool(found.any()):
        raise DataError(f"{what} weights must be 0 or more, and not all 0; the least is {float(found.min()):g}")
    return (found / found.mean()).float()


def that_count(x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Rows without those of weight 0, which are as if they were not there: for the scaling and the noise too."""
    if not weights or bool((weights[0] > 0).all()):
        return x, y, *weights
    counted = weights[0] > 0
    left = weights[0][counted]
    return x[counted], y[counted], left / left.mean()


def weighted_mean(losses: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over rows, and whatever else there is of each, of weights ``[B]``, if any, times losses ``[B, ...]``.

    Example:
        >>> weighted_mean(torch.tensor([[1.0, 3.0], [4.0, 4.0]]), torch.tensor([0.5, 1.5])).item()
        3.5
    """
    if weights is None:
        return losses.mean()
    return (losses.flatten(1).mean(1) * weights if losses.ndim > 1 else losses * weights).mean()


def balanced(classes: Tensor, count: int) -> Tensor:
    """A weight for each class ``[count]``, with which all of them that occur count alike; 1 for one that does not.

    w_c = B / (K n_c), K classes with n_c > 0 of the B rows each.

    Args:
        classes: ``[B]`` int64.
        count: of classes there are.

    Reference:
        scikit-learn, ``compute_class_weight("balanced")`` (King & Zeng 2001).

    Example:
        >>> balanced(torch.tensor([0, 0, 0, 1]), 3).tolist()
        [0.6666666865348816, 2.0, 1.0]
    """
    rows = torch.bincount(classes, minlength=count)
    return torch.where(rows > 0, len(classes) / ((rows > 0).sum() * rows.clamp(min=1)), 1.0)
