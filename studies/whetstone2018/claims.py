"""The slides' claims about sharpening, beside what the study found; and which recipes were chosen after a look."""

from __future__ import annotations

from typing import Any

from studies.claims import SURE, Claim, Outcome, claims_table
from studies.results import markdown_table
from studies.whetstone2018.accuracies import BARS, Bar, lost, lost_error, percent
from studies.whetstone2018.figures import title
from studies.whetstone2018.frames import CLAIM as TRUENORTH
from studies.whetstone2018.frames import truenorth_claim
from studies.whetstone2018.inputs import CLAIM as INPUTS
from studies.whetstone2018.inputs import inputs_claim
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.lessons import OTHERS, RMSPROP, optimiser_claims, other_claims
from studies.whetstone2018.words import mean

SLIDES = {  # test accuracy, per cent: original, spiking
    "stpu_dnn": (97.3, 97.3),
    "stpu_cnn": (97.1, 94.9),
    "cnn_restricted": (98.5, 97.3),
    "cnn_unrestricted": (99.1, 98.5),
    "jasper_dnn": (98.2, 97.7),
}
MOST_LOST = 2.0  # points that CIFAR-10 costs at most, by the slides
UNTESTED = {
    RMSPROP: "every network here learns by Adam",
    OTHERS: "no ablation",
    TRUENORTH: "no network within a fan-in of 256",
    INPUTS: "pixels are currents here",
}


def claims(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    judged, lines = found["judged"], []
    for name, (original, spiking) in SLIDES.items():
        if name in judged:
            lines.append(_small_loss(found, name, original - spiking, f"{original:g} -> {spiking:g} %"))
    if "cifar_cnn" in judged:
        lines.append(_small_loss(found, "cifar_cnn", MOST_LOST, "1 to 2 points lost"))
    tested = {
        RMSPROP: optimiser_claims(found),
        OTHERS: other_claims(found),
        TRUENORTH: truenorth_claim(found),
        INPUTS: inputs_claim(found, SLIDES),
    }
    for claim, why in UNTESTED.items():
        lines += tested[claim] or [Claim(claim, "without figures", "-", Outcome.UNTESTED, why)]
    return claims_table(
        lines, f"Standard errors are over test rows and seeds; a difference counts from {SURE:g} of them on."
    )


def tried(found: dict[str, Any]) -> list[str]:
    """Which recipes were changed after a committed run had been measured on test rows."""
    rows = []
    for one in found.get("tries", []):
        if one["network"] not in found["judged"]:
            continue
        before, bar = one["before"], BARS.get(one["network"], Bar())
        accuracy, points = 100 * before[SPIKING], 100 * (before[ORIGINAL] - before[SPIKING])
        missed = [f"{accuracy:.2f} % against {bar.spiking:g}"] if (bar.spiking or 0) > accuracy else []
        missed += (
            [f"{points:.2f} points lost against {bar.lost:g}"] if bar.lost is not None and points > bar.lost else []
        )
        changed = ", ".join(f"{key} {_short(a)} -> {_short(b)}" for key, (a, b) in one["changed"].items())
        rows.append([title(one["network"]), f"`{before['commit'][:7]}`", "; ".join(missed) or "none", changed])
    if not rows:
        return []
    return [
        "### Recipes changed after a look at test rows",
        "A committed run had measured these networks before; then their recipes were changed, and they were trained "
        "and measured again. So part of what they gained was chosen on test rows.",
        markdown_table(["network", "commit of the run before", "bars it missed", "changed"], rows),
    ]


def _small_loss(found: dict[str, Any], name: str, theirs: float, paper: str) -> Claim:
    judged = found["judged"][name]
    ours, error = lost(judged), lost_error(found, name)
    good = ours - SURE * error <= theirs
    elsewhere = name == "jasper_dnn"
    outcome = (Outcome.IN_PART if elsewhere else Outcome.REPRODUCED) if good else Outcome.NOT
    first, second = (mean(percent(judged, which)) for which in (ORIGINAL, SPIKING))
    return Claim(
        f"{title(name)}: sharpening costs little",
        paper,
        f"{first:.2f} -> {second:.2f} %: {ours:.2f} +- {error:.2f} points lost",
        outcome,
        "another set" if elsewhere else "",
    )


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
