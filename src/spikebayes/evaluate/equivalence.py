"""Whether two predictions are one distribution: a spiking network's against a classical network's.

The verdict is *kept*, *not kept* or *undecided*, by confidence bounds on effects against margins (``rules.py``).
docs/how-we-judge.md has the formulas, what a verdict promises, and how often it errs.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikebayes.errors import ConfigError
from spikebayes.evaluate.decision import Decision, decide
from spikebayes.evaluate.effect_sizes import Floats, RowEffects, in_units, spread
from spikebayes.evaluate.ks import MIN_ROWS, exchange_test, holm, ks_test, uniformity
from spikebayes.evaluate.margins import Margins, Outcome
from spikebayes.evaluate.rules import Finding, softened
from spikebayes.evaluate.sides import check_noise, check_settings, check_sides
from spikebayes.machine.arguments import checked
from spikebayes.machine.notebook import as_html
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.heads import softmax_on_one_side
from spikebayes.prediction.noise_std import root_mean_square
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task

CONSTANT = 1e-5  # of an output that never varies: what neurons that tell numbers in steps may miss it by

__all__ = ["Equivalence", "Margins", "Outcome", "compare"]

#: what is shown beside the verdict: below the first, KS p-values do not look uniform; Holm rejects rows at the second
UNIFORMITY_LEVEL, HOLM_LEVEL = 0.01, 0.05


@dataclass(frozen=True, eq=False)
class Equivalence:
    """How far a candidate prediction is from a reference, row by row and over all rows, and the verdict.

    "std" is a row's common standard deviation, sqrt((var_reference + var_candidate) / 2), with a floor in quadrature
    where it is below the tolerance. Arrays are ``[B]`` for one output and for classes, ``[B, C]`` for more outputs.
    A row of classes is judged on the square roots of all its probabilities: an offset is the distance of two mean
    vectors, a variance the sum over classes. Wasserstein distances and KS tests are of its most probable class.

    Args:
        outcome: the verdict, about these rows.
        needed: (rows, samples) that would probably decide; None when decided, or when no budget is known to.
        reasons: why it is not *kept*, a clause for each rule that is broken or undecided.
        findings: what each rule found.
        rows: ``[B]``, the observations' indices in the whole data set.
        margins: what counts as no difference.
        alpha: error rate of "kept" and of "not kept".
        tolerance: per output, differences that count as none, in the output's unit.
        mean_difference: (candidate mean - reference mean) / std; for classes without a sign.
        std_ratio: candidate std / reference std; 1 where both are constant.
        wasserstein: integral of abs(F - G) / std.
        pooled_mean_difference: the mean offset over rows, in std, of the output (or class) where it is largest.
        pooled_spread_ratio: the ratio of spreads over rows, of the output where it is furthest from 1.
        degenerate_rows: on how many rows neither side varies by more than the tolerance.
        paired_rmse: sqrt(mean_s |candidate_s - reference_s|^2) / std; None unless the masks were the same.
        ks_statistic: largest distance of the two empirical distribution functions; None when paired.
        ks_pvalues: exact P(D >= d). Discrete: not uniform even for one and the same distribution.
        ks_pvalues_randomised: P(D > d) + V P(D = d), ties in random order: uniform for one and the same distribution.
        uniformity_pvalue: test that they are uniform, the smallest over outputs times their number; when one mask
            serves all rows, a permutation test of the mean KS distance that exchanges whole samples. None when
            paired, NaN with fewer than 5 rows.
        rejections: how many rows (or row outputs) are rejected at 0.05 by the exact p-values after Holm's adjustment.
        tied_rows: on how many rows a value occurs on both sides, which makes the exact p-values conservative.
        note: what to know about absent or less reliable numbers; may be empty.
        settings: what was compared (output, samples, seeds, scopes, seed), JSON values only.
        control: the same judgement on a second classical prediction.
    """

    outcome: Outcome
    needed: tuple[int, int] | None
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    rows: NDArray[np.int64]
    margins: Margins
    alpha: float
    tolerance: tuple[float, ...]
    mean_difference: Floats
    std_ratio: Floats
    wasserstein: Floats
    pooled_mean_difference: float
    pooled_spread_ratio: float
    degenerate_rows: int
    paired_rmse: Floats | None = None
    ks_statistic: Floats | None = None
    ks_pvalues: Floats | None = None
    ks_pvalues_randomised: Floats | None = None
    uniformity_pvalue: float | None = None
    rejections: int | None = None
    tied_rows: int | None = None
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    control: Equivalence | None = None

    @property
    def share_within(self) -> float:
        """The share of rows that are estimated within the row margins, of the output with the fewest."""
        return min(f.estimate for f in self.findings if f.rule == "rows")

    @property
    def accepted(self) -> bool:
        """Whether the outcome is *kept*."""
        return self.outcome is Outcome.KEPT

    @property
    def objections(self) -> tuple[str, ...]:
        """What speaks against *kept*: the rules' reasons, and the findings of the KS tests, which do not decide."""
        found = list(self.reasons)
        p = self.uniformity_pvalue
        if p is not None and p <= UNIFORMITY_LEVEL:
            found.append(f"KS tests over rows find more difference than chance (p = {p:.2g})")
        if self.rejections:
            found.append(f"KS tests reject {self.rejections} rows at {HOLM_LEVEL:g} after Holm's adjustment")
        return tuple(found)

    def __repr__(self) -> str:
        return f"Equivalence({self.outcome}, {len(self.rows)} rows)"

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """For notebooks: the outcome, and what each rule found."""
        found = [
            (f"{f.rule} {f.about}".strip(), f.outcome.value, f"{f.estimate:.3g}", f"{f.low:.3g} to {f.high:.3g}")
            for f in self.findings
        ]
        heading = f"{self.outcome.value[:1].upper()}{self.outcome.value[1:]}"
        return as_html(heading, [("rule", "outcome", "estimate", "bounds"), *found], text=self.summary())

    def summary(self) -> str:
        """The verdict in a few sentences, with the numbers it is based on and those of the control."""
        name = self.settings.get("candidate", "the candidate")
        if self.outcome is Outcome.KEPT:
            said = [f"Kept: on these {len(self.rows)} rows {name} predicts what the classical network predicts."]
        elif self.outcome is Outcome.NOT_KEPT:
            said = [f"Not kept: {name} does not predict what the classical network predicts: {self._reasons()}."]
        else:
            said = [f"Undecided whether {name} predicts what the classical network predicts: {self._reasons()}."]
            if self.needed is not None:
                said.append(f"{self.needed[0]} rows with {self.needed[1]} samples each would probably decide.")
        beside = self.objections[len(self.reasons) :]
        if beside:
            said.append(f"An objection, which does not decide: {'; '.join(beside)}.")
        said.append(f"Over {len(self.rows)} rows: {self._figures()}.")
        if self.control is not None:
            said.append(
                f"The control, a second classical prediction, is {self.control.outcome}: {self.control._figures()}."
            )
        return " ".join([*said, self.note]).strip()

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values: lists of numbers, None for what is absent, infinite or NaN."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "control"}
        said = {"accepted": self.accepted, "objections": list(self.objections), "summary": self.summary()}
        return {**said, **values, "control": None if self.control is None else self.control.to_dict()}

    def _reasons(self) -> str:
        return "; ".join(self.reasons)

    def _figures(self) -> str:
        said = [
            f"the mean is off by {self.pooled_mean_difference:.2g} std",
            f"the spread is {self.pooled_spread_ratio:.3g} times the classical one",
        ]
        if self.paired_rmse is not None:
            said.append(f"under the same masks samples are off by {np.median(self.paired_rmse):.2g} std (median)")
        p = self.uniformity_pvalue
        if p is not None and not math.isnan(p):
            found = "no more difference than chance" if p > UNIFORMITY_LEVEL else "more difference than chance"
            said.append(f"Kolmogorov-Smirnov tests find {found} (p = {p:.2g}, {self.rejections} rows rejected)")
        return "; ".join(said)


