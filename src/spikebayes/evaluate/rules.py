"""The judge's rules: confidence bounds on effects against margins. docs/how-we-judge.md has the reasons.

A rule says *not kept* when its effect is shown to lie beyond the margin, *kept* when the effect is estimated within
the margin and its bound lies within the margin widened by a fixed factor, else *undecided*. Here are those on effects
that are pooled over rows; ``row_rule.py`` has the one on the rows themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from spikebayes.evaluate.effect_sizes import Floats, RowEffects, in_units
from spikebayes.evaluate.margins import Margins, Outcome

#: how far the bound of an effect that is estimated within its margin may reach at most, in margins: the error of an
#: offset is the same for every distribution; that of a spread grows with its tails
POOLED_OFFSET_REACH, POOLED_SPREAD_REACH = 1.0, 1.5
#: by so many errors an effect that is none may be estimated beyond 0, in 98 of 100 cases
CHANCE = 2.326
#: two samples a side hardly tell how much they vary: their errors are taken ten times as large
TWO_SAMPLES = 100.0
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
    damping = damping_of(effects, tolerance, margins.spread)
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
    return _Pooled(Outcome.UNDECIDED, low, high, budget_factor((error / room) ** 2 if room > 0 else math.inf))


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


def damping_of(effects: RowEffects, tolerance: Floats, margin: float) -> Floats:
    """``[B]``, by how much a change counts: all but 1, and little where spreads are below the tolerance."""
    floor = tolerance / (2 * margin)
    return in_units(effects.level**2, effects.level**2 + floor**2)


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


def budget_factor(factor: float) -> float | None:
    """A factor of 1.1 or more; None when the budget would be out of all proportion."""
    return max(1.1, factor) if factor <= 1000 else None
