"""The judge's rules: confidence bounds on effects against margins. docs/how-we-judge.md has the reasons.

A rule says *not kept* when its effect is shown to lie beyond the margin, *kept* when the effect is estimated within
the margin and its bound lies within the margin widened by a fixed factor, else *undecided*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from spikebayes.evaluate.effect_sizes import Floats, RowEffects, in_units
from spikebayes.evaluate.margins import Margins, Outcome

#: how far the bound of an effect that is estimated within its margin may reach at most, in margins: the error of an
#: offset is the same for every distribution; that of a spread grows with its tails; a row has its own samples alone
POOLED_OFFSET_REACH, POOLED_SPREAD_REACH, ROW_REACH = 1.0, 1.5, 2.0
#: by so many errors an effect that is none may be estimated beyond 0, in 98 of 100 cases
CHANCE = 2.326
#: of the number of rows that noise alone puts beyond a margin
NOISE_LEVEL = 0.99
#: two samples a side hardly tell how much they vary: their errors are taken ten times as large
TWO_SAMPLES = 100.0
#: samples a side before two constants count as shown to be alike, rather than alike by chance
ALIKE = 20
#: of a ratio of spreads, where all rows of one side are constant
MOST_LOGARITHM = 10.0
#: errors by which a planned budget must clear a bound, to decide in 95 of 100 cases
POWER = 1.645


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Args:
        rule: "mean offset", "ratio of spreads" or "rows".
        about: the output or class that it is about; empty when there is only one.
        outcome: the rule's outcome.
        estimate: the pooled effect (an offset in std, a ratio), or the share of rows estimated within the margins.
        low: lower confidence bound of that. For rows, of the share within twice the margins.
        high: upper confidence bound.
        sentence: the finding in words.
        factor: how many times as many samples, or rows as well for a pooled effect, would decide; None when
            decided, or when the effect is too close to its margin.
    """

    rule: str
    about: str
    outcome: Outcome
    estimate: float
    low: float
    high: float
    sentence: str
    factor: float | None = None


@dataclass(frozen=True)
class Level:
    """How sure a rule must be: error rate of "kept", and of "not kept" for each of the rules that share it."""

    kept: float
    broken: float


def softened(spread: Floats, tolerance: Floats, margin: float) -> Floats:
    """Spreads with a floor in quadrature: an offset below ``tolerance`` is then less than ``margin`` of them."""
    return np.hypot(spread, tolerance / margin)


def pooled_offset(
    effects: RowEffects, place: int, tolerance: Floats, margins: Margins, level: Level, *, by_row: bool
) -> Finding:
    """Rule on the mean offset over rows, (1/B) sum_b offset_b / std_b.

    Args:
        effects: of B rows.
        place: which of the K numbers.
        tolerance: ``[B]``, differences that count as none, in the samples' unit.
        margins: those of the comparison.
        level: how sure to be.
        by_row: rows are independent. Else samples are averaged over rows first, and the averages are independent.
    """
    offset, count = effects.offset[:, place], len(effects.unit)
    # with half the offset in quadrature no row counts more than 2, however small its std
    unit = np.hypot(softened(effects.unit, tolerance, margins.offset), offset / 2)
    bounded = float(in_units(offset, unit).mean())
    mean = bounded / math.sqrt(max(1 - bounded**2 / 4, 1e-9))
    if by_row:
        errors = in_units(effects.offset_error[:, place], unit)
        # a unit that is estimated itself makes a ratio stray further
        few = _few(effects)
        error, freedom = math.sqrt(few * float((errors**2).sum())) / count, effects.freedom * count
    else:
        across = [in_units(x[:, :, place], unit[None]).mean(1) for x in (effects.reference, effects.candidate)]
        error, freedom = _error_of_means(across[0], across[1], effects.paired), effects.freedom
    reach = POOLED_OFFSET_REACH * margins.offset
    sides = (-margins.offset, margins.offset), (-reach, reach)
    found = _pooled(mean, error, freedom, sides, level)
    return Finding(
        "mean offset",
        "",
        found.outcome,
        mean,
        found.low,
        found.high,
        f"the mean offset over rows is {mean:.2g} std ({found.low:.2g} to {found.high:.2g}; "
        f"margin {margins.offset:g})",
        found.factor,
    )


def pooled_spread(effects: RowEffects, tolerance: Floats, margins: Margins, level: Level, *, by_row: bool) -> Finding:
    """Rule on the ratio of spreads, exp of the mean over rows of its logarithm; arguments as above."""
    damping = _damping(effects, tolerance, margins.spread)
    weight = damping / len(damping)
    if by_row:
        few = _few(effects)
        error = math.sqrt(few * float(((2 / effects.order * weight * effects.change_error) ** 2).sum()))
        freedom = effects.freedom * len(damping)
    else:
        across = [(x * (2 / effects.order * weight)).sum(1) for x in effects.influence]
        error, freedom = _error_of_means(across[0], across[1], effects.paired), effects.freedom
    mean = _common_logarithm(float((2 / effects.order * damping * effects.change).mean()), effects.order)
    narrow = math.log(1 - margins.spread), math.log(1 + margins.spread)
    wide = POOLED_SPREAD_REACH * narrow[0], POOLED_SPREAD_REACH * narrow[1]
    found = _pooled(mean, error, freedom, (narrow, wide), level)
    ratio, low, high = (math.exp(value) for value in (mean, found.low, found.high))
    return Finding(
        "ratio of spreads",
        "",
        found.outcome,
        ratio,
        low,
        high,
        f"the ratio of spreads over rows is {ratio:.3g} ({low:.3g} to {high:.3g}; "
        f"margin {1 - margins.spread:g} to {1 + margins.spread:g})",
        found.factor,
    )


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


