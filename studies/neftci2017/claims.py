"""The paper's claims about unreliable synapses, beside what the study found."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from studies.claims import SURE, Claim, Outcome, claims_table, larger, share_error
from studies.neftci2017.figures import PAPER

SCALED = 1.38  # per cent, the paper's table I
FEW = 0.02  # test error by which speed is told
Estimate = tuple[float, float]  # a mean with its standard error


def claims(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    images, learning = found["images"]["test"], found["settings"]["learning"]
    return claims_table(
        [*_accuracy(found, images), _speed(found), *_training(found), *_worse(found, images)],
        f"Standard errors are over {images:,} test images and {learning['seeds']} trainings (one training where few "
        f"bits are learnt); a difference counts from {SURE:g} of them on.",
    )


def tabled(found: dict[str, Any], name: str) -> Estimate:
    """Averaged predictions' error in a line of the table, over its trainings."""
    return error_of([line["mean"]["average"] for line in found["table"][name]], found["images"]["test"])


def error_of(shares: Sequence[float], images: int) -> Estimate:
    """Mean test error over trainings; the choice of images, and what trainings differ by, make its standard error."""
    mean, error = over_trainings(shares)
    return mean, math.hypot(error, share_error(mean, images))


def over_trainings(values: Sequence[float]) -> Estimate:
    """Mean and standard error; 0 of a single one."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.mean(values), error


def _accuracy(found: dict[str, Any], images: int) -> list[Claim]:
    errors = {name: tabled(found, name) for name in ("s2m", "sigmoid", "scaled")}
    epochs = found["settings"]["learning"]["epochs"]
    (s2m, s2m_error), (sigmoid, sigmoid_error), (scaled, _) = errors.values()
    good = 100 * (s2m - SURE * s2m_error) <= PAPER["s2m"]
    gap, gap_error = sigmoid - s2m, math.hypot(s2m_error, sigmoid_error)
    return [
        Claim(
            "the S2M's test error, permutation-invariant MNIST",
            f"{PAPER['s2m']:.2f} %, 1,000 epochs",
            f"{_percent(s2m, s2m_error)}, {epochs} epochs",
            Outcome.REPRODUCED if good else Outcome.NOT,
        ),
        Claim(
            "it beats the same network of sigmoid units",
            f"{PAPER['s2m']:.2f} against {PAPER['sigmoid']:.2f} %",
            f"{100 * s2m:.2f} against {100 * sigmoid:.2f} %: {_better(gap, gap_error)} points",
            larger(gap, gap_error),
        ),
        Claim(
            "its weights x 0.1 change nothing",
            f"{SCALED:.2f} after {PAPER['s2m']:.2f} %",
            f"{100 * scaled:.2f} after {100 * s2m:.2f} %",
            Outcome.REPRODUCED if abs(scaled - s2m) <= SURE * share_error(s2m, images) else Outcome.NOT,
        ),
    ]


def _speed(found: dict[str, Any]) -> Claim:
    """By how many epochs earlier the S2M is first below an error, training by training."""
    reached = {
        kind: [_first(t["average_error"], FEW) for t in found["training"][kind]] for kind in ("s2m", "sigmoid")
    }
    said, means = [], {}
    for kind, epochs in reached.items():
        known = [epoch for epoch in epochs if epoch is not None]
        if len(known) < len(epochs) or not known:
            said.append(f"not reached in {len(epochs) - len(known)} of {len(epochs)}")
            continue
        means[kind] = over_trainings(known)
        said.append(f"{means[kind][0]:.1f} +- {means[kind][1]:.1f} epochs")
    outcome = Outcome.NOT
    if "s2m" in means and "sigmoid" in means:
        gap = means["sigmoid"][0] - means["s2m"][0]
        outcome = larger(gap, math.hypot(means["s2m"][1], means["sigmoid"][1]) or math.inf)
    elif "s2m" in means:
        outcome = Outcome.REPRODUCED
    return Claim("it converges faster", "figure 3", f"to {100 * FEW:g} %: {said[0]} against {said[1]}", outcome)


def _training(found: dict[str, Any]) -> list[Claim]:
    lines = []
    for claim, paper, verb, part in (
        ("its weights are steadier while it learns (figure 4)", "grow more slowly", "grow", "weights"),
        ("its inputs keep their distribution while it learns (figure 2)", "much smoother", "widen", "inputs"),
    ):
        change = {
            kind: over_trainings([_width(t[part][-1]) / _width(t[part][0]) for t in found["training"][kind]])
            for kind in ("s2m", "sigmoid")
        }
        (ours, error), (theirs, their_error) = change["s2m"], change["sigmoid"]
        lines.append(
            Claim(
                claim,
                paper,
                f"the last hidden layer's {verb} x {ours:.2f} +- {error:.2f} against x {theirs:.2f} +- "
                f"{their_error:.2f}",
                larger(theirs - ours, math.hypot(error, their_error)),
            )
        )
    return lines


def _worse(found: dict[str, Any], images: int) -> list[Claim]:
    """Weights rounded after training, and networks that learn with few bits; on devices that vary as well."""
    afterwards = {
        kind: {_key(k, lines): error_of([one[k]["average"] for one in lines], images) for k in range(len(lines[0]))}
        for kind, lines in found["robustness"].items()
    }
    claims = [
        _compared(
            "imprecise weights harm it less: weights rounded after training",
            {f"{bits} bits": (afterwards["s2m"].get(key), afterwards["sigmoid"].get(key)) for bits, key in _BITS},
        )
    ]
    if found["few_bits"]:
        pairs: dict[str, tuple[Estimate | None, Estimate | None]] = {}
        for bits, kinds in found["few_bits"].items():
            for line, other in zip(kinds["s2m"], kinds["sigmoid"], strict=True):
                if line["change"] == "none" or line["value"] == _DEVICES:
                    varied = "" if line["change"] == "none" else f", device noise {line['value']:g}"
                    pairs[f"{bits} bits{varied}"] = (
                        error_of([line["average"]], images),
                        error_of([other["average"]], images),
                    )
        claims.append(
            _compared("imprecise weights harm it less: learnt with few bits in a fixed range, beta a float", pairs)
        )
    return claims


_BITS = [(bits, ("bits", float(bits))) for bits in (4, 2)]
_DEVICES = 0.5  # of device noise, the largest


def _compared(claim: str, pairs: Mapping[str, tuple[Estimate | None, Estimate | None]]) -> Claim:
    said, better = [], []
    for name, (ours, theirs) in pairs.items():
        if ours is not None and theirs is not None:
            said.append(f"{name}: {100 * ours[0]:.2f} against {_percent(*theirs)}")
            better.append(theirs[0] - ours[0] > SURE * math.hypot(ours[1], theirs[1]))
    outcome = Outcome.REPRODUCED if better and all(better) else Outcome.IN_PART if any(better) else Outcome.NOT
    why = f"in {sum(better)} of {len(better)}" if outcome is Outcome.IN_PART else ""
    return Claim(claim, "without figures", "; ".join(said) or "-", outcome, why)


def _key(k: int, lines: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, float]:
    return lines[0][k]["change"], float(lines[0][k]["value"])


def _better(gap: float, error: float) -> str:
    return f"{'better' if gap >= 0 else 'worse'} by {100 * abs(gap):.2f} +- {100 * error:.2f}"


def _percent(share: float, error: float) -> str:
    return f"{100 * share:.2f} +- {100 * error:.2f} %"


def _first(errors: Sequence[float], at_most: float) -> int | None:
    """The epoch, from 1, after which an error is first so small."""
    return next((k for k, error in enumerate(errors, 1) if error <= at_most), None)


def _width(percentiles: Sequence[float]) -> float:
    """Between the outer ones."""
    return percentiles[-1] - percentiles[0]
