"""From the effects on every row to one decision, by all rules together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.arrays import Floats, check_sides, finite
from spikebayes.evaluate.effect_sizes import RowEffects, row_effects
from spikebayes.evaluate.margins import Margins, Outcome
from spikebayes.evaluate.row_rule import row_rule
from spikebayes.evaluate.rules import Finding, Level, pooled_offset, pooled_spread
from spikebayes.machine.arguments import checked

TOGETHER = 10  # tolerances that all classes of a row may move by together, unseen
HALVINGS = 20  # to find a row's tolerance to a millionth


@dataclass(frozen=True, eq=False)
class Decision:
    """The outcome of all rules together.

    Args:
        outcome: *not kept* if one rule says so, *kept* if all do, else *undecided*.
        needed: (rows, samples) that would probably decide; None when decided, or when no budget is known to.
        findings: of every rule.
        effects: of every output, or of the vector of classes.
        tolerances: ``[B]`` for each of these, differences that count as none on the scale that is judged.
        favourite: ``[B]``, the class that both sides together find most probable; None unless judged by class.
    """

    outcome: Outcome
    needed: tuple[int, int] | None
    findings: tuple[Finding, ...]
    effects: tuple[RowEffects, ...]
    tolerances: tuple[Floats, ...]
    favourite: NDArray[np.int64] | None = None

    @property
    def deciding(self) -> tuple[Finding, ...]:
        """The findings that prevent *kept*; if any are *not kept*, only those."""
        return tuple(f for f in self.findings if f.outcome is self.outcome and f.outcome is not Outcome.KEPT)


@checked
def decide(
    reference: Floats,
    candidate: Floats,
    names: Sequence[str],
    tolerance: Sequence[float],
    *,
    classes: bool = False,
    paired: bool = False,
    by_row: bool = True,
    margins: Margins,
    alpha: float = 0.05,
) -> Decision:
    """Judge samples of two predictions by the rules of ``rules.py`` and ``row_rule.py``.

    Of the side with more samples as many are judged as the other has, evenly spaced: of unequal numbers from one
    skewed distribution, the larger has rare values that the smaller lacks, and looks wider.

    Args:
        reference: ``[S, B, C]``.
        candidate: ``[S', B, C]``, in the same units; S' = S when paired.
        names: C names, of outputs or classes.
        tolerance: ``[C]``, differences that count as none.
        classes: the C numbers are probabilities that are judged together, as the vector of their square roots. Then
            offsets over rows are judged for every class, and for the favourite of each row.
        paired: sample s of both sides had the same masks.
        by_row: rows are independent; False where rows of a sample share masks.
        margins: what counts as no difference.
        alpha: error rate of *kept* and of *not kept*, in (0, 0.5).

    Raises:
        DataError: sides that do not fit each other, fewer than 2 samples, or values that are not finite.
        ConfigError: names or tolerances that are not one for each output, or an alpha out of range.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 200, 1))
        >>> decide(x[:, :100], x[:, 100:], ["y"], [0.0], margins=Margins()).outcome.value
        'kept'
        >>> far = decide(x[:, :100], x[:, 100:] + 0.3, ["y"], [0.0], margins=Margins())
        >>> far.outcome.value, far.deciding[0].sentence
        ('not kept', 'the mean offset over rows is 0.31 std (0.29 to 0.34; margin 0.1)')
    """
    _check(reference, candidate, names, tolerance, classes, paired, alpha)
    reference, candidate = (
        equally_many(side, min(len(reference), len(candidate))) for side in (reference, candidate)
    )
    rows, outputs = reference.shape[1:]
    pooled: list[tuple[str, RowEffects, int, Floats]] = []  # name, effects, which of a row's numbers, tolerance
    favourite = None
    if classes:
        *sides, small = root_probabilities(reference, candidate, tolerance[0])
        effects, tolerances, about = (row_effects(*sides, paired=paired),), (small,), ("",)
        # of both sides, so that neither gains by chance
        favourite = np.concatenate([reference, candidate]).mean(0).argmax(-1)
        doubt = [_against_the_rest(side, favourite) for side in (reference, candidate)]
        *sides, small = root_probabilities(doubt[0], doubt[1], tolerance[0])
        pooled.append(("doubt in the favourite class", row_effects(*sides, paired=paired), 1, small))
        pooled += [(f"class {name}", effects[0], c, tolerances[0]) for c, name in enumerate(names)]
    else:
        effects = tuple(
            row_effects(reference[:, :, [c]], candidate[:, :, [c]], paired=paired) for c in range(outputs)
        )
        tolerances = tuple(np.full(rows, each) for each in tolerance)
        about = tuple(names) if outputs > 1 else ("",)
        pooled += list(zip(about, effects, [0] * outputs, tolerances, strict=True))
    # all rules must hold for "kept", so each may err at alpha; one broken is enough for "not kept", so they share, on
    # both sides of their margins, a fifth of it: a wrong "not kept" is the worse error
    level = Level(alpha, alpha / 5 / 2 / (len(pooled) + 2 * len(effects)))
    found = []
    for name, effect, which, small in pooled:
        found.append(replace(pooled_offset(effect, which, small, margins, level, by_row=by_row), about=name))
    for effect, name, small in zip(effects, about, tolerances, strict=True):
        found.append(replace(pooled_spread(effect, small, margins, level, by_row=by_row), about=name))
        found.append(replace(row_rule(effect, small, margins, level, by_row=by_row), about=name))
    outcome = _outcome(found)
    undecided = [f for f in found if f.outcome is Outcome.UNDECIDED] if outcome is Outcome.UNDECIDED else []
    needed = _needed(undecided, len(reference), rows, by_row) if undecided else None
    return Decision(outcome, needed, tuple(found), effects, tolerances, favourite)


def _check(
    reference: Floats,
    candidate: Floats,
    names: Sequence[str],
    tolerance: Sequence[float],
    classes: bool,
    paired: bool,
    alpha: float,
) -> None:
    check_alpha(alpha)
    check_sides(finite("reference", reference), finite("candidate", candidate), "[S, B, C]", paired)
    if classes and min(reference.min(), candidate.min()) < 0:
        raise DataError("classes are judged by probabilities, 0 or more; got negative numbers: give classes=False")
    outputs = reference.shape[2]
    if len(names) != outputs or len(tolerance) != outputs:
        raise ConfigError(
            f"a name and a tolerance are needed for each of {outputs} outputs; got {len(names)} names and "
            f"{len(tolerance)} tolerances"
        )
    if not all(0 <= each < math.inf for each in tolerance):
        raise ConfigError(f"tolerances must be numbers, 0 or more; got {list(tolerance)}")


def equally_many(samples: Floats, count: int) -> Floats:
    """So many of the samples ``[S, B, C]``, evenly spaced: an ensemble's are those of one member after another."""
    return samples if len(samples) == count else samples[np.arange(count) * len(samples) // count]


def check_alpha(alpha: float) -> None:
    """Refuse an error rate out of range (ConfigError)."""
    if not 0 < alpha < 0.5:
        raise ConfigError(f"alpha must lie in (0, 0.5); got {alpha}")


def _against_the_rest(probabilities: Floats, favourite: NDArray[np.int64]) -> Floats:
    """``[S, B, 2]``: the probability of a class, and of all others together."""
    chosen = probabilities[:, np.arange(len(favourite)), favourite]
    return np.stack([chosen, np.maximum(1 - chosen, 0.0)], 2)


def root_probabilities(reference: Floats, candidate: Floats, tolerance: float) -> tuple[Floats, Floats, Floats]:
    """Class probabilities on the scale they are judged on: square roots, whose distance is Hellinger's.

    Near 0 and 1, where probabilities have long tails, roots have shorter ones. A class that on a row neither varies
    nor differs by more than the tolerance is left out there. On a row with probability in so many classes that more
    than ten tolerances of it could move unseen, the tolerance is as much smaller.

    Args:
        reference: ``[S, B, C]`` probabilities.
        candidate: ``[S', B, C]``.
        tolerance: in probability.

    Returns:
        Both sides' roots, ``[S, B, C]`` and ``[S', B, C]``, and the tolerance on each row, ``[B]``: the length of the
        step that all roots make together when every probability moves by the tolerance.

    Reference:
        Bartlett 1936, The square root transformation in analysis of variance; Hellinger 1909 for the distance.

    Example:
        >>> sure, torn = np.array([[[1.0, 0.0]]]), np.array([[[0.36, 0.64]]])
        >>> first, second, small = root_probabilities(sure, torn, 1e-3)
        >>> first[0, 0], second[0, 0], small.round(5)
        (array([1., 0.]), array([0.6, 0.8]), array([0.00107]))
    """
    middle = (reference.mean(0) + candidate.mean(0)) / 2  # [B, C]
    each = _shared_tolerance(middle, tolerance)  # [B, 1]
    differs = np.abs(reference.mean(0) - candidate.mean(0)) > each
    counts = differs | ((reference.var(0) + candidate.var(0)) / 2 > each**2)
    step = each / (2 * np.sqrt(np.maximum(middle, np.maximum(each, np.finfo(float).tiny))))
    small = np.sqrt((np.where(counts, step, 0.0) ** 2).sum(1))
    return np.where(counts, np.sqrt(reference), 0.0), np.where(counts, np.sqrt(candidate), 0.0), small


def _shared_tolerance(middle: Floats, tolerance: float) -> Floats:
    """``[B, 1]`` of means p ``[B, C]``: the largest t up to the tolerance with sum_c min(p_c, t) <= 10 tolerances."""
    high = np.full((len(middle), 1), tolerance)
    if middle.shape[1] <= TOGETHER:
        return high
    low = np.zeros_like(high)
    few = np.minimum(middle, high).sum(1, keepdims=True) <= TOGETHER * tolerance
    for _ in range(HALVINGS):
        between = (low + high) / 2
        fits = np.minimum(middle, between).sum(1, keepdims=True) <= TOGETHER * tolerance
        low, high = np.where(fits, between, low), np.where(fits, high, between)
    return np.where(few, tolerance, low)


def _outcome(findings: Sequence[Finding]) -> Outcome:
    for outcome in (Outcome.NOT_KEPT, Outcome.UNDECIDED):
        if any(f.outcome is outcome for f in findings):
            return outcome
    return Outcome.KEPT


def _needed(undecided: list[Finding], samples: int, rows: int, by_row: bool) -> tuple[int, int] | None:
    """Rows and samples that would decide: rows help pooled effects, unless all share their masks."""
    if any(f.factor is None for f in undecided):
        return None
    factors = [(f.rule, f.factor or 1.0) for f in undecided]
    each = max((x for rule, x in factors if rule == "rows" or not by_row), default=1.0)
    pooled = max((x for rule, x in factors if rule != "rows" and by_row), default=1.0)
    return _rounded(rows * max(1.0, pooled / each)), _rounded(samples * each)


def _rounded(value: float) -> int:
    """Up to two figures, as 5 in the second: a budget is no measurement."""
    step = 5 * 10 ** max(0, math.floor(math.log10(value)) - 1) if value >= 10 else 1
    return math.ceil(value / step - 1e-9) * step
