"""The rule on rows: how many lie beyond the margins of a row, by what each row's samples show of it.

As in ``rules.py``, *not kept* is what is shown to be beyond the margins, *kept* what seems within them and is shown
to be within wider ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spikebayes.evaluate.effect_sizes import Floats, RowEffects
from spikebayes.evaluate.margins import Margins, Outcome
from spikebayes.evaluate.rules import POWER, Finding, Level, budget_factor, damping_of, softened

#: how far the bound of an effect that is estimated within its margin may reach at most, in margins: a row has its own
#: samples alone
ROW_REACH = 2.0
#: of the number of rows that noise alone puts beyond a margin
NOISE_LEVEL = 0.99
#: samples a side before two constants count as shown to be alike, rather than alike by chance
ALIKE = 20


def row_rule(effects: RowEffects, tolerance: Floats, margins: Margins, level: Level, *, by_row: bool) -> Finding:
    """Rule on the share of rows within the row margins.

    *Not kept*: more than the allowed number k are shown beyond the margins, p_(k+1) (B - k) <= level (a partial
    conjunction by Bonferroni, right whatever rows share). *Kept*: no more rows are beyond the margins than k or than
    noise alone would put there, and it is shown that no more than k are beyond the widened margins.

    Args:
        effects: of B rows.
        tolerance: ``[B]``, differences that count as none, in the samples' unit.
        margins: those of the comparison.
        level: how sure to be.
        by_row: rows are independent, which sharpens the second part of *kept*.

    Reference:
        Benjamini & Heller 2008, Screening for partial conjunction hypotheses.
    """
    count = len(effects.unit)
    k = margins.allowed(count)
    chance = _chance(count, k, level.kept, by_row)
    tests = (_paired_rows if effects.paired else _rows)(effects, tolerance, margins, chance)
    shown = _shown_beyond(tests.p_beyond, level.broken)
    broken = np.sort(tests.p_beyond)[k] * (count - k) <= level.broken
    noise = _by_chance(tests.by_noise)
    beyond = int(tests.beyond.sum())
    within = np.sort(tests.p_within)[::-1]
    at_most = _most_beyond(within, level.kept, by_row)
    few = beyond <= max(k, noise)
    if broken:
        outcome = Outcome.NOT_KEPT
    elif few and _excluded(within[: k + 1], k, level.kept, by_row):
        outcome = Outcome.KEPT
    else:
        outcome = Outcome.UNDECIDED
    estimate = 1 - max(0.0, beyond - tests.by_noise) / count
    if shown:
        sentence = f"{shown} of {count} rows are shown to be {tests.words} ({k} may be)"
    else:
        sentence = f"{beyond} of {count} rows seem to be {tests.words} ({k} may be; chance alone allows {noise})"
    sentence += f", at most {at_most} by much more"
    factor = _rows_factor(tests, k, level, few, by_row) if outcome is Outcome.UNDECIDED else None
    return Finding(
        "rows", "", outcome, estimate, 1 - at_most / count, 1 - max(shown, k + 1 if broken else 0) / count,
        sentence, factor
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _RowTests:
    """What is known of each row: whether it seems beyond a margin, and two p-values.

    Args:
        beyond: ``[B]`` bool, estimated beyond the margins.
        by_noise: how many rows noise alone would put there, expected.
        p_beyond: ``[B]``, small where the row is shown to be beyond the margins.
        p_within: ``[B]``, small where it is shown to be within twice the margins.
        excess: ``[B]``, how many errors the row is beyond the margins.
        reach: ``[B]``, how many errors twice the margins are.
        words: what beyond means.
    """

    beyond: NDArray[np.bool_]
    by_noise: float
    p_beyond: Floats
    p_within: Floats
    excess: Floats
    reach: Floats
    words: str


def _rows(effects: RowEffects, tolerance: Floats, margins: Margins, chance: float) -> _RowTests:
    offset, error = effects.distance, effects.distance_error
    margin = margins.row_offset * softened(effects.unit, tolerance, margins.row_offset)
    wide = np.clip(chance * error, margin, ROW_REACH * margin)
    # the change is the hyperbolic tangent of half or all of the logarithm
    half = effects.order / 2
    damping = damping_of(effects, tolerance, math.log(margins.row_spread))
    bounded, ratio_error = np.abs(damping * effects.change), damping * effects.change_error
    ratio = np.arctanh(np.minimum(bounded, 1 - 1e-12))
    limit = half * math.log(margins.row_spread)
    wide_limit = np.clip(chance * ratio_error, limit, ROW_REACH * limit)
    # bounded, so that a constant side proves no more than its samples can; without an error there is nothing to prove
    excess = _in_errors(offset - margin, error), _in_errors(np.tanh(ratio - limit), ratio_error)
    left = _in_errors(offset - wide, error), _in_errors(ratio - wide_limit, ratio_error)
    tails = [2 * _upper(effects.freedom, _reach(margin, error)), 2 * special.ndtr(-_reach(limit, ratio_error))]
    n, m = len(effects.reference), len(effects.candidate)
    alike = (effects.unit <= tolerance) & (min(n, m) < ALIKE)
    rarest = _by_order(effects.reference, effects.candidate)
    return _RowTests(
        beyond=(offset > margin) | (ratio > limit),
        by_noise=float(np.minimum(tails[0] + tails[1], 1).sum()),
        p_beyond=np.clip(2 * np.minimum(_upper(effects.freedom, excess[0]), special.ndtr(-excess[1])), rarest, 1),
        p_within=np.where(alike, 1.0, np.maximum(1 - _upper(effects.freedom, left[0]), special.ndtr(left[1]))),
        excess=np.maximum(*excess),
        reach=np.where(
            alike,
            chance * math.sqrt(min(n, m) / ALIKE),
            np.minimum(_reach(ROW_REACH * margin, error), _reach(ROW_REACH * limit, ratio_error)),
        ),
        words=f"off by more than {margins.row_offset:g} std or a factor of {margins.row_spread:g} in spread",
    )


def _paired_rows(effects: RowEffects, tolerance: Floats, margins: Margins, chance: float) -> _RowTests:
    square, relative = effects.paired_square, effects.paired_error
    assert square is not None
    assert relative is not None
    # the std is estimated too, from as many samples
    relative = np.hypot(relative, math.sqrt(2 / effects.freedom))
    limit = (margins.paired * softened(effects.unit, tolerance, margins.paired)) ** 2
    # in logarithms, where the error of a mean of squares is symmetric
    with np.errstate(divide="ignore"):
        far = np.where(
            square == 0, -np.inf, np.log(np.where(limit == 0, np.inf, square / np.where(limit == 0, 1, limit)))
        )
    excess = far / relative
    widest = 2 * math.log(ROW_REACH)
    wide = np.minimum(chance * relative, widest)
    return _RowTests(
        beyond=square > limit,
        by_noise=0.0,
        p_beyond=special.ndtr(-excess),
        p_within=special.ndtr((far - wide) / relative),
        excess=excess,
        reach=(widest - np.minimum(far, 0)) / relative,
        words=f"off by more than {margins.paired:g} std under the same masks",
    )


def _by_order(reference: Floats, candidate: Floats) -> Floats:
    """``[B]``, how rare the order of a row's samples is at least, if both sides are one distribution.

    Where one side is a constant, that all of the j samples that differ from it are the other's: of n and m samples
    2 C(m, j) / C(n + m, j). So few may do so by chance that their spread tells nothing.
    """
    n, m = len(reference), len(candidate)
    found = np.full(reference.shape[1], 2 * math.exp(-_log_choose(n + m, m)))
    for still, other in ((reference, candidate), (candidate, reference)):
        alone = (still == still[:1]).all((0, 2))
        others = (other[:, alone] != still[:1, alone]).any(2).sum(0)
        size = len(other)
        found[alone] = np.maximum(found[alone], 2 * np.exp(_log_choose(size, others) - _log_choose(n + m, others)))
    return found


def _log_choose(n: int, k: int | NDArray[np.int64]) -> Any:
    """Logarithm of the number of ways to choose k of n."""
    return special.gammaln(n + 1) - special.gammaln(np.add(k, 1)) - special.gammaln(n - np.asarray(k) + 1)


def _upper(freedom: int, value: Floats) -> Floats:
    """P(T > value), Student's t."""
    return special.stdtr(freedom, -value)


