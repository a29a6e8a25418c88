"""The slides' three inputs: direct current, binarised images, and contours, each with every network."""

from __future__ import annotations

from typing import Any

from studies.claims import SURE, Claim, Outcome
from studies.results import markdown_table
from studies.whetstone2018.accuracies import lost, lost_error, percent
from studies.whetstone2018.figures import title
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.recipe import INPUTS
from studies.whetstone2018.settings import SLIDES, VARIANTS
from studies.whetstone2018.words import mean

CLAIM = "binarised images, contours and direct current as inputs"
HEADER = {"current": "direct current", "binarised": "binarised", "contours": "contours"}


def inputs(found: dict[str, Any]) -> list[str]:
    """The section of the page; empty where no network has other inputs."""
    if not any(name in found["judged"] for name in VARIANTS):
        return []
    rows = []
    for base in SLIDES:
        cells = [_cell(found, _named(base, kind)) for kind in INPUTS]
        if any(cell != "-" for cell in cells):
            rows.append([title(base), *cells])
    return [
        "### The slides' three inputs",
        "Test accuracy (%), original -> spiking. Direct current: pixels as they are. Binarised: 1 from half of the "
        "brightness on, else 0. Contours: 1 where the gradient's length (Sobel) is at least half of what it is at a "
        "straight edge from black to white. Images are varied first, so that what goes in is always 0 or 1. Means "
        "over seeds; the other inputs have one.",
        markdown_table(["network", *(HEADER[kind] for kind in INPUTS)], rows),
    ]


def inputs_claim(found: dict[str, Any], theirs: dict[str, tuple[float, float]]) -> list[Claim]:
    """Whether sharpening costs no more than in the slides with any of the inputs; none where some were not tried.

    Args:
        theirs: the slides' accuracies, original and spiking, by network.
    """
    judged = {name: found["judged"].get(name) for base in SLIDES for name in (_named(base, kind) for kind in INPUTS)}
    if not any(judged[name] for name in VARIANTS):
        return []
    there = {name: one for name, one in judged.items() if one}
    most = {name: theirs[VARIANTS[name][0] if name in VARIANTS else name] for name in there}
    good = [
        lost(one) - SURE * lost_error(found, name) <= most[name][0] - most[name][1] for name, one in there.items()
    ]
    worst = max(there, key=lambda name: lost(there[name]) - (most[name][0] - most[name][1]))
    every = len(there) == len(judged)
    outcome = Outcome.NOT if not any(good) else Outcome.REPRODUCED if all(good) and every else Outcome.IN_PART
    why = "" if every else f"{len(there)} of {len(judged)} networks"
    ours = (
        f"{sum(good)} of {len(there)} lose no more points than in the slides; {title(worst)} "
        f"{lost(there[worst]):.2f} +- {lost_error(found, worst):.2f}"
    )
    return [Claim(CLAIM, "without figures", ours, outcome, why)]


def _named(base: str, kind: str) -> str:
    return base if kind == "current" else f"{base}_{kind}"


def _cell(found: dict[str, Any], name: str) -> str:
    judged = found["judged"].get(name)
    if not judged:
        return "-"
    first, second = (mean(percent(judged, which)) for which in (ORIGINAL, SPIKING))
    return f"{first:.2f} -> {second:.2f}"