@checked
def compare(
    reference: Predictive,
    candidate: Predictive,
    *,
    control: Predictive | None = None,
    margins: Margins | None = None,
    alpha: float = 0.05,
    output: int | None = None,
    seed: int = 0,
) -> Equivalence:
    """Judge whether a candidate's predictive distributions are the reference's.

    Every output of every row is judged by its mean and spread; classes by the means of their whole vector of
    probabilities and its spread in total. How outputs, classes or rows vary together, and the shape of a
    distribution, are not judged, but in pairs: samples under the same masks are judged one by one. A control that is
    not kept makes the verdict *undecided*, unless pairs show it *kept*.

    Args:
        reference: ``[S, B, C]``, the classical prediction.
        candidate: ``[S', B, C]``, the spiking one, on the same rows. Under another seed its samples
            are independent of the reference's and S' may differ (min(S, S') of either are judged, evenly spaced);
            under the same seed masks pair them.
        control: a second classical prediction under another seed, judged by the same rules.
        margins: what counts as no difference, see :class:`Margins`.
        alpha: largest probability of "kept" beyond the margins (widened as docs/how-we-judge.md says), and of "not
            kept" within them.
        output: judge only this output, or only this class's probability; by default all outputs, and the noise of
            each row where the network predicts it.
        seed: of what the KS tests beside the verdict draw (randomised p-values, the order of ties, permutations);
            the outcome does not depend on it.

    Returns:
        The outcome, the effects behind it, and the tests beside it.

    Raises:
        DataError: sides that differ in rows, outputs or task, or hold fewer than 2 samples.
        ConfigError: a setting out of range, a control with the reference's seed, or masks shared in part.

    Example:
        >>> import torch
        >>> from spikebayes.prediction.draw import Draw
        >>> make = lambda seed: Predictive(
        ...     torch.randn(100, 100, 1, generator=torch.Generator().manual_seed(seed)),
        ...     Draw(seed, "row", torch.arange(100)))
        >>> verdict = compare(make(0), make(1), control=make(2))
        >>> verdict.outcome == "kept", verdict.control.accepted, compare(make(0), make(0)).paired_rmse.max()
        (True, True, np.float64(0.0))
        >>> few = compare(*(Predictive(make(i).samples[:, :5], Draw(i, "row", torch.arange(5))) for i in (0, 1)))
        >>> few.outcome == "undecided", few.needed
        (True, (25, 100))
    """
    margins = Margins() if margins is None else margins
    given = reference, candidate
    reference, candidate = map(with_noise_as_outputs, given)
    check_settings(reference, alpha, output, seed)
    check_sides(reference, candidate, "candidate")
    check_noise(*given)
    options: dict[str, Any] = {"margins": margins, "alpha": alpha, "output": output, "seed": seed}
    judged = _judge(reference, candidate, "the spiking network", **options)
    if judged.outcome is Outcome.NOT_KEPT and reference.task is Task.REGRESSION:
        hints = softmax_on_one_side(reference.samples, candidate.samples)
        judged = replace(judged, reasons=(*judged.reasons, *hints))
    if control is None:
        return judged
    control = with_noise_as_outputs(control)
    check_sides(reference, control, "control")
    if control.draw.seed == reference.draw.seed:
        raise ConfigError(f"control and reference share seed {control.draw.seed}; the control needs its own")
    found = replace(judged, control=_judge(reference, control, "the control", **options))
    assert found.control is not None
    if found.control.outcome is not Outcome.NOT_KEPT or (found.accepted and found.paired_rmse is not None):
        return found
    reasons = tuple(
        f"the control, a second classical prediction, is not kept: {why}" for why in found.control.reasons
    )
    return replace(found, outcome=Outcome.UNDECIDED, needed=None, reasons=(*reasons, *found.reasons))