def _in_errors(value: Floats, error: Floats) -> Floats:
    """Value / error; without any error, infinitely many, or none less when the value is 0."""
    return np.where(error == 0, np.where(value > 0, np.inf, -np.inf), value / np.where(error == 0, 1.0, error))


def _reach(value: Floats, error: Floats) -> Floats:
    """How many errors away a limit is; infinitely many without any error."""
    return np.where(error == 0, np.inf, value / np.where(error == 0, 1.0, error))


def _shown_beyond(pvalues: Floats, alpha: float) -> int:
    """At least so many rows are beyond: Holm's rejections."""
    stepped = np.sort(pvalues) * np.arange(len(pvalues), 0, -1)
    return int(np.argmin(np.append(stepped <= alpha, False)))


def _most_beyond(ordered: Floats, alpha: float, by_row: bool) -> int:
    """At most so many rows are beyond twice the margins; ``ordered`` are the p-values, largest first."""
    low, high = 0, len(ordered)
    while low < high:
        k = (low + high) // 2
        low, high = (low, k) if _excluded(ordered[: k + 1], k, alpha, by_row) else (k + 1, high)
    return low


def _excluded(largest: Floats, k: int, alpha: float, by_row: bool) -> bool:
    """Whether more than k rows beyond are excluded, from the k + 1 largest p-values.

    Of k + 1 such rows each p-value is below t with probability at most t. Were all but n of the p-values below t, so
    were k + 1 - n of those: with independent rows the chance is at most P(Binomial(k + 1, 1 - t) <= n), tried for
    n = 0 to k; for dependent rows only n = k is left, at most (k + 1) t.
    """
    if not by_row:
        return bool((k + 1) * largest[k] <= alpha)
    n = np.arange(k + 1)
    return bool(((k + 1) * special.bdtr(n, k + 1, 1 - largest) <= alpha).any())


