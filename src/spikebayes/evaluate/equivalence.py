"""Whether two predictions are one distribution: a spiking network's against a classical network's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.effect_sizes import in_units, mean_equivalence, pooled_equivalence, spread
from spikebayes.evaluate.ks import MIN_ROWS, holm, ks_test, uniformity
from spikebayes.prediction.predictive import Predictive, Task

Floats = NDArray[np.float64]

#: the verdict's other two rules; margin and alpha are the caller's
UNIFORMITY_LEVEL = 0.01
STD_RATIO = (0.9, 1.1)


@dataclass(frozen=True, eq=False)
class Equivalence:
    """How far a candidate prediction is from a reference, row by row and over all rows.

    Differences are in units of the reference's standard deviation on that row. Where the reference is
    constant (``degenerate_rows``) a difference is 0 if there is none and infinite otherwise, and a ratio of
    two zero spreads is 1. The KS fields are None when both sides used the same masks: the test needs
    independent samples.

    Args:
        rows: ``[B]``, the observations' indices in the whole data set.
        margin: the mean difference and paired error that count as none, in reference standard deviations.
        alpha: level of the equivalence tests and of Holm's adjustment.
        mean_difference: ``[B]``, (candidate mean - reference mean) / reference std.
        std_ratio: ``[B]``, candidate std / reference std.
        wasserstein: ``[B]``, integral of abs(F - G) / reference std.
        equivalence_pvalues: ``[B]``, two one-sided tests that the mean difference is within the margin. With
            S independent samples its standard error is sqrt(2/S): at S = 100, 0.14, so a margin of 0.1 cannot
            be shown on a single row and only ``pooled_equivalence_pvalue`` can be small.
        equivalent: ``[B]`` bool, ``equivalence_pvalues < alpha``.
        pooled_mean_difference: mean of ``mean_difference`` over rows that are not degenerate.
        pooled_equivalence_pvalue: test that this common offset is within the margin (opposite signs cancel);
            NaN with a single row.
        degenerate_rows: on how many rows the reference is constant.
        paired_rmse: ``[B]``, sqrt(mean_s (candidate_s - reference_s)^2) / reference std; None unless
            the masks were the same.
        ks_statistic: ``[B]``, largest distance of the two empirical distribution functions.
        ks_pvalues: ``[B]``, exact P(D >= d). Discrete: not uniform even for one and the same distribution.
        ks_pvalues_randomised: ``[B]``, P(D > d) + V P(D = d), ties in random order: uniform for one and the
            same distribution.
        uniformity_pvalue: test that they are uniform; None when rows share masks, NaN with fewer than 5 rows.
        rejections: how many rows are rejected at ``alpha`` by the exact p-values after Holm's adjustment.
        tied_rows: on how many rows a value occurs on both sides, which makes the exact p-values conservative.
        note: what a reader must know about absent or weakened numbers; empty when nothing.
        settings: what was compared (output, samples, seeds, scopes, seed), JSON values only.
        control: the same judgement on a second classical prediction.
    """

    rows: NDArray[np.int64]
    margin: float
    alpha: float
    mean_difference: Floats
    std_ratio: Floats
    wasserstein: Floats
    equivalence_pvalues: Floats
    equivalent: NDArray[np.bool_]
    pooled_mean_difference: float
    pooled_equivalence_pvalue: float
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
    def objections(self) -> tuple[str, ...]:
        """What speaks against equivalence, one sentence part per broken rule; empty when all rules hold.

        The rules: uniformity p > 0.01 (when there is one); median paired error <= margin (when paired);
        median std ratio in [0.9, 1.1]; pooled equivalence p < alpha.
        """
        found = []
        p = self.uniformity_pvalue
        if p is not None and p <= UNIFORMITY_LEVEL:
            found.append(f"the KS p-values over rows are not uniform (p = {p:.2g}, needs > {UNIFORMITY_LEVEL})")
        if self.paired_rmse is not None and not np.median(self.paired_rmse) <= self.margin:
            rmse = np.median(self.paired_rmse)
            found.append(f"the median error under the same masks is {rmse:.2g} std (needs <= {self.margin:g})")
        low, high = STD_RATIO
        ratio = float(np.median(self.std_ratio))
        if not low <= ratio <= high:
            found.append(f"the median ratio of spreads is {ratio:.3g} (needs {low} to {high})")
        p = self.pooled_equivalence_pvalue
        if not p < self.alpha:
            found.append(
                f"the mean offset, {self.pooled_mean_difference:.2g} std, is not shown to be within "
                f"{self.margin:g} std (p = {p:.2g}, needs < {self.alpha:g})"
            )
        return tuple(found)

    @property
    def accepted(self) -> bool:
        """The verdict: none of the rules in :attr:`objections` is broken."""
        return not self.objections

    def summary(self) -> str:
        """The verdict in a few sentences, with the numbers it rests on and the control's."""
        name = self.settings.get("candidate", "the candidate")
        if self.accepted:
            verdict = f"The predictions of {name} are statistically indistinguishable from the classical network's."
        else:
            verdict = f"The predictions of {name} are not shown to equal the classical network's"
            verdict += f": {'; '.join(self.objections)}."
        said = [verdict, f"Over {len(self.rows)} rows: {self._figures()}."]
        if self.control is not None:
            said.append(f"The control, a second classical prediction, judged alike: {self.control._figures()}.")
            if not self.control.accepted:
                reasons = "; ".join(self.control.objections)
                said.append(f"The control fails too, so the verdict says little: {reasons}.")
        return " ".join([*said, self.note]).strip()

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values: lists of numbers, None for what is absent, infinite or NaN."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "control"}
        verdict = {"accepted": self.accepted, "objections": list(self.objections), "summary": self.summary()}
        return {**verdict, **values, "control": None if self.control is None else self.control.to_dict()}

    def _figures(self) -> str:
        said = []
        p = self.uniformity_pvalue
        if p is not None and not math.isnan(p):
            found = "no more difference than chance" if p > UNIFORMITY_LEVEL else "more difference than chance"
            said.append(f"Kolmogorov-Smirnov tests find {found} (p = {p:.2g}, {self.rejections} rows rejected)")
        if self.paired_rmse is not None:
            said.append(f"under the same masks samples are off by {np.median(self.paired_rmse):.2g} std (median)")
        shown = "shown" if self.pooled_equivalence_pvalue < self.alpha else "not shown"
        said.append(f"the spread is {np.median(self.std_ratio):.3g} times the classical one (median)")
        said.append(
            f"the mean is off by {self.pooled_mean_difference:.2g} std, {shown} to be within {self.margin:g} "
            f"(p = {self.pooled_equivalence_pvalue:.2g})"
        )
        return "; ".join(said)