def with_noise_as_outputs(side: Predictive) -> Predictive:
    """A prediction whose outputs include the noise that its samples tell: behind the means, its logarithm.

    Differences of a noise are judged as its share: one of 1e-3 of the noise counts as none.
    """
    noise = side.noise_samples
    if noise is None:
        return side
    middle = root_mean_square(noise, (0, 1))  # [C]
    return replace(
        side,
        samples=torch.cat([side.samples, noise.log().to(side.samples)], -1),
        noise_std=torch.cat([middle, torch.ones_like(middle)]),
        names=(*side.names, *(f"log noise of {name}" for name in side.names)),
        noise_samples=None,
        conformal=None,
    )


def _judge(
    reference: Predictive,
    candidate: Predictive,
    name: str,
    margins: Margins,
    alpha: float,
    output: int | None,
    seed: int,
) -> Equivalence:
    paired = reference.draw.same_masks(candidate.draw)
    by_row = all(map(_rows_are_independent, (reference.draw, candidate.draw)))
    by_class = reference.task is Task.CLASSIFICATION
    a, b = (_judged_samples(side, output) for side in (reference, candidate))  # [S, B, C], [S', B, C]
    names = list(reference.names) if output is None else [reference.names[output], "the others"][: a.shape[2]]
    tolerance = _tolerance(reference, a, b, margins, output)
    found = decide(
        a, b, names, tolerance, classes=by_class, paired=paired, by_row=by_row, margins=margins, alpha=alpha
    )
    effects = found.effects
    notes: list[str] = []
    still = sum(int((e.unit <= t).sum()) for e, t in zip(effects, found.tolerances, strict=True))
    if still:
        what = "rows" if len(effects) == 1 else "outputs of rows"
        notes.append(f"On {still} {what} neither side varies by more than the tolerance.")
    if len(a) != len(b):
        which, more, few = ("candidate", len(b), len(a)) if len(b) > len(a) else ("reference", len(a), len(b))
        notes.append(f"Of the {which}'s {more} samples {few} are judged, as many as the other side has.")
    if paired:
        notes.append("Both sides used the same masks: samples are judged in pairs, without KS tests.")
    # one number for each row and output: of classes, the probability of the favourite of both sides together
    shown = found.favourite if output is None else np.zeros(a.shape[1], np.int64)
    scalars = [x[:, np.arange(a.shape[1]), shown][:, :, None] if by_class else x for x in (a, b)]
    # a control must not share V with the candidate
    rng = np.random.default_rng((seed, reference.draw.seed, candidate.draw.seed))
    extra = _ks_fields(scalars[0], scalars[1], np.array(tolerance[: scalars[0].shape[2]]), rng, paired, by_row, notes)
    units = _units(found, margins.row_offset)
    if paired:
        squares = [np.sqrt(e.paired_square) for e in effects if e.paired_square is not None]
        extra["paired_rmse"] = _fewer(in_units(np.stack(squares, 1), _units(found, margins.paired)))
    offsets = [f.estimate for f in found.findings if f.rule == "mean offset"]
    ratios = [f.estimate for f in found.findings if f.rule == "ratio of spreads"]
    return Equivalence(
        outcome=found.outcome,
        needed=found.needed,
        reasons=tuple(f"{f.about}: {f.sentence}" if f.about else f.sentence for f in found.deciding),
        findings=found.findings,
        rows=reference.draw.rows.numpy(),
        margins=margins,
        alpha=alpha,
        tolerance=tuple(tolerance),
        mean_difference=_fewer(
            in_units(np.stack([e.distance if by_class else e.offset[:, 0] for e in effects], 1), units)
        ),
        std_ratio=_fewer(np.stack([_std_ratio(e) for e in effects], 1)),
        pooled_mean_difference=max(offsets, key=abs),
        pooled_spread_ratio=max(ratios, key=lambda ratio: abs(math.log(ratio))),
        degenerate_rows=still,
        note=" ".join(notes),
        settings={
            "candidate": name,
            "output": _what(reference, output),
            "samples": [len(a), len(b)],
            "seeds": [reference.draw.seed, candidate.draw.seed],
            "scopes": [reference.draw.scope, candidate.draw.scope],
            "seed": seed,
        },
        **extra,
    )


