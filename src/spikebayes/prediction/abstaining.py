"""On which rows to give no answer, so that the answers given are wrong at most so often: selective prediction."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from scipy.special import betaincinv
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.noise_std import as_noise_std
from spikebayes.prediction.task import Task

if TYPE_CHECKING:
    from spikebayes.prediction.predictive import Predictive

SHARES = 20  # of answered rows that are tried: 5 %, 10 %, ..., 100 %


def abstained(p: Predictive, known: Conformal, risk: float, delta: float, tolerance: Tensor | float | None) -> Tensor:
    """``[B]`` bool, see :meth:`Predictive.abstain`."""
    if not (0 < risk < 1 and 0 < delta < 1):
        raise ConfigError(f"risk and delta must lie in (0, 1); got {risk} and {delta}")
    if p.task is Task.CLASSIFICATION:
        if tolerance is not None:
            raise ConfigError("tolerance is for values; an answer is wrong if the class is")
        wrong, before, now = known.errors[:, 0] > 0, known.spread[:, 0], 1 - p.mean.double().amax(-1)
    else:
        if tolerance is None:
            raise ConfigError("of a regression, say by tolerance how far from the mean an answer may be")
        unit = as_noise_std(tolerance, (1, 1, p.samples.shape[2]), "tolerance").double()
        wrong, before = (known.errors.abs() > unit).any(-1), (known.spread / unit).amax(-1)
        now = (p.std.double() / unit).amax(-1)
    limit = threshold(before, wrong, risk, delta)
    if limit == -math.inf:
        needed = least_rows(risk, delta)
        more = f", or calibrate on {needed} rows or more" if known.rows < needed else ""
        warnings.warn(
            f"no share of the {known.rows} calibration rows is safe enough for a risk of {risk:g}: there is no "
            f"answer at all; allow a higher risk or delta{more}",
            stacklevel=4,
        )
    return now >= limit


def threshold(uncertainty: Tensor, wrong: Tensor, risk: float, delta: float) -> float:
    """The largest uncertainty at which to answer; -inf where no share of the rows is safe enough.

    For each of 20 shares of the n calibration rows, fixed beforehand, the threshold is the uncertainty of the row
    just beyond the share. Given it, errors among the m rows below it are binomial, so their exact upper bound
    (Clopper & Pearson) at level delta / 20 holds, and by the union bound all hold together with probability 1 - delta
    over the draw of the calibration rows. The largest share whose bound is at most the risk is taken.

    Args:
        uncertainty: ``[n]``. wrong: ``[n]`` bool. risk: of an answer. delta: how often the guarantee may fail.

    Reference:
        Geifman & El-Yaniv 2017, Selective classification for deep neural networks, lemma 3.1 and algorithm 2 (with
        fixed shares in the place of a binary search, so that the union bound is over what does not hang on the data).

    Example:
        >>> import torch
        >>> threshold(torch.arange(1000.0), torch.arange(1000) > 600, risk=0.05, delta=0.1)
        600.0
    """
    ordered, order = uncertainty.sort()
    errors, n, safe = wrong[order].cumsum(0), len(order), -math.inf
    for share in range(1, SHARES + 1):
        place = n * share // SHARES
        limit = float(ordered[place]) if place < n else math.inf
        below = int((ordered < limit).sum()) if place < n else n
        if below and upper_bound(int(errors[below - 1]), below, delta / SHARES) <= risk:
            safe = limit
    return safe


def upper_bound(errors: int, rows: int, level: float) -> float:
    """Of an error rate, exact: the rate at which so few errors among the rows have probability ``level``.

    Example:
        >>> round(upper_bound(0, 59, 0.05), 4), upper_bound(3, 3, 0.05)  # 0.95^59 = 0.0485
        (0.0495, 1.0)
    """
    return 1.0 if errors == rows else float(betaincinv(errors + 1, rows - errors, 1 - level))


def least_rows(risk: float, delta: float) -> int:
    """How many answers without an error show that the risk is no higher.

    Example:
        >>> least_rows(0.05, 0.1)
        104
    """
    return math.ceil(math.log(delta / SHARES) / math.log1p(-risk))
