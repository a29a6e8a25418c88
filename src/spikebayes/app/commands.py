"""What each verb of the command line does: read, call, write, say. Their signatures are its options.

What a verb alone needs it imports itself: the parser reads this module before it knows the verb.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from spikebayes.data.tables import check_table_path, read_table
from spikebayes.errors import ConfigError
from spikebayes.machine.files import check_output, locked, make_folder
from spikebayes.prediction.predictive import Task

OUT = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # names are printed as they are


def fit_run(
    data: Path,
    *,
    target: str,
    out: Path,
    categorical: str = "",
    columns: dict[str, str] = {},  # noqa: B006
    weights: str | None = None,
    class_weights: Literal["balanced"] | dict[str, float] | None = None,
    task: Literal["auto", "regression", "classification"] = "auto",
    network: Literal["lif", "sharpened", "s2m"] = "lif",
    hidden: list[int] = [100, 100],  # noqa: B006 (a default the parser shows)
    dropout: float | None = None,
    epochs: int = 200,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 3e-4,
    patience: int = 30,
    validation: float = 0.1,
    noise: Literal["auto", "constant", "row"] = "auto",
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train a network on a table: permanent dropout, sharpened activations or stochastic synapses.

    It ends with scores of the network, its spiking twin, a linear model and boosted trees on rows held out.

    Args:
        data: table of training rows: .csv (also .csv.gz, .tsv), .parquet, .xlsx, .arrow, .feather or .npz.
        target: column to predict, or several of numbers, separated by commas; every other column is an input.
        out: folder for the trained run.
        categorical: names of columns to one-hot encode, separated by commas.
        columns: what columns are, where that shall not be found from their values: number, levels, target-encoded,
            date, boolean or drop by name, as in {"year":"levels","id":"drop"}.
        weights: column that says how much each row counts in training, and is no input.
        class_weights: how much the rows of each class count, by class, as in {"no":1,"yes":5}; balanced lets all
            classes count alike.
        task: auto takes classification for a target that is not numeric, or of few whole numbers.
        network: lif has permanent dropout and LIF neurons; sharpened has dropout and activations that become steps,
            so that a sample takes one time step; s2m has units and synapses that are random, a sample per step.
        hidden: width of each hidden layer.
        dropout: drop probability after each hidden layer; 0.1 unless given; s2m has none.
        epochs: passes over the training rows.
        batch_size: rows per step of the optimiser.
        learning_rate: highest learning rate of the cycle.
        weight_decay: weight decay of the optimiser.
        patience: epochs without a better validation loss after which training stops.
        validation: share of the rows held out of training; half of them choose the weights and measure the noise, the
            others calibrate intervals and sets.
        noise: of observations about what a regression predicts. constant is one for all rows, row has the network
            tell that of each row too, auto takes what held-out rows are likelier under.
        seed: seed of weights, split, batches and masks.
        resume: go on from the last checkpoint of an interrupted training in the same folder.
        overwrite: replace a run that is already in the folder.
    """
    from spikebayes.app.run_folder import (
        CHECKPOINTS,
        ENERGY,
        SETTINGS,
        SETTINGS_FORMAT,
        check_run_folder,
        save_run,
    )
    from spikebayes.app.standing import KEY, standing
    from spikebayes.app.table_run import prepare_table, train_table
    from spikebayes.app.training_table import TABLE, table_digest
    from spikebayes.machine.checked_files import read_json, write_json
    from spikebayes.training.checks import check_training

    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "patience": patience,
    }
    check_training(**training)
    check_run_folder(out, resume=resume, overwrite=overwrite)
    table = read_table(data)
    prepared = prepare_table(
        table,
        target,
        categorical=_names(categorical),
        columns=columns,
        weights=weights,
        class_weights=class_weights,
        task=None if task == "auto" else Task(task),
        network=network,
        hidden=hidden,
        dropout=dropout,
        validation=validation,
        noise=noise,
        seed=seed,
    )
    OUT.print(str(prepared.schema))
    if (left_out := len(table) - len(prepared.x)) > 0:
        OUT.print(f"{left_out} of {len(table)} rows are left out: their target is missing")
    config = {"data": str(data), "target": target, "categorical": categorical, "columns": columns, "task": task}
    config |= {"weights": weights, "class_weights": class_weights, "network": network, "hidden": hidden}
    config |= {"dropout": dropout, "validation": validation, "noise": noise, "seed": seed, **training}
    config[TABLE] = table_digest(table)
    if not resume:
        make_folder(out)
    with locked(out, "fit"):
        check_run_folder(out, resume=resume, overwrite=overwrite)  # again: another fit may just have ended
        if resume:
            before = read_json(out / SETTINGS, SETTINGS_FORMAT)
            changed = [name for name in config if before.get(name) != config[name]]
            if changed == [TABLE]:
                raise ConfigError(
                    f"{data} is not the table that the interrupted training began with: its columns, rows or values "
                    "differ; put that one in its place, or start afresh with --overwrite"
                )
            if changed:
                raise ConfigError(
                    f"--resume needs the settings of the interrupted training; changed: {', '.join(changed)}"
                )
        else:
            # a run that is there stays until the new one is done
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
            write_json(out / SETTINGS, config, SETTINGS_FORMAT)

        started = time.perf_counter()
        run = train_table(prepared, checkpoints=out / CHECKPOINTS, resume=resume, progress=True, **training)
        stands = standing(run, prepared)
        if not isinstance(stands, str):
            history = run.fitted.history | {KEY: stands.to_dict()}
            run = replace(run, fitted=replace(run.fitted, history=history))
        save_run(replace(run, config=config), out)
        (out / ENERGY).unlink(missing_ok=True)  # of the run before
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    seconds = time.perf_counter() - started
    history = run.fitted.history
    OUT.print(f"trained on {history['training_rows']} rows in {seconds:.0f} s; the run is in {out}")
    if run.schema.task is Task.REGRESSION:
        OUT.print(f"noise of observations: {'told row by row' if run.fitted.noise == 'row' else 'one for all rows'}")
    known = history["calibration_rows"]
    few = "too few rows are held out to calibrate intervals or sets"
    OUT.print(f"{known} rows that chose nothing calibrate intervals and sets" if known else few)
    if (tuning := run.fitted.history.get("tuning")) is not None:
        missed = "" if tuning["error"] <= tuning["asked"] else f"; {tuning['asked']:g} was not to be had"
        OUT.print(f"a prediction takes {tuning['found']}{missed}")
    OUT.print(str(stands))


