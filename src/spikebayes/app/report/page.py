"""The report as one self-contained HTML page: no script, no font and no picture is fetched."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from spikebayes.app.report import answer, costs, figures, tables
from spikebayes.app.report.contents import ReportData
from spikebayes.app.report.words import number
from spikebayes.evaluate.equivalence import Equivalence
from spikebayes.evaluate.margins import Outcome
from spikebayes.evaluate.scores import is_of_observations
from spikebayes.machine.files import atomic
from spikebayes.plot import effects, intervals, predicted, reliability
from spikebayes.plot.style import CLASSICAL, CONTROL, GUIDE, INK, MOST_POINTS, SHADE, SPIKING
from spikebayes.prediction.task import Task

# the figures' colours, which the page knows in a light and a dark shade
COLOURS = {
    "#FFFFFF": "card",
    INK: "ink",
    GUIDE: "guide",
    SHADE: "shade",
    CLASSICAL: "classical",
    SPIKING: "spiking",
    CONTROL: "control",
}
NAMED = {colour: f"var(--{name}, {colour.lower()})" for colour, name in COLOURS.items()}
HEX = re.compile(r"(?<=[:] )#[0-9a-fA-F]{6}\b")  # in a style, which alone may name a variable
TALL = 3.7  # inches: a figure beside a table
OUTCOMES = {"kept": ("kept", "✓ Kept"), "not kept": ("broken", "✗ Not kept"), "undecided": ("open", "? Undecided")}


@dataclass(frozen=True)
class Figure:
    """A figure on the page: one ``<svg>`` or several side by side, a heading and a caption."""

    heading: str
    caption: str
    panels: tuple[Markup, ...]


def render(data: ReportData) -> str:
    """The page as HTML text; the same data give the same text.

    Args:
        data: see :class:`ReportData`.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("spikebayes.app.report").joinpath("template.html").read_text(encoding="utf-8")
    with warnings.catch_warnings(record=True) as noticed:  # of too few calibration rows, by each who asks
        warnings.simplefilter("always", UserWarning)
        made = _parts(data)
    notes = list(dict.fromkeys(str(notice.message) for notice in noticed))
    return environment.from_string(source).render(notes=notes, **made)


def _parts(data: ReportData) -> dict[str, Any]:
    """What the template shows, section by section."""
    found, groups = answer.outside(data), None if data.targets is None else answer.coverage(data)[1]
    style, badge = OUTCOMES[data.verdict.outcome]
    return {
        "title": data.title,
        "subject": data.subject,
        "tiles": answer.tiles(data),
        "sureness": answer.sureness(data),
        "predictions": _predictions(data),
        "groups": groups,
        "of_output": answer.of_output(data, data.output),
        "confusion": answer.confusion(data),
        "least_certain": answer.least_certain(data),
        "outside": found,
        "scores": tables.score_rows(data),
        "style": style,
        "badge": badge,
        "outcome": _outcome(data.verdict),
        "effects": _effects(data),
        "verdict": data.verdict,
        "summary": data.verdict.summary(),
        "key_figures": tables.key_figures(data.verdict),
        "figures": _details(data),
        "cost": costs.sentence(data),
        "devices": costs.devices(data),
        "network": tables.network_rows(data),
        "totals": tables.network_totals(data),
        "steps": len(data.trace),
        "commands": data.commands,
        "settings": tables.settings_groups(data),
    }


