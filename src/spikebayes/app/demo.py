"""The demo: the whole way, on real data that is already on the machine, by LIF neurons and by a ReLU network."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from spikebayes.app.run_folder import SETTINGS, foreign_files, save_run
from spikebayes.app.run_report import write_comparison
from spikebayes.app.table_comparison import Comparison, compare_table
from spikebayes.app.table_run import Spiking, TableRun, networks_of, train_table
from spikebayes.app.table_task import TableTask, prepare_table
from spikebayes.data.columns import listed
from spikebayes.data.tables import split_rows, write_table
from spikebayes.errors import ConfigError
from spikebayes.machine.files import locked, make_folder
from spikebayes.network.codes import Digits
from spikebayes.nn.zoo import mlp
from spikebayes.training.fit import fit
from spikebayes.training.fitted import Fitted

TARGET, REPORT, PREDICTIONS = "progression", "report.html", "predictions.csv"
WINDOWS, HEADROOM = Digits(3, 8), 32.0  # 6,561 levels in 16 ticks: what serves all tables of docs/codes.md
SAMPLES = 100


def run_demo(out: Path, seed: int, console: Console) -> None:
    """Train on scikit-learn's diabetes set, convert, compare, and write report.html, predictions.csv and the run.

    Twice: LIF neurons, as in Wycoff 2019, whose report is written; and a network of ReLU units in windows of ticks.

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
    console.print(f"1/4 training on {len(train)} patients (diabetes progression after one year)")
    task = prepare_table(table.iloc[train.numpy()], TARGET, seed=seed)
    run = train_table(task, progress=True)
    save_run(run, out)

    held_out = table.iloc[test.numpy()].reset_index(drop=True)
    console.print(f"2/4 converting to LIF neurons; predicting {len(test)} other patients, {SAMPLES} samples each")
    settings: dict[str, Any] = {"seed": seed, "samples": SAMPLES, "progress": True}
    comparison, network = compare_table(run, held_out, **settings)

    console.print("3/4 the same by a network of ReLU units, in windows of ticks")
    ordinary = replace(run, fitted=_ordinary(task))
    coded = ordinary.fitted.network(code=WINDOWS, headroom=HEADROOM)
    both = {"LIF neurons": (run, comparison, network)}
    both["ReLU in windows"] = (ordinary, *compare_table(ordinary, held_out, network=coded, **settings))

    console.print("4/4 writing")
    origin = f"{len(test)} patients that were not trained on"
    title = "Diabetes progression"
    again = f"spikebayes demo --out {shlex.quote(str(out))} --seed {seed}"
    write_comparison(run, network, held_out, comparison, out / REPORT, title=title, origin=origin, commands=[again])
    predictions = comparison.spiking.to_pandas()
    predictions["observed"] = held_out[TARGET].to_numpy()
    write_table(predictions, out / PREDICTIONS)

    console.print()
    console.print(_side_by_side(both, held_out))
    console.print(comparison.summary())
    first = predictions.iloc[0]
    console.print(
        f"First patient: {first['mean']:.0f} +- {first['model_std']:.0f} (model), "
        f"{first['lower']:.0f} to {first['upper']:.0f} in 9 of 10 new observations; observed {first['observed']:.0f}."
    )


def _ordinary(task: TableTask) -> Fitted:
    """A network of ReLU units that learned the same rows; nothing of it was made for spikes."""
    sizes = {name: task.architecture[name] for name in ("inputs", "hidden", "dropout")}
    with torch.random.fork_rng():
        torch.manual_seed(task.seed)
        model = mlp(outputs=2 * len(task.schema.output_names), activation=nn.ReLU, **sizes)
    (x, y), held_out = ((task.x[rows], task.y[rows]) for rows in (task.train, task.held))
    told: dict[str, Any] = {"task": task.schema.task, "names": task.schema.output_names, "noise": task.noise}
    return fit(model, x, y, validation=held_out, seed=task.seed, progress=True, **told)


def _side_by_side(both: dict[str, tuple[TableRun, Comparison, Spiking]], held_out: Any) -> Table:
    """What both networks predict, and whether spikes kept it."""
    shown = Table("", *both)
    columns = [_told(*one, held_out) for one in both.values()]
    for line in columns[0]:
        shown.add_row(line, *(column[line] for column in columns))
    return shown


def _told(run: TableRun, comparison: Comparison, network: Spiking, held_out: Any) -> dict[str, str]:
    y, spiking = run.targets(held_out), comparison.spiking
    assert y is not None
    neurons = sum(each.neurons for each in networks_of(network))
    spikes, settings = sum(spiking.settings["spikes_per_prediction"].values()), spiking.settings
    ticks = f"{settings['steps']} steps" if "steps" in settings else f"{settings['ticks_per_sample']} ticks"
    return {
        "a sample takes": ticks,
        "spikes per neuron and sample": f"{spikes / neurons:.2f}",
        "RMSE, classical": _rmse(comparison.classical.mean, y),
        "RMSE, spiking": _rmse(spiking.mean, y),
        "apart under the same masks, std": f"{comparison.paired_error:.3f}",
        "posterior": comparison.verdict.outcome.value,
    }


def _rmse(mean: Tensor, y: Tensor) -> str:
    return f"{float((mean - y).square().mean().sqrt()):.1f}"