def _rows_are_independent(draw: Draw) -> bool:
    """Whether no two rows share a mask: each has its own, by its index, and no index is there twice."""
    return draw.scope == "row" and len(draw.rows.unique()) == len(draw.rows)


def _tolerance(reference: Predictive, a: Floats, b: Floats, margins: Margins, output: int | None) -> list[float]:
    """Differences that count as none, ``[C]`` of what is judged."""
    if reference.task is Task.CLASSIFICATION:
        return [margins.tolerance] * a.shape[2]
    if reference.noise_std is not None:
        noise = reference.noise_std.double().reshape(-1, len(reference.names)).median(0).values.numpy()  # [C]
        return [margins.tolerance * float(s) for s in (noise if output is None else noise[[output]])]
    middle = (a.mean(0) + b.mean(0)) / 2  # [B, C]
    # where all rows have one prediction, what the samples' precision rounds away; of an output that is a constant,
    # what neurons do that tell numbers in steps
    largest = np.abs(middle).max(0)
    exact = 4 * torch.finfo(reference.samples.dtype).eps * largest
    rounding = np.where(np.ptp(a, axis=(0, 1)) <= exact, CONSTANT * largest, exact)
    return np.maximum(margins.tolerance * _spread_over_rows(middle), rounding).tolist()


