"""The paper's claims about unreliable synapses, beside what the study found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from studies.claims import SURE, Claim, Outcome, claims_table, larger, share_error
from studies.neftci2017.figures import PAPER

SCALED = 1.38  # per cent, the paper's table I
FEW = 0.02  # test error by which speed is told


def claims(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    images = found["images"]["test"]
    return claims_table(
        [*_accuracy(found, images), _speed(found), *_training(found), *_worse(found, images)],
        f"Standard errors are over {images:,} test images, of one training each; a difference counts from "
        f"{SURE:g} of them on.",
    )


def _accuracy(found: dict[str, Any], images: int) -> list[Claim]:
    errors = {kind: found["table"][kind]["mean"]["average"] for kind in ("s2m", "sigmoid", "scaled")}
    spread = {kind: share_error(error, images) for kind, error in errors.items()}
    epochs = found["settings"]["learning"]["epochs"]
    good = 100 * (errors["s2m"] - SURE * spread["s2m"]) <= PAPER["s2m"]
    gap, gap_error = errors["sigmoid"] - errors["s2m"], math.hypot(spread["sigmoid"], spread["s2m"])
    change = errors["scaled"] - errors["s2m"]
    return [
        Claim(
            "the S2M's test error, permutation-invariant MNIST",
            f"{PAPER['s2m']:.2f} %, 1,000 epochs",
            f"{_percent(errors['s2m'], spread['s2m'])}, {epochs} epochs",
            Outcome.REPRODUCED if good else Outcome.NOT,
        ),
        Claim(
            "it beats the same network of sigmoid units",
            f"{PAPER['s2m']:.2f} against {PAPER['sigmoid']:.2f} %",
            f"{100 * errors['s2m']:.2f} against {100 * errors['sigmoid']:.2f} %: better by {100 * gap:.2f} +- "
            f"{100 * gap_error:.2f} points",
            larger(gap, gap_error),
        ),
        Claim(
            "its weights x 0.1 change nothing",
            f"{SCALED:.2f} after {PAPER['s2m']:.2f} %",
            f"{100 * errors['scaled']:.2f} after {100 * errors['s2m']:.2f} %",
            Outcome.REPRODUCED if abs(change) <= SURE * spread["s2m"] else Outcome.NOT,
        ),
    ]


def _speed(found: dict[str, Any]) -> Claim:
    reached = {kind: _first(found["training"][kind]["average_error"], FEW) for kind in ("s2m", "sigmoid")}
    said = [f"{epoch} epochs" if epoch else "not reached" for epoch in reached.values()]
    faster = reached["s2m"] is not None and (reached["sigmoid"] or math.inf) > reached["s2m"]
    return Claim(
        "it converges faster",
        "figure 3",
        f"to {100 * FEW:g} %: {said[0]} against {said[1]}",
        Outcome.IN_PART if faster else Outcome.NOT,
        "of one training each" if faster else "",
    )


def _training(found: dict[str, Any]) -> list[Claim]:
    grown, moved = {}, {}
    for kind in ("s2m", "sigmoid"):
        t = found["training"][kind]
        grown[kind] = _width(t["weights"][-1]) / _width(t["weights"][0])
        moved[kind] = _width(t["inputs"][-1]) / _width(t["inputs"][0])
    return [
        Claim(
            "its weights are steadier while it learns (figure 4)",
            "grow more slowly",
            f"the last hidden layer's grow x {grown['s2m']:.1f} against x {grown['sigmoid']:.1f}",
            Outcome.REPRODUCED if grown["s2m"] < 0.9 * grown["sigmoid"] else Outcome.NOT,
        ),
        Claim(
            "its inputs keep their distribution while it learns (figure 2)",
            "much smoother",
            f"the last hidden layer's widen x {moved['s2m']:.1f} against x {moved['sigmoid']:.1f}",
            Outcome.REPRODUCED if moved["s2m"] < 0.9 * moved["sigmoid"] else Outcome.NOT,
        ),
    ]


def _worse(found: dict[str, Any], images: int) -> list[Claim]:
    lines = {
        (line["change"], line["value"]): (line["average"], other["average"])
        for line, other in zip(found["robustness"]["s2m"], found["robustness"]["sigmoid"], strict=True)
    }
    tried = {name: lines.get(key) for name, key in {"4 bits": ("bits", 4.0), "2 bits": ("bits", 2.0)}.items()}
    said, better = [], []
    for name, pair in tried.items():
        if pair is not None:
            s2m, sigmoid = pair
            said.append(f"{name}: {100 * s2m:.2f} against {100 * sigmoid:.2f} %")
            better.append(sigmoid - s2m > SURE * math.hypot(share_error(s2m, images), share_error(sigmoid, images)))
    outcome = Outcome.REPRODUCED if better and all(better) else Outcome.IN_PART if any(better) else Outcome.NOT
    return [
        Claim(
            "it mitigates imprecise weights",
            "without figures",
            "; ".join(said) or "-",
            outcome,
            "weights cut after training, not trained so" if outcome is not Outcome.REPRODUCED else "",
        )
    ]


def _percent(share: float, error: float) -> str:
    return f"{100 * share:.2f} +- {100 * error:.2f} %"


def _first(errors: Sequence[float], at_most: float) -> int | None:
    """The epoch, from 1, after which an error is first so small."""
    return next((k for k, error in enumerate(errors, 1) if error <= at_most), None)


def _width(percentiles: Sequence[float]) -> float:
    """Between the outer ones."""
    return percentiles[-1] - percentiles[0]