def write_report(data: ReportData, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        ConfigError: a path that cannot be written.
    """
    with atomic(path) as partial:
        partial.write_text(render(data), encoding="utf-8", errors="backslashreplace")  # names of files may be no text


def _outcome(verdict: Equivalence) -> str:
    """The verdict in one sentence."""
    rows = len(verdict.rows)
    if verdict.outcome is Outcome.KEPT:
        return f"On these {rows:,} rows the spiking network predicts what the classical network predicts."
    if verdict.outcome is Outcome.NOT_KEPT:
        return f"On these {rows:,} rows the spiking network does not predict what the classical network predicts."
    said = (
        f"These {rows:,} rows cannot decide whether the spiking network predicts what the classical network predicts"
    )
    if verdict.needed is None:
        return f"{said}."
    return f"{said}; {verdict.needed[0]:,} rows with {verdict.needed[1]:,} samples each probably could."


def _effects(data: ReportData) -> Figure:
    found = "; ".join(f"{finding.rule} {number(finding.estimate)}" for finding in data.verdict.findings)
    svg = figures.plotted("effects", f"Effects that decide the verdict: {found}", partial(effects, data.verdict), 1)
    caption = (
        "Each difference between the two networks, in units of its margin: at 0 there is no difference, in the grey "
        "band none that matters. Lines are confidence bounds."
        + (" The control, two classical predictions, shows what chance alone does." if data.verdict.control else "")
    )
    return Figure("Size of the differences", caption, (_drawn(svg),))


def _predictions(data: ReportData) -> Figure | None:
    """What was predicted, as a picture: beside what was observed, where that is known."""
    side, targets, output = data.spiking, data.targets, data.output
    if side.task is Task.CLASSIFICATION:
        if targets is None:
            return None
        svg = figures.plotted(
            "reliability",
            "Share of right predictions by the probability of the predicted class",
            partial(reliability, side, targets),
            high=TALL,
        )
        caption = (
            "Predictions grouped by the probability they give their class, against how often that class is right: "
            "on the dashed line probabilities mean what they say; larger dots stand for more rows."
        )
        return Figure("Do probabilities mean what they say?", caption, (_drawn(svg),))
    known = is_of_observations(side)
    scope = "for a new observation" if known else "of the network's output, without noise"
    if targets is None:
        svg = figures.plotted(
            "intervals",
            f"Predictions of {side.names[output]} and their intervals",
            partial(intervals, side, output=output),
        )
        caption = f"Mean and 90% interval {scope}, row by row from the smallest mean to the largest." + _thinning(
            data
        )
        return Figure("Predictions and their intervals", caption, (_drawn(svg),))
    svg = figures.plotted(
        "predicted against observed",
        f"Predictions of {side.names[output]} and their intervals against observed values",
        partial(predicted, side, targets, output=output),
        high=TALL,
    )
    caption = (
        f"Mean prediction and 90% interval {scope}, against the observed value: an interval that crosses the dashed "
        "line contains it." + _thinning(data)
    )
    return Figure("Predicted and observed", caption, (_drawn(svg),))


def _details(data: ReportData) -> list[Figure]:
    """What the verdict is based on."""
    found = [_worst_row(data), _spreads(data)]
    if len(data.trace) > 1:  # a network without memory answers in one step
        found.append(_trace(data))
    if data.verdict.ks_pvalues is not None and data.verdict.ks_pvalues_randomised is not None:
        found.insert(0, _ks(data))
    return found


def _trace(data: ReportData) -> Figure:
    output, name = data.trace_output()
    coded = data.network.code is not None
    burn_in = None if coded else min(int(data.spiking.settings.get("burn_in", 0)), len(data.trace) - 1)
    svg = figures.output_trace(
        data.trace[:, output].numpy(), float(data.trace_reference[output]), burn_in, data.network.dt, name
    )
    caption = (
        f"One simulation of row {data.trace_row}: the spiking network's output "
        + (
            "in the ticks of the window that sends it"
            if coded
            else "at every step, its average since the end of the burn-in"
        )
        + ", and the output of the classical network under the same random mask."
    )
    return Figure("Output over time", caption, (_drawn(svg),))


def _ks(data: ReportData) -> Figure:
    verdict, control = data.verdict, data.verdict.control
    assert verdict.ks_pvalues is not None
    assert verdict.ks_pvalues_randomised is not None
    other = None
    if control is not None and control.ks_pvalues_randomised is not None:
        other = data.of_output(control.ks_pvalues_randomised)
    panels = figures.ks_histograms(
        data.of_output(verdict.ks_pvalues), data.of_output(verdict.ks_pvalues_randomised), other
    )
    caption = (
        "Each row is tested for a difference between its two predictive distributions. Were there none, the p-values "
        "would be uniform: bars about the dashed line, 19 in 20 of them within the grey band. Exact p-values take "
        "only few values, so they are not quite uniform even then; randomised ones are"
        + ("; the control compares two classical predictions." if other is not None else ".")
        + (" Here rows share their masks, so bars deviate together." if "pass" in verdict.settings["scopes"] else "")
    )
    return Figure("Kolmogorov–Smirnov tests", caption, tuple(map(_drawn, panels)))


def _worst_row(data: ReportData) -> Figure:
    verdict = data.verdict
    if verdict.ks_statistic is not None:
        values = data.of_output(verdict.ks_statistic)
        place = int(np.argmax(values))
        statistic, measure = f"KS statistic {number(float(values[place]))}", "KS statistic"
    else:
        values = data.of_output(verdict.wasserstein)
        place = int(np.argmax(values))
        statistic = f"Wasserstein distance {number(float(values[place]))} std"
        measure = "Wasserstein distance"
    classical, spiking = data.drawn()
    row = int(verdict.rows[place])
    svg = figures.worst_row(classical[:, place], spiking[:, place], row, statistic, data.output_name)
    caption = (
        f"Samples of both predictive distributions on row {row}, the one where they differ most by the {measure}: "
        "on every other row they agree at least as well."
    )
    return Figure("The worst row", caption, (_drawn(svg),))


def _spreads(data: ReportData) -> Figure:
    classical, spiking = (side.std(axis=0, ddof=1) for side in data.drawn())
    svg = figures.spreads(classical, spiking, data.output_name)
    caption = (
        "How uncertain each network is, row by row, as the standard deviation over samples: "
        "on the dashed line both are equally uncertain." + _thinning(data)
    )
    return Figure("Spread of the predictions", caption, (_drawn(svg),))


def _drawn(svg: str) -> Markup:
    """A figure whose colours follow the page's."""
    return Markup(HEX.sub(lambda found: NAMED.get(found[0].upper(), found[0]), svg))


def _thinning(data: ReportData) -> str:
    rows, most = len(data.verdict.rows), MOST_POINTS
    return f" {most:,} of {rows:,} rows are drawn, evenly spaced." if rows > most else ""
