"""The report as one self-contained HTML page: no script, no font and no picture is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from spikebayes.app.report import figures, tables
from spikebayes.app.report.contents import ReportData
from spikebayes.evaluate.scores import interval_name, intervals, is_of_observations
from spikebayes.machine.files import atomic
from spikebayes.prediction.predictive import Task


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
    return environment.from_string(source).render(
        title=data.title,
        verdict=data.verdict,
        summary=data.verdict.summary(),
        key_figures=tables.key_figures(data.verdict),
        figures=_figures(data),
        network=tables.network_rows(data),
        totals=tables.network_totals(data),
        scores=tables.score_rows(data),
        settings=tables.settings_groups(data),
        steps=len(data.trace),
    )


def write_report(data: ReportData, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        ConfigError: a path that cannot be written.
    """
    with atomic(path) as partial:
        partial.write_text(render(data), encoding="utf-8")


def _figures(data: ReportData) -> list[Figure]:
    found = [_worst_row(data), _spreads(data)]
    if len(data.trace) > 1:  # a network without memory answers in one step
        found.insert(0, _trace(data))
    if data.verdict.ks_pvalues is not None and data.verdict.ks_pvalues_randomised is not None:
        found.insert(0, _ks(data))
    if data.targets is not None:
        found.append(_against_targets(data))
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
            "in the ticks of the window that tells it"
            if coded
            else "at every step, its average since the end of the burn-in"
        )
        + ", and the output of the classical network under the same random mask."
    )
    return Figure("Output over time", caption, (Markup(svg),))


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
        + (" Here rows share their masks, so bars stray together." if "pass" in verdict.settings["scopes"] else "")
    )
    return Figure("Kolmogorov–Smirnov tests", caption, tuple(Markup(svg) for svg in panels))


def _worst_row(data: ReportData) -> Figure:
    verdict = data.verdict
    if verdict.ks_statistic is not None:
        values = data.of_output(verdict.ks_statistic)
        place = int(np.argmax(values))
        statistic, measure = f"KS statistic {tables.number(float(values[place]))}", "KS statistic"
    else:
        values = data.of_output(verdict.wasserstein)
        place = int(np.argmax(values))
        statistic = f"Wasserstein distance {tables.number(float(values[place]))} std"
        measure = "Wasserstein distance"
    classical, spiking = data.drawn()
    row = int(verdict.rows[place])
    svg = figures.worst_row(classical[:, place], spiking[:, place], row, statistic, data.output_name)
    caption = (
        f"Samples of both predictive distributions on row {row}, the one where they differ most by the {measure}: "
        "on every other row they agree at least as well."
    )
    return Figure("The worst row", caption, (Markup(svg),))


def _spreads(data: ReportData) -> Figure:
    classical, spiking = (side.std(axis=0, ddof=1) for side in data.drawn())
    svg = figures.spreads(classical, spiking, data.output_name)
    caption = (
        "How uncertain each network is, row by row, as the standard deviation over samples: "
        "on the dashed line both are equally uncertain." + _thinning(data)
    )
    return Figure("Spread of the predictions", caption, (Markup(svg),))


def _against_targets(data: ReportData) -> Figure:
    assert data.targets is not None
    if data.classical.task is Task.CLASSIFICATION:
        sides = {}
        for name, side in (("classical", data.classical), ("spiking", data.spiking)):
            confidence, chosen = side.mean.max(-1)
            sides[name] = (confidence.numpy(), (chosen == data.targets).numpy())
        caption = (
            "Predictions grouped by the probability they give their class, against how often that class is right: "
            "on the dashed line probabilities mean what they say; larger dots hold more rows."
        )
        return Figure("Confidence and accuracy", caption, (Markup(figures.reliability(sides)),))
    output, name = data.output, data.spiking.names[data.output]
    lower, upper = (end[:, output].numpy() for end in intervals(data.spiking))
    observed = data.targets.reshape(len(data.targets), -1)[:, output].numpy()
    mean, interval = data.spiking.mean[:, output].numpy(), interval_name(data.spiking)
    svg = figures.predicted_against_observed(mean, lower, upper, observed, name, interval)
    known = is_of_observations(data.spiking)
    scope = "for a new observation" if known else "of the network's output, without noise"
    caption = (
        f"The spiking network's mean prediction and 90% interval {scope}, against the observed value; "
        "an interval that crosses the dashed line holds it." + _thinning(data)
    )
    return Figure("Predicted and observed", caption, (Markup(svg),))


def _thinning(data: ReportData) -> str:
    rows, most = len(data.verdict.rows), figures.MOST_POINTS
    return f" {most:,} of {rows:,} rows are drawn, evenly spaced." if rows > most else ""
