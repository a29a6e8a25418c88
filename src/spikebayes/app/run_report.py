"""From a comparison on a table to its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from spikebayes.app.report.contents import report_data
from spikebayes.app.report.page import write_report
from spikebayes.app.table_comparison import Comparison
from spikebayes.app.table_run import Spiking, TableRun, networks_of
from spikebayes.app.training_table import FOLDER
from spikebayes.data.columns import listed, one_line
from spikebayes.data.encoding import encode_features, outside_training
from spikebayes.data.schema import TableSchema


def write_comparison(
    run: TableRun,
    network: Spiking,
    table: pd.DataFrame,
    comparison: Comparison,
    path: Path,
    *,
    title: str,
    origin: str,
    commands: Sequence[str] = (),
) -> None:
    """Write the HTML report of what ``compare_table`` found.

    Trace and energy of an ensemble are those of its first member. ``origin`` says what rows the
    table holds, ``commands`` what to type to have the report again.
    """
    fitted, schema = run.fitted, run.schema
    settings = {
        "rows": origin,
        "network": run.architecture,
        **({} if run.ensemble is None else {"members": len(run.ensemble)}),
        **({"fit": {name: value for name, value in run.config.items() if name != FOLDER}} if run.config else {}),
        "training": fitted.history,
        "versions": run.versions,
        "median error under the same masks, in standard deviations": round(comparison.paired_error, 4),
    }
    data = report_data(
        title,
        fitted.model,
        networks_of(network)[0],
        fitted.scaling.inputs(encode_features(table, schema)),
        comparison.classical,
        comparison.spiking,
        comparison.verdict,
        targets=run.targets(table),
        settings=settings,
        rescale=lambda y: run.in_units(fitted.scaling.outputs(y[..., : len(schema.output_names)])),
        subject=f"Predicted: {_predicted(schema)}, from {len(schema.features)} columns, for {origin}{_by(run)}.",
        outside=outside_training(table, schema),
        commands=tuple(commands),
    )
    write_report(data, path)


def _by(run: TableRun) -> str:
    if run.ensemble is None:
        return ""
    return f", by {len(run.ensemble)} networks together; what is shown over time and in joules is of the first"


def _predicted(schema: TableSchema) -> str:
    """The targets in words."""
    names = listed(one_line(name) for name in schema.targets)
    return f"{names} ({len(schema.classes)} classes)" if schema.classes else names
