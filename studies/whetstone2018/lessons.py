"""The slides' lessons tested by ablations: the optimiser, additive noise, and the size of patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from studies.claims import Claim, larger
from studies.results import markdown_table
from studies.whetstone2018.accuracies import lost, mean_error, percent
from studies.whetstone2018.figures import title
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.settings import ABLATED, PATCHES
from studies.whetstone2018.words import mean, ranged

RMSPROP = "RMSprop is the best of the optimisers"
OTHERS = "additive noise may help; larger patches help"
OPTIMISERS = {"adam": "Adam", "rmsprop": "RMSprop"}


def ablations(found: dict[str, Any]) -> list[str]:
    """The section of the page; empty without ablations."""
    there = found.get("ablations", {})
    if not there:
        return []
    rows = []
    for name, one in there.items():
        judged = one["judged"]
        rows.append(
            [
                title(one["base"]),
                _words(name, one),
                _tried(one["chosen"]),
                str(len(judged)),
                ranged(percent(judged, ORIGINAL)),
                ranged(percent(judged, SPIKING)),
                f"{_error(found, one):.2f}",
                f"{lost(judged):+.2f}",
            ]
        )
    header = ["network", "changed", "on validation rows (%)", "seeds", "original", "spiking", "+-", "points lost"]
    return [
        "### Changes of the recipes",
        "Test accuracy (%) of recipes that differ from the network's in what is named. The value of a learning rate "
        "or of a noise is that with the highest spiking accuracy on validation rows among the values in the table, "
        "each tried with one short training. Noise: the standard deviation of what is added to activations' inputs.",
        markdown_table(header, rows),
    ]


def optimiser_claims(found: dict[str, Any]) -> list[Claim]:
    """RMSprop against Adam, network by network, both with rates of validation rows."""
    there, claims = found.get("ablations", {}), []
    for base in ABLATED:
        ours, other = there.get(f"{base}_rmsprop"), there.get(f"{base}_adam")
        if ours and other:
            claims.append(_better(found, f"{RMSPROP}: {title(base)}", ("RMSprop", ours), ("Adam", other)))
    return claims


def other_claims(found: dict[str, Any]) -> list[Claim]:
    """Noise, and the largest patch, against the network itself."""
    there, claims = found.get("ablations", {}), []
    changed = [(f"{base}_noise", "additive noise may help", "with noise", base) for base in ABLATED]
    size = max(PATCHES)
    changed += [(f"cnn_restricted_patch{size}", "larger patches help", f"{size} x {size}", "cnn_restricted")]
    for name, claim, words, base in changed:
        if name in there and base in found["judged"]:
            itself = {"recipe": found["settings"]["recipes"][base], "judged": found["judged"][base]}
            claims.append(_better(found, f"{claim}: {title(base)}", (words, there[name]), ("as it is", itself)))
    return claims


def _better(found: dict[str, Any], claim: str, ours: tuple[str, Any], other: tuple[str, Any]) -> Claim:
    (first, one), (second, beside) = ours, other
    a, b = (mean(percent(x["judged"], SPIKING)) for x in (one, beside))
    error = math.hypot(_error(found, one), _error(found, beside))
    words = f"{first} {a:.2f} %, {second} {b:.2f} %: {a - b:+.2f} +- {error:.2f} points"
    return Claim(claim, "without figures", words, larger(a - b, error))


def _error(found: dict[str, Any], one: dict[str, Any]) -> float:
    return mean_error(percent(one["judged"], SPIKING), found["rows"][one["recipe"]["data"]]["test"])


def _words(name: str, one: dict[str, Any]) -> str:
    recipe, chosen = one["recipe"], one["chosen"]
    if chosen is None:
        kernels: Sequence[Any] = recipe["convolutions"]
        return f"patches of {kernels[0][1]} x {kernels[0][1]}"
    if chosen["field"] == "noise":
        return f"noise {chosen['value']:g}"
    kind = name.removeprefix(f"{one['base']}_")
    return f"{OPTIMISERS.get(kind, kind)}, learning rate {chosen['value']:g}"


def _tried(chosen: dict[str, Any] | None) -> str:
    if chosen is None:
        return "-"
    shares = "; ".join(f"{value}: {100 * share:.2f}" for value, share in chosen["tried"].items())
    return f"{shares} ({chosen['epochs']} epochs)"
