"""Equivalence: what a comparison of two predictions found, and the verdict it leads to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