def predict(
    run: Path,
    *,
    data: Path,
    out: Path,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    dt: float = 1e-3,
    tau: float | None = None,
    code: str = "lif",
    headroom: float = 4.0,
    seed: int = 0,
    mask_scope: Literal["row", "pass"] = "row",
    engine: Literal["auto", "cpu", "windows", "reference"] = "auto",
    classical: bool = False,
    coverage: float = 0.9,
    quantiles: str = "",
    cluster: str | None = None,
    resume: bool = False,
) -> None:
    """Predict every row of a table with its uncertainty, and an interval or a set of classes that holds what it says.

    Columns of values: mean; model_std, what samples disagree on; noise_std, of observations about the mean; std,
    both; lower and upper of a new observation. Of classes: class, p_LABEL of each, entropy, mutual_information, set.

    Args:
        run: folder that fit wrote.
        data: table of rows; columns are matched by name, the target need not be there.
        out: table to write: .csv, .parquet, .arrow or .npz.
        samples: Monte Carlo samples per row.
        steps: time steps per sample; those that fit found unless given, 1 for a network that is not of LIF neurons.
        burn_in: steps left out of the average at the start; as fit found unless given, 0 for a network not of LIF
            neurons.
        dt: time step in seconds.
        tau: time constant of the Alpha synapses of LIF neurons in seconds; as fit found unless given. With another
            tau or dt, steps and burn_in are worked out from the filters.
        code: how neurons tell numbers. lif has LIF neurons that step freely; Digits(4,4), FirstSpike(64), Radix(8)
            and Graded(8) tell them in windows of ticks, a sample in each; auto takes the cheapest of these.
        headroom: how far a code reaches beyond the largest activation on the training rows.
        seed: seed of the masks.
        mask_scope: row gives every row masks of its own, pass one mask per sample for all rows.
        engine: auto takes the fastest.
        classical: answer with the non-spiking network instead.
        coverage: share of new observations that lower and upper, or set, are to hold.
        quantiles: of new observations, a column each, separated by commas, as 0.05,0.5,0.95.
        cluster: processes that share the work: local:N starts so many here, tcp://HOST:PORT asks a Dask scheduler.
        resume: go on with what an interrupted predict of the same rows into the same table has finished.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run, own_files
    from spikebayes.app.streaming import predict_table

    check_table_path(out)
    check_output(out, [data, *own_files(run)])
    loaded = load_run(run)
    settings = {"steps": steps, "burn_in": burn_in, "seed": seed, "mask_scope": mask_scope, "engine": engine}
    count, outside, by = predict_table(
        loaded,
        run,
        data,
        out,
        network=None if classical else network_of(loaded, dt, tau, code, headroom),
        given=settings | {"dt": dt, "tau": tau, "code": code, "headroom": headroom, "classical": classical},
        samples=samples,
        coverage=coverage,
        quantiles=_levels(quantiles),
        resume=resume,
        say=OUT.print,
        cluster=cluster,
        **settings,
    )
    OUT.print(f"predicted {count} rows x {samples} samples ({by}); written to {out}")
    OUT.print(f"{outside} of {count} rows lie outside what was trained on; the column 'outside' names the columns")


def compare_run(
    run: Path,
    *,
    data: Path,
    out: Path = Path("report.html"),
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    dt: float = 1e-3,
    tau: float | None = None,
    code: str = "lif",
    headroom: float = 4.0,
    seed: int = 0,
) -> None:
    """Test whether the spiking network keeps the classical predictive distribution; print a verdict, write a report.

    Args:
        run: folder that fit wrote.
        data: table of rows that were not trained on; with the target column the report scores both networks.
        out: HTML page to write.
        samples: Monte Carlo samples per row.
        steps: time steps per sample; those that fit found unless given, 1 for a network that is not of LIF neurons.
        burn_in: steps left out of the average at the start; as fit found unless given, 0 for a network not of LIF
            neurons.
        dt: time step in seconds.
        tau: time constant of the Alpha synapses of LIF neurons in seconds; as fit found unless given. With another
            tau or dt, steps and burn_in are worked out from the filters.
        code: how neurons tell numbers. lif has LIF neurons that step freely; Digits(4,4), FirstSpike(64), Radix(8)
            and Graded(8) tell them in windows of ticks, a sample in each; auto takes the cheapest of these.
        headroom: how far a code reaches beyond the largest activation on the training rows.
        seed: first of the three seeds that are used.
    """
    asked = dict(locals())

    from spikebayes.app.code_option import network_of
    from spikebayes.app.command_text import command_text
    from spikebayes.app.run_folder import load_run, own_files
    from spikebayes.app.run_report import write_comparison
    from spikebayes.app.table_run import compare_table
    from spikebayes.app.training_table import rows_to_judge

    check_output(out, [data, *own_files(run)])
    loaded = load_run(run)
    table, origin = rows_to_judge(loaded, data)
    loaded.targets(table)  # a bad target column is refused before the work
    network = network_of(loaded, dt, tau, code, headroom)
    budget = {"samples": samples, "steps": steps, "burn_in": burn_in}
    comparison, network = compare_table(loaded, table, network=network, seed=seed, **budget, progress=True)
    origin = f"{len(table)} rows of {origin}"
    title = f"{loaded.schema.target}, {data.name}"
    commands = [command_text("compare", compare_run, asked)]
    if "data" in loaded.config:
        commands.insert(0, command_text("fit", fit_run, loaded.config | {"out": run}))
    write_comparison(loaded, network, table, comparison, out, title=title, origin=origin, commands=commands)
    OUT.print(f"{run}, on {origin}")
    OUT.print(comparison.summary())
    OUT.print(f"report written to {out}")


def score_run(
    run: Path,
    *,
    data: Path,
    json: Path | None = None,
    coverage: float = 0.9,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    dt: float = 1e-3,
    tau: float | None = None,
    code: str = "lif",
    headroom: float = 4.0,
    seed: int = 0,
    mask_scope: Literal["row", "pass"] = "row",
    engine: Literal["auto", "cpu", "windows", "reference"] = "auto",
) -> None:
    """Score the classical and the spiking network on rows whose targets are known.

    Args:
        run: folder that fit wrote.
        data: table of rows with the target column, that were not trained on; those without a target are left out.
        json: file to write the scores to.
        coverage: share of observations that intervals or sets are to hold.
        samples: Monte Carlo samples per row.
        steps: time steps per sample; those that fit found unless given, 1 for a network that is not of LIF neurons.
        burn_in: steps left out of the average at the start; as fit found unless given, 0 for a network not of LIF
            neurons.
        dt: time step in seconds.
        tau: time constant of the Alpha synapses of LIF neurons in seconds; as fit found unless given. With another
            tau or dt, steps and burn_in are worked out from the filters.
        code: how neurons tell numbers. lif has LIF neurons that step freely; Digits(4,4), FirstSpike(64), Radix(8)
            and Graded(8) tell them in windows of ticks, a sample in each; auto takes the cheapest of these.
        headroom: how far a code reaches beyond the largest activation on the training rows.
        seed: seed of the masks, which are the same for both.
        mask_scope: row gives every row masks of its own, pass one mask per sample for all rows.
        engine: auto takes the fastest.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import load_run, own_files
    from spikebayes.app.table_scores import score_table, with_targets
    from spikebayes.app.training_table import rows_trained_on
    from spikebayes.machine.checked_files import write_json
    from spikebayes.machine.versions import versions

    if json is not None:
        check_output(json, [data, *own_files(run)])
    loaded, table = load_run(run), read_table(data)
    known = with_targets(loaded, table)
    seen = rows_trained_on(loaded, table)
    settings = {"samples": samples, "steps": steps, "burn_in": burn_in, "seed": seed}
    settings |= {"mask_scope": mask_scope, "engine": engine}
    network = network_of(loaded, dt, tau, code, headroom)
    found = score_table(loaded, known, network=network, coverage=coverage, progress=True, **settings)
    OUT.print(f"{run}, on {found.rows} rows of {data}")
    if (left_out := len(table) - found.rows) > 0:
        OUT.print(f"{left_out} of {len(table)} rows are left out: their target is missing")
    OUT.print(f"{found.outside} of {found.rows} rows lie outside what was trained on")
    OUT.print(str(found))
    if seen is None:
        OUT.print("whether rows were trained on is not known: the training table is not there as it was")
    elif seen:
        OUT.print(
            f"warning: {seen} of {found.rows} rows were trained on, or equal ones that were: scores flatter both"
        )
    if json is not None:
        given = {"data": str(data), "trained_on": seen, "dt": dt, "tau": tau, "code": code, "headroom": headroom}
        write_json(json, found.to_dict() | given | settings | {"versions": versions()}, "spikebayes.score/1")
        OUT.print(f"written to {json}")


