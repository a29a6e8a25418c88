"""The demo: the whole way, on real data that is already on the machine."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from sklearn.datasets import load_diabetes

from spikebayes.app.run_folder import SETTINGS, foreign_files, save_run
from spikebayes.app.run_report import write_comparison
from spikebayes.app.table_run import compare_table, prepare_table, train_table
from spikebayes.data.columns import listed
from spikebayes.data.tables import split_rows, write_table
from spikebayes.errors import ConfigError
from spikebayes.machine.files import locked, make_folder

TARGET, REPORT, PREDICTIONS = "progression", "report.html", "predictions.csv"


def run_demo(out: Path, seed: int, console: Console) -> None:
    """Train on scikit-learn's diabetes set, convert, compare, and write report.html, predictions.csv and the run.

    Raises:
        ConfigError: the folder cannot be written, or holds what no demo wrote; or the seed is out of range.
    """
    started = time.perf_counter()
    make_folder(out)
    with locked(out, "demo"):
        _refuse(out)
        _run(out, seed, console)
    seconds = time.perf_counter() - started
    console.print(f"{out / REPORT}, {out / PREDICTIONS}; {seconds:.0f} s in all")


def _refuse(out: Path) -> None:
    """Refuse a folder in which something would be lost that no demo wrote."""
    foreign = [*foreign_files(out, [REPORT, PREDICTIONS]), *(path.name for path in out.glob(SETTINGS))]
    if foreign:
        raise ConfigError(f"{out} holds files that no demo wrote: {listed(map(repr, foreign))}; give another --out")


def _run(out: Path, seed: int, console: Console) -> None:
    patients: Any = load_diabetes(as_frame=True, scaled=False)
    table = patients.frame.rename(columns={"target": TARGET})
    train, test = split_rows(len(table), 0.2, seed)
    console.print(f"1/3 training on {len(train)} patients (diabetes progression after one year)")
    run = train_table(prepare_table(table.iloc[train.numpy()], TARGET, seed=seed), progress=True)
    save_run(run, out)

    held_out = table.iloc[test.numpy()].reset_index(drop=True)
    console.print(f"2/3 converting to LIF neurons; predicting {len(test)} other patients, 100 samples each")
    comparison, network = compare_table(run, held_out, seed=seed, samples=100, progress=True)

    console.print("3/3 writing")
    origin = f"{len(test)} patients that were not trained on"
    title = "Diabetes progression"
    again = f"spikebayes demo --out {shlex.quote(str(out))} --seed {seed}"
    write_comparison(run, network, held_out, comparison, out / REPORT, title=title, origin=origin, commands=[again])
    predictions = comparison.spiking.to_pandas()
    predictions["observed"] = held_out[TARGET].to_numpy()
    write_table(predictions, out / PREDICTIONS)

    console.print()
    console.print(comparison.summary())
    first = predictions.iloc[0]
    console.print(
        f"First patient: {first['mean']:.0f} +- {first['model_std']:.0f} (model), "
        f"{first['lower']:.0f} to {first['upper']:.0f} in 9 of 10 new observations; observed {first['observed']:.0f}."
    )
