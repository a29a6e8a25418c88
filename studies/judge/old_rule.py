"""The rule that ``compare`` went by before: kept here only to show what became of its errors.

It accepted where none of these was broken: KS p-values uniform over rows (p > 0.01); median error in pairs at most
0.1 std; median ratio of spreads 0.9 to 1.1; the mean offset over rows shown within 0.1 std. It looked at output 0, or
at each row's favourite class.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

import numpy as np
from scipy import stats

from spikebayes.evaluate import ks_test, mean_equivalence, tost
from studies.judge.cases import Case, Floats

MARGIN, ALPHA, UNIFORM, STD_RATIO = 0.1, 0.05, 0.01, (0.9, 1.1)
MIN_ROWS = 5


def accepted(case: Case, first: Floats, second: Floats, rng: np.random.Generator) -> bool:
    """Whether the old rule accepts two sides ``[S, B, C]``."""
    a, b = _one_number(case, first, second)
    unit, other = (np.where(np.ptp(x, axis=0) == 0, 0.0, x.std(0, ddof=1)) for x in (a, b))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ratio = np.where(unit + other == 0, 1.0, other / unit)
        if not STD_RATIO[0] <= np.median(ratio) <= STD_RATIO[1]:
            return False
        if case.paired:
            error = np.sqrt(((b - a) ** 2).mean(0))
            if not np.median(np.where(error == 0, 0.0, error / unit)) <= MARGIN:
                return False
        elif case.by_row and _furthest_from_uniform(ks_test(a, b, rng).randomised) >= _critical(a.shape[1]):
            return False
    return _offset_pvalue(a[:, unit > 0], b[:, unit > 0], unit[unit > 0], case) < ALPHA


def _offset_pvalue(a: Floats, b: Floats, unit: Floats, case: Case) -> float:
    rows = a.shape[1]
    if rows == 0 or (case.by_row and rows < 2):
        return math.nan
    if not case.by_row:
        across = [((x - a.mean(0)) / unit).mean(1, keepdims=True) for x in (a, b)]
        return float(mean_equivalence(across[0], across[1], MARGIN, paired=case.paired)[0])
    offset = (b.mean(0) - a.mean(0)) / unit
    return float(tost(offset.mean(), offset.std(ddof=1) / math.sqrt(rows), rows - 1, MARGIN))


def _furthest_from_uniform(pvalues: Floats) -> float:
    """The one-sample KS distance of p-values from the uniform distribution."""
    ranked, size = np.sort(pvalues), len(pvalues)
    steps = np.arange(size + 1) / size
    return float(max((steps[1:] - ranked).max(), (ranked - steps[:-1]).max()))


@lru_cache
def _critical(rows: int) -> float:
    """The distance at which the exact test's p-value is UNIFORM; none with fewer than 5 rows."""
    return float(stats.kstwo.isf(UNIFORM, rows)) if rows >= MIN_ROWS else math.inf


def _one_number(case: Case, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    if not case.classes:
        return first[..., 0], second[..., 0]
    index = np.concatenate([first, second]).mean(0).argmax(-1)
    rows = np.arange(len(index))
    return first[:, rows, index], second[:, rows, index]