def _spread_over_rows(middle: Floats) -> Floats:
    """``[C]`` of ``[B, C]``: the standard deviation, but no more than half the range of the middle 90 % of rows.

    A few rows far away, as predictions beyond the training rows are, would else make everything on the others small.
    """
    plain, half = middle.std(0), np.diff(np.quantile(middle, [0.05, 0.95], axis=0), axis=0)[0] / 2
    return np.where(half > 0, np.minimum(plain, half), plain)


def _units(found: Decision, margin: float) -> Floats:
    """``[B, C]``, standard deviations, with a floor where they are below the tolerance."""
    return np.stack([softened(e.unit, t, margin) for e, t in zip(found.effects, found.tolerances, strict=True)], 1)


def _std_ratio(effects: RowEffects) -> Floats:
    first, second = (
        np.sqrt(np.where(np.ptp(x, axis=0) == 0, 0.0, x.var(0, ddof=1)).sum(1))
        for x in (effects.reference, effects.candidate)
    )
    return np.where(effects.unit == 0, 1.0, in_units(second, first))


def _ks_fields(
    a: Floats, b: Floats, tolerance: Floats, rng: np.random.Generator, paired: bool, by_row: bool, notes: list[str]
) -> dict[str, Any]:
    """The tests beside the verdict, on ``[S, B, C]`` and ``[S', B, C]``."""
    shape = a.shape[1:]
    test = ks_test(a.reshape(len(a), -1), b.reshape(len(b), -1), rng)
    unit = softened(np.sqrt((spread(a) ** 2 + spread(b) ** 2) / 2), tolerance, Margins.row_offset)
    distance = {"wasserstein": _fewer(in_units(test.wasserstein.reshape(shape), unit))}
    if paired:
        return distance
    rows = shape[0]
    if rows < MIN_ROWS:
        notes.append(f"Fewer than {MIN_ROWS} rows: uniformity is not tested.")
        p = math.nan
    elif by_row:
        p = min(1.0, shape[1] * min(uniformity(column) for column in test.randomised.reshape(shape).T))
    else:
        notes.append("Rows of a sample share masks: whole samples are exchanged to test their KS distances.")
        p = exchange_test(a.reshape(len(a), -1), b.reshape(len(b), -1), rng)
    tied = int(test.tied.reshape(shape).any(1).sum())
    if tied:
        where = "one row" if tied == 1 else f"{tied} rows"
        notes.append(f"On {where} a value occurs on both sides: exact p-values are conservative there.")
    return {
        **distance,
        "ks_statistic": _fewer(test.statistic.reshape(shape)),
        "ks_pvalues": _fewer(test.pvalues.reshape(shape)),
        "ks_pvalues_randomised": _fewer(test.randomised.reshape(shape)),
        "uniformity_pvalue": p,
        "rejections": int((holm(test.pvalues) <= HOLM_LEVEL).sum()),
        "tied_rows": tied,
    }


def _judged_samples(side: Predictive, output: int | None) -> Floats:
    samples = side.samples.double().numpy()
    if output is None:
        return samples
    one = samples[:, :, [output]]
    return np.concatenate([one, np.maximum(1 - one, 0)], 2) if side.task is Task.CLASSIFICATION else one


def _what(reference: Predictive, output: int | None) -> Any:
    """What is judged, for the settings."""
    if output is not None:
        return output
    if reference.task is Task.CLASSIFICATION:
        return "class probabilities"
    return 0 if len(reference.names) == 1 else list(reference.names)


def _fewer(values: Floats) -> Floats:
    """``[B, C]``, or ``[B]`` when C is 1."""
    return values[:, 0] if values.shape[1] == 1 else values


def _plain(value: Any) -> Any:
    """A JSON value: arrays and tuples become lists, what is not finite None."""
    if isinstance(value, Finding | Margins):
        return {key: _plain(each) for key, each in asdict(value).items()}
    if isinstance(value, np.ndarray | tuple):
        return [_plain(item) for item in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
