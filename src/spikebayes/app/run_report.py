"""From a comparison on a table to its report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spikebayes.app.report.contents import report_data
from spikebayes.app.report.page import write_report
from spikebayes.app.table_run import Comparison, TableRun
from spikebayes.data.encoding import encode_features
from spikebayes.network.network import SpikingNetwork


def write_comparison(
    run: TableRun,
    network: SpikingNetwork,
    table: pd.DataFrame,
    comparison: Comparison,
    path: Path,
    *,
    title: str,
    origin: str,
) -> None:
    """Write the HTML report of what ``compare_table`` found; ``origin`` says what rows the table holds."""
    fitted = run.fitted
    settings = {
        "rows": origin,
        "network": run.architecture,
        **({"fit": run.config} if run.config else {}),
        "training": fitted.history,
        "versions": run.versions,
        "median error under the same masks, in standard deviations": round(comparison.paired_error, 4),
    }
    data = report_data(
        title,
        fitted.model,
        network,
        fitted.scaling.inputs(encode_features(table, run.schema)),
        comparison.classical,
        comparison.spiking,
        comparison.verdict,
        targets=run.targets(table),
        settings=settings,
        rescale=lambda y: run.in_units(fitted.scaling.outputs(y[..., : len(run.schema.output_names)])),
    )
    write_report(data, path)