def _plain(value: Any) -> Any:
    """A JSON value: arrays become lists, what is not finite None."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and not math.isfinite(value) else value


Floats = NDArray[np.float64]

__all__ = ["Equivalence", "compare"]


def compare(
    reference: Predictive,
    candidate: Predictive,
    *,
    control: Predictive | None = None,
    margin: float = 0.1,
    alpha: float = 0.05,
    output: int | None = None,
    seed: int = 0,
) -> Equivalence:
    """Judge whether a candidate's predictive distributions are the reference's.

    Each row is judged on one number: an output, or the probability of a class.

    Args:
        reference: ``[S, B, C]``, the classical prediction.
        candidate: ``[S', B, C]``, the spiking one, on the same rows. Under another seed its samples
            are independent of the reference's and S' may differ; under the same seed masks pair them.
        control: a second classical prediction under another seed, judged by the same functions.
        margin: in units of the reference's standard deviation.
        alpha: level of the equivalence tests and of Holm's adjustment.
        output: which output or class. By default output 0, or on each row the class to which both sides
            together give most; the favourite of one side alone would favour that side by chance.
        seed: of V and of the order of ties in the randomised p-values.

    Returns:
        The effect sizes, the tests and the verdict.

    Raises:
        DataError: sides that differ in rows, outputs or task, or hold fewer than 2 samples.
        ConfigError: a setting out of range, a control with the reference's seed, or masks shared in part.

    Example:
        >>> import torch
        >>> from spikebayes.prediction.predictive import Draw
        >>> make = lambda seed: Predictive(
        ...     torch.randn(100, 50, 1, generator=torch.Generator().manual_seed(seed)),
        ...     Draw(seed, "row", torch.arange(50)))
        >>> verdict = compare(make(0), make(1), control=make(2))
        >>> verdict.accepted, verdict.control.accepted, compare(make(0), make(0)).paired_rmse.max()
        (True, True, np.float64(0.0))
    """
    _check_settings(reference, margin, alpha, output, seed)
    _check_sides(reference, candidate, "candidate")
    options = {"margin": margin, "alpha": alpha, "output": output, "seed": seed}
    if control is None:
        return _judge(reference, candidate, "the spiking network", **options)
    _check_sides(reference, control, "control")
    if control.draw.seed == reference.draw.seed:
        raise ConfigError(f"control and reference share seed {control.draw.seed}; the control needs its own")
    judged = _judge(reference, control, "the control", **options)
    return replace(_judge(reference, candidate, "the spiking network", **options), control=judged)


def _judge(
    reference: Predictive,
    candidate: Predictive,
    name: str,
    margin: float,
    alpha: float,
    output: int | None,
    seed: int,
) -> Equivalence:
    a, b = _scalars(reference, candidate, output)  # [S, B], [S', B]
    paired = reference.draw.same_masks(candidate.draw)
    independent_rows = "pass" not in (reference.draw.scope, candidate.draw.scope)
    unit = spread(a)
    regular = unit > 0
    difference = in_units(b.mean(0) - a.mean(0), unit)
    pvalues = mean_equivalence(a, b, margin * unit, paired=paired)
    distance = np.array([stats.wasserstein_distance(x, y) for x, y in zip(a.T, b.T, strict=True)])
    notes = []
    if not regular.all():
        notes.append(f"The reference is constant on {(~regular).sum()} rows, left out of the mean offset.")
    if paired:
        error = np.sqrt(((b - a) ** 2).mean(0))
        extra: dict[str, Any] = {"paired_rmse": in_units(error, unit)}
        notes.append("Both sides used the same masks: no KS test, which needs independent samples.")
    else:
        # a control must not share V with the candidate
        rng = np.random.default_rng((seed, reference.draw.seed, candidate.draw.seed))
        extra = _ks_fields(a, b, alpha, rng, independent_rows, notes)
    return Equivalence(
        rows=reference.draw.rows.numpy(),
        margin=margin,
        alpha=alpha,
        mean_difference=difference,
        std_ratio=np.where(unit + spread(b) == 0, 1.0, in_units(spread(b), unit)),
        wasserstein=in_units(distance, unit),
        equivalence_pvalues=pvalues,
        equivalent=pvalues < alpha,
        pooled_mean_difference=float(difference[regular].mean()) if regular.any() else math.nan,
        pooled_equivalence_pvalue=pooled_equivalence(
            a[:, regular], b[:, regular], margin, paired=paired, by_row=independent_rows
        ),
        degenerate_rows=int((~regular).sum()),
        note=" ".join(notes),
        settings={
            "candidate": name,
            "output": "most probable class" if _by_class(reference, output) else output or 0,
            "samples": [len(a), len(b)],
            "seeds": [reference.draw.seed, candidate.draw.seed],
            "scopes": [reference.draw.scope, candidate.draw.scope],
            "seed": seed,
        },
        **extra,
    )


def _ks_fields(
    a: Floats, b: Floats, alpha: float, rng: np.random.Generator, independent_rows: bool, notes: list[str]
) -> dict[str, Any]:
    test = ks_test(a, b, rng)
    if not independent_rows:
        notes.append("One mask served all rows of a sample, so rows depend on one another: uniformity is not tested.")
    elif a.shape[1] < MIN_ROWS:
        notes.append(f"Fewer than {MIN_ROWS} rows: uniformity is not tested.")
    if test.tied.any():
        notes.append(
            f"On {test.tied.sum()} rows a value occurs on both sides: exact p-values are conservative there."
        )
    return {
        "ks_statistic": test.statistic,
        "ks_pvalues": test.pvalues,
        "ks_pvalues_randomised": test.randomised,
        "uniformity_pvalue": uniformity(test.randomised) if independent_rows else None,
        "rejections": int((holm(test.pvalues) <= alpha).sum()),
        "tied_rows": int(test.tied.sum()),
    }


def _by_class(reference: Predictive, output: int | None) -> bool:
    return output is None and reference.task is Task.CLASSIFICATION


def _scalars(reference: Predictive, candidate: Predictive, output: int | None) -> tuple[Floats, Floats]:
    """The number each row is judged on: ``[S, B]`` and ``[S', B]``."""
    both = torch.cat([reference.samples, candidate.samples]).double()  # [S + S', B, C]
    if _by_class(reference, output):
        # symmetric in the two sides, so that under the null they stay exchangeable
        index = both.mean(0).argmax(-1).reshape(1, -1, 1).expand(len(both), -1, 1)
        chosen = both.gather(2, index)[..., 0]
    else:
        chosen = both[..., output or 0]
    first, second = chosen.split([len(reference.samples), len(candidate.samples)])
    return first.numpy(), second.numpy()


def _check_settings(reference: Predictive, margin: float, alpha: float, output: int | None, seed: int) -> None:
    outputs = reference.samples.shape[2]
    if not 0 < margin < math.inf:
        raise ConfigError(f"margin must be a positive number of standard deviations; got {margin}")
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must lie in (0, 1); got {alpha}")
    if output is not None and not 0 <= output < outputs:
        raise ConfigError(f"output must lie in 0..{outputs - 1}, there are {outputs}; got {output}")
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")


def _check_sides(reference: Predictive, other: Predictive, name: str) -> None:
    if reference.task is not other.task:
        raise DataError(f"reference is a {reference.task}, {name} a {other.task}")
    for axis, what in ((1, "rows"), (2, "outputs")):
        here, there = reference.samples.shape[axis], other.samples.shape[axis]
        if here != there:
            raise DataError(f"reference has {here} {what}, {name} {there}: predict both on the same data")
    moved = int((reference.draw.rows != other.draw.rows).sum())
    if moved:
        raise DataError(f"{moved} of {len(reference.draw.rows)} row indices of reference and {name} differ")
    sizes = len(reference.samples), len(other.samples)
    if min(sizes) < 2:
        raise DataError(f"at least 2 samples are needed; reference has {sizes[0]}, {name} {sizes[1]}")
    if reference.draw.seed != other.draw.seed:
        return
    if reference.draw.scope != other.draw.scope or sizes[0] != sizes[1]:
        raise ConfigError(
            f"reference ({sizes[0]} samples, masks by {reference.draw.scope}) and {name} ({sizes[1]}, by "
            f"{other.draw.scope}) share seed {reference.draw.seed} and so part of their masks: "
            "draw both alike, or use another seed"
        )
