"""The report's tables, as text ready to show."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from spikebayes.app.report.contents import ReportData
from spikebayes.app.report.words import ABSENT, number
from spikebayes.evaluate.equivalence import HOLM_LEVEL, Equivalence
from spikebayes.evaluate.scores import scores
from spikebayes.machine.versions import versions
from spikebayes.network.network import Connection
from spikebayes.network.operators import size


def key_figures(verdict: Equivalence) -> list[dict[str, str]]:
    """What the verdict rests on: name, meaning, need, and the value for the spiking network and for the control."""
    margins = verdict.margins
    rows: list[tuple[str, str, str, Callable[[Equivalence], float | None]]] = [
        (
            "Mean offset",
            "over rows, in standard deviations",
            f"within ±{margins.offset:g}",
            lambda v: v.pooled_mean_difference,
        ),
        (
            "Ratio of spreads",
            "over rows, spiking by classical",
            f"{1 - margins.spread:g} to {1 + margins.spread:g}",
            lambda v: v.pooled_spread_ratio,
        ),
        (
            "Share of rows within their margins",
            f"{margins.row_offset:g} standard deviations, a factor of {margins.row_spread:g} in spread"
            if verdict.paired_rmse is None
            else f"{margins.paired:g} standard deviations under the same masks",
            f"≥ {margins.rows:g}",
            lambda v: v.share_within,
        ),
        (
            "Error under the same masks",
            "median over rows, in standard deviations",
            "",
            lambda v: _median(v.paired_rmse),
        ),
        (
            "Uniformity of the KS p-values",
            "p-value over rows; small when the distributions differ",
            "",
            lambda v: v.uniformity_pvalue,
        ),
        ("Wasserstein distance", "median, in standard deviations", "", lambda v: _median(v.wasserstein)),
        (
            "KS statistic",
            "median; largest gap of the distribution functions",
            "",
            lambda v: _median(v.ks_statistic),
        ),
        (
            "Rows rejected",
            f"by the exact KS test at {HOLM_LEVEL:g} after Holm's adjustment",
            "",
            lambda v: v.rejections,
        ),
        ("Rows compared", "", "", lambda v: len(v.rows)),
    ]
    if verdict.degenerate_rows:
        rows.append(
            (
                "Constant rows",
                "where neither network varies by more than the tolerance",
                "",
                lambda v: v.degenerate_rows,
            )
        )
    if verdict.tied_rows:
        rows.append(("Tied rows", "where a value occurs on both sides", "", lambda v: v.tied_rows))
    return [
        {
            "name": name,
            "meaning": meaning,
            "need": need,
            "spiking": number(read(verdict)),
            "control": ABSENT if verdict.control is None else number(read(verdict.control)),
        }
        for name, meaning, need, read in rows
        if read(verdict) is not None or (verdict.control is not None and read(verdict.control) is not None)
    ]


def network_rows(data: ReportData) -> list[dict[str, str]]:
    """Inputs, populations and read-out: what feeds them, their neurons, noise, mean rate and spikes."""
    network, spikes = data.network, _spikes(data)
    rows = []
    populations = {p.name: p for p in network.populations}
    for node in network.nodes():
        into = network.into(node.name)
        population = populations.get(node.name)
        kind = "read-out" if node is network.readout else "input"
        rows.append(
            {
                "name": node.name,
                "units": number(size(node.shape)),
                "kind": kind if population is None else population.neuron.words,
                "sources": ", ".join(_source(c) for c in into) or ABSENT,
                "noise": _noise(node, into),
                "rate": number(_rate(data, spikes.get(node.name), size(node.shape))) if population else "",
                "spikes": number(spikes.get(node.name)) if population else "",
            }
        )
    return rows


def network_totals(data: ReportData) -> dict[str, str]:
    """Neurons, mean rate and spikes per prediction of the whole network."""
    spikes = _spikes(data)
    total = sum(spikes.values()) if spikes else None
    return {
        "neurons": number(data.network.neurons),
        "rate": number(_rate(data, total, data.network.neurons)),
        "spikes": number(total),
    }


def score_rows(data: ReportData) -> list[dict[str, str]]:
    """How well each side predicts the targets; empty without targets."""
    if data.targets is None:
        return []
    classical, spiking = scores(data.classical, data.targets), scores(data.spiking, data.targets)
    return [
        {"name": name, "classical": number(classical.get(name)), "spiking": number(spiking.get(name))}
        for name in {**classical, **spiking}
    ]


def settings_groups(data: ReportData) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every setting needed to repeat the run, by what it belongs to; values as they would be typed."""
    given = dict(data.settings)
    of_packages = given.pop("versions", None) or versions()
    synapses = sorted({repr(c.synapse) for c in data.network.connections if c.synapse is not None})
    groups: dict[str, dict[str, Any]] = {
        "Run": given,
        "Spiking prediction": {
            **{k: v for k, v in data.spiking.settings.items() if k not in ("kind", "spikes_per_prediction")},
            "dt": data.network.dt,
            "synapse": ", ".join(synapses) or "none",
        },
        "Classical prediction": {k: v for k, v in data.classical.settings.items() if k != "kind"},
        "Comparison": {
            **{f"margin, {name}": value for name, value in asdict(data.verdict.margins).items()},
            "alpha": data.verdict.alpha,
            **data.verdict.settings,
        },
        "Control": {} if data.verdict.control is None else data.verdict.control.settings,
        "Versions": of_packages if isinstance(of_packages, dict) else {"versions": of_packages},
    }
    return [(title, [(str(k), _typed(v)) for k, v in group.items()]) for title, group in groups.items() if group]


def _median(values: Any) -> float | None:
    return None if values is None else float(np.median(values))


def _spikes(data: ReportData) -> dict[str, float]:
    """Mean spikes per prediction by population, as far as the prediction recorded them."""
    return data.spiking.settings.get("spikes_per_prediction") or {}


def _rate(data: ReportData, spikes: float | None, neurons: int) -> float | None:
    """Hz per neuron, dropped ones counted: spikes / (N T dt)."""
    return None if spikes is None else spikes / (neurons * len(data.trace) * data.network.dt)


def _source(connection: Connection) -> str:
    synapse = connection.synapse
    if synapse is None:
        return connection.source
    return f"{connection.source} ({synapse.words})"


def _noise(node: Any, into: tuple[Connection, ...]) -> str:
    said, dropout, spikes = [], getattr(node, "dropout", None), getattr(node, "spike_noise", None)
    if dropout is not None and dropout.p > 0:
        said.append(f"dropout {dropout.p:g}" + (f", redrawn every {dropout.hold} steps" if dropout.hold else ""))
    said += [f"blank-out, kept {c.blank_out.keep:g}" for c in into if c.blank_out is not None]
    said += [spikes.words] if spikes is not None and spikes.acts else []
    return "; ".join(said) or ABSENT


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
