"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from studies.results import markdown_table
from studies.tables.judging import NETWORK, TWIN
from studies.tables.rivals import CONFORMAL

ALL, FIFTH = (0.88, 0.92), (0.86, 0.94)  # wanted of 90 % intervals, in all and in each fifth
SHARP = "boosted trees"


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s, tables = found["settings"], found["tables"]
    values, classes = ([t for t in tables if t["task"] == task] for task in ("values", "classes"))
    parts = [
        "# Raw tables: how good, and how certain",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/tables.json`. Do not edit.",
        f"Public tables, {s['splits']} random splits of each into {100 * (1 - s['test']):g} % training and "
        f"{100 * s['test']:g} % test rows; from tables longer than {s['most']} rows each split draws this many. The "
        "network is what `spikebayes fit` makes of the raw table with its defaults, the *spiking twin* is what "
        f"`spikebayes predict` uses ({s['samples']} samples). The rivals are scikit-learn's, with its defaults "
        "except for an MLP of the same two layers on standardised inputs; they learn from the inputs as `fit` "
        "encodes them. +- is the standard error over splits, which share rows: it is too small.",
        "## Scores",
        _ranks(tables),
        f"RMSE:\n\n{_score_table(values, 'score')}" if values else "",
        f"Accuracy:\n\n{_score_table(classes, 'score')}" if classes else "",
        f"Log loss, nats:\n\n{_score_table(classes, 'log_loss')}" if classes else "",
        f"## What {100 * s['coverage']:g} % intervals of a new observation hold" if values else "",
        f"Fifths are of the predicted std, the most certain rows first. Bold: outside {ALL[0]:g} to {ALL[1]:g} in "
        f"all, or outside {FIFTH[0]:g} to {FIFTH[1]:g} in a fifth. Conformal trees have intervals of one width (Lei "
        "et al. 2018), conformal quantile trees those of Romano et al. 2019; a tenth of the training rows "
        "calibrates both. Chance alone moves a fifth, as test rows are few."
        if values
        else "",
        _coverage_table(values) if values else "",
        _width_table(values) if values else "",
        f"## What {100 * s['coverage']:g} % sets of classes hold" if classes else "",
        _coverage_table(classes) if classes else "",
        "## The defaults and their alternatives",
        "One setting of `fit` changed at a time, on splits of their own and judged on rows held out of their "
        "training part: the loss is the mean negative log-likelihood of the spiking twin, less that of the "
        "defaults; positive is worse.",
        _defaults(found["alternatives"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _each(table: dict[str, Any], score: str, model: str) -> list[float]:
    return [split[score][model] for split in table["splits"]]


def _ranks(tables: list[dict[str, Any]]) -> str:
    """Ranks of the models over tables, and their scores beside boosted trees'."""
    models = list(tables[0]["splits"][0]["score"])
    judged = [model for model in models if model != NETWORK]
    ranks, ratios = [], []
    for table in tables:
        means = {model: float(np.mean(_each(table, "score", model))) for model in models}
        sign = 1 if table["task"] == "values" else -1
        ranks.append(rankdata([sign * means[model] for model in judged]))
        ratios.append([(means[m] / means[SHARP]) ** sign for m in judged])
    rows = [
        [model, f"{np.median(rank):g}", f"{np.mean(rank):.2f}", f"{np.median(ratio):.3f}", f"{np.max(ratio):.3f}"]
        for model, rank, ratio in zip(judged, np.array(ranks).T, np.array(ratios).T, strict=True)
    ]
    head = ["model", "median rank", "mean rank", "median of RMSE (or inverse accuracy) over trees'", "worst"]
    return f"Over {len(tables)} tables, ranks of mean scores:\n\n{markdown_table(head, rows)}"


def _score_table(tables: list[dict[str, Any]], score: str) -> str:
    models = list(tables[0]["splits"][0][score])
    rows = []
    for table in tables:
        size = table["splits"][0]["rows"]
        rows.append([table["name"], f"{size[0]} + {size[1]}", *(_mean(_each(table, score, m)) for m in models)])
    return markdown_table(["table", "rows", *models], rows)


def _mean(found: list[float]) -> str:
    error = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
    digits = max(0, 2 - int(np.floor(np.log10(max(abs(np.mean(found)), 1e-12)))))
    return f"{np.mean(found):.{digits}f} +- {error:.{digits}f}"


def _coverage_table(tables: list[dict[str, Any]]) -> str:
    rows = []
    for table in tables:
        for side in (NETWORK, TWIN):
            each = [split["held"][side] for split in table["splits"]]
            hits = np.array([[[n * c, n] for n, c in one["fifths"]] for one in each]).sum(0)
            fifths = hits[:, 0] / hits[:, 1]
            covered = [one["coverage"] for one in each]
            rows.append(
                [
                    table["name"],
                    side,
                    _marked(_mean(covered), float(np.mean(covered)), ALL),
                    *(_marked(f"{fifth:.3f}", fifth, FIFTH) for fifth in fifths),
                    _mean([one["width"] for one in each]),
                    _mean([one["log_likelihood"] for one in each]),
                ]
            )
    head = ["table", "", "coverage", *(f"fifth {k}" for k in range(1, 6)), "width or classes", "log-likelihood, nats"]
    return markdown_table(head, rows)


def _width_table(tables: list[dict[str, Any]]) -> str:
    """Coverage and width beside those of trees."""
    models = [TWIN, *CONFORMAL]
    rows = []
    for table in tables:
        each = {m: [split["held"][m] for split in table["splits"]] for m in models}
        cells = [
            f"{_mean([o['width'] for o in each[m]])} ({np.mean([o['coverage'] for o in each[m]]):.3f})"
            for m in models
        ]
        widths = [np.mean([o["width"] for o in each[m]]) for m in models]
        rows.append([table["name"], *cells, f"{widths[0] / min(widths[1:]):.2f}"])
    head = ["table", *(f"{model}: width (coverage)" for model in models), "twin over the narrower trees"]
    return f"Mean widths:\n\n{markdown_table(head, rows)}"


def _marked(text: str, value: float, bounds: tuple[float, float]) -> str:
    return text if bounds[0] <= round(float(value), 3) <= bounds[1] else f"**{text}**"


def _defaults(alternatives: list[dict[str, Any]]) -> str:
    base = alternatives[0]["loss"]
    rows = []
    for tried in alternatives[1:]:
        (option, value), *_ = tried["change"].items()
        more = np.array([np.mean(tried["loss"][name]) - np.mean(base[name]) for name in base])
        shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value:g}"
        rows.append(
            [
                f"--{option.replace('_', '-')} {shown}",
                f"{np.median(more):+.3f}",
                f"{np.mean(more):+.3f}",
                f"{(more < 0).sum()} of {len(more)}",
            ]
        )
    return markdown_table(["instead of the default", "median over tables", "mean", "better on"], rows)
