"""Whether two predictions are one distribution: a spiking network's against a classical network's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.effects import in_units, mean_equivalence, pooled_equivalence, spread
from spikebayes.evaluate.ks import MIN_ROWS, holm, ks_test, uniformity
from spikebayes.evaluate.verdict import Equivalence
from spikebayes.predictive import Predictive, Task

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
        >>> from spikebayes.predictive import Draw
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