@dataclass(frozen=True)
class _Pooled:
    outcome: Outcome
    low: float
    high: float
    factor: float | None


def _pooled(
    mean: float,
    error: float,
    freedom: int,
    sides: tuple[tuple[float, float], tuple[float, float]],
    level: Level,
) -> _Pooled:
    narrow, widest = sides
    kept, broken = (float(special.stdtrit(freedom, 1 - a)) for a in (level.kept, level.broken))
    low, high = mean - kept * error, mean + kept * error
    # no wider than chance needs
    needs = (kept + CHANCE) * error
    wide = max(widest[0], min(narrow[0], -needs)), min(widest[1], max(narrow[1], needs))
    inside = narrow[0] <= mean <= narrow[1]
    if mean - broken * error > narrow[1] or mean + broken * error < narrow[0]:
        return _Pooled(Outcome.NOT_KEPT, low, high, None)
    if inside and wide[0] <= low and high <= wide[1]:
        return _Pooled(Outcome.KEPT, low, high, None)
    # what would decide, were the effect as estimated, or none when it is not told from none
    effect = mean if abs(mean) > 2 * error else 0.0
    if narrow[0] < effect < narrow[1]:
        room = min(effect - narrow[0], narrow[1] - effect) / POWER
        room = min(room, min(effect - widest[0], widest[1] - effect) / (kept + POWER))
    else:
        room = max(effect - narrow[1], narrow[0] - effect) / (broken + POWER)
    return _Pooled(Outcome.UNDECIDED, low, high, _bounded((error / room) ** 2 if room > 0 else math.inf))


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
    damping = _damping(effects, tolerance, math.log(margins.row_spread))
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


def _common_logarithm(average: float, order: Floats) -> float:
    """The logarithm of the ratio that all rows have, if the bounded changes have this average.

    It solves average = mean(2 / q tanh(q x / 2)) over the rows' orders q. Orders apart, a few rows of one order on
    which a side happens to be constant would make it as large as numbers go.
    """
    share = float((order == 1).mean())

    def excess(x: float) -> float:
        return 2 * share * math.tanh(x / 2) + (1 - share) * math.tanh(x) - average

    if excess(-MOST_LOGARITHM) * excess(MOST_LOGARITHM) >= 0:
        return math.copysign(MOST_LOGARITHM, average)
    return float(optimize.brentq(excess, -MOST_LOGARITHM, MOST_LOGARITHM))  # pyright: ignore[reportArgumentType]


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


def _damping(effects: RowEffects, tolerance: Floats, margin: float) -> Floats:
    """``[B]``, by how much a change counts: all but 1, and little where spreads are below the tolerance."""
    floor = tolerance / (2 * margin)
    return in_units(effects.level**2, effects.level**2 + floor**2)


def _upper(freedom: int, value: Floats) -> Floats:
    """P(T > value), Student's t."""
    return special.stdtr(freedom, -value)


def _in_errors(value: Floats, error: Floats) -> Floats:
    """Value / error; without any error, infinitely many, or none less when the value is 0."""
    return np.where(error == 0, np.where(value > 0, np.inf, -np.inf), value / np.where(error == 0, 1.0, error))


def _reach(value: Floats, error: Floats) -> Floats:
    """How many errors away a limit is; infinitely many without any error."""
    return np.where(error == 0, np.inf, value / np.where(error == 0, 1.0, error))


def _few(effects: RowEffects) -> float:
    """By how much a squared error that is estimated from few samples is too small where it divides."""
    if min(len(effects.reference), len(effects.candidate)) == 2:
        return TWO_SAMPLES
    return effects.freedom / (effects.freedom - 2) if effects.freedom > 2 else TWO_SAMPLES


def _error_of_means(first: Floats, second: Floats, paired: bool) -> float:
    """Standard error of mean(second) - mean(first) over independent samples."""
    if paired:
        difference = second - first
        return float(difference.std(ddof=1) / math.sqrt(len(difference)))
    return math.sqrt(float(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)))


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
        return _bounded((needed / excess) ** 2)
    reach = float(np.sort(tests.reach)[min(count - 1, k)])
    return _bounded((_chance(count, k, level.kept, by_row, 0.05) / reach) ** 2 if reach > 0 else math.inf)


def _bounded(factor: float) -> float | None:
    """A factor of 1.1 or more; None when the budget would be out of all proportion."""
    return max(1.1, factor) if factor <= 1000 else None