def _by_chance(expected: float) -> int:
    """How many rows noise puts beyond a margin at most, in NOISE_LEVEL of all cases: a Poisson quantile."""
    if math.exp(-expected) >= NOISE_LEVEL:
        return 0
    return math.ceil(special.pdtrik(NOISE_LEVEL, expected) - 1e-9)


def _chance(count: int, k: int, alpha: float, by_row: bool, tail: float = 0.01) -> float:
    """How many errors wide a margin must be for rows without any difference to be shown within it, nearly always."""
    # all but k rows shown, each by itself; rows may stray by their offset or their spread, to either side
    stray = special.gammaincinv(k + 1, tail) / count / 4
    every = -special.ndtri(min(0.5, stray)) - special.ndtri(alpha / (k + 1))
    # or the furthest of all, by k + 1 rows together
    furthest = -special.ndtri(tail / count / 4) - special.ndtri((alpha / (k + 1)) ** (1 / (k + 1)))
    return float(max(every, furthest) if by_row else every)


def _rows_factor(tests: _RowTests, k: int, level: Level, few: bool, by_row: bool) -> float | None:
    """How many times as many samples would decide."""
    count = len(tests.beyond)
    excess = float(np.sort(tests.excess)[::-1][k])
    if not few and excess > 2:  # else it is as likely that noise put them there
        needed = POWER - float(special.ndtri(level.broken / (2 * (count - k))))
        return budget_factor((needed / excess) ** 2)
    reach = float(np.sort(tests.reach)[min(count - 1, k)])
    return budget_factor((_chance(count, k, level.kept, by_row, 0.05) / reach) ** 2 if reach > 0 else math.inf)