def info(run: Path) -> None:
    """Say what a trained run is.

    Args:
        run: folder that fit wrote.
    """
    from spikebayes.app.run_folder import load_run
    from spikebayes.app.standing import KEY, Standing
    from spikebayes.data.kinds import Levels

    loaded = load_run(run)
    schema, fitted = loaded.schema, loaded.fitted
    OUT.print(f"{run}: {schema.task} of {schema.target!r} from {len(schema.features)} columns")
    OUT.print(f"columns   {schema}")
    for name, column in schema.columns.items():
        if isinstance(column, Levels):
            OUT.print(f"  {name}: {', '.join(level or 'missing' for level in column.levels)}")
    if schema.classes:
        OUT.print(f"classes   {', '.join(schema.classes)}")
    OUT.print(f"network   {loaded.architecture}")
    history = dict(fitted.history)
    stands = history.pop(KEY, None)
    OUT.print(f"training  {history}")
    if stands is not None:
        OUT.print(f"scores    {Standing.from_dict(stands)}")
    if fitted.noise == "row":
        OUT.print("noise     the network tells that of each row")
    elif fitted.noise_std is not None:
        OUT.print(f"noise     standard deviation {fitted.noise_std[0]:.4g}, of all rows")
    if fitted.conformal is not None:
        OUT.print(f"intervals calibrated on {fitted.conformal.rows} rows that were held out of training")
    OUT.print(f"versions  {loaded.versions}")
    OUT.print(str(loaded.network()))


