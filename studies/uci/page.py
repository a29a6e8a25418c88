"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

import math
import statistics
from typing import Any

from studies.results import markdown_table
from studies.uci.judging import CODE, CODING, HEADROOM, LIF
from studies.uci.published import DROPOUT, LOG_LIKELIHOOD, RMSE, STRONG

SCORES = {"rmse": ("RMSE", RMSE, -1), "log_likelihood": ("log-likelihood, nats", LOG_LIKELIHOOD, 1)}
CLOSE = 0.01  # nats between spikes and classical passes
SPIKES = {LIF: "LIF neurons", CODE: "spikes in digits"}


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s, sets = found["settings"], found["sets"]
    commits, took = ", ".join(f"`{c}`" for c in found["commits"]), sum(x["seconds"] for x in found["stages"].values())
    parts = [
        "# The UCI benchmark of MC dropout, with spikes",
        f"Made by `{found['command']}` (seed {found['seed']}, commit {commits}, {took:,.0f} core-seconds) from "
        "`results/uci.json`. Do not edit.",
        f"The published splits and protocol: one hidden layer of {s['hidden']} units ({max(s['wide'].values())} for "
        f"the protein set), dropout on inputs and hidden units; {100 * s['held']:g} % of the training rows serve to "
        f"choose among learning rates {', '.join(f'{r:g}' for r in s['learning_rates'])} and drop probabilities "
        f"{', '.join(f'{p:g}' for p in s['dropout'])}, and to estimate the noise, anew for each split as Mukhoti et "
        "al. do; then a network of all training rows is scored on the test rows. The published networks learn for "
        f"400 epochs (protein 200), these for {s['optimiser_steps']:,} optimiser steps, at least 20 epochs and at "
        f"most 400. {s['samples']} samples (published: 10,000), at most {s['rows']:,} test rows. +- is the standard "
        "error over splits. LIF neurons run a network of SoftLIF units, whose curve becomes theirs in training; "
        "spikes in digits run one of ReLUs, each number told as digits by the times of spikes. Classical: the same "
        "network's own passes with dropout on. RMSE is in units of the target.",
    ]
    for score, (title, published, sign) in SCORES.items():
        parts += [
            f"## {title[0].upper()}{title[1:]}",
            _scores(sets, score, published),
            _said(sets, score, published, sign),
        ]
    parts += ["## What spikes change", _changes(sets)]
    return "\n\n".join(parts) + "\n"


def _scores(sets: list[dict[str, Any]], score: str, published: Any) -> str:
    header = ["set", "splits", *(f"{SPIKES[k]} (classical)" for k in SPIKES), DROPOUT, STRONG]
    rows = []
    for one in sets:
        cells = [
            f"{_shown(*_mean(one, kind, 'spiking', score))} ({_mean(one, kind, 'classical', score)[0]:.3f})"
            for kind in SPIKES
        ]
        theirs = [
            f"{mean:.2f} +- {error:.2f}" for mean, error in (published[one["name"]][k] for k in (DROPOUT, STRONG))
        ]
        rows.append([one["name"], str(len(one["splits"])), *cells, *theirs])
    return markdown_table(header, rows)


def _said(sets: list[dict[str, Any]], score: str, published: Any, sign: int) -> str:
    """How many sets reach each published figure within its standard error and ours."""
    parts = [
        f"{name}: {reached(sets, score, published, sign, who, kind)} of {len(sets)} sets within a standard error of "
        f"{who} or better"
        for who in (DROPOUT, STRONG)
        for kind, name in SPIKES.items()
    ]
    return "; ".join(parts) + "."


def reached(sets: list[dict[str, Any]], score: str, published: Any, sign: int, who: str, kind: str) -> int:
    """Sets on which spikes are within a standard error of a published figure, or better.

    Args:
        sets: of the results file.
        score: ``"rmse"`` or ``"log_likelihood"``, with its published figures, and 1 where more is better, else -1.
        who: published them. kind: of network.
    """
    count, rounding = 0, 0.005  # of what is published
    for one in sets:
        (ours, error), (theirs, their_error) = _mean(one, kind, "spiking", score), published[one["name"]][who]
        count += sign * (ours - theirs) >= -max(math.hypot(error, their_error), rounding)
    return count


def _changes(sets: list[dict[str, Any]]) -> str:
    header = ["set", "", "log-likelihood less classical", "error (std)", "kept", "steps or ticks"]
    rows, within, count = [], 0, 0
    for one in sets:
        for kind, name in SPIKES.items():
            each = [split[kind] for split in one["splits"]]
            gap = statistics.mean(e["spiking"]["log_likelihood"] - e["classical"]["log_likelihood"] for e in each)
            within, count = within + (abs(gap) <= CLOSE), count + 1
            kept = sum(e["outcome"] == "kept" for e in each)
            error = statistics.median(e["error"] for e in each)
            steps = statistics.median(e["steps"] for e in each)
            rows.append([one["name"], name, f"{gap:+.4f}", f"{error:.3f}", f"{kept} of {len(each)}", f"{steps:g}"])
    said = (
        f"Spiking and classical passes under the same masks. In {within} of {count} cases the log-likelihood differs "
        f"by at most {CLOSE:g} nats. `log-likelihood less classical`: nats, mean over splits. `error`: root mean "
        "square difference of paired samples in predictive standard deviations, median over rows, then over splits. "
        "`kept`: splits whose verdict is *kept* ([how we judge](how-we-judge.md)). The last column is per sample, "
        "median over splits: steps of LIF neurons, ticks of digits. The digits are those of README's example, "
        f"{CODING.digits} digits of radix {CODING.radix} under a headroom of {HEADROOM:g} for every set, which is "
        "too coarse for *kept* on some. [Codes](codes.md) has finer ones that are, with more ticks."
    )
    return f"{said}\n\n{markdown_table(header, rows)}"


def _mean(one: dict[str, Any], kind: str, side: str, score: str) -> tuple[float, float]:
    values = [split[kind][side][score] for split in one["splits"]]
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.mean(values), error


def _shown(mean: float, error: float) -> str:
    return f"{mean:.3f} +- {error:.3f}"
