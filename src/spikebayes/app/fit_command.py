"""The verb ``fit``: from a table to a trained run in its folder. Its signature is its options."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from spikebayes.app.shared_options import ONCE, OUT, split_names
from spikebayes.app.unfinished import CHECKPOINTS
from spikebayes.data.columns import listed
from spikebayes.data.tables import read_table
from spikebayes.errors import ConfigError
from spikebayes.machine.files import locked, make_folder
from spikebayes.prediction.task import Task

OF_TABLE = Parameter(group=Group.create_ordered("The table"))
OF_NETWORK = Parameter(group=Group.create_ordered("The network"))
OF_TRAINING = Parameter(group=Group.create_ordered("Its training"))


def fit_run(
    data: Path,
    *,
    target: Annotated[str, OF_TABLE, ONCE],
    out: Path,
    categorical: Annotated[str, OF_TABLE, ONCE] = "",
    columns: Annotated[dict[str, str] | None, OF_TABLE, ONCE] = None,
    weights: Annotated[str | None, OF_TABLE] = None,
    class_weights: Annotated[Literal["balanced"] | dict[str, float] | None, OF_TABLE, ONCE] = None,
    task: Annotated[Literal["auto", "regression", "classification"], OF_TABLE] = "auto",
    network: Annotated[Literal["lif", "sharpened", "s2m"], OF_NETWORK] = "lif",
    hidden: Annotated[Sequence[int], OF_NETWORK] = (100, 100),
    dropout: Annotated[float | None, OF_NETWORK] = None,
    epochs: Annotated[int, OF_TRAINING] = 200,
    batch_size: Annotated[int, OF_TRAINING] = 64,
    learning_rate: Annotated[float, OF_TRAINING] = 3e-3,
    weight_decay: Annotated[float, OF_TRAINING] = 3e-4,
    rate_penalty: Annotated[float, OF_TRAINING] = 0.0,
    patience: Annotated[int, OF_TRAINING] = 30,
    validation: Annotated[float, OF_TRAINING] = 0.1,
    noise: Annotated[Literal["auto", "constant", "row"], OF_NETWORK] = "auto",
    members: Annotated[int, OF_NETWORK] = 1,
    folds: Annotated[int, OF_TRAINING] = 0,
    seed: Annotated[int, OF_TRAINING] = 0,
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
        columns: kinds of columns that are not to be inferred from their values: number, levels, target-encoded, date,
            boolean or drop, by name, as in {"year":"levels","id":"drop"}.
        weights: column that says how much each row counts in training, and is no input.
        class_weights: how much the rows of each class count, by class, as in {"no":1,"yes":5}; balanced gives all
            classes the same total weight.
        task: auto chooses classification for a target that is not numeric, or has few distinct whole numbers.
        network: lif has permanent dropout and LIF neurons; sharpened has dropout and activations that become steps,
            so that a sample takes one time step; s2m has units and synapses that are random, a sample per step.
        hidden: width of each hidden layer.
        dropout: drop probability after each hidden layer; 0.1 unless given; s2m has none.
        epochs: passes over the training rows.
        batch_size: rows per step of the optimiser.
        learning_rate: highest learning rate of the cycle.
        weight_decay: weight decay of the optimiser.
        rate_penalty: what the spikes of LIF neurons cost in the loss, if all fired at 500 Hz; 0 lets them fire. It is
            for the network lif.
        patience: epochs without a better validation loss after which training stops.
        validation: share of the rows held out of training; half of them choose the weights and measure the noise, the
            others calibrate intervals and sets.
        noise: of observations about a regression's prediction. constant is one value for all rows, row has the
            network predict it for each row, auto takes whichever gives held-out rows the higher likelihood.
        members: number of networks, trained from different initial weights, that predict together: each sample is one
            of them, under one mask.
        folds: number of folds of a cross-validation after the training: each part of the table is predicted by
            networks trained on the others, and the scores are shown; 0 does none.
        seed: seed of weights, split, batches and masks.
        resume: continue from the last checkpoint of an interrupted training in the same folder.
        overwrite: replace a run that is already in the folder.
    """
    from spikebayes.app.copies import copies_of_target
    from spikebayes.app.cross_validation import KEY as CROSSED
    from spikebayes.app.cross_validation import check_folds, cross_validate
    from spikebayes.app.run_folder import (
        ENERGY,
        SETTINGS,
        SETTINGS_FORMAT,
        check_replaceable,
        check_run_folder,
        save_run,
    )
    from spikebayes.app.standing import KEY, standing
    from spikebayes.app.table_run import train_table, with_history
    from spikebayes.app.table_task import prepare_table
    from spikebayes.app.training_table import FOLDER, TABLE, table_digest
    from spikebayes.machine.checked_files import read_json, write_json
    from spikebayes.training.activity import check_penalty
    from spikebayes.training.recipe import Recipe

    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "rate_penalty": rate_penalty,
        "patience": patience,
    }
    Recipe(**training)
    check_penalty(rate_penalty)
    if rate_penalty and network != "lif":
        raise ConfigError(f"--rate-penalty is for --network lif; got {network}: leave it out")
    check_run_folder(out, resume=resume, overwrite=overwrite)
    table = read_table(data)
    given: dict[str, Any] = {
        "categorical": split_names(categorical),
        "columns": columns or {},
        "weights": weights,
        "class_weights": class_weights,
        "task": None if task == "auto" else Task(task),
        "network": network,
        "hidden": list(hidden),
        "dropout": dropout,
        "validation": validation,
        "noise": noise,
        "members": members,
        "seed": seed,
    }
    prepared = prepare_table(table, target, **given)
    if folds:
        check_folds(prepared, folds)
    OUT.print(str(prepared.schema))
    if (left_out := len(table) - len(prepared.x)) > 0:
        why = "their target is missing" if weights is None else "their target is missing, or their weight 0"
        OUT.print(f"{left_out} of {len(table)} rows are left out: {why}")
    if copies := copies_of_target(prepared):
        OUT.print(
            f"warning: the target {prepared.schema.target!r} can be read off {listed(map(repr, copies))}: leave out "
            f'what new rows do not have yet, as by --columns \'{{"{copies[0]}":"drop"}}\''
        )
    config = {"data": str(data), "target": target} | given | training | {"folds": folds, TABLE: table_digest(table)}
    config |= {"categorical": categorical, "task": task}  # as they were given
    config |= {FOLDER: str(Path.cwd())}
    if not resume:
        make_folder(out)
    with locked(out, "fit"):
        check_run_folder(out, resume=resume, overwrite=overwrite)  # again: another fit may just have ended
        if resume:
            before = read_json(out / SETTINGS, SETTINGS_FORMAT)
            changed = [name for name in config if name != FOLDER and before.get(name) != config[name]]
            if changed == [TABLE]:
                raise ConfigError(
                    f"{data} is not the table that the interrupted training began with: its columns, rows or values "
                    "differ; put that one in its place, or start afresh with --overwrite"
                )
            if changed:
                raise ConfigError(
                    f"--resume needs the settings of the interrupted training; changed: {', '.join(changed)}; give "
                    "the same again, or start afresh with --overwrite"
                )
        check_replaceable(out)
        if not resume:
            # a run that is there stays until the new one is done
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
            write_json(out / SETTINGS, config, SETTINGS_FORMAT)

        started, crossed = time.perf_counter(), None
        run = train_table(prepared, checkpoints=out / CHECKPOINTS, resume=resume, progress=True, **training)
        stands = standing(run, prepared)
        if not isinstance(stands, str):
            run = with_history(run, {KEY: stands.to_dict()})
        if folds:
            save_run(replace(run, config=config), out)  # whatever becomes of the folds
            crossed = cross_validate(table, target, folds, given=given, training=training, progress=True)
            run = with_history(run, {CROSSED: crossed.to_dict()})
        save_run(replace(run, config=config), out)
        (out / ENERGY).unlink(missing_ok=True)  # of the run before
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    seconds = time.perf_counter() - started
    history = run.fitted.history
    OUT.print(f"trained on {history['training_rows']} rows in {seconds:.0f} s; the run is in {out}")
    if members > 1:
        OUT.print(f"{members} networks predict together; the lines below describe the first")
    if run.schema.task is Task.REGRESSION:
        OUT.print(f"noise of observations: {'by row' if run.fitted.noise == 'row' else 'the same for all rows'}")
    known = 0 if run.predictor.conformal is None else run.predictor.conformal.rows
    few = "too few rows are held out to calibrate intervals or sets"
    OUT.print(f"{known} rows not used to choose the weights calibrate intervals and sets" if known else few)
    if (tuning := run.fitted.history.get("tuning")) is not None:
        missed = "" if tuning["error"] <= tuning["asked"] else f"; {tuning['asked']:g} was not reached"
        OUT.print(f"a prediction takes {tuning['found']}{missed}")
    OUT.print(str(stands))
    if crossed is not None:
        OUT.print(str(crossed))