def energy_of_run(
    run: Path,
    *,
    data: Path | None = None,
    rows: int = 100,
    json: Path | None = None,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    dt: float = 1e-3,
    tau: float | None = None,
    code: str = "lif",
    headroom: float = 4.0,
    seed: int = 0,
    mask_scope: Literal["row", "pass"] = "row",
    engine: Literal["auto", "cpu", "windows", "reference"] = "auto",
) -> None:
    """Count what a prediction has to do, spiking and classical, and say what it costs in joules on several devices.

    Args:
        run: folder that fit wrote.
        data: table of rows to predict; by default the rows of the training table that fit held out.
        rows: most rows to predict, the first ones.
        json: file to write; by default energy.json in the run's folder.
        samples: Monte Carlo samples per row.
        steps: time steps per sample; those that fit found unless given, 1 for a network that is not of LIF neurons.
        burn_in: steps left out of the average at the start, which cost as much as the others; as fit found unless
            given, 0 for a network not of LIF neurons.
        dt: time step in seconds.
        tau: time constant of the Alpha synapses of LIF neurons in seconds; as fit found unless given. With another
            tau or dt, steps and burn_in are worked out from the filters.
        code: how neurons tell numbers. lif has LIF neurons that step freely; Digits(4,4), FirstSpike(64), Radix(8)
            and Graded(8) tell them in windows of ticks, a sample in each; auto takes the cheapest of these.
        headroom: how far a code reaches beyond the largest activation on the training rows.
        seed: seed of the masks.
        mask_scope: row gives every row masks of its own, pass one mask per sample for all rows.
        engine: auto takes the fastest.
    """
    from spikebayes.app.code_option import network_of
    from spikebayes.app.run_folder import ENERGY, load_run, own_files
    from spikebayes.app.training_table import rows_to_judge
    from spikebayes.data.encoding import encode_features
    from spikebayes.evaluate.energy.energy import energy
    from spikebayes.evaluate.energy.text import statement
    from spikebayes.machine.checked_files import write_json
    from spikebayes.machine.versions import versions

    if rows < 1:
        raise ConfigError(f"rows must be a whole number, at least 1; got {rows}")
    loaded = load_run(run)
    out = run / ENERGY if json is None else json
    table, origin = rows_to_judge(loaded, data)
    check_output(out, [data or Path(loaded.config["data"]), *own_files(run)])
    some = table.iloc[:rows]
    found = energy(
        network_of(loaded, dt, tau, code, headroom),
        loaded.fitted.scaling.inputs(encode_features(some, loaded.schema)),
        samples=samples,
        steps=steps,
        burn_in=burn_in,
        seed=seed,
        mask_scope=mask_scope,
        engine=engine,
        model=loaded.fitted.model,
        progress=True,
    )
    origin = f"{'all' if len(some) == len(table) else f'the first {len(some)} of'} {len(table)} rows of {origin}"
    write_json(out, {"rows": origin} | found.to_dict() | {"versions": versions()}, "spikebayes.energy/1")
    OUT.print(f"{run}, on {origin}")
    OUT.print(statement(found), markup=False)
    OUT.print(f"written to {out}")


def demo(*, out: Path = Path("demo"), seed: int = 0) -> None:
    """Train, convert, simulate and compare on scikit-learn's diabetes data.

    Args:
        out: folder for report.html, predictions.csv and the trained run.
        seed: seed of everything.
    """
    from spikebayes.app.demo import run_demo

    run_demo(out, seed, OUT)


def _levels(text: str) -> list[float]:
    try:
        return [float(level) for level in _names(text)]
    except ValueError as error:
        raise ConfigError(f"quantiles must be numbers in (0, 1), as 0.05,0.5,0.95; got {text!r}") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
