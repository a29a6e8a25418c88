"""Splits of a set taken together, and the fewest spikes that leave the posterior as it was."""

from __future__ import annotations

import math
from typing import Any

SIDES = ("classical", "spiking")


def curves(found: dict[str, Any]) -> list[dict[str, Any]]:
    """For each set and kind of network a line for each penalty, the means over splits.

    ``spiking`` and ``classical`` have the log-likelihood's standard error over the test rows of all splits.
    ``fewest`` is the line with the largest penalty up to which the spiking log-likelihood is nowhere more than the
    first line's standard error below that line's.
    """
    cases, made = found["cases"], []
    for name, kind in dict.fromkeys((c["set"], c["kind"]) for c in cases):
        here = [c for c in cases if (c["set"], c["kind"]) == (name, kind)]
        lines = [_line([c for c in here if c["penalty"] == p]) for p in dict.fromkeys(c["penalty"] for c in here)]
        made.append({"set": name, "kind": kind, "lines": lines, "fewest": _fewest(lines)})
    return made


def _line(cases: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(of: list[float]) -> float:
        return sum(of) / len(of)

    line: dict[str, Any] = {"penalty": cases[0]["penalty"], "splits": len(cases)}
    line |= {name: mean([c[name] for c in cases]) for name in ("error", "std_ratio", "spikes", "operations")}
    line["joules"] = {name: mean([c["joules"][name] for c in cases]) for name in cases[0]["joules"]}
    line["outcomes"] = {o: sum(c["outcome"] == o for c in cases) for o in ("kept", "undecided", "not kept")}
    for side in SIDES:
        line[side] = {"rmse": mean([c[side]["rmse"] for c in cases])} | _likelihood(cases, side)
    return line


def _likelihood(cases: list[dict[str, Any]], side: str) -> dict[str, float]:
    """Mean over the rows of all splits, and its standard error."""
    rows = sum(c["rows"] for c in cases)
    mean = sum(c["rows"] * c[side]["log_likelihood"] for c in cases) / rows
    squares = sum(
        (c["rows"] - 1) * c[side]["log_likelihood_std"] ** 2 + c["rows"] * (c[side]["log_likelihood"] - mean) ** 2
        for c in cases
    )
    return {"log_likelihood": mean, "standard_error": math.sqrt(squares / (rows - 1) / rows)}


def _fewest(lines: list[dict[str, Any]]) -> dict[str, Any]:
    first = lines[0]["spiking"]
    last = lines[0]
    for line in lines[1:]:
        if line["spiking"]["log_likelihood"] < first["log_likelihood"] - first["standard_error"]:
            break
        last = line
    return last
